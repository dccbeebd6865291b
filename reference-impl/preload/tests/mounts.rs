//! The same programs on a mounted reference, and beside it.

mod programs;

use iomap_reference::{Caller, Changes, Fs, MountOptions};
use iomap_testing::tools::not_tested;
use programs::{Example, Files, PREFIX, compile, example, examples, run, transcript};
use std::io::{self, ErrorKind};
use std::process::Command;
use std::thread::JoinHandle;
use tempfile::TempDir;

/// 64 MiB, as in the process.
const BLOCKS: usize = 16 * 1024;

/// A new file system, mounted so that every user can use it. It is unmounted when dropped, even if the test fails.
///
/// Only other processes make calls on it, because a process that waits for an answer must not have /dev/fuse open.
struct Mount {
    unmount: Box<dyn FnMut() -> io::Result<()>>,
    daemon: Option<JoinHandle<io::Result<()>>>,
    dir: TempDir,
}

/// The inode of the root directory.
const ROOT: u64 = 1;

/// The users who may seal on a mount.
#[derive(Clone, Copy, PartialEq)]
enum Sealers {
    /// The user who runs the test.
    Everybody,
    Privileged,
}

impl Drop for Mount {
    fn drop(&mut self) {
        match (self.unmount)() {
            // The daemon ends with the mount.
            Ok(()) => drop(self.daemon.take().map(JoinHandle::join)),
            Err(error) => eprintln!("{} stays mounted: {error}", self.name()),
        }
    }
}

impl Mount {
    /// Mounts a new file system; `None`, with a note, if mounts are not possible.
    fn new(sealers: Sealers) -> Option<Self> {
        let dir = tempfile::tempdir().expect("a temporary directory can be made");
        let owner_seals = sealers == Sealers::Everybody && !is_root();
        let options = MountOptions { source: "test".into(), owner_seals, ..MountOptions::default() };
        let fs = Fs::new(BLOCKS);
        let everybody = Changes { mode: Some(0o777), ..Changes::default() };
        fs.set_attributes(Caller::Privileged.credentials(), ROOT, None, everybody).expect("there is a root directory");
        match fs.session(dir.path(), &options) {
            Ok(mut session) => {
                let mut unmounter = session.unmount_callable();
                let daemon = Some(std::thread::spawn(move || session.run()));
                Some(Self { unmount: Box::new(move || unmounter.unmount()), daemon, dir })
            }
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied) => {
                not_tested(format_args!("mounting takes /dev/fuse, and root or fusermount3: {error}"));
                None
            }
            Err(error) => panic!("mounting: {error}"),
        }
    }

    fn name(&self) -> String {
        self.dir.path().display().to_string()
    }

    /// Runs a command line of a page on this mount instead of the prefix, and returns its output in the form of the
    /// page.
    fn run(&self, dir: &TempDir, line: &str) -> (String, bool) {
        let (output, success) = run(dir, &line.replace(PREFIX, &self.name()), Files::Mounted);
        (output.replace(&self.name(), PREFIX), success)
    }
}

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Examples of pages that FUSE cannot repeat: the name, the output instead, and the reason.
const DIFFERENCES: &[(&str, &str, &str)] = &[(
    "agent",
    "\
$ ./agent /iomap/data /iomap/copy
grow: ETXTBSY
punch: ETXTBSY
agent: clone: Operation not supported
(failed)
",
    "FUSE has no FICLONE: it ends in the kernel",
)];

#[test]
fn examples_print_what_the_page_shows() {
    for Example { name, source, console } in examples() {
        let Some(dir) = compile(&name, &source) else { return };
        // Each command starts with an empty file system.
        let Some(_) = Mount::new(Sealers::Everybody) else { return };
        let run = |line: &str| match Mount::new(Sealers::Everybody) {
            Some(mount) => mount.run(&dir, line),
            None => panic!("it could be mounted before"),
        };
        let difference = DIFFERENCES.iter().find(|(example, ..)| *example == name);
        let expected = difference.map_or(console.as_str(), |(_, printed, _)| printed);
        assert_eq!(transcript(&console, run), expected, "{name}: {:?}", difference.map(|(.., why)| why));
        assert!(difference.is_none() || expected != console, "{name} does not differ");
    }
}

/// The steps of the agent example after the call that FUSE does not support.
#[test]
fn agents_but_for_the_clone() {
    let Example { name, source, console } = example("agent");
    let lines: Vec<&str> = source.lines().filter(|line| !line.contains("FICLONE")).collect();
    assert_eq!(lines.len() + 1, source.lines().count(), "one line has the call");
    let (Some(dir), Some(mount)) = (compile(&name, &lines.join("\n")), Mount::new(Sealers::Everybody)) else { return };
    assert_eq!(transcript(&console, |line| mount.run(&dir, line)), console.replace("clone: ETXTBSY\n", ""));
}

/// Another process sees the state, and a process without the library is refused as well.
#[test]
fn the_state_is_the_files() {
    let Example { name, source, .. } = example("prepare");
    let (Some(dir), Some(asked)) = (compile(&name, &source), compile("asked", ASKED)) else { return };
    let Some(mount) = Mount::new(Sealers::Everybody) else { return };
    assert!(mount.run(&dir, "./prepare /iomap/data").1);
    assert_eq!(mount.run(&asked, "./asked /iomap/data"), ("sealed\n".into(), true));
    assert_eq!(mount.run(&asked, "./asked asked.c"), ("not sealed\n".into(), true));
    let (output, success) = run(&dir, &format!("truncate -s 1 {}/data", mount.name()), Files::Kernel);
    assert!(output.contains("Text file busy") && !success, "{output}");
}

const ASKED: &str = r#"
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/ioctl.h>

int main(int argc, char *argv[])
{
	struct fsxattr attr = { .fsx_xflags = 0 };

	if (argc != 2 || ioctl(open(argv[1], O_RDONLY), FS_IOC_FSGETXATTR, &attr) == -1)
		return 1;
	puts(attr.fsx_xflags & 0x40000000 ? "sealed" : "not sealed");
	return 0;
}
"#;

#[test]
fn detection_without_privilege() {
    let Example { name, source, .. } = example("detect");
    let (Some(dir), Some(mount)) = (compile(&name, &source), Mount::new(Sealers::Privileged)) else { return };
    let line = match (is_root(), Command::new("setpriv").arg("--version").output()) {
        (false, _) => "./detect /iomap/scratch",
        (true, Ok(_)) => "setpriv --inh-caps=-linux_immutable --bounding-set=-linux_immutable ./detect /iomap/scratch",
        (true, Err(error)) => return not_tested(format_args!("setpriv cannot be run: {error}")),
    };
    let expected = "the file is not sealed, and files here can be\n";
    assert_eq!(mount.run(&dir, line), (expected.into(), true));
}

/// The order of errors, the flags, and pending stores: the same on a mount as in the process.
#[test]
fn the_state_changes_alike() {
    let Some(dir) = compile("state", include_str!("state.c")) else { return };
    let expected = "\
fallocate(-1, SEAL, 0, PAGE): EBADF
fallocate(fd, SEAL, 0, 0): EINVAL
fallocate64(fd, SEAL | UNSEAL, 0, PAGE): EOPNOTSUPP
fallocate(fd, SEAL | FALLOC_FL_KEEP_SIZE, 0, PAGE): EOPNOTSUPP
fallocate(readonly, SEAL, 0, PAGE): EBADF
fallocate(fd, SEAL, 1, PAGE): EINVAL
fallocate(fd, SEAL, 0, PAGE - 1): EINVAL
fallocate(fd, UNSEAL, 0, PAGE): 0
fallocate(fd, SEAL, 0, PAGE): EBUSY
munmap(private, PAGE): 0
fallocate(fd, SEAL, 0, PAGE): 0
fallocate(fd, SEAL, 0, PAGE): 0
fallocate(readonly, UNSEAL, 0, PAGE): EBADF
fallocate(fd, UNSEAL, 0, PAGE - 1): EINVAL
fallocate(fd, UNSEAL, 0, PAGE): EBUSY
ioctl(readonly, FS_IOC_FSGETXATTR, &attr): 0
attr.fsx_xflags == SEALED: 1
attr.fsx_extsize == 0 && attr.fsx_projid == 0: 1
ioctl(fd, FS_IOC_FSSETXATTR, &attr): 0
ioctl(fd, FS_IOC_FSSETXATTR, &attr): 0
ioctl(fd, FS_IOC_FSGETXATTR, &attr): 0
attr.fsx_xflags == (SEALED | FS_XFLAG_NODUMP): 1
ioctl(fd, FS_IOC_FSGETXATTR, NULL): EFAULT
ioctl(fd, FS_IOC_FSSETXATTR, NULL): EFAULT
munmap(map, PAGE): 0
fallocate64(fd, UNSEAL, 0, PAGE): 0
ftruncate(fd, 2 * PAGE): 0
fallocate(fd, SEAL, 0, 2 * PAGE): EINVAL
fallocate(fd, SEAL, 0, 2 * PAGE): EBUSY
munmap(map, 2 * PAGE): 0
fallocate(fd, SEAL, 0, 2 * PAGE): 0
ftruncate(fd, PAGE): ETXTBSY
";
    assert_eq!(run(&dir, &format!("./state {PREFIX}"), Files::InProcess), (expected.into(), true));
    let Some(mount) = Mount::new(Sealers::Everybody) else { return };
    assert_eq!(mount.run(&dir, "./state /iomap"), (expected.into(), true));
}

/// Files of other file systems get the same answers with and without the library, for refusals and for success.
#[test]
fn other_files_are_the_kernels() {
    let Some(dir) = compile("state", include_str!("state.c")) else { return };
    let run = |files| {
        let files_here = tempfile::tempdir().expect("a temporary directory can be made");
        run(&dir, &format!("./state {}", files_here.path().display()), files)
    };
    let kernel = run(Files::Kernel);
    assert!(kernel.0.contains("fallocate(fd, SEAL, 0, PAGE): EOPNOTSUPP\n"), "{}", kernel.0);
    assert_eq!(run(Files::Mounted), kernel);
}

/// Unsealed files on a mount behave like files of the kernel, too.
#[test]
fn ordinary_files_are_all_alike() {
    let (Some(dir), Some(mount)) = (compile("ordinary", include_str!("ordinary.c")), Mount::new(Sealers::Everybody))
    else {
        return;
    };
    let kernel = run(&dir, &format!("./ordinary {}", dir.path().display()), Files::Kernel);
    assert_eq!(run(&dir, &format!("./ordinary {}", mount.name()), Files::Mounted), kernel);
}
