//! Extended attributes.

use crate::call::caller::{Capabilities, Credentials, READ, WRITE};
use crate::model::state::State;
use crate::rules::Op;
use crate::storage::inode::Kind;
use crate::units::Ino;
use nix::errno::Errno;

/// XATTR_CREATE of setxattr(2).
pub const XATTR_CREATE: u32 = 1;
/// XATTR_REPLACE of setxattr(2).
pub const XATTR_REPLACE: u32 = 2;

/// The longest name, prefix included, and the longest value, in bytes.
const NAME_MAX: usize = 255;
const VALUE_MAX: usize = 65_536;
/// The maximum number of bytes of all names of a file, each with its NUL, so that listxattr(2) can return them.
const LIST_MAX: usize = 65_536;

/// A namespace of attributes. The namespaces differ in the callers who may see and change them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Namespace {
    /// The mode bits of the file decide.
    User,
    /// Only the superuser can see them.
    Trusted,
    /// Every caller can see them.
    Security,
}

fn namespace(name: &[u8]) -> Result<Namespace, Errno> {
    let known =
        [(&b"user."[..], Namespace::User), (b"trusted.", Namespace::Trusted), (b"security.", Namespace::Security)];
    let (prefix, namespace) =
        known.into_iter().find(|(prefix, _)| name.starts_with(prefix)).ok_or(Errno::EOPNOTSUPP)?;
    if name.len() == prefix.len() { Err(Errno::EINVAL) } else { Ok(namespace) }
}

impl State {
    /// Whether a caller may read or write an attribute.
    fn xattr_permits(&self, who: &Credentials, ino: Ino, name: &[u8], wanted: u32) -> Result<(), Errno> {
        let file = self.volume.inodes.get(&ino).ok_or(Errno::ENOENT)?;
        if name.is_empty() || name.len() > NAME_MAX {
            return Err(Errno::ERANGE);
        }
        if name.contains(&0) {
            return Err(Errno::EINVAL);
        }
        let writes = wanted == WRITE;
        if writes {
            self.changeable()?;
            if file.is_immutable() || file.is_append_only() {
                return Err(Errno::EPERM);
            }
        }
        let refused = if writes { Errno::EPERM } else { Errno::ENODATA };
        let admin = who.has(Capabilities::SYS_ADMIN);
        let sticky = file.kind == Kind::Directory && file.mode & 0o1000 != 0;
        match namespace(name)? {
            Namespace::Trusted if !admin => Err(refused),
            Namespace::Security if writes && !admin => Err(Errno::EPERM),
            Namespace::Trusted | Namespace::Security => Ok(()),
            // On other types the mode bits have another meaning, or none.
            Namespace::User if !matches!(file.kind, Kind::Regular | Kind::Directory) => Err(refused),
            Namespace::User if writes && sticky && !who.owns(file) => Err(Errno::EPERM),
            Namespace::User => self.permits(who, ino, wanted),
        }
    }

    /// setxattr(2). Fails with EEXIST and ENODATA depending on the flags, with E2BIG, and with ENOSPC for too many
    /// names.
    pub(crate) fn set_xattr(
        &mut self,
        who: &Credentials,
        ino: Ino,
        name: &[u8],
        value: &[u8],
        flags: u32,
    ) -> Result<(), Errno> {
        if flags & !(XATTR_CREATE | XATTR_REPLACE) != 0 {
            return Err(Errno::EINVAL);
        }
        if value.len() > VALUE_MAX {
            return Err(Errno::E2BIG);
        }
        self.xattr_permits(who, ino, name, WRITE)?;
        let xattrs = &self.inode(ino).xattrs;
        let list: usize = xattrs.keys().map(|name| name.len() + 1).sum();
        match xattrs.contains_key(name) {
            true if flags & XATTR_CREATE != 0 => return Err(Errno::EEXIST),
            false if flags & XATTR_REPLACE != 0 => return Err(Errno::ENODATA),
            false if list + name.len() + 1 > LIST_MAX => return Err(Errno::ENOSPC),
            _ => (),
        }
        self.volume.reserve_bytes(name.len() + value.len())?;
        self.change(who, ino, Op::Xattr, |file| {
            file.xattrs.insert(name.to_vec(), value.to_vec());
        })
    }

    /// getxattr(2).
    pub(crate) fn xattr(&self, who: &Credentials, ino: Ino, name: &[u8]) -> Result<&[u8], Errno> {
        self.xattr_permits(who, ino, name, READ)?;
        self.inode(ino).xattrs.get(name).map(Vec::as_slice).ok_or(Errno::ENODATA)
    }

    /// removexattr(2).
    pub(crate) fn remove_xattr(&mut self, who: &Credentials, ino: Ino, name: &[u8]) -> Result<(), Errno> {
        self.xattr_permits(who, ino, name, WRITE)?;
        if !self.inode(ino).xattrs.contains_key(name) {
            return Err(Errno::ENODATA);
        }
        self.change(who, ino, Op::Xattr, |file| {
            file.xattrs.remove(name);
        })
    }

    /// listxattr(2): the names that are visible to the caller.
    pub(crate) fn xattr_names(&self, who: &Credentials, ino: Ino) -> Result<Vec<Vec<u8>>, Errno> {
        let file = self.volume.inodes.get(&ino).ok_or(Errno::ENOENT)?;
        let seen = |name: &&Vec<u8>| who.has(Capabilities::SYS_ADMIN) || !name.starts_with(b"trusted.");
        Ok(file.xattrs.keys().filter(seen).cloned().collect())
    }
}
