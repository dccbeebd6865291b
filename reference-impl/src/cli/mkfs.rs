//! `iomap-reference mkfs`: makes an image; refuses to overwrite a file with other contents.

use iomap_command::{Error, Output};
use iomap_reference::{BLOCK, FileDisk, LABEL, MAGIC, Options, check, format};
use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, FileTypeExt};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

/// The smallest image, in bytes.
const LEAST: u64 = 1 << 20;

#[derive(clap::Args)]
pub(crate) struct Mkfs {
    /// The image: a file, or a block device with --force
    image: PathBuf,
    /// How large, with K, M, G or T for powers of 1024; needed for a new file
    #[arg(long, value_parser = size)]
    size: Option<u64>,
    /// A name for the file system, of at most 32 bytes
    #[arg(long, default_value = "", hide_default_value = true, value_parser = label)]
    label: String,
    /// Overwrite an existing file
    #[arg(long)]
    force: bool,
}

/// A number of bytes, with K, M, G or T for powers of 1024.
pub(crate) fn bytes(text: &str) -> Result<u64, Error> {
    let digits = text.trim_end_matches(['K', 'M', 'G', 'T']);
    let shift = match &text[digits.len()..] {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return Err(Error::usage("one of K, M, G and T can follow the number")),
    };
    let number: u64 = digits.parse().map_err(|_| Error::usage("a number, and perhaps K, M, G or T after it"))?;
    let bytes = number.checked_mul(1 << shift).filter(|bytes| i64::try_from(*bytes).is_ok());
    bytes.ok_or_else(|| Error::usage("no file is as large as that"))
}

fn size(text: &str) -> Result<u64, Error> {
    let bytes = bytes(text)?;
    if bytes < LEAST { Err(Error::usage("an image has at least 1M")) } else { Ok(bytes) }
}

fn label(text: &str) -> Result<String, Error> {
    if text.len() > LABEL { Err(Error::usage(format!("at most {LABEL} bytes"))) } else { Ok(text.into()) }
}

/// Makes a file system, and writes a line about it.
pub(crate) fn run(mkfs: &Mkfs) -> Result<(), Error> {
    let path = mkfs.image.display();
    let failed = |error: std::io::Error| Error::file(&mkfs.image, error);
    let usage = |why: &str| Err(Error::usage(format!("{path}: {why}")));
    let file = match std::fs::metadata(&mkfs.image) {
        Ok(found) if found.file_type().is_block_device() && !mkfs.force => {
            return usage("a block device; --force overwrites it");
        }
        Ok(found) if found.file_type().is_block_device() && mkfs.size.is_some() => {
            return usage("a block device has its own size; leave --size out");
        }
        Ok(found) if !found.is_file() && !found.file_type().is_block_device() => {
            return usage("neither a file nor a block device");
        }
        Ok(_) => {
            let mut file = File::options().read(true).write(true).open(&mkfs.image).map_err(failed)?;
            if let Some(what) = contents(&mut file).map_err(failed)?.filter(|_| !mkfs.force) {
                return usage(&format!("it has {what}; --force overwrites it"));
            }
            file
        }
        Err(error) if error.kind() == ErrorKind::NotFound && mkfs.size.is_none() => {
            return usage("there is no such file; --size makes one");
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            File::options().read(true).write(true).create_new(true).open(&mkfs.image).map_err(failed)?
        }
        Err(error) => return Err(failed(error)),
    };
    let len = file.try_clone().and_then(|mut file| file.seek(SeekFrom::End(0))).map_err(failed)?;
    if mkfs.size.unwrap_or(len) < LEAST {
        return usage("smaller than 1M, the least an image has; --size makes it larger");
    }
    // Take the lock first: an image that another process has mounted must not change.
    let resized = file.try_clone().map_err(failed)?;
    drop(FileDisk::locked(file.try_clone().map_err(failed)?, false).map_err(failed)?);
    if let Some(size) = mkfs.size {
        resized.set_len(size).map_err(failed)?;
    }
    let mut disk = FileDisk::locked(file, false).map_err(failed)?;
    let mut uuid = [0; 16];
    File::open("/dev/urandom").and_then(|mut random| random.read_exact(&mut uuid)).map_err(failed)?;
    // A random uuid, of version 4.
    (uuid[6], uuid[8]) = (uuid[6] & 0x0f | 0x40, uuid[8] & 0x3f | 0x80);
    // A clock from before the epoch counts as the epoch.
    let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos().cast_signed();
    let owner = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
    let options = Options { label: mkfs.label.clone(), uuid, time, owner, ..Options::default() };
    format(&mut disk, &options).map_err(|error| Error::file(&mkfs.image, error))?;
    let report = check(&mut disk).map_err(|error| Error::file(&mkfs.image, error))?;
    Output::standard().write(&format!("{path}: {} blocks of {BLOCK} bytes, uuid {}\n", report.blocks, report.uuid))
}

/// A word for the contents of a file; `None` if it has only zeros.
fn contents(file: &mut File) -> std::io::Result<Option<&'static str>> {
    let mut start = [0; MAGIC.len()];
    if file.read_exact_at(&mut start, 0).is_ok() && start == MAGIC {
        return Ok(Some("a file system"));
    }
    file.rewind()?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(None),
            len if buffer[..len].iter().all(|byte| *byte == 0) => (),
            _ => return Ok(Some("contents")),
        }
    }
}
