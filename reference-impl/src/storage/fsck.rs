//! Checks whether an image is consistent. A mount makes the same checks, and refuses an inconsistent image.

use crate::storage::directory::{DOT_DOT, Directory};
use crate::storage::disk::Disk;
use crate::storage::error::{Finding, ImageError};
use crate::storage::extents::Run;
use crate::storage::image::{self, Superblock, uuid};
use crate::storage::inode::{INLINE, Inode, Kind};
use crate::storage::log::{Log, Metadata, recover};
use crate::units::{Address, Ino, LARGEST, NAME_MAX, PATH_MAX, ROOT};
use serde::Serialize;
use std::collections::BTreeMap;

/// Upper limits of numbers and times, far enough from the maximum that counting on cannot overflow.
const HIGHEST: u64 = u64::MAX >> 1;
const LATEST: u128 = i64::MAX as u128 * 1_000_000_000;

/// The maximum number of reported findings. Forged images can have so many, with long names, that memory would not
/// suffice.
const MOST: usize = 1000;

/// The contents of an image in numbers, and its inconsistencies.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The identity of the image.
    pub uuid: String,
    /// The label of the image.
    pub label: String,
    /// The number of blocks of `BLOCK` bytes, metadata included.
    pub blocks: u64,
    /// The number of blocks that belong to files or snapshots.
    pub used: usize,
    /// The number of inodes, directories included.
    pub inodes: usize,
    /// The number of sealed files.
    pub sealed: usize,
    /// The number of files without a name, which were open when the power was lost. The next writable mount removes
    /// them.
    pub orphans: usize,
    /// Every inconsistency. If there are very many: the first ones, and the number of further ones.
    pub findings: Vec<Finding>,
}

impl Report {
    /// The report on a disk without a file system.
    pub fn empty(blocks: u64, finding: Finding) -> Self {
        let (uuid, label) = (String::new(), String::new());
        Self { uuid, label, blocks, used: 0, inodes: 0, sealed: 0, orphans: 0, findings: vec![finding] }
    }
}

/// Reads all metadata of an image and looks for inconsistencies, and reads all data. It writes nothing.
///
/// Fails if there is no file system that could be checked, or if the disk cannot be read.
pub fn check(disk: &mut dyn Disk) -> Result<Report, ImageError> {
    let superblock = Superblock::read(disk, 0).or_else(|error| Superblock::read(disk, 1).map_err(|_| error))?.0;
    let mut notes = Vec::new();
    let mut report = Report {
        uuid: uuid(&superblock.layout().uuid),
        label: superblock.label(),
        blocks: superblock.layout().blocks,
        used: 0,
        inodes: 0,
        sealed: 0,
        orphans: 0,
        findings: Vec::new(),
    };
    match recover(disk, &mut notes) {
        Ok((log, metadata)) => {
            let blocks = log.layout.data_blocks();
            let references = metadata.references(blocks);
            let used = (log.layout.first_data()..).zip(&references).filter(|(_, count)| **count > 0);
            let used: Vec<u64> = used.map(|(block, _)| block).collect();
            report.used = used.len();
            report.inodes = metadata.inodes.len();
            report.sealed = metadata.inodes.values().filter(|file| file.sealed).count();
            report.orphans = metadata.inodes.values().filter(|file| file.links == 0).count();
            report.findings = examine(&metadata, blocks);
            // Data have no checksums, so the only check is whether they can be read.
            let unreadable = used.into_iter().filter_map(|block| image::read(disk, block, 1).err());
            report.findings.extend(unreadable.map(|error| Finding::from(&error)));
        }
        Err(error @ ImageError::Io { .. }) => return Err(error),
        Err(error) => notes.push(error),
    }
    report.findings.splice(0..0, notes.iter().map(Finding::from));
    Ok(report)
}

/// Reads an image for a mount. Fails for every inconsistency that could disturb a mounted file system.
pub(crate) fn open(disk: &mut dyn Disk) -> Result<(Log, Metadata), ImageError> {
    let (log, metadata) = recover(disk, &mut Vec::new())?;
    match examine(&metadata, log.layout.data_blocks()).into_iter().next() {
        Some(finding) => Err(ImageError::Inconsistent(finding)),
        None => Ok((log, metadata)),
    }
}

/// Finds inconsistencies of metadata whose checksums are right.
fn examine(metadata: &Metadata, blocks: usize) -> Vec<Finding> {
    let tree = Tree::new(metadata);
    let place = |ino: Ino| match tree.names.get(&ino) {
        Some(Named { name, .. }) => format!("inode {ino} ({})", shown(name)),
        None => format!("inode {ino}"),
    };
    let (mut findings, mut more) = (Vec::new(), 0_usize);
    let mut find = |place: String, what: String| match findings.len() < MOST {
        true => findings.push(Finding { place, what }),
        false => more += 1,
    };
    let highest = metadata.inodes.keys().next_back().copied().unwrap_or_default();
    if metadata.next < highest || metadata.next > HIGHEST {
        find("volume".into(), format!("the next number is {}, after inode {highest}", metadata.next));
    }
    if metadata.clock.unsigned_abs() > LATEST {
        find("volume".into(), format!("the time is {}", metadata.clock));
    }
    match metadata.inodes.get(&ROOT) {
        Some(root) if root.kind == Kind::Directory && root.directory.parent == ROOT => (),
        Some(root) if root.kind == Kind::Directory => {
            find(place(ROOT), format!("the root is in inode {}", root.directory.parent));
        }
        Some(root) => find(place(ROOT), format!("the root is a {}", root.kind)),
        None => find(place(ROOT), "there is no root".into()),
    }
    let shared = Shared::new(&metadata.references(blocks));
    for (ino, file) in &metadata.inodes {
        wrong_with(file, &shared).into_iter().for_each(|what| find(place(*ino), what));
    }
    tree.wrong(&mut |ino, what| find(place(ino), what));
    if more > 0 {
        findings.push(Finding { place: "volume".into(), what: format!("{more} more findings") });
    }
    findings
}

/// Finds inconsistencies within one inode.
fn wrong_with(file: &Inode, shared: &Shared) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut test = |ok: bool, what: &dyn Fn() -> String| {
        if !ok {
            wrong.push(what())
        }
    };
    let regular = file.kind == Kind::Regular;
    test(file.size <= LARGEST, &|| format!("a size of {} bytes", file.size));
    test(regular || (file.map.is_empty() && file.inline.is_none()), &|| format!("a {} with data", file.kind));
    test(regular || !file.sealed, &|| format!("a sealed {}", file.kind));
    test(file.xattrs.keys().all(|key| !key.contains(&0)), &|| "an extended attribute with NUL in its name".into());
    test(file.mode & !0o7777 == 0, &|| format!("a mode of {:#o}", file.mode));
    let device = matches!(file.kind, Kind::Character | Kind::Block);
    test(device || file.rdev == 0, &|| format!("a {} with the device number {:#x}", file.kind, file.rdev));
    let directory = file.kind == Kind::Directory;
    test(directory || file.directory == Directory::default(), &|| format!("a {} with names in it", file.kind));
    let last = file.directory.last();
    test(!directory || last >= DOT_DOT, &|| format!("a directory whose names would begin after place {last}"));
    let unnamed = regular && file.links == 0;
    test(unnamed || !file.linkable, &|| "a file that can get its first name, and is not one without".into());
    let (symlink, target) = (file.kind == Kind::Symlink, &file.target);
    test(symlink || target.is_empty(), &|| format!("a {} with a target", file.kind));
    test(!symlink || !target.is_empty(), &|| "a symbolic link without a target".into());
    test(target.len() <= PATH_MAX, &|| format!("a target of {} bytes", target.len()));
    test(!target.contains(&0), &|| "a target with NUL in it".into());
    test(!symlink || target.len() as u64 == file.size, &|| {
        format!("a size of {}, for a target of {} bytes", file.size, target.len())
    });
    test(regular || symlink || file.size == 0, &|| format!("a {} with a size of {}", file.kind, file.size));
    let shared = shared.block_of(file);
    test(shared.is_none() || file.shares, &|| {
        let block = shared.unwrap_or_default();
        format!("block {block} of the storage has another owner as well, and the file is not marked as sharing")
    });
    if let Some(inline) = &file.inline {
        let len = inline.len();
        test(len as u64 == file.size, &|| format!("{len} bytes in the inode, for a size of {}", file.size));
        test(len as u64 <= INLINE, &|| format!("{len} bytes in the inode, where {INLINE} are the most"));
        test(file.map.is_empty(), &|| "data in the inode and on storage".into());
    }
    if file.sealed {
        test(file.size > 0, &|| "a sealed file without data".into());
        test(file.inline.is_none(), &|| "a sealed file with its data in the inode".into());
        let hole = file.hole().filter(|_| file.inline.is_none());
        test(hole.is_none(), &|| format!("a sealed file with a hole at block {}", hole.unwrap_or_default()));
        test(!file.has_unwritten(), &|| "a sealed file with unwritten blocks".into());
        test(shared.is_none(), &|| format!("a sealed file that shares block {}", shared.unwrap_or_default()));
    }
    wrong
}

/// The blocks with more than one reference. The lookup takes constant time for a run of any length, because forged maps
/// can name every block many times.
struct Shared {
    /// The number of such blocks before each block.
    before: Vec<u32>,
}

impl Shared {
    fn new(references: &[u32]) -> Self {
        let count = |sum: &mut u32, references: &u32| {
            *sum += u32::from(*references > 1);
            Some(*sum)
        };
        Self { before: std::iter::once(0).chain(references.iter().scan(0, count)).collect() }
    }

    /// The first block of a file that has more than one reference.
    fn block_of(&self, file: &Inode) -> Option<Address> {
        let shares = |run: &&Run| self.before[run.addresses().start] < self.before[run.addresses().end];
        let run = file.map.all().find(shares)?;
        run.addresses().find(|at| self.before[*at] < self.before[at + 1])
    }
}

/// A name of an inode.
struct Named<'a> {
    directory: Ino,
    name: &'a [u8],
    /// The number of names of the inode.
    count: u64,
}

/// The directories, and the inodes that they name.
struct Tree<'a> {
    metadata: &'a Metadata,
    /// The first name of each inode that has one.
    names: BTreeMap<Ino, Named<'a>>,
}

impl<'a> Tree<'a> {
    fn new(metadata: &'a Metadata) -> Self {
        let mut names: BTreeMap<Ino, Named> = BTreeMap::new();
        for (directory, file) in &metadata.inodes {
            for (_, name, ino) in file.directory.after(0) {
                names.entry(ino).or_insert(Named { directory: *directory, name, count: 0 }).count += 1;
            }
        }
        Self { metadata, names }
    }

    /// Compares names with inodes: entries, link counts, and unreachable inodes.
    fn wrong(&self, find: &mut dyn FnMut(Ino, String)) {
        let ends = self.ends();
        for (ino, file) in &self.metadata.inodes {
            let names = self.names.get(ino).map_or(0, |named| named.count);
            let bad = file.directory.after(0).filter(|(_, name, _)| !is_name(name));
            bad.for_each(|(_, name, _)| find(*ino, format!("{} is not a name", shown(name))));
            let mut subdirectories = 0;
            for (_, name, entry) in file.directory.after(0) {
                match self.metadata.inodes.get(&entry) {
                    Some(entry) => subdirectories += u64::from(entry.kind == Kind::Directory),
                    None => find(*ino, format!("{} refers to inode {entry}, which does not exist", shown(name))),
                }
            }
            if file.kind != Kind::Directory {
                if names != file.links {
                    find(*ino, format!("{} links, where {names} names refer to it", file.links));
                }
                continue;
            }
            let has = u64::from(*ino == ROOT) + names;
            let removed = file.links == 0 && has == 0;
            let links = if removed { 0 } else { 2 + subdirectories };
            if file.links != links {
                find(*ino, format!("{} links, where its directories make {links}", file.links));
            }
            match (has, ends.get(ino)) {
                (2.., _) => find(*ino, format!("a directory with {has} parents")),
                (0, _) if removed && file.directory.is_empty() => (),
                (_, Some(End::Circle)) => find(*ino, "a directory inside itself".into()),
                (_, Some(End::Lost)) => find(*ino, "a directory that cannot be reached".into()),
                _ => (),
            }
            if let Some(named) = self.names.get(ino).filter(|named| named.directory != file.directory.parent) {
                let (parent, directory) = (file.directory.parent, named.directory);
                find(*ino, format!("its parent is inode {parent}, and it is in inode {directory}"));
            }
        }
    }

    /// For each directory, where its chain of parents ends.
    fn ends(&self) -> BTreeMap<Ino, End> {
        let mut ends = BTreeMap::from([(ROOT, End::Root)]);
        for ino in self.metadata.inodes.iter().filter(|(_, file)| file.kind == Kind::Directory).map(|(ino, _)| *ino) {
            // Go up until an inode without a name, a directory with a known end, or one on the present chain.
            let (mut way, mut at) = (Vec::new(), ino);
            let end = loop {
                match (ends.get(&at), self.names.get(&at)) {
                    (Some(End::Passed), _) => break End::Circle,
                    (Some(End::Root), _) => break End::Root,
                    (Some(_), _) => break End::Lost,
                    (None, above) => {
                        way.push(at);
                        let Some(named) = above else { break End::Lost };
                        ends.insert(at, End::Passed);
                        at = named.directory;
                    }
                }
            };
            // A directory whose chain leads into a circle is not part of the circle.
            let circle = if end == End::Circle { way.iter().position(|passed| *passed == at) } else { None };
            for (index, passed) in way.into_iter().enumerate() {
                let outside = end == End::Circle && circle.is_none_or(|first| index < first);
                ends.insert(passed, if outside { End::Lost } else { end });
            }
        }
        ends
    }
}

/// The end of a directory's chain of parents.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Root,
    /// An inode without a name.
    Lost,
    /// The directory itself.
    Circle,
    /// Not known yet.
    Passed,
}

/// A name in a finding, cut to the maximum length of a name.
fn shown(name: &[u8]) -> String {
    let cut = if name.len() > NAME_MAX { "..." } else { "" };
    format!("{:?}{cut}", String::from_utf8_lossy(&name[..name.len().min(NAME_MAX)]))
}

fn is_name(name: &[u8]) -> bool {
    !matches!(name, b"" | b"." | b"..") && name.len() <= NAME_MAX && !name.iter().any(|byte| matches!(byte, b'/' | 0))
}
