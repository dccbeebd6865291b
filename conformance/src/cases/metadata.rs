use crate::case::definition::{Case, case};
use crate::case::file::Effect;
use iomap_clauses::*;
use iomap_reference::Call;

pub(super) static CASES: &[Case] = &[
    case(&META_CHMOD, "chmod", "the mode of a sealed file can be changed", |t| {
        let file = t.sealed()?;
        let call = Call::Chmod { name: file.name(), mode: 0o640 };
        file.act(&call, Effect::Change(&|after| after.stat.mode = after.stat.mode & !0o777 | 0o640))
    }),
    case(&META_CHOWN, "chown", "the owner of a sealed file can be changed", |t| {
        let file = t.sealed()?;
        let call = Call::Chown { name: file.name(), uid: 1234, gid: 4321 };
        file.act(&call, Effect::Change(&|after| (after.stat.uid, after.stat.gid) = (1234, 4321)))
    }),
    case(&META_UTIMES, "utimes", "the times of a sealed file can be set", |t| {
        let file = t.sealed()?;
        let seen = file.act(&Call::Utimes { name: file.name(), atime: 1_000, mtime: 2_000 }, Effect::Times)?;
        Ok(seen.and(t.fact("the modification time is the one set", file.stat()?.mtime == 2_000_000_000_000)))
    }),
    case(&META_XATTR, "xattr", "extended attributes of a sealed file can be set and removed", |t| {
        let file = t.sealed()?;
        let (name, key, value) = (file.name(), "user.iomap".to_owned(), b"value".to_vec());
        let pair = (key.clone(), value.clone());
        let set = Call::SetXattr { name: name.clone(), key: key.clone(), value };
        let seen = file.act(&set, Effect::Change(&|after| after.stat.xattrs.push(pair.clone())))?;
        let remove = Call::RemoveXattr { name, key };
        Ok(seen.and(file.act(&remove, Effect::Change(&|after| after.stat.xattrs.clear()))?))
    }),
];
