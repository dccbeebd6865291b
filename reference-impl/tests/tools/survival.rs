//! The conditions for any image: it is refused with an error, or it is usable and stays consistent.

use super::Choices;
use iomap_reference::*;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

fn root() -> &'static Credentials {
    Caller::Privileged.credentials()
}

/// An extended attribute: its name, and the result of reading it.
type Xattr = (Vec<u8>, Result<Vec<u8>, Errno>);

/// The file under a name.
#[derive(Debug, PartialEq, Eq)]
struct Look {
    attributes: Attributes,
    xflags: i64,
    xattrs: Vec<Xattr>,
    target: Vec<u8>,
    /// The positions of data and holes, and some of the data, because files can be larger than memory.
    data: Vec<(i64, Vec<u8>)>,
}

/// The files by directory and name.
type Tree = BTreeMap<(Ino, Vec<u8>), Look>;

fn data(fs: &Fs, fd: Fd, size: u64) -> Vec<(i64, Vec<u8>)> {
    const SAMPLE: usize = 5 * BLOCK / 2;
    let mut data = Vec::new();
    let mut look = |at: i64| data.push((at, fs.read(root(), fd, at, SAMPLE).unwrap()));
    look(0);
    look(size.saturating_sub(SAMPLE as u64) as i64);
    let mut at = 0;
    for whence in [Whence::Data, Whence::Hole].into_iter().cycle().take(8) {
        match fs.seek(root(), fd, at, whence) {
            Ok(next) => {
                assert!(next >= at && next.unsigned_abs() <= size, "{whence:?} after {at} at {next} of {size}");
                at = next;
                look(at);
            }
            Err(errno) => {
                assert_eq!(errno, Errno::ENXIO, "{whence:?} after {at}");
                break;
            }
        }
    }
    data
}

fn look(fs: &Fs, ino: Ino) -> Look {
    // Reading sets the access time, so ignore it.
    let attributes = Attributes { atime: 0, ..fs.attributes(ino).unwrap() };
    let names = fs.xattr_names(root(), ino).unwrap();
    let xattrs = names.into_iter().map(|name| (name.clone(), fs.xattr(root(), ino, &name))).collect();
    let mut look = Look { attributes, xflags: 0, xattrs, target: Vec::new(), data: Vec::new() };
    match attributes.kind {
        Kind::Symlink => look.target = fs.readlink(ino).unwrap(),
        Kind::Regular => {
            let fd = fs.open(root(), ino, OFlag::O_RDONLY).unwrap();
            let flags = fs.call(Caller::Privileged, &Call::GetXflags { fd });
            look.xflags = if let Ok(Reply::Number(flags)) = flags { flags } else { panic!("{flags:?}") };
            look.data = data(fs, fd, attributes.size);
            fs.release(fd).unwrap();
        }
        _ => (),
    }
    look
}

fn tree(fs: &Fs) -> Tree {
    let (mut tree, mut seen) = (Tree::new(), BTreeSet::from([Fs::ROOT]));
    let mut directories = vec![Fs::ROOT];
    while let Some(directory) = directories.pop() {
        let fd = fs.open(root(), directory, OFlag::O_RDONLY | OFlag::O_DIRECTORY).unwrap();
        let mut names = Vec::new();
        fs.list(fd, 0, |listed| {
            names.push((listed.name.to_vec(), listed.ino, listed.kind));
            true
        })
        .unwrap();
        fs.release(fd).unwrap();
        for (name, ino, kind) in names {
            assert_eq!(fs.lookup(root(), (directory, &name)).unwrap().ino, ino);
            fs.forget(ino, 1);
            if name == b"." || name == b".." {
                continue;
            }
            if kind == Kind::Directory {
                assert!(seen.insert(ino), "directory {ino} for the second time");
                directories.push(ino);
            }
            tree.insert((directory, name), look(fs, ino));
        }
    }
    tree
}

/// Makes one call, which may fail. The disk does not fail, so no call returns EIO.
fn call(fs: &Fs, tree: &Tree, choices: &mut Choices) {
    if choices.are_over() {
        return;
    }
    let places: Vec<(Ino, &[u8], Ino, Kind)> = tree
        .iter()
        .map(|((directory, name), look)| (*directory, name.as_slice(), look.attributes.ino, look.attributes.kind))
        .chain([(Fs::ROOT, &b"new"[..], Fs::ROOT, Kind::Directory)])
        .collect();
    let who = root();
    let ((dir, name, ino, _), (dir2, name2, ino2, kind2)) = (choices.of(&places), choices.of(&places));
    let within = if kind2 == Kind::Directory { ino2 } else { dir2 };
    let new = (within, &[b'n', choices.byte()][..]);
    let write = OFlag::O_RDWR;
    let offset = |choices: &mut Choices| match choices.below(3) {
        0 => (choices.below(16) * BLOCK) as i64,
        1 => choices.byte().into(),
        _ => choices.number() as i64,
    };
    let action = choices.below(20);
    let outcome = match action {
        0..=8 => {
            let (Ok(fd), Ok(other)) = (fs.open(who, ino, write), fs.open(who, ino2, write)) else { return };
            let (at, to) = (offset(choices), offset(choices));
            let len = choices.below(8) * BLOCK / 2;
            let outcome = match action {
                0 | 1 => fs.write(who, fd, at, &vec![b'w'; len]).map(drop),
                2 | 3 => {
                    let mode = choices.of(&[
                        Mode::ALLOCATE,
                        Mode::KEEP_SIZE,
                        Mode::PUNCH_HOLE | Mode::KEEP_SIZE,
                        Mode::ZERO_RANGE,
                        Mode::ZERO_RANGE | Mode::KEEP_SIZE,
                        Mode::COLLAPSE_RANGE,
                        Mode::INSERT_RANGE,
                        Mode::UNSHARE_RANGE,
                    ]);
                    let len = choices.of(&[len as i64, to, i64::MAX]);
                    fs.fallocate(who, fd, mode, at, len)
                }
                4 => fs.fallocate(who, fd, Mode::SEAL, 0, i64::MAX),
                5 => fs.fallocate(who, fd, Mode::UNSEAL, 0, i64::MAX),
                6 => match choices.below(3) {
                    0 => fs.clone_range(who, place(fd, 0), place(other, 0), 0),
                    1 => fs.clone_range(who, place(fd, at), place(other, to), len as u64),
                    _ => fs.dedupe_range(who, place(fd, at), place(other, to), len as u64).map(drop),
                },
                7 => match choices.below(4) {
                    0 => fs.copy_range(who, place(fd, at), place(other, to), len).map(drop),
                    1 => fs.call(Caller::Privileged, &Call::Exchange { one: fd, other }).map(drop),
                    2 => fs.call(Caller::Privileged, &Call::Defragment { fd }).map(drop),
                    _ => fs.call(Caller::Privileged, &Call::ChangeXflags { fd, set: 0, clear: u32::MAX }).map(drop),
                },
                _ => fs.sync(who, fd),
            };
            // Some files stay open, so that files unlinked later have no name when the power is lost.
            if choices.below(4) > 0 {
                let _ = (fs.release(fd), fs.release(other));
            }
            outcome
        }
        9 => fs
            .set_attributes(who, ino, None, Changes { size: Some(choices.number() as u64), ..Changes::default() })
            .map(drop),
        10 => fs.unlink(who, (dir, name)).or_else(|_| fs.rmdir(who, (dir, name))),
        11 => fs.rename(who, (dir, name), (dir2, name2), choices.of(&[0, RENAME_EXCHANGE, RENAME_WHITEOUT])),
        12 => fs.rename(who, (dir, name), new, choices.of(&[0, RENAME_NOREPLACE, RENAME_WHITEOUT])),
        13 => fs.link(who, ino, new).map(drop),
        14 => {
            let kind = choices.of(&[Kind::Directory, Kind::Regular, Kind::Fifo, Kind::Block]);
            fs.mknod(who, new, kind, choices.number() as u32, choices.number() as u64).map(drop)
        }
        15 => fs.symlink(who, &vec![choices.byte(); choices.below(5000)], new).map(drop),
        16 => fs.set_xattr(who, ino, &[b"user.", new.1].concat(), &vec![b'x'; choices.below(3000)], 0),
        17 => fs.temporary(who, within, write, 0o600).and_then(|(file, fd)| {
            fs.write(who, fd, 0, &[b'w'; 2 * BLOCK])?;
            if choices.below(2) == 0 { fs.link(who, file.ino, new).map(drop) } else { Ok(()) }
        }),
        18 => {
            let mtime = Some(SetTime::At(choices.number().cast_signed()));
            let changes = Changes { mode: Some(choices.byte().into()), mtime, uid: Some(5), ..Changes::default() };
            fs.set_attributes(who, ino, None, changes).map(drop)
        }
        _ => {
            let size = offset(choices);
            let calls = [
                Call::Snapshot,
                Call::Collect,
                Call::Shrink { size },
                Call::PowerLoss { during: None },
                Call::Cycle,
                Call::Remount { read_only: true },
                Call::Remount { read_only: false },
            ];
            fs.call(Caller::Privileged, &calls[choices.below(calls.len())]).map(drop)
        }
    };
    assert_ne!(outcome, Err(Errno::EIO));
}

/// Checks that fsck finds no fault in an image that can be opened, except in one of the superblocks.
fn is_clean(bytes: &[u8]) {
    let report = check(&mut MemoryDisk::from_bytes(bytes)).unwrap();
    let superblock = |finding: &&Finding| ["block 0", "block 1"].contains(&finding.place.as_str());
    assert_eq!(report.findings.iter().find(|finding| !superblock(finding)), None);
}

/// Opens an image, works with it, and checks that it stays consistent. Returns false if the image was refused.
pub(crate) fn survives(bytes: Vec<u8>, choices: &mut Choices) -> bool {
    let report = check(&mut MemoryDisk::from_bytes(&bytes));
    let disk = Arc::new(Mutex::new(MemoryDisk::from_bytes(&bytes)));
    let contents = || disk.lock().unwrap().bytes();
    let mount = |read_only| Fs::mount(Box::new(disk.clone()), 1 << 16, read_only);
    let fs = match mount(false) {
        Ok(fs) => fs,
        Err(error) => {
            assert!(
                report.is_err() || report.is_ok_and(|report| !report.findings.is_empty()),
                "fsck is silent: {error}"
            );
            return false;
        }
    };
    is_clean(&contents());
    let mut before = tree(&fs);
    while !choices.are_over() {
        // Some names and inodes may be gone when a call uses them.
        (0..6).for_each(|_| call(&fs, &before, choices));
        before = tree(&fs);
    }
    let unmounted = fs.unmount();
    is_clean(&contents());
    let fs = mount(true).unwrap();
    let after = tree(&fs);
    if unmounted.is_ok() {
        assert!(before == after, "{before:#?}\nis after a mount\n{after:#?}");
    }
    let durable = contents();
    let _ = fs.unmount();
    assert!(contents() == durable, "a mount that only reads wrote");
    true
}

/// A negative offset becomes one that no file reaches.
fn place(fd: Fd, offset: i64) -> At {
    At { fd, offset: offset.cast_unsigned() }
}
