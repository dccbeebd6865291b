//! Space for metadata: the additions of a call can always be committed, and a commit writes only changes.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use iomap_reference::*;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use std::sync::{Arc, Mutex};

type Disks = Arc<Mutex<VolatileDisk<MemoryDisk>>>;

const DATA: u64 = 64;

fn image(area: u64) -> (Disks, Fs) {
    let mut disk = MemoryDisk::new(2 + 2 * area + DATA);
    format(&mut disk, &Options { area_blocks: Some(area), ..Options::default() }).unwrap();
    let disk = Arc::new(Mutex::new(VolatileDisk::recording(disk)));
    let fs = Fs::mount(Box::new(disk.clone()), 1 << 16, false).unwrap();
    (disk, fs)
}

fn root() -> &'static Credentials {
    Caller::Privileged.credentials()
}

fn file(fs: &Fs, name: &str) -> (Ino, Fd) {
    fs.create(root(), (Fs::ROOT, name.as_bytes()), OFlag::O_RDWR, 0o600).map(|(made, fd)| (made.ino, fd)).unwrap()
}

/// The number of blocks written to the disk since `from` events.
fn written(disk: &Disks, from: usize) -> usize {
    let bytes = |event: &Event| if let Event::Write { data, .. } = event { data.len() } else { 0 };
    disk.lock().unwrap().log()[from..].iter().map(bytes).sum::<usize>() / BLOCK
}

#[test]
fn one_name_of_many_is_one_block_of_log() {
    let (disk, fs) = image(300);
    let dir = fs.mknod(root(), (Fs::ROOT, b"dir"), Kind::Directory, 0o755, 0).unwrap().ino;
    let (ino, fd) = file(&fs, "file");
    for number in 0..10_000 {
        fs.link(root(), ino, (dir, format!("a name of some length {number}").as_bytes())).unwrap();
    }
    // With so many names at once the bound is far too high, and the next change ends in a snapshot.
    for name in [&b"first"[..], b"second"] {
        fs.sync(root(), fd).unwrap();
        fs.link(root(), ino, (dir, name)).unwrap();
    }
    fs.sync(root(), fd).unwrap();
    for change in 0..3 {
        let before = disk.lock().unwrap().log().len();
        match change {
            0 => _ = fs.link(root(), ino, (dir, b"one more")).unwrap(),
            1 => fs.rename(root(), (dir, b"one more"), (dir, b"another"), 0).unwrap(),
            _ => fs.unlink(root(), (dir, b"a name of some length 5000")).unwrap(),
        }
        fs.sync(root(), fd).unwrap();
        assert_eq!(written(&disk, before), 1, "change {change}");
    }
    fs.unmount().unwrap();
    assert_eq!(check(&mut disk.clone()).unwrap().findings, []);
    let fs = Fs::mount(Box::new(disk), 1 << 16, true).unwrap();
    let fd = fs.open(root(), dir, OFlag::O_RDONLY).unwrap();
    let mut names = 0;
    fs.list(fd, 0, |_| {
        names += 1;
        true
    })
    .unwrap();
    assert_eq!(names, 2 + 10_002);
}

/// Opening, reading attributes and closing are not changes.
#[test]
fn references_to_a_file_are_not_stored() {
    let (disk, fs) = image(8);
    let (ino, fd) = file(&fs, "file");
    fs.sync(root(), fd).unwrap();
    let before = disk.lock().unwrap().log().len();
    fs.lookup(root(), (Fs::ROOT, b"file")).unwrap();
    fs.attributes(ino).unwrap();
    let other = fs.open(root(), ino, OFlag::O_RDWR).unwrap();
    fs.sync(root(), other).unwrap();
    fs.release(other).unwrap();
    fs.forget(ino, 1);
    fs.sync(root(), fd).unwrap();
    assert_eq!(written(&disk, before), 0);
}

/// Every way to add metadata ends with ENOSPC, at the latest when the area is full, and no created file is lost.
#[test]
fn calls_end_before_commits_do() {
    type Way = fn(&Fs, Ino, usize) -> Result<(), Errno>;
    let ways: [(&str, Way); 6] = [
        ("mkdir", |fs, dir, n| {
            fs.mknod(root(), (dir, format!("{n:0>200}").as_bytes()), Kind::Directory, 0o755, 0).map(drop)
        }),
        ("symlink", |fs, dir, n| fs.symlink(root(), &[b't'; 3000], (dir, format!("{n}").as_bytes())).map(drop)),
        ("link", |fs, dir, n| {
            let ino = fs.resolve(root(), b"file", false)?;
            fs.link(root(), ino, (dir, format!("{n:0>255}").as_bytes())).map(drop)
        }),
        ("setxattr", |fs, dir, n| fs.set_xattr(root(), dir, format!("user.{n}").as_bytes(), &[1; 900], 0)),
        ("rename", |fs, dir, n| {
            fs.mknod(root(), (dir, b"short"), Kind::Fifo, 0o644, 0)?;
            fs.rename(root(), (dir, b"short"), (dir, format!("{n:0>255}").as_bytes()), 0)
        }),
        ("tmpfile", |fs, dir, _| fs.temporary(root(), dir, OFlag::O_RDWR, 0o600).map(drop)),
    ];
    for (what, way) in ways {
        let (disk, fs) = image(6);
        let (_, fd) = file(&fs, "file");
        let dir = fs.mknod(root(), (Fs::ROOT, b"dir"), Kind::Directory, 0o755, 0).unwrap().ino;
        let made = (0..10_000).find_map(|n| way(&fs, dir, n).err().map(|errno| (n, errno)));
        let (made, errno) = made.unwrap();
        assert_eq!(errno, Errno::ENOSPC, "{what}");
        assert!(made > 4, "{what}: {made}");
        fs.sync(root(), fd).unwrap();
        // Old files can still be removed, which frees space.
        fs.unlink(root(), (Fs::ROOT, b"file")).unwrap();
        fs.sync(root(), fd).unwrap();
        let links = fs.attributes(dir).unwrap().links;
        fs.unmount().unwrap();
        assert_eq!(check(&mut disk.clone()).unwrap().findings, [], "{what}");
        let fs = Fs::mount(Box::new(disk), 1 << 16, false).unwrap();
        assert_eq!(fs.attributes(dir).map(|dir| dir.links), Ok(links), "{what}");
    }
}
