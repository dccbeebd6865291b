//! Contradictory metadata with correct checksums: fsck names each contradiction, and no mount accepts it.
//!
//! The types here repeat the format of a snapshot, so that a test fails if the format changes without a new version.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use iomap_reference::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Entry {
    Volume { next: u64, clock: i128 },
    Inode { ino: u64, inode: Box<Inode>, from: u64, to: u64, runs: Vec<Run>, names: Vec<Line> },
    Gone(u64),
    Kept(Run),
}

type Line = (u64, Option<(Vec<u8>, u64)>);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Run {
    start: u64,
    count: u64,
    address: usize,
    written: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Inode {
    kind: Kind,
    mode: u32,
    uid: u32,
    gid: u32,
    links: u64,
    size: u64,
    atime: i128,
    mtime: i128,
    ctime: i128,
    birth: i128,
    xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    parent: u64,
    last: u64,
    target: Vec<u8>,
    rdev: u64,
    flags: u32,
    xflags: u32,
    shares: bool,
    inline: Option<Vec<u8>>,
    sealed: bool,
    linkable: bool,
}

/// A file, and the names in it if it is a directory.
type File = (Inode, Vec<(u64, Vec<u8>, u64)>);
type Files = BTreeMap<u64, File>;

fn inode(kind: Kind) -> Inode {
    Inode {
        kind,
        mode: 0o644,
        uid: 0,
        gid: 0,
        links: 1,
        size: 0,
        atime: 1,
        mtime: -1,
        ctime: i128::from(u64::MAX),
        birth: 0,
        xattrs: BTreeMap::from([(b"user.k".to_vec(), vec![0, 255])]),
        parent: 0,
        last: 0,
        target: Vec::new(),
        rdev: 0,
        flags: 0,
        xflags: 0,
        shares: false,
        inline: None,
        sealed: false,
        linkable: false,
    }
}

fn directory(parent: u64, links: u64, names: &[(&str, u64)]) -> File {
    let names: Vec<_> = (3..).zip(names).map(|(at, (name, ino))| (at, name.as_bytes().to_vec(), *ino)).collect();
    (Inode { links, parent, last: 2 + names.len() as u64, ..inode(Kind::Directory) }, names)
}

/// The root with nested directories, a file with two names, a symbolic link, a device, a file without a name and a
/// removed directory.
fn sound() -> Files {
    let one = |inode| (inode, Vec::new());
    BTreeMap::from([
        (1, directory(1, 3, &[("a", 3), ("file", 5), ("link", 6), ("device", 7)])),
        (3, directory(1, 3, &[("b", 4)])),
        (4, directory(3, 2, &[("other", 5)])),
        (5, one(Inode { links: 2, ..inode(Kind::Regular) })),
        (6, one(Inode { size: 4, target: b"file".to_vec(), ..inode(Kind::Symlink) })),
        (7, one(Inode { rdev: 0x103, ..inode(Kind::Character) })),
        (8, one(Inode { links: 0, linkable: true, ..inode(Kind::Regular) })),
        (9, directory(99, 0, &[])),
    ])
}

/// An image with these files and no others.
fn image(files: &Files) -> Vec<u8> {
    let entries = files.iter().map(|(ino, (inode, names))| {
        let names = names.iter().map(|(at, name, ino)| (*at, Some((name.clone(), *ino)))).collect();
        Entry::Inode { ino: *ino, inode: Box::new(inode.clone()), from: 0, to: u64::MAX, runs: Vec::new(), names }
    });
    image_of(40, 8, entries)
}

/// An image with `data` blocks for data, `area` blocks in each area, and these entries.
fn image_of(data: u64, area: u64, entries: impl Iterator<Item = Entry>) -> Vec<u8> {
    let mut disk = MemoryDisk::new(2 + 2 * area + data);
    format(&mut disk, &Options { area_blocks: Some(area), ..Options::default() }).unwrap();
    let volume = Entry::Volume { next: 1_000_000, clock: 5 };
    let payload = std::iter::once(volume)
        .chain(entries)
        .fold(Vec::new(), |payload, entry| postcard::to_extend(&entry, payload).unwrap());
    // The header of area 0: the checksum of the snapshot is at 36, its length at 40, its own checksum at 48.
    let mut bytes = disk.bytes();
    let (header, snapshot) = (2 * BLOCK, 3 * BLOCK);
    bytes[snapshot..][..payload.len()].copy_from_slice(&payload);
    bytes[header + 36..][..4].copy_from_slice(&crc32c::crc32c(&payload).to_le_bytes());
    bytes[header + 40..][..8].copy_from_slice(&(payload.len() as u64).to_le_bytes());
    let sum = crc32c::crc32c(&bytes[header..header + 48]);
    bytes[header + 48..][..4].copy_from_slice(&sum.to_le_bytes());
    bytes
}

fn findings(files: &Files) -> Vec<String> {
    let bytes = image(files);
    let report = check(&mut MemoryDisk::from_bytes(&bytes)).unwrap();
    let mounted = Fs::mount(Box::new(MemoryDisk::from_bytes(&bytes)), 1 << 16, false);
    assert_eq!(mounted.is_ok(), report.findings.is_empty(), "{:?}: {mounted:?}", report.findings);
    report.findings.iter().map(ToString::to_string).collect()
}

#[test]
fn a_sound_image_is_mounted() {
    assert_eq!(findings(&sound()), [] as [String; 0]);
    let mut disk = MemoryDisk::from_bytes(&image(&sound()));
    assert_eq!(check(&mut disk).unwrap().orphans, 2);
    let fs = Fs::mount(Box::new(disk), 1 << 16, false).unwrap();
    let root = Caller::Privileged.credentials();
    assert_eq!(fs.resolve(root, b"a/b/../b/other", false), Ok(5));
    assert_eq!(fs.readlink(6), Ok(b"file".to_vec()));
    assert_eq!(
        fs.attributes(7).map(|device| (device.rdev, device.mtime, device.ctime)),
        Ok((0x103, -1, (1 << 64) - 1))
    );
    assert_eq!(fs.xattr(root, 5, b"user.k"), Ok(vec![0, 255]));
    // The mount has removed the files without a name.
    assert_eq!((fs.attributes(8), fs.attributes(9)), (Err(nix::errno::Errno::ENOENT), Err(nix::errno::Errno::ENOENT)));
}

/// A change of a sound image, and the finding of fsck.
type Case = (fn(&mut Files), &'static [&'static str]);

fn change(files: &mut Files, ino: u64, act: impl FnOnce(&mut Inode)) {
    act(&mut files.get_mut(&ino).unwrap().0);
}

fn name(files: &mut Files, ino: u64, name: &[u8], target: u64) {
    let (inode, names) = files.get_mut(&ino).unwrap();
    inode.last += 1;
    names.push((inode.last, name.to_vec(), target));
}

fn forget(files: &mut Files, ino: u64) {
    files.get_mut(&ino).unwrap().1.clear();
}

/// Removes the name `a` from the root, so that its inode and those below it have no way to the root.
fn cut_off(files: &mut Files) {
    files.get_mut(&1).unwrap().1.remove(0);
    change(files, 1, |root| root.links = 2);
}

const CASES: &[Case] = &[
    (|files| drop(files.remove(&1)), &["inode 1: there is no root", "inode 3: a directory that cannot be reached"]),
    (
        |files| {
            cut_off(files);
        },
        &["inode 3: a directory that cannot be reached", "inode 4 (\"b\"): a directory that cannot be reached"],
    ),
    (
        |files| {
            cut_off(files);
            name(files, 4, b"c", 3);
            change(files, 4, |b| b.links = 3);
            change(files, 3, |a| a.parent = 4);
        },
        &["inode 3 (\"c\"): a directory inside itself", "inode 4 (\"b\"): a directory inside itself"],
    ),
    (
        |files| {
            // A directory below a circle is not part of the circle.
            cut_off(files);
            name(files, 3, b"a", 3);
            change(files, 3, |a| (a.links, a.parent) = (4, 3));
        },
        &["inode 3 (\"a\"): a directory inside itself", "inode 4 (\"b\"): a directory that cannot be reached"],
    ),
    (|files| name(files, 3, b"gone", 50), &["inode 3 (\"a\"): \"gone\" refers to inode 50, which does not exist"]),
    (|files| change(files, 5, |file| file.links = 3), &["inode 5 (\"file\"): 3 links, where 2 names refer to it"]),
    (|files| change(files, 5, |file| file.links = 0), &["inode 5 (\"file\"): 0 links, where 2 names refer to it"]),
    (
        |files| change(files, 8, |file| (file.links, file.linkable) = (1, false)),
        &["inode 8: 1 links, where 0 names refer to it"],
    ),
    (|files| change(files, 3, |a| a.links = 2), &["inode 3 (\"a\"): 2 links, where its directories make 3"]),
    (|files| change(files, 4, |b| b.links = 0), &["inode 4 (\"b\"): 0 links, where its directories make 2"]),
    (|files| change(files, 1, |root| root.links = 4), &["inode 1: 4 links, where its directories make 3"]),
    (
        |files| {
            name(files, 1, b"b", 4);
            change(files, 1, |root| root.links = 4);
        },
        &[
            "inode 4 (\"b\"): a directory with 2 parents",
            "inode 4 (\"b\"): its parent is inode 3, and it is in inode 1",
        ],
    ),
    (|files| change(files, 4, |b| b.parent = 1), &["inode 4 (\"b\"): its parent is inode 1, and it is in inode 3"]),
    (|files| change(files, 1, |root| root.parent = 3), &["inode 1: the root is in inode 3"]),
    (
        |files| {
            name(files, 9, b"f", 5);
            change(files, 5, |file| file.links = 3);
        },
        &["inode 9: a directory that cannot be reached"],
    ),
    (
        |files| {
            forget(files, 4);
            for bad in [&b""[..], b".", b"..", b"a/b", b"a\0b", &[b'n'; 256]] {
                name(files, 4, bad, 5);
            }
            name(files, 4, &[b'n'; 255], 5);
            change(files, 5, |file| file.links = 8);
        },
        &[
            "inode 4 (\"b\"): \"\" is not a name",
            "inode 4 (\"b\"): \".\" is not a name",
            "inode 4 (\"b\"): \"..\" is not a name",
            "inode 4 (\"b\"): \"a/b\" is not a name",
            "inode 4 (\"b\"): \"a\\0b\" is not a name",
            concat!(
                "inode 4 (\"b\"): \"",
                "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn",
                "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn",
                "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn",
                "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn",
                "\"... is not a name"
            ),
        ],
    ),
    (
        |files| change(files, 6, |link| (link.size, link.target) = (0, Vec::new())),
        &["inode 6 (\"link\"): a symbolic link without a target"],
    ),
    (|files| change(files, 6, |link| link.size = 5), &["inode 6 (\"link\"): a size of 5, for a target of 4 bytes"]),
    (
        |files| change(files, 6, |link| link.target = b"a\0bc".to_vec()),
        &["inode 6 (\"link\"): a target with NUL in it"],
    ),
    (
        |files| change(files, 6, |link| (link.size, link.target) = (4096, vec![b't'; 4096])),
        &["inode 6 (\"link\"): a target of 4096 bytes"],
    ),
    (
        |files| change(files, 5, |file| file.target = b"x".to_vec()),
        &["inode 5 (\"file\"): a regular file with a target"],
    ),
    (
        |files| change(files, 5, |file| file.rdev = 0x801),
        &["inode 5 (\"file\"): a regular file with the device number 0x801"],
    ),
    (
        |files| {
            change(files, 4, |b| b.last = 1);
            forget(files, 4);
            change(files, 5, |file| file.links = 1);
        },
        &["inode 4 (\"b\"): a directory whose names would begin after place 1"],
    ),
    (
        |files| change(files, 7, |device| device.size = 9),
        &["inode 7 (\"device\"): a character device with a size of 9"],
    ),
    (|files| change(files, 5, |file| file.mode = 0o100_644), &["inode 5 (\"file\"): a mode of 0o100644"]),
    (
        |files| change(files, 5, |file| file.linkable = true),
        &["inode 5 (\"file\"): a file that can get its first name, and is not one without"],
    ),
    (|files| change(files, 5, |file| file.parent = 1), &["inode 5 (\"file\"): a regular file with names in it"]),
    (
        |files| change(files, 5, |file| _ = file.xattrs.insert(b"user.\0".to_vec(), vec![])),
        &["inode 5 (\"file\"): an extended attribute with NUL in its name"],
    ),
];

#[test]
fn each_contradiction_is_named() {
    for (index, (act, expected)) in CASES.iter().enumerate() {
        let mut files = sound();
        act(&mut files);
        let found = findings(&files);
        let missing: Vec<_> = expected.iter().filter(|text| !found.iter().any(|found| found == *text)).collect();
        assert!(missing.is_empty(), "case {index}: {missing:?} is missing in {found:#?}");
        // Without a root, there are further findings.
        assert!(found.len() == expected.len() || index == 0, "case {index}: {found:#?}");
    }
}

/// Names that a directory cannot have are an error of the log, which names the block.
#[test]
fn lines_that_no_directory_has() {
    let refused = |act: fn(&mut Files), what: &str| {
        let mut files = sound();
        act(&mut files);
        let found = findings(&files);
        assert!(found.len() == 1 && found[0].starts_with("block 3: entry") && found[0].ends_with(what), "{found:?}");
    };
    refused(|files| name(files, 1, b"a", 5), "inode 1 with the name \"a\" twice");
    refused(|files| change(files, 1, |root| root.last = 4), "inode 1 with a name at 5, outside of 2 to 4");
    refused(|files| change(files, 1, |root| root.last = u64::MAX), "as the last place of a name");
    refused(|files| files.get_mut(&5).unwrap().1.push((3, b"x".to_vec(), 1)), "a name at 3, outside of 2 to 0");
}

/// A change whose end is before its start: the blocks would be in the map twice, once from either side of the gap.
#[test]
fn a_change_that_ends_before_it_begins() {
    let entry = |(from, to), runs| {
        let inode = Inode { links: 0, shares: true, ..inode(Kind::Regular) };
        Entry::Inode { ino: 2, inode: Box::new(inode), from, to, runs, names: Vec::new() }
    };
    let (inode, _) = directory(1, 2, &[]);
    let root = Entry::Inode { ino: 1, inode: Box::new(inode), from: 0, to: 0, runs: Vec::new(), names: Vec::new() };
    let whole = entry((0, u64::MAX), vec![Run { start: 0, count: 10, address: 0, written: true }]);
    let bytes = image_of(40, 8, [root, whole, entry((7, 3), Vec::new())].into_iter());
    let found = check(&mut MemoryDisk::from_bytes(&bytes)).unwrap().findings;
    assert!(found.len() == 1 && found[0].what.ends_with("inode 2 with changes in 7..3"), "{found:?}");
    assert!(Fs::mount(Box::new(MemoryDisk::from_bytes(&bytes)), 1 << 16, false).is_err());
}

/// A finding for every name of a directory whose own name is as long as all of them together does not take much more
/// memory than the image.
#[test]
fn a_report_is_not_much_longer_than_the_image() {
    let mut files = sound();
    name(&mut files, 1, &[b'n'; 12_000], 10);
    let names: Vec<String> = (0..1500).map(|at| format!("{at}")).collect();
    let names: Vec<(&str, u64)> = names.iter().map(|name| (name.as_str(), 50)).collect();
    files.insert(10, directory(1, 2, &names));
    let bytes = image(&files);
    let findings = check(&mut MemoryDisk::from_bytes(&bytes)).unwrap().findings;
    assert!(findings.iter().any(|finding| finding.what.ends_with("refers to inode 50, which does not exist")));
    let len: usize = findings.iter().map(|finding| finding.to_string().len()).sum();
    assert!(len < 4 * bytes.len(), "{len} bytes about an image of {}", bytes.len());
}

/// Many files without a name, each of which has all blocks: the mount that removes them does not visit all blocks for
/// each file.
#[test]
fn files_without_a_name_end_together() {
    const DATA: u64 = 100_000;
    let run = Run { start: 0, count: DATA, address: 0, written: true };
    let (root, _) = directory(1, 2, &[]);
    let root = Entry::Inode { ino: 1, inode: Box::new(root), from: 0, to: 0, runs: Vec::new(), names: Vec::new() };
    let files = (2..20_000).map(|ino| {
        let inode = Inode { links: 0, shares: true, ..inode(Kind::Regular) };
        Entry::Inode { ino, inode: Box::new(inode), from: 0, to: u64::MAX, runs: vec![run.clone()], names: Vec::new() }
    });
    let bytes = image_of(DATA, 500, std::iter::once(root).chain(files));
    let fs = Fs::mount(Box::new(MemoryDisk::from_bytes(&bytes)), 1 << 16, false).unwrap();
    assert_eq!((fs.space().free, fs.space().inodes), (DATA, 1));
    fs.unmount().unwrap();
}
