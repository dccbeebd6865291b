//! `iomap-reference mount`: serves an image until it is unmounted.

use iomap_command::{Error, tell_line};
use iomap_reference::{Call, Caller, Fs, MountOptions};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A change is on storage after this time even without a sync, as on ext4.
const INTERVAL: Duration = Duration::from_secs(5);

#[derive(clap::Args)]
pub(crate) struct Mount {
    /// The image, made with mkfs
    image: PathBuf,
    /// The directory to mount it on
    directory: PathBuf,
    /// Stay in the foreground; the first Ctrl-C unmounts
    #[arg(long, short)]
    foreground: bool,
    /// Nothing can be changed
    #[arg(long)]
    read_only: bool,
    /// Let other users in, as far as mode bits permit; for others than root
    /// /etc/fuse.conf has to say user_allow_other
    #[arg(long)]
    allow_other: bool,
    /// Let the user who mounts it seal and unseal without CAP_LINUX_IMMUTABLE
    #[arg(long)]
    owner_seals: bool,
    /// Move unsealed files to other places at this interval, as
    /// defragmentation and garbage collection do
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    move_every: Option<u64>,
    /// The maximum amount of data in memory, with K, M or G
    #[arg(long, value_name = "BYTES", default_value = "64M", value_parser = crate::cli::mkfs::bytes)]
    cache: u64,
}

/// Mounts the image and returns when it is unmounted.
pub(crate) fn run(args: &Mount) -> Result<(), Error> {
    let cache =
        usize::try_from(args.cache).map_err(|error| Error::environment("the size of the cache").because(error))?;
    let fs = Fs::open_image(&args.image, cache, args.read_only).map_err(|error| Error::file(&args.image, error))?;
    // The daemon changes its working directory, so make the path absolute.
    let source = std::fs::canonicalize(&args.image).unwrap_or_else(|_| args.image.clone());
    let options = MountOptions {
        source: source.to_string_lossy().into_owned(),
        allow_other: args.allow_other,
        read_only: args.read_only,
        owner_seals: args.owner_seals,
    };
    // These signals request an unmount, so they must not kill a thread.
    let signals = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP]);
    signals.thread_block().map_err(|error| Error::environment("signals").because(error))?;
    let failed = |error: io::Error| Error::file(&args.directory, error);
    let mut session = fs.session(&args.directory, &options).map_err(failed)?;
    if !args.foreground {
        // The parent exits here, and messages are no longer shown.
        nix::unistd::daemon(false, false)
            .map_err(|error| Error::environment("going to the background").because(error))?;
    }
    let mut unmounter = session.unmount_callable();
    let (served, chores) = (fs.clone(), chores(args));
    // The thread ends with the process.
    std::thread::spawn(move || {
        let watched = SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC);
        keep(&served, chores, watched.ok(), || unmounter.unmount());
    });
    let served = session.run();
    let committed = if args.read_only { Ok(()) } else { fs.unmount() };
    served.map_err(failed)?;
    let lost = |errno: Errno| format!("the last changes are not on storage: {}", errno.desc());
    committed.map_err(|errno| Error::file(&args.image, lost(errno)))
}

/// A task that is repeated.
struct Chore {
    every: Duration,
    next: Instant,
    act: fn(&Fs),
}

impl Chore {
    fn new(every: Duration, act: fn(&Fs)) -> Self {
        Self { every, next: Instant::now() + every, act }
    }
}

fn chores(args: &Mount) -> Vec<Chore> {
    // Ignore the error here: the file system remembers it, and every later sync fails with it.
    let commit = Chore::new(INTERVAL, |fs| _ = fs.commit());
    let mover = |every| Chore::new(Duration::from_secs(every), |fs| _ = fs.call(Caller::Privileged, &Call::Collect));
    if args.read_only { Vec::new() } else { [Some(commit), args.move_every.map(mover)].into_iter().flatten().collect() }
}

/// Does the chores, and unmounts at a signal.
fn keep(fs: &Fs, mut chores: Vec<Chore>, signals: Option<SignalFd>, mut unmount: impl FnMut() -> io::Result<()>) {
    loop {
        let mut watched: Vec<PollFd> = signals.iter().map(|fd| PollFd::new(fd.as_fd(), PollFlags::POLLIN)).collect();
        let next = chores.iter().map(|chore| chore.next.saturating_duration_since(Instant::now())).min();
        let timeout = next.map_or(PollTimeout::NONE, |left| PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX));
        match poll(&mut watched, timeout) {
            Ok(0) | Err(Errno::EINTR) => (),
            Ok(_) => {
                let _ = signals.as_ref().map(SignalFd::read_signal);
                if let Err(error) = unmount() {
                    tell_line(format_args!("iomap-reference: it stays mounted: {error}"));
                }
            }
            Err(_) => return,
        }
        for chore in chores.iter_mut().filter(|chore| chore.next <= Instant::now()) {
            (chore.act)(fs);
            chore.next = Instant::now() + chore.every;
        }
    }
}
