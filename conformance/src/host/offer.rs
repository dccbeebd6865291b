//! Whether this kernel offers a mechanism on a file system. An ordinary file shows it.

use crate::case::prepare::make_written;
use crate::error::{Error, Result};
use crate::mechanism::{self, Mechanism, SIZE};
use crate::system::System;
use crate::words;
use iomap_reference::{Call, Caller, FLAG_IMMUTABLE, Reply};
use nix::errno::Errno;
use nix::fcntl::OFlag;

/// The reason why a kernel does not have a mechanism on a file system; `None` if it has the mechanism. An ordinary file
/// shows it. If the test itself fails, that is an error and no answer.
pub(crate) fn lacks(system: &dyn System, mechanism: Mechanism) -> Result<Option<String>> {
    let call = |call: &Call| {
        let outcome = system.call(Caller::Privileged, call);
        let lack = outcome.as_ref().err().and_then(|errno| system.lacking(Caller::Privileged, call, *errno));
        lack.map_or(Ok(outcome), |lack| Err(Error::from(lack.to_string())))
    };
    let open = |name: &str, flags| call(&Call::Open { name: name.into(), flags, mode: 0o600 });
    let fd = match open("probe", OFlag::O_RDWR | OFlag::O_CREAT)? {
        Ok(Reply::Number(fd)) => fd as i32,
        other => return Err(format!("no file can be made: {}", words::outcome(&other)).into()),
    };
    if mechanism != Mechanism::Seal && open("probe", OFlag::O_RDWR | OFlag::O_DIRECT)? == Err(Errno::EINVAL) {
        return Ok(Some("the file system has no O_DIRECT, which shows the data on storage".into()));
    }
    Ok(match mechanism {
        Mechanism::Seal => system.reach(&mechanism::seal(fd, SIZE)).err().map(|trouble| trouble.reason().to_owned()),
        Mechanism::Swapfile => {
            let file = make_written(system, mechanism, "swap-probe", &mechanism.header(), SIZE)?;
            let activate = Call::Swapon { fd: file.fd };
            system.reach(&activate)?;
            match call(&activate)? {
                Err(Errno::ENOSYS) => Some("this kernel has no swap".into()),
                Err(Errno::EINVAL) => Some("swapon(2) takes no file of this file system: EINVAL".into()),
                Err(errno) => return Err(Error::about("swapon(2) of an ordinary file", errno)),
                // No later step waits for the deactivation.
                Ok(_) => {
                    system.retire(mechanism, file);
                    None
                }
            }
        }
        Mechanism::ImmutableAttr => match call(&Call::ChangeFlags { fd, set: FLAG_IMMUTABLE, clear: 0 })? {
            Err(errno @ (Errno::ENOTTY | Errno::EOPNOTSUPP | Errno::EINVAL)) => {
                Some(format!("the file system has no immutable attribute: {}", words::name(errno)))
            }
            Err(errno) => return Err(Error::about("FS_IOC_SETFLAGS with FS_IMMUTABLE_FL of an ordinary file", errno)),
            Ok(_) => match call(&Call::ChangeFlags { fd, set: 0, clear: FLAG_IMMUTABLE })? {
                Err(errno) => return Err(Error::about("FS_IOC_SETFLAGS without FS_IMMUTABLE_FL", errno)),
                Ok(_) => None,
            },
        },
        // Other file systems do not have the call.
        Mechanism::F2fsPin => match call(&Call::Pin { fd, on: true })? {
            Err(Errno::ENOTTY | Errno::EOPNOTSUPP) => Some("only f2fs pins files".into()),
            Err(Errno::EINVAL) => Some("f2fs pins no file where it writes nothing in place: EINVAL".into()),
            _ => None,
        },
        Mechanism::DeviceDax => Some("a file system is no device".into()),
    })
}
