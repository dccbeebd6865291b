//! Writes the script of xfs_io(8).

use crate::reproduce::needs;
use crate::reproduce::origin::{Origin, seed};
use crate::system::{Action, Failure, Step};
use crate::words;
use iomap_reference::{Call, Caller, Fd, Mode, Reply, Route, Whence};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// The common part of all scripts. xfs_io prints the error of each failed call on standard error, in order, and the
/// results of queries on standard output.
const SCRIPT: &str = include_str!("script.sh");

/// A script that runs xfs_io with the files opened as in the case; `None` if xfs_io cannot make all calls of the case
/// or cannot show their results.
pub(super) fn script(head: &str, origin: &Origin, steps: &[&Step]) -> Option<String> {
    let mut files: BTreeMap<Fd, (usize, String)> = BTreeMap::new();
    let (mut current, mut current_fd, mut opened, mut maps) = (None, None, 0, 0);
    let (mut commands, mut errors, mut seen) = (String::new(), String::new(), String::new());
    let mut observed = String::new();
    // The files whose attributes were changed.
    let mut immutable: BTreeSet<String> = BTreeSet::new();
    // By file name: the last times. Then: the last query, which is not repeated before the next call.
    let mut times: BTreeMap<String, (i128, i128)> = BTreeMap::new();
    let mut looked: Option<&Step> = None;
    for step in steps {
        let Action::Call(Caller::Privileged, call) = &step.action else { return None };
        let name = |fd: &Fd| files.get(fd).map(|(_, name)| name.as_str());
        let (fd, command) = match call {
            Call::Open { name, flags, .. } => {
                let Some(Ok(Reply::Number(fd))) = &step.outcome else { return None };
                let _ = writeln!(commands, "open {}{name}", open_options(*flags)?);
                (current, current_fd, opened) = (Some(opened), Some(*fd as Fd), opened + 1);
                files.insert(*fd as Fd, (opened - 1, name.clone()));
                continue;
            }
            // The case depends on a result that xfs_io does not show.
            Call::Pread { .. } | Call::GetXflags { .. } | Call::Seek { whence: Whence::Hole, .. } if !step.look => {
                return None;
            }
            Call::Close { .. } | Call::Pread { .. } | Call::GetXflags { .. } => continue,
            Call::Seek { whence: Whence::Cur | Whence::Hole, .. } | Call::StatusFlags { .. } => continue,
            Call::Stat { fd } => {
                let Some(Ok(Reply::Stat(stat))) = &step.outcome else { return None };
                if looked.is_some_and(|it| it.action == step.action && it.outcome == step.outcome) {
                    continue;
                }
                looked = Some(step);
                let before = times.insert(name(fd)?.into(), (stat.mtime, stat.ctime)).unwrap_or_default();
                let other = |is, what| if is { what } else { "" };
                let _ = writeln!(
                    seen,
                    "size {}{}{}",
                    stat.size,
                    other(before.0 != stat.mtime, ", other modification time"),
                    other(before.1 != stat.ctime, ", other status change time"),
                );
                (fd, "statx -r -m all".into())
            }
            Call::Fsync { fd } => (fd, "fsync".into()),
            Call::Pwrite { fd, offset, data } => (fd, pwrite(*offset, data)?),
            Call::Ftruncate { fd, size } => (fd, format!("truncate {size}")),
            Call::Fallocate { fd, mode, offset, len } => (fd, format!("{} {offset} {len}", fallocate(*mode)?)),
            Call::Clone { from, to } => (to, format!("reflink {}", name(from)?)),
            Call::CloneRange { from, from_offset, to, to_offset, len } => {
                (to, format!("reflink {} {from_offset} {to_offset} {len}", name(from)?))
            }
            Call::Dedupe { from, from_offset, to, to_offset, len } => {
                (to, format!("dedupe {} {from_offset} {to_offset} {len}", name(from)?))
            }
            // xfs_io exits after a failed copy_range.
            Call::CopyRange { from, from_offset, to, to_offset, len } if step.outcome.as_ref()?.is_ok() => {
                (to, format!("copy_range -s {from_offset} -d {to_offset} -l {len} {}", name(from)?))
            }
            Call::ChangeFlags { fd, set, clear } => {
                immutable.insert(name(fd)?.to_owned());
                (fd, attributes(*set, *clear)?)
            }
            // xfs_io opens the second file for writing, which fails for immutable files.
            Call::Exchange { one, other } if !immutable.contains(name(other)?) => {
                (one, format!("swapext {}", name(other)?))
            }
            // xfs_io maps with MAP_SHARED, has one current mapping, and crashes on access to a missing page.
            Call::Map { fd, len, shared: true, write } if maps == 0 && step.outcome.as_ref()?.is_ok() => {
                maps += 1;
                (fd, format!("mmap -r{} 0 {len}", if *write { "w" } else { "" }))
            }
            Call::Store { offset, data, .. } if step.outcome.as_ref()?.is_ok() => {
                (&current_fd?, format!("mwrite -S {} {offset} {}", byte(data)?, data.len()))
            }
            Call::Load { .. } => return None,
            Call::Unmap { .. } => (&current_fd?, "munmap".into()),
            Call::Via { route, call } => route_command(*route, call)?,
            _ => return None,
        };
        let number = files.get(fd)?.0;
        if current != Some(number) {
            let _ = writeln!(commands, "file {number}");
            (current, current_fd) = (Some(number), Some(*fd));
        }
        let _ = writeln!(commands, "{command}");
        if matches!(call, Call::Stat { .. }) {
            continue;
        }
        looked = None;
        let outcome = step.outcome.as_ref()?.as_ref();
        let came = match outcome {
            Ok(_) => "ok".into(),
            Err(Failure::Call(errno)) => {
                let _ = writeln!(errors, "{}", message(*errno));
                words::name(*errno)
            }
            Err(Failure::Agent(_)) => return None,
        };
        let _ = writeln!(observed, "#   {command}: {came}");
    }
    let shares = ["reflink", "dedupe"].iter().any(|word| commands.contains(word));
    let place = needs::place(origin);
    let words = [
        ("{head}", head),
        ("{observed}", &observed),
        ("{fs}", place.map_or("", |(name, ..)| name)),
        ("{type}", place.map_or("", |(.., called)| called)),
        ("{shares}", if shares { "yes" } else { "no" }),
        ("{commands}", &commands),
        ("{errors}", &errors),
        ("{seen}", &seen),
    ];
    Some(words.iter().fold(SCRIPT.into(), |text: String, (word, value)| text.replace(word, value)))
}

/// The message of strerror(3), which xfs_io prints. The words of nix differ for some errors.
fn message(errno: Errno) -> String {
    let text = std::io::Error::from(errno).to_string();
    text.split_once(" (os error").map_or(text.clone(), |(message, _)| message.to_owned())
}

/// The flags of open(2) as options of `open`.
fn open_options(flags: OFlag) -> Option<String> {
    const OPTIONS: [(OFlag, &str); 5] = [
        (OFlag::O_CREAT, "-f "),
        (OFlag::O_APPEND, "-a "),
        (OFlag::O_DIRECT, "-d "),
        (OFlag::O_TRUNC, "-t "),
        (OFlag::O_SYNC, "-s "),
    ];
    let read_only = flags & OFlag::O_ACCMODE == OFlag::O_RDONLY;
    let known = OPTIONS.iter().fold(OFlag::O_ACCMODE | OFlag::O_EXCL, |all, (flag, _)| all | *flag);
    let options = OPTIONS.iter().filter(|(flag, _)| flags.contains(*flag)).map(|(_, option)| *option);
    known.contains(flags).then(|| options.chain(read_only.then_some("-r ")).collect())
}

/// xfs_io can only write one repeated byte; a pattern becomes a byte of its own.
fn pwrite(offset: i64, data: &[u8]) -> Option<String> {
    Some(format!("pwrite -q -S {} {offset} {}", byte(data)?, data.len()))
}

fn byte(data: &[u8]) -> Option<String> {
    Some(format!("{:#04x}", seed(data).unwrap_or(*data.first()?)))
}

/// The commands of xfs_io for routes.
fn route_command(route: Route, call: &Call) -> Option<(&Fd, String)> {
    match (route, call) {
        (Route::XfsReserve, Call::Fallocate { fd, offset, len, .. }) => Some((fd, format!("resvsp {offset} {len}"))),
        (Route::XfsUnreserve, Call::Fallocate { fd, offset, len, .. }) => {
            Some((fd, format!("unresvsp {offset} {len}")))
        }
        (Route::XfsZero, Call::Fallocate { fd, offset, len, .. }) => Some((fd, format!("zero {offset} {len}"))),
        (Route::Dsync, Call::Pwrite { fd, offset, data }) => {
            Some((fd, pwrite(*offset, data)?.replacen("-q", "-q -D", 1)))
        }
        (Route::SyncRange, Call::Fsync { fd }) => Some((fd, "sync_range -abw 0 0".into())),
        (Route::Fadvise, Call::Fsync { fd }) => Some((fd, "fadvise -d 0 0".into())),
        _ => None,
    }
}

fn fallocate(mode: Mode) -> Option<&'static str> {
    const MODES: [(u32, &str); 8] = [
        (0, "falloc"),
        (Mode::KEEP_SIZE.0, "falloc -k"),
        (Mode::PUNCH_HOLE.0 | Mode::KEEP_SIZE.0, "fpunch"),
        (Mode::COLLAPSE_RANGE.0, "fcollapse"),
        (Mode::INSERT_RANGE.0, "finsert"),
        (Mode::UNSHARE_RANGE.0, "funshare"),
        (Mode::ZERO_RANGE.0, "fzero"),
        (Mode::ZERO_RANGE.0 | Mode::KEEP_SIZE.0, "fzero -k"),
    ];
    MODES.iter().find(|(bits, _)| *bits == mode.0).map(|(_, command)| *command)
}

/// The letters of chattr(1) that xfs_io supports.
fn attributes(set: u32, clear: u32) -> Option<String> {
    let letters = |flags: u32| match flags {
        0 => Some(""),
        iomap_reference::FLAG_IMMUTABLE => Some("i"),
        iomap_reference::FLAG_APPEND => Some("a"),
        _ => None,
    };
    match (letters(set)?, letters(clear)?) {
        ("", "") => None,
        (set, "") => Some(format!("chattr +{set}")),
        ("", clear) => Some(format!("chattr -{clear}")),
        _ => None,
    }
}
