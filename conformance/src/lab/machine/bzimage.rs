//! The header of a bzImage, and the kernel inside. The fields are described in Documentation/arch/x86/boot.rst.

use crate::error::{Error, Result, at};
use crate::kernel;
use crate::lab::cache::Cache;
use crate::programs::{self, Failure};
use iomap_results::Kernel;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A complete image for x86-64.
pub(crate) struct BzImage(Vec<u8>);

/// Programs that decompress the kernel inside, by the first bytes of the data.
const COMPRESSED: [(&[u8], &[&str]); 4] = [
    (b"\xfd7zXZ", &["xz", "-dc", "--single-stream"]),
    (b"\x28\xb5\x2f\xfd", &["zstd", "-dc"]),
    (b"\x1f\x8b", &["gzip", "-dc"]),
    (b"\x02\x21\x4c\x18", &["lz4", "-dc"]),
];

/// The approximate size of a decompressed kernel, in bytes.
const LARGEST: u64 = 80 << 20;

/// The note with the address at which QEMU starts a kernel without its boot code: XEN_ELFNOTE_PHYS32_ENTRY, after the
/// length of its name and before the name.
const PVH: [&[u8]; 2] = [b"\x04\0\0\0\x04\0\0\0\x12\0\0\0Xen\0", b"\x04\0\0\0\x08\0\0\0\x12\0\0\0Xen\0"];

impl BzImage {
    /// Reads a file. If it is not a bzImage for x86-64, the error names the kind of the file.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let image = Self(std::fs::read(path).map_err(|e| e.to_string())?);
        let bytes = &image.0;
        if bytes.get(56..60) == Some(b"ARM\x64") {
            return Err("a kernel for arm64: the lab boots x86-64".into());
        }
        if bytes.starts_with(b"\x7fELF") {
            return Err("an ELF file, not a bzImage: in a build tree that is arch/x86/boot/bzImage".into());
        }
        if bytes.get(0x202..0x206) != Some(b"HdrS") {
            return Err("not a Linux bzImage".into());
        }
        const XLF_KERNEL_64: usize = 1;
        if image.number(0x236, 2) & XLF_KERNEL_64 == 0 {
            return Err("a kernel for 32 bits: the lab boots x86-64".into());
        }
        let whole = image.boot_code() + image.number(0x1f4, 4) * 16;
        if bytes.len() < whole {
            return Err(format!("truncated: {} of {whole} bytes", bytes.len()).into());
        }
        Ok(image)
    }

    /// The identity of the kernel. The build id is in the kernel inside, if that is unpacked.
    pub(crate) fn identity(&self, unpacked: Option<&Path>) -> Kernel {
        let version = self.0.get(self.number(0x20e, 2) + 0x200..).unwrap_or_default();
        let version = version.split(|byte| *byte == 0).next().unwrap_or_default();
        let version = String::from_utf8_lossy(version);
        // As /proc/version has it: the release, the builder in parentheses, and the version of `uname -v`.
        let (release, rest) = version.split_once(' ').unwrap_or((&version, ""));
        let build_id = unpacked.and_then(|path| notes(path).ok()).and_then(|notes| kernel::build_id(&notes));
        Kernel { release: release.into(), built: kernel::built(rest), build_id }
    }

    /// The kernel inside, which QEMU boots faster, because a guest without KVM takes seconds to decompress itself.
    /// `None` if the program for decompression is not installed, or if QEMU could not boot the kernel.
    pub(crate) fn unpacked(&self, image: &Path, cache: &Cache) -> Result<Option<PathBuf>> {
        let start = self.boot_code() + self.number(0x248, 4);
        let payload = self.0.get(start..start + self.number(0x24c, 4)).unwrap_or_default();
        let Some((_, [program, arguments @ ..])) = COMPRESSED.iter().find(|(magic, _)| payload.starts_with(magic))
        else {
            return Ok(None);
        };
        let path = cache.get("vmlinux", &cache.digest(image)?, LARGEST, |path| {
            // The last four bytes are the length; gzip needs them, the other programs do not.
            let end = if *program == "gzip" { payload.len() } else { payload.len() - 4 };
            let kernel = match programs::of_bytes(Command::new(program).args(arguments), &payload[..end]) {
                // If the program is missing, the kernel decompresses itself in the guest.
                Err(Failure::Start { .. }) => Vec::new(),
                other => other.map_err(|failure| Error::from(format!("the kernel inside is damaged: {failure}")))?,
            };
            let bootable = PVH.iter().any(|note| kernel.windows(note.len()).any(|bytes| bytes == *note));
            std::fs::write(path, if bootable { &kernel[..] } else { b"" }).map_err(at(path))
        })?;
        // An empty file records that there is no such kernel.
        Ok(path.metadata().is_ok_and(|file| file.len() > 0).then_some(path))
    }

    /// The number of bytes before the kernel.
    fn boot_code(&self) -> usize {
        (self.number(0x1f1, 1) + 1) * 512
    }

    /// The value of a field; 0 if the file is too short.
    fn number(&self, at: usize, len: usize) -> usize {
        let field = self.0.get(at..at + len).unwrap_or_default();
        field.iter().rev().fold(0, |value, byte| value << 8 | usize::from(*byte))
    }
}

/// The notes of an ELF file of 64 bits, whose headers are described in elf(5).
fn notes(path: &Path) -> io::Result<Vec<u8>> {
    const PT_NOTE: u64 = 4;
    let file = File::open(path)?;
    let number = |at: u64, len: usize| -> io::Result<u64> {
        let mut bytes = [0; 8];
        file.read_exact_at(&mut bytes[..len], at)?;
        Ok(u64::from_le_bytes(bytes))
    };
    let (table, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
    let mut notes = Vec::new();
    for header in (0..count).map(|index| table + index * size) {
        if number(header, 4)? == PT_NOTE {
            // More than any kernel has.
            let mut segment = vec![0; number(header + 32, 8)?.min(1 << 16) as usize];
            file.read_exact_at(&mut segment, number(header + 8, 8)?)?;
            notes.extend(segment);
        }
    }
    Ok(notes)
}
