//! Compares the mounted reference with other programs that serve files through FUSE: fuse2fs, and `simple`, an example
//! of the crate fuser. They alternate on the same file system, and the ratios of the rates are printed. Exits with 1 if
//! the daemon uses more memory than its cache allows.
//!
//!     FUSER_SIMPLE=PATH ROUNDS=5 cargo bench -p iomap-reference --bench mount
//!
//! Every server must have all data on storage in the end. If a server ignores a sync, as `simple` does, the benchmark
//! syncs its files, and that time counts.

use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

const REFERENCE: &str = env!("CARGO_BIN_EXE_iomap-reference");

const MIB: usize = 1 << 20;
/// The size of each image.
const IMAGE: u64 = 1 << 30;
/// The size of the file that is written and read sequentially, and the size of each call.
const SEQUENTIAL: usize = 256 * MIB;
const CALL: usize = MIB;
/// The size of the file that is written at random places, and the size of each call.
const RANDOM: usize = 64 * MIB;
const BLOCK: usize = 4096;
/// The number of files that are made in a directory and removed. `simple` writes the whole directory for each file,
/// which would take minutes, so it makes fewer files; that is to its advantage.
const FILES: usize = 10_000;
const FEW: usize = 100;
/// The cache of the reference for [`memory`], the amount of data that goes through it, and the memory limit of the
/// daemon.
const CACHE: usize = 16 * MIB;
const THROUGH: usize = 512 * MIB;
const MEMORY: usize = CACHE + 16 * MIB;

/// A measurement: its name, the unit of its result per second, and the function that takes it.
type Work = (&'static str, &'static str, fn(&Server) -> io::Result<f64>);

const WORKS: &[Work] = &[
    ("sequential writes of 1 MiB", "MiB/s", write),
    ("sequential reads of 1 MiB", "MiB/s", read),
    ("random overwrites of 4 KiB", "MiB/s", overwrite),
    ("create and unlink", "files/s", create_unlink),
];

#[derive(Clone, Debug)]
enum Kind {
    Reference { cache: Option<usize> },
    Fuse2fs,
    Simple(PathBuf),
}

/// A program that serves files.
struct Server {
    name: &'static str,
    kind: Kind,
    /// The image, or the directory of `simple`.
    store: PathBuf,
    point: PathBuf,
}

/// A running server.
struct Running<'a> {
    server: &'a Server,
    child: Child,
}

impl Server {
    /// Makes the image of the server in a directory.
    fn new(name: &'static str, kind: Kind, dir: &Path) -> io::Result<Self> {
        let (store, point) = (dir.join(format!("{name}.store")), dir.join(format!("{name}.mount")));
        fs::create_dir(&point)?;
        match &kind {
            Kind::Reference { .. } => {
                let size = IMAGE.to_string();
                ran(Command::new(REFERENCE).args(["mkfs", "--size", &size]).arg(&store))?;
            }
            Kind::Fuse2fs => {
                File::create(&store)?.set_len(IMAGE)?;
                // fuse2fs replays a journal, but writes none.
                ran(Command::new("mkfs.ext4").args(["-q", "-F", "-b", "4096", "-O", "^has_journal"]).arg(&store))?;
            }
            Kind::Simple(_) => fs::create_dir(&store)?,
        }
        Ok(Self { name, kind, store, point })
    }

    fn mount(&self) -> io::Result<Running<'_>> {
        let mut command = match &self.kind {
            Kind::Reference { cache } => {
                let mut command = Command::new(REFERENCE);
                command.arg("mount").arg("--foreground").arg(&self.store).arg(&self.point);
                cache.iter().for_each(|bytes| _ = command.args(["--cache", &bytes.to_string()]));
                command
            }
            Kind::Fuse2fs => {
                let mut command = Command::new("fuse2fs");
                command.arg("-f").arg(&self.store).arg(&self.point);
                command
            }
            Kind::Simple(path) => {
                let mut command = Command::new(path);
                command.arg("--data-dir").arg(&self.store).arg("--mount-point").arg(&self.point);
                command
            }
        };
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let mut running = Running { server: self, child };
        let outside = fs::metadata(self.point.parent().unwrap_or(&self.point))?.dev();
        within(Duration::from_secs(20), || {
            if let Some(status) = running.child.try_wait()? {
                return Err(io::Error::other(format!("{} did not mount: {status}", self.name)));
            }
            Ok(fs::metadata(&self.point)?.dev() != outside)
        })?;
        Ok(running)
    }

    /// The files in which the server keeps data.
    fn files(&self) -> io::Result<Vec<PathBuf>> {
        match self.kind {
            Kind::Simple(_) => fs::read_dir(self.store.join("contents"))?.map(|entry| Ok(entry?.path())).collect(),
            _ => Ok(vec![self.store.clone()]),
        }
    }

    /// Syncs all files of the server to storage.
    fn settle(&self) -> io::Result<()> {
        self.files()?.iter().try_for_each(|path| File::open(path)?.sync_all())
    }

    /// Removes the server's data from the page cache.
    fn cool(&self) -> io::Result<()> {
        self.settle()?;
        for path in self.files()? {
            posix_fadvise(File::open(path)?, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED)?;
        }
        Ok(())
    }

    fn file(&self) -> PathBuf {
        self.point.join("file")
    }
}

impl Running<'_> {
    /// The peak memory of the server, in bytes.
    fn peak(&self) -> io::Result<usize> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<usize>().ok());
        kib.map(|kib| kib << 10).ok_or_else(|| io::Error::other("no VmHWM in /proc/PID/status"))
    }

    /// Unmounts the server and waits for its end, so that everything is written.
    fn end(mut self) -> io::Result<()> {
        within(Duration::from_secs(20), || Ok(unmount(&self.server.point, false).is_ok()))?;
        within(Duration::from_secs(120), || Ok(self.child.try_wait()?.is_some()))
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            // A step failed, so later failures do not matter.
            let _ = unmount(&self.server.point, true);
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn unmount(point: &Path, lazily: bool) -> io::Result<()> {
    let lazily = lazily.then_some("-l");
    let mut command = if nix::unistd::geteuid().is_root() {
        let mut command = Command::new("umount");
        command.args(lazily);
        command
    } else {
        let mut command = Command::new("fusermount3");
        command.arg("-u").args(lazily.map(|_| "-z"));
        command
    };
    ran(command.arg(point))
}

fn ran(command: &mut Command) -> io::Result<()> {
    let output = command.stdin(Stdio::null()).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    let failed = || io::Error::other(format!("{command:?}: {}", said.trim_end()));
    output.status.success().then_some(()).ok_or_else(failed)
}

/// Repeats the check until it succeeds, or until the time is over.
fn within(time: Duration, mut so: impl FnMut() -> io::Result<bool>) -> io::Result<()> {
    let start = Instant::now();
    while !so()? {
        if start.elapsed() > time {
            return Err(io::ErrorKind::TimedOut.into());
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

fn fill(file: &mut File, len: usize) -> io::Result<()> {
    let mut data = vec![0; CALL];
    for call in 0..len / CALL {
        // All blocks differ, and none is zeros.
        data.chunks_mut(8)
            .enumerate()
            .for_each(|(at, word)| word[..4].copy_from_slice(&((call + at) as u32).to_ne_bytes()));
        file.write_all(&data)?;
    }
    Ok(())
}

/// Writes a file sequentially; [`read`] reads it.
fn write(on: &Server) -> io::Result<f64> {
    let running = on.mount()?;
    let mut file = File::create(on.file())?;
    let start = Instant::now();
    fill(&mut file, SEQUENTIAL)?;
    file.sync_all()?;
    on.settle()?;
    let time = start.elapsed();
    drop(file);
    running.end()?;
    Ok(SEQUENTIAL as f64 / MIB as f64 / time.as_secs_f64())
}

/// Reads the file of [`write`] from storage.
fn read(on: &Server) -> io::Result<f64> {
    on.cool()?;
    let running = on.mount()?;
    let (mut file, mut data) = (File::open(on.file())?, vec![0; CALL]);
    let start = Instant::now();
    (0..SEQUENTIAL / CALL).try_for_each(|_| file.read_exact(&mut data))?;
    let time = start.elapsed();
    drop(file);
    fs::remove_file(on.file())?;
    running.end()?;
    Ok(SEQUENTIAL as f64 / MIB as f64 / time.as_secs_f64())
}

fn overwrite(on: &Server) -> io::Result<f64> {
    let running = on.mount()?;
    let mut file = File::create(on.file())?;
    fill(&mut file, RANDOM)?;
    file.sync_all()?;
    on.settle()?;
    let start = Instant::now();
    scatter(&file, RANDOM, RANDOM / BLOCK)?;
    file.sync_all()?;
    on.settle()?;
    let time = start.elapsed();
    drop(file);
    fs::remove_file(on.file())?;
    running.end()?;
    Ok(RANDOM as f64 / MIB as f64 / time.as_secs_f64())
}

/// Writes blocks at random places in the first `len` bytes.
fn scatter(file: &File, len: usize, times: usize) -> io::Result<()> {
    let (data, mut random) = ([7; BLOCK], 1_u64);
    for _ in 0..times {
        // xorshift64
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let block = (random >> 11) as usize % (len / BLOCK);
        file.write_all_at(&data, (block * BLOCK) as u64)?;
    }
    Ok(())
}

fn create_unlink(on: &Server) -> io::Result<f64> {
    let running = on.mount()?;
    let dir = on.point.join("directory");
    fs::create_dir(&dir)?;
    let files = if matches!(on.kind, Kind::Simple(_)) { FEW } else { FILES };
    let names: Vec<PathBuf> = (0..files).map(|index| dir.join(format!("file-{index}"))).collect();
    let start = Instant::now();
    names.iter().try_for_each(|name| File::create_new(name).map(drop))?;
    names.iter().try_for_each(fs::remove_file)?;
    let time = start.elapsed();
    fs::remove_dir(&dir)?;
    running.end()?;
    Ok(files as f64 / time.as_secs_f64())
}

/// The peak memory of the daemon while much data goes through a small cache, in bytes.
fn memory(dir: &Path) -> io::Result<usize> {
    let server = Server::new("small-cache", Kind::Reference { cache: Some(CACHE) }, dir)?;
    let running = server.mount()?;
    let mut file = File::create(server.file())?;
    fill(&mut file, THROUGH)?;
    scatter(&file, THROUGH, FILES)?;
    file.sync_all()?;
    drop(file);
    running.end()?;
    let running = server.mount()?;
    io::copy(&mut File::open(server.file())?, &mut io::sink())?;
    let reading = running.peak()?;
    scatter(&File::options().write(true).open(server.file())?, THROUGH, 2 * FILES)?;
    let peak = running.peak()?.max(reading);
    running.end()?;
    Ok(peak)
}

/// The servers that are installed on this machine; a note names each missing one.
fn servers(dir: &Path) -> io::Result<Vec<Server>> {
    let mut servers = vec![Server::new("reference", Kind::Reference { cache: None }, dir)?];
    // fuse2fs without arguments fails, which still shows that it is installed.
    match Command::new("fuse2fs").stdout(Stdio::null()).stderr(Stdio::null()).status() {
        Ok(_) => servers.push(Server::new("fuse2fs", Kind::Fuse2fs, dir)?),
        Err(error) => println!("without fuse2fs, of the package of that name: {error}"),
    }
    match std::env::var_os("FUSER_SIMPLE") {
        Some(path) => servers.push(Server::new("simple", Kind::Simple(path.into()), dir)?),
        None => println!("without simple: FUSER_SIMPLE is to be the path of this example of fuser, built"),
    }
    Ok(servers)
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

fn least(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}

/// Prints the table.
fn print(servers: &[Server], measured: &[Vec<Vec<f64>>]) {
    let mut first = true;
    print!("{:<28} {:>8}", "per second", "");
    for server in servers {
        print!(" {:>10} {:>8}", server.name, "median");
        if !std::mem::take(&mut first) {
            print!(" {:>7} {:>7}", "ratio", "median");
        }
    }
    println!();
    for ((name, unit, _), by_server) in WORKS.iter().zip(measured) {
        print!("{name:<28} {unit:>8}");
        for (index, rates) in by_server.iter().enumerate() {
            print!(" {:>10.0} {:>8.0}", least(rates), median(rates));
            if index > 0 {
                let ratios: Vec<f64> = by_server[0].iter().zip(rates).map(|(ours, theirs)| ours / theirs).collect();
                print!(" {:>7.2} {:>7.2}", least(&ratios), median(&ratios));
            }
        }
        println!();
    }
}

fn run() -> io::Result<bool> {
    if let Err(error) = File::options().read(true).write(true).open("/dev/fuse") {
        return Err(io::Error::other(format!("/dev/fuse: {error}")));
    }
    if !nix::unistd::geteuid().is_root() && Command::new("fusermount3").arg("-V").output().is_err() {
        return Err(io::Error::other("only root can mount without fusermount3, of the package fuse3"));
    }
    let rounds = std::env::var("ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(5).max(1);
    let dir = tempfile::tempdir()?;
    let servers = servers(dir.path())?;
    let mut measured = vec![vec![Vec::new(); servers.len()]; WORKS.len()];
    for round in 0..rounds {
        for ((name, _, work), by_server) in WORKS.iter().zip(&mut measured) {
            for turn in 0..servers.len() {
                // Each server is the first one in some rounds.
                let index = (turn + round) % servers.len();
                let failed = |error| io::Error::other(format!("{name}, {}: {error}", servers[index].name));
                by_server[index].push(work(&servers[index]).map_err(failed)?);
            }
        }
    }
    println!("{rounds} rounds: least, median; of each round the ratio of the reference and the other: least, median");
    print(&servers, &measured);
    let peak = memory(dir.path())?;
    let (took, cache, through) = (peak / MIB, CACHE / MIB, THROUGH / MIB);
    println!("{took} MiB of memory at most, while {through} MiB went through a cache of {cache} MiB");
    Ok(peak <= MEMORY)
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("the memory is more than {} MiB", MEMORY / MIB);
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("not measured: {error}");
            ExitCode::FAILURE
        }
    }
}
