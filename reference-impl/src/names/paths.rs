//! Paths: resolves the names in a system call to inodes, as in path_resolution(7).

use crate::call::caller::{Credentials, WRITE};
use crate::call::system_call::Fd;
use crate::model::state::State;
use crate::names::entries::{Making, Place, RENAME_EXCHANGE, RENAME_NOREPLACE};
use crate::storage::inode::Kind;
use crate::units::{Ino, PATH_MAX, ROOT};
use nix::errno::Errno;
use nix::fcntl::OFlag;

/// The maximum number of symbolic links in the resolution of one path.
const LINKS_MAX: usize = 40;

/// The last component of a path.
#[derive(Clone, Copy, Debug)]
enum Last<'a> {
    Name(&'a [u8]),
    Dot,
    DotDot,
    Root,
}

/// The state of a walk along a path.
struct Walk<'a> {
    fs: &'a State,
    who: &'a Credentials,
    /// The directory reached so far.
    at: Ino,
    links: usize,
}

/// The end of a path.
struct End<'a> {
    dir: Ino,
    last: Last<'a>,
    /// Whether the path ends in a slash, so that it has to name a directory.
    slash: bool,
    ino: Option<Ino>,
}

impl<'a> Walk<'a> {
    fn new(fs: &'a State, who: &'a Credentials) -> Self {
        Self { fs, who, at: ROOT, links: 0 }
    }

    /// Goes to the directory that has the last component of a path. Returns that component, and whether a slash
    /// follows it.
    fn parent(&mut self, path: &'a [u8]) -> Result<(Last<'a>, bool), Errno> {
        match path {
            [] => return Err(Errno::ENOENT),
            _ if path.len() > PATH_MAX => return Err(Errno::ENAMETOOLONG),
            _ if path.contains(&0) => return Err(Errno::EINVAL),
            [b'/', ..] => self.at = ROOT,
            _ => (),
        }
        let mut components = path.split(|byte| *byte == b'/').filter(|component| !component.is_empty()).peekable();
        while let Some(component) = components.next() {
            if components.peek().is_some() {
                self.enter(component)?;
                continue;
            }
            let last = match component {
                b"." => Last::Dot,
                b".." => Last::DotDot,
                name => Last::Name(name),
            };
            // First check that this is a directory and can be searched, then look at the component.
            self.fs.lookup(self.who, (self.at, b"."))?;
            return Ok((last, path.ends_with(b"/")));
        }
        Ok((Last::Root, true))
    }

    /// Enters one component; a symbolic link is followed to its end.
    fn enter(&mut self, name: &'a [u8]) -> Result<(), Errno> {
        let ino = self.fs.lookup(self.who, (self.at, name))?;
        match self.fs.inode(ino).kind {
            Kind::Symlink => {
                let target = self.through(ino)?;
                self.at = self.end(target, true, false)?.found()?;
            }
            _ => self.at = ino,
        }
        Ok(())
    }

    /// The target of a symbolic link, unless the path had too many links.
    fn through(&mut self, link: Ino) -> Result<&'a [u8], Errno> {
        self.links += 1;
        if self.links > LINKS_MAX { Err(Errno::ELOOP) } else { Ok(&self.fs.inode(link).target) }
    }

    /// Walks to the end of a path; with `follow`, through a symbolic link at the end. A call that `creates` a file
    /// fails with EISDIR for a slash after the last name, whether the name exists or not.
    fn end(&mut self, mut path: &'a [u8], follow: bool, creates: bool) -> Result<End<'a>, Errno> {
        let mut slash = false;
        loop {
            let (last, here) = self.parent(path)?;
            slash |= here;
            if here && creates && matches!(last, Last::Name(_)) {
                return Err(Errno::EISDIR);
            }
            let ino = match last {
                Last::Name(name) => match self.fs.lookup(self.who, (self.at, name)) {
                    Err(Errno::ENOENT) => None,
                    found => Some(found?),
                },
                Last::Dot | Last::Root => Some(self.at),
                Last::DotDot => Some(self.fs.inode(self.at).directory.parent),
            };
            match ino.filter(|ino| self.fs.inode(*ino).kind == Kind::Symlink) {
                Some(link) if follow => path = self.through(link)?,
                _ => {
                    let slash = slash && !matches!(last, Last::Root);
                    let end = End { dir: self.at, last, slash, ino };
                    return Ok(end);
                }
            }
        }
    }
}

impl End<'_> {
    fn found(&self) -> Result<Ino, Errno> {
        self.ino.ok_or(Errno::ENOENT)
    }
}

impl State {
    /// The inode at the end of a path.
    pub(crate) fn resolve(&self, who: &Credentials, path: &[u8], follow: bool) -> Result<Ino, Errno> {
        let follow = follow || path.ends_with(b"/");
        let end = Walk::new(self, who).end(path, follow, false)?;
        let ino = end.found()?;
        if end.slash && self.inode(ino).kind != Kind::Directory { Err(Errno::ENOTDIR) } else { Ok(ino) }
    }

    /// The directory and the last component of a path, whether that name exists or not, and whether a slash follows it.
    /// `other` is the error for paths that end in `.`, `..` or the root.
    fn named_place<'a>(
        &'a self,
        who: &'a Credentials,
        path: &'a [u8],
        other: fn(Last) -> Errno,
    ) -> Result<(Place<'a>, bool), Errno> {
        let mut walk = Walk::new(self, who);
        match walk.parent(path)? {
            (Last::Name(name), slash) => Ok(((walk.at, name), slash)),
            (last, _) => Err(other(last)),
        }
    }

    /// A place for a new file.
    fn new_place(&self, who: &Credentials, path: &[u8], directory: bool) -> Result<(Ino, Vec<u8>), Errno> {
        let ((dir, name), slash) = self.named_place(who, path, |_| Errno::EEXIST)?;
        if slash && !directory {
            // An existing file blocks the name, and a slash after a missing name needs a directory.
            return Err(self.lookup(who, (dir, name)).err().unwrap_or(Errno::EEXIST));
        }
        Ok((dir, name.to_vec()))
    }

    pub(crate) fn make_at(&mut self, who: &Credentials, path: &[u8], making: Making) -> Result<Ino, Errno> {
        let (dir, name) = self.new_place(who, path, making.kind == Kind::Directory)?;
        self.make(who, (dir, &name), making)
    }

    pub(crate) fn symlink_at(&mut self, who: &Credentials, target: &[u8], path: &[u8]) -> Result<Ino, Errno> {
        let making = symlink(target)?;
        self.make_at(who, path, making)
    }

    pub(crate) fn link_at(&mut self, who: &Credentials, from: &[u8], to: &[u8]) -> Result<(), Errno> {
        let ino = self.resolve(who, from, false)?;
        let (dir, name) = self.new_place(who, to, false)?;
        self.link(who, ino, (dir, &name))
    }

    /// linkat(2) with AT_EMPTY_PATH.
    pub(crate) fn link_fd(&mut self, who: &Credentials, fd: Fd, to: &[u8]) -> Result<(), Errno> {
        let ino = self.descriptor(fd)?.ino;
        let (dir, name) = self.new_place(who, to, false)?;
        self.link(who, ino, (dir, &name))
    }

    pub(crate) fn unlink_at(&mut self, who: &Credentials, path: &[u8]) -> Result<(), Errno> {
        let ((dir, name), slash) = self.named_place(who, path, |_| Errno::EISDIR)?;
        if slash {
            self.changeable()?;
            let kind = self.inode(self.lookup(who, (dir, name))?).kind;
            return Err(if kind == Kind::Directory { Errno::EISDIR } else { Errno::ENOTDIR });
        }
        let name = name.to_vec();
        self.unlink(who, (dir, &name))
    }

    pub(crate) fn rmdir_at(&mut self, who: &Credentials, path: &[u8]) -> Result<(), Errno> {
        let other = |last: Last| match last {
            Last::DotDot => Errno::ENOTEMPTY,
            Last::Root => Errno::EBUSY,
            Last::Dot | Last::Name(_) => Errno::EINVAL,
        };
        let ((dir, name), _) = self.named_place(who, path, other)?;
        let name = name.to_vec();
        self.rmdir(who, (dir, &name))
    }

    pub(crate) fn rename_at(&mut self, who: &Credentials, from: &[u8], to: &[u8], flags: u32) -> Result<(), Errno> {
        let (mut one, mut other) = (Walk::new(self, who), Walk::new(self, who));
        let ((old, old_slash), (new, new_slash)) = (one.parent(from)?, other.parent(to)?);
        let (old, new) = match (old, new) {
            (Last::Name(old), Last::Name(new)) => ((one.at, old), (other.at, new)),
            (Last::Name(_), _) if flags & RENAME_NOREPLACE != 0 => return Err(Errno::EEXIST),
            _ => return Err(Errno::EBUSY),
        };
        if old_slash || new_slash {
            self.rename_to_directory(who, (old, old_slash), (new, new_slash), flags)?;
        }
        let ((from, old), (to, new)) = ((old.0, old.1.to_vec()), (new.0, new.1.to_vec()));
        self.rename(who, (from, &old), (to, &new), flags)
    }

    /// The places of a rename. A slash at the end of a path requires a directory.
    fn rename_to_directory(
        &self,
        who: &Credentials,
        (old, old_slash): (Place, bool),
        (new, new_slash): (Place, bool),
        flags: u32,
    ) -> Result<(), Errno> {
        self.changeable()?;
        let is_directory = |ino: Ino| self.inode(ino).kind == Kind::Directory;
        let from = self.lookup(who, old)?;
        let exchange = flags & RENAME_EXCHANGE != 0;
        match self.lookup(who, new) {
            Ok(_) if flags & RENAME_NOREPLACE != 0 => return Err(Errno::EEXIST),
            Ok(to) if exchange && new_slash && !is_directory(to) => return Err(Errno::ENOTDIR),
            Err(errno) if exchange || errno != Errno::ENOENT => return Err(errno),
            _ => (),
        }
        let needs = old_slash || (new_slash && !exchange);
        if needs && !is_directory(from) { Err(Errno::ENOTDIR) } else { Ok(()) }
    }

    /// open(2).
    pub(crate) fn open_at(&mut self, who: &Credentials, path: &[u8], flags: OFlag, mode: u32) -> Result<Fd, Errno> {
        let creates = flags.contains(OFlag::O_CREAT);
        let temporary = flags.contains(OFlag::O_TMPFILE);
        if creates && flags.contains(OFlag::O_DIRECTORY) {
            return Err(Errno::EINVAL);
        }
        if temporary && flags & OFlag::O_ACCMODE == OFlag::O_RDONLY {
            return Err(Errno::EINVAL);
        }
        if temporary {
            let dir = self.resolve(who, path, !flags.contains(OFlag::O_NOFOLLOW))?;
            return self.open_temporary(who, dir, flags, mode);
        }
        let exclusive = creates && flags.contains(OFlag::O_EXCL);
        let follow = !flags.contains(OFlag::O_NOFOLLOW) && !exclusive;
        if !creates {
            let ino = self.resolve(who, path, follow)?;
            return self.open(who, ino, flags);
        }
        let end = Walk::new(self, who).end(path, follow, true)?;
        match (end.last, end.ino) {
            (_, Some(_)) if exclusive => Err(Errno::EEXIST),
            (_, Some(ino)) if self.inode(ino).kind == Kind::Directory => Err(Errno::EISDIR),
            (_, Some(ino)) => self.open(who, ino, flags),
            (Last::Name(name), None) => {
                let (dir, name) = (end.dir, name.to_vec());
                self.create(who, (dir, &name), flags, mode).map(|(_, fd)| fd)
            }
            (_, None) => Err(Errno::ENOENT),
        }
    }

    pub(crate) fn truncate_at(&mut self, who: &Credentials, path: &[u8], size: i64) -> Result<(), Errno> {
        let found = self.resolve(who, path, true);
        let regular = found.is_ok_and(|ino| self.inode(ino).kind == Kind::Regular);
        // A negative size is the first error; for a regular file, the rules report it.
        if size < 0 && !regular {
            return Err(Errno::EINVAL);
        }
        let ino = found?;
        match self.inode(ino).kind {
            Kind::Regular if size < 0 => (),
            Kind::Regular => self.permits(who, ino, WRITE)?,
            Kind::Directory => return Err(Errno::EISDIR),
            _ => return Err(Errno::EINVAL),
        }
        if size >= 0 && self.inode(ino).is_append_only() {
            return Err(Errno::EPERM);
        }
        self.set_size(who, ino, true, size, true)
    }
}

/// Fails with ENOENT for an empty target, with ENAMETOOLONG, and with EINVAL for a NUL, which a string of a system call
/// cannot contain.
pub(crate) fn symlink(target: &[u8]) -> Result<Making<'_>, Errno> {
    match target.len() {
        0 => Err(Errno::ENOENT),
        length if length > PATH_MAX => Err(Errno::ENAMETOOLONG),
        _ if target.contains(&0) => Err(Errno::EINVAL),
        _ => Ok(Making { kind: Kind::Symlink, mode: 0o777, rdev: 0, target }),
    }
}
