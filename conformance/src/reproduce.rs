//! Programs that do again what a case did: in C, and as lines of xfs_io(8) where that can say it.
//!
//! The C program prints each call with its result, and ends with 0 if all results are those that the case observed.

use crate::cases::Case;
use crate::context::{BLOCK_LEN, pattern};
use crate::results::{CaseResult, Results};
use crate::trace::{Action, Step};
use iomap_reference::{Call, Caller, Fd, MapId, Mode, Reply, Whence};
use nix::fcntl::OFlag;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

/// The programs for one case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reproducer {
    /// The case, such as `truncate-shrink`.
    pub name: String,
    /// The C program, or why there can be none.
    pub c: Result<String, String>,
    /// The script, where xfs_io can say all of it.
    pub xfs_io: Option<String>,
}

/// The programs for a case that is violated or could not do its work.
pub fn reproducer(clause: &str, case: &CaseResult) -> Reproducer {
    let name = case.name.replace("::", "-");
    let about = crate::cases::all().find(|it| it.full_name() == case.name).map_or("", |case: &Case| case.about);
    let head = format!("{}: {about} ({clause})", case.name);
    let made: Vec<&Step> = case.steps.iter().filter(|step| step.outcome.is_some()).collect();
    Reproducer { name, c: c_program(&head, &made), xfs_io: xfs_io_script(&head, &made) }
}

/// Where the programs go. It is opened before the run, which may hide it.
pub struct Directory {
    path: PathBuf,
    open: File,
}

impl Directory {
    /// Makes it if need be. The error is one line for people.
    pub fn open(path: &Path) -> Result<Self, String> {
        let opened = std::fs::create_dir_all(path).and_then(|()| File::open(path));
        opened.map(|open| Self { path: path.into(), open }).map_err(|e| format!("{}: {e}", path.display()))
    }

    /// Writes the programs for every case that is violated or could not do its work, and says what it wrote. The error
    /// is one line for people.
    pub fn write(&self, results: &Results) -> Result<String, String> {
        let (mut programs, mut scripts, mut without) = (0, 0, Vec::new());
        for (clause, case) in results.clauses.iter().flat_map(|clause| clause.cases.iter().map(move |it| (clause, it)))
        {
            if case.steps.is_empty() {
                continue;
            }
            let made = reproducer(&clause.id, case);
            let write = |extension: &str, text: &str| {
                let name = format!("{}.{extension}", made.name);
                let path = Path::new("/proc/self/fd").join(self.open.as_raw_fd().to_string()).join(&name);
                std::fs::write(path, text).map_err(|e| format!("{}: {e}", self.path.join(name).display()))
            };
            match &made.c {
                Ok(text) => write("c", text).map(|()| programs += 1)?,
                Err(why) => without.push(format!("\nnone for {}: {why}", case.name)),
            }
            if let Some(text) = &made.xfs_io {
                write("xfs_io.sh", text).map(|()| scripts += 1)?;
            }
        }
        let place = self.path.display();
        Ok(format!("{place}: {programs} C programs, {scripts} of them also as scripts of xfs_io{}", without.concat()))
    }
}

/// What every program begins with. The checksum is FNV-1a.
const PRELUDE: &str = include_str!("reproduce.c");

/// The checksum of what was read, as the programs compute it.
fn checksum(data: &[u8]) -> u32 {
    data.iter().fold(0x811c_9dc5, |sum, byte| (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

/// A file of another case lies beside the directory of this one; the programs have one directory.
fn flat(name: &str) -> String {
    format!("{:?}", name.trim_start_matches("../").replace('/', "-"))
}

/// What a name in the system is called in the program: descriptors are used again.
#[derive(Default)]
struct Names {
    descriptors: BTreeMap<Fd, usize>,
    maps: BTreeMap<MapId, usize>,
    made: usize,
}

impl Names {
    fn fd(&self, fd: Fd) -> String {
        self.descriptors.get(&fd).map_or_else(|| "-1".into(), |number| format!("fd[{number}]"))
    }

    fn map(&self, map: MapId) -> Result<String, String> {
        self.maps.get(&map).map(usize::to_string).ok_or_else(|| "a mapping that is not there".into())
    }
}

fn c_program(head: &str, steps: &[&Step]) -> Result<String, String> {
    let mut names = Names::default();
    let mut body = String::new();
    for step in steps {
        let (call, unprivileged) = match &step.action {
            Action::Call(caller, call) => (call, *caller == Caller::Unprivileged),
            Action::Beside(_) => return Err("two calls were made at the same time".into()),
            Action::AgentRead(..) | Action::AgentWrite(..) => return Err("the storage agent took part".into()),
        };
        let expression = expression(call, &names)?;
        let result = match &step.outcome {
            Some(Ok(Reply::Number(_))) if matches!(call, Call::Open { .. } | Call::Map { .. }) => "0".into(),
            Some(Ok(Reply::Number(number))) => number.to_string(),
            Some(Ok(Reply::Data(data))) => data.len().to_string(),
            Some(Ok(Reply::Stat(stat))) => stat.size.to_string(),
            Some(Err(errno)) => format!("-{errno}"),
            None => continue,
        };
        let sum = match &step.outcome {
            Some(Ok(Reply::Data(data))) => format!("{:#x}", checksum(data)),
            _ => "0".into(),
        };
        let text = format!("{:?}", call.to_string());
        let as_user = if unprivileged { "privileges(0);\n\t" } else { "" };
        let as_root = if unprivileged { "\n\tprivileges(1);" } else { "" };
        let _ = writeln!(body, "\t{as_user}done({text},\n\t     {expression}, {result}, {sum});{as_root}");
        match (call, &step.outcome) {
            (Call::Open { .. }, Some(Ok(Reply::Number(fd)))) => {
                names.descriptors.insert(*fd as Fd, names.made);
                names.made += 1;
            }
            (Call::Map { .. }, Some(Ok(Reply::Number(map)))) => {
                names.maps.insert(*map as MapId, names.made);
                names.made += 1;
            }
            _ => (),
        }
    }
    let head = head.replace("*/", "* /");
    Ok(format!(
        "/* {head} */\n{PRELUDE}\nint main(int argc, char **argv)\n{{\n\tstart(argc, argv);\n{body}\treturn end();\n}}\n"
    ))
}

/// The bytes as an expression of C: most of what cases write is a pattern, or one byte again and again.
fn bytes(data: &[u8]) -> String {
    let len = data.len();
    if let Some(seed) = seed(data) {
        return format!("pattern({seed}, {len})");
    }
    // A header, and a pattern behind it.
    if let Some(seed) = data.get(LEAD..).and_then(seed).filter(|_| data[..LEAD] == swap_header()[..]) {
        return format!("swap_file({seed}, {})", len - LEAD);
    }
    match data {
        [] => "literal(\"\", 0)".into(),
        [first, ..] if data.iter().all(|byte| byte == first) => format!("repeated({first}, {len})"),
        _ => format!("literal({}, {len})", literal(data)),
    }
}

const LEAD: usize = 2 * BLOCK_LEN as usize;

fn swap_header() -> Vec<u8> {
    crate::mechanism::Mechanism::Swapfile.header()
}

/// The seed, if the data are a pattern.
fn seed(data: &[u8]) -> Option<u8> {
    // The first byte is 31 times the seed, and 223 is the inverse of 31 modulo 256.
    let seed = data.first()?.wrapping_mul(223);
    (data == pattern(seed, data.len() as i64)).then_some(seed)
}

fn literal(data: &[u8]) -> String {
    let lines = data.chunks(16).map(|line| {
        let bytes: String = line.iter().map(|byte| format!("\\x{byte:02x}")).collect();
        format!("\"{bytes}\"")
    });
    lines.collect::<Vec<_>>().join("\n\t\t")
}

fn open_flags(flags: OFlag) -> String {
    let access = match flags & OFlag::O_ACCMODE {
        OFlag::O_RDWR => "O_RDWR",
        OFlag::O_WRONLY => "O_WRONLY",
        _ => "O_RDONLY",
    };
    let rest = (flags - OFlag::O_ACCMODE).iter_names().map(|(name, _)| name).collect::<Vec<_>>();
    // The kernel's own flag for large files is no name of the library.
    std::iter::once(access)
        .chain(rest.into_iter().filter(|name| *name != "O_LARGEFILE"))
        .collect::<Vec<_>>()
        .join(" | ")
}

/// A call as an expression of C whose value is its result, or a negative errno.
fn expression(call: &Call, names: &Names) -> Result<String, String> {
    let fd = |fd: &Fd| names.fd(*fd);
    Ok(match call {
        Call::Open { name, flags, mode } => {
            format!("keep({}, open({}, {}, 0{mode:o}))", names.made, flat(name), open_flags(*flags))
        }
        Call::Close { fd: it } => format!("result(close({}))", fd(it)),
        Call::Read { fd: it, len } => format!("input(read({}, buffer({len}), {len}))", fd(it)),
        Call::Pread { fd: it, offset, len } => format!("input(pread({}, buffer({len}), {len}, {offset}))", fd(it)),
        Call::Write { fd: it, data } => format!("result(write({}, {}, {}))", fd(it), bytes(data), data.len()),
        Call::Pwrite { fd: it, offset, data } => {
            format!("result(pwrite({}, {}, {}, {offset}))", fd(it), bytes(data), data.len())
        }
        Call::PwriteAtomic { fd: it, offset, data } => {
            format!("vector({}, {}, {}, {offset}, RWF_ATOMIC)", fd(it), bytes(data), data.len())
        }
        // One part after the other makes no difference to a file.
        Call::Pwritev { fd: it, offset, parts, append } => {
            let (data, flag) = (parts.concat(), if *append { "RWF_APPEND" } else { "0" });
            format!("vector({}, {}, {}, {offset}, {flag})", fd(it), bytes(&data), data.len())
        }
        Call::Seek { fd: it, offset, whence } => {
            let whence = match whence {
                Whence::Set => "SEEK_SET",
                Whence::Cur => "SEEK_CUR",
                Whence::Hole => "SEEK_HOLE",
                Whence::Data => "SEEK_DATA",
            };
            format!("result(lseek({}, {offset}, {whence}))", fd(it))
        }
        Call::Fsync { fd: it } => format!("result(fsync({}))", fd(it)),
        Call::Ftruncate { fd: it, size } => format!("result(ftruncate({}, {size}))", fd(it)),
        Call::Truncate { name, size } => format!("result(truncate({}, {size}))", flat(name)),
        Call::Fallocate { mode, .. } if mode.contains(Mode::WRITE_ZEROES) => {
            return Err("FALLOC_FL_WRITE_ZEROES wipes data where it works".into());
        }
        Call::Fallocate { fd: it, mode, offset, len } => {
            format!("result(fallocate({}, {:#x}, {offset}, {len}))", fd(it), mode.0)
        }
        Call::CopyRange { from, from_offset, to, to_offset, len } => {
            format!("copy({}, {from_offset}, {}, {to_offset}, {len})", fd(from), fd(to))
        }
        Call::Clone { from, to } => format!("result(ioctl({}, FICLONE, {}))", fd(to), fd(from)),
        Call::CloneRange { from, from_offset, to, to_offset, len } => {
            format!("clone_range({}, {from_offset}, {}, {to_offset}, {len})", fd(from), fd(to))
        }
        Call::Dedupe { from, to, len } => format!("dedupe({}, {}, {len})", fd(from), fd(to)),
        Call::Map { fd: it, len, shared, write } => {
            let protection = if *write { "PROT_READ | PROT_WRITE" } else { "PROT_READ" };
            let kind = if *shared { "MAP_SHARED" } else { "MAP_PRIVATE" };
            format!("keep_map({}, {len}, {protection}, {kind}, {})", names.made, fd(it))
        }
        Call::Load { map, offset, len } => format!("load({}, {offset}, {len})", names.map(*map)?),
        Call::Store { map, offset, data } => {
            format!("store({}, {offset}, {}, {})", names.map(*map)?, bytes(data), data.len())
        }
        Call::Unmap { map } => {
            let map = names.map(*map)?;
            format!("result(munmap(map[{map}].start, map[{map}].len))")
        }
        Call::Unlink { name } => format!("result(unlink({}))", flat(name)),
        Call::Rename { from, to, exchange } => {
            let flags = if *exchange { "RENAME_EXCHANGE" } else { "0" };
            format!("result(renameat2(AT_FDCWD, {}, AT_FDCWD, {}, {flags}))", flat(from), flat(to))
        }
        Call::RenameNew { from, to } => {
            format!("result(renameat2(AT_FDCWD, {}, AT_FDCWD, {}, RENAME_NOREPLACE))", flat(from), flat(to))
        }
        Call::Link { from, to } => format!("result(link({}, {}))", flat(from), flat(to)),
        Call::Symlink { target, name } => format!("result(symlink({}, {}))", flat(target), flat(name)),
        Call::Mkdir { name, mode } => format!("result(mkdir({}, 0{mode:o}))", flat(name)),
        Call::Rmdir { name } => format!("result(rmdir({}))", flat(name)),
        Call::Mkfifo { name } => format!("result(mkfifo({}, 0600))", flat(name)),
        Call::Chmod { name, mode } => format!("result(chmod({}, 0{mode:o}))", flat(name)),
        Call::Chown { name, uid, gid } => format!("result(chown({}, {uid}, {gid}))", flat(name)),
        Call::Utimes { name, atime, mtime } => format!("times({}, {atime}, {mtime})", flat(name)),
        Call::SetXattr { name, key, value } => {
            format!("result(setxattr({}, {key:?}, {}, {}, 0))", flat(name), bytes(value), value.len())
        }
        Call::RemoveXattr { name, key } => format!("result(removexattr({}, {key:?}))", flat(name)),
        Call::Stat { fd: it } => format!("size({})", fd(it)),
        Call::GetXflags { fd: it } => format!("xflags({})", fd(it)),
        Call::ChangeXflags { fd: it, set, clear } => format!("change_xflags({}, {set:#x}, {clear:#x})", fd(it)),
        Call::ChangeFlags { fd: it, set, clear } => format!("change_flags({}, {set:#x}, {clear:#x})", fd(it)),
        Call::Swapon { fd: it } => format!("swap({}, 1)", fd(it)),
        Call::Swapoff { fd: it } => format!("swap({}, 0)", fd(it)),
        other => return Err(format!("{other}: only the suite can do this")),
    })
}

/// One run of xfs_io that has the files open as the case had, or nothing if it cannot say all that the case did. What
/// only looks is left out.
fn xfs_io_script(head: &str, steps: &[&Step]) -> Option<String> {
    let mut files: BTreeMap<Fd, (usize, String)> = BTreeMap::new();
    let (mut current, mut opened) = (None, 0);
    let (mut commands, mut observed) = (String::new(), String::new());
    for step in steps {
        let Action::Call(Caller::Privileged, call) = &step.action else { return None };
        let name = |fd: &Fd| files.get(fd).map(|(_, name)| name.as_str());
        let (fd, command) = match call {
            Call::Open { name, flags, .. } => {
                let Some(Ok(Reply::Number(fd))) = &step.outcome else { return None };
                let _ = writeln!(commands, "open {}{name}", open_options(*flags)?);
                (current, opened) = (Some(opened), opened + 1);
                files.insert(*fd as Fd, (opened - 1, name.clone()));
                continue;
            }
            Call::Close { .. } | Call::Stat { .. } | Call::Pread { .. } | Call::GetXflags { .. } => continue,
            Call::Seek { whence: Whence::Cur | Whence::Hole, .. } => continue,
            Call::Fsync { fd } => (fd, "fsync".into()),
            Call::Pwrite { fd, offset, data } => (fd, pwrite(*offset, data)?),
            Call::Ftruncate { fd, size } => (fd, format!("truncate {size}")),
            Call::Fallocate { fd, mode, offset, len } => (fd, format!("{} {offset} {len}", fallocate(*mode)?)),
            Call::Clone { from, to } => (to, format!("reflink {}", name(from)?)),
            Call::CloneRange { from, from_offset, to, to_offset, len } => {
                (to, format!("reflink {} {from_offset} {to_offset} {len}", name(from)?))
            }
            Call::Dedupe { from, to, len } => (to, format!("dedupe {} 0 0 {len}", name(from)?)),
            Call::CopyRange { from, from_offset, to, to_offset, len } => {
                (to, format!("copy_range -s {from_offset} -d {to_offset} -l {len} {}", name(from)?))
            }
            Call::ChangeFlags { fd, set, clear } => (fd, attributes(*set, *clear)?),
            _ => return None,
        };
        let number = files.get(fd)?.0;
        if current != Some(number) {
            let _ = writeln!(commands, "file {number}");
            current = Some(number);
        }
        let _ = writeln!(commands, "{command}");
        let came = step.outcome.as_ref()?.as_ref().map_or_else(|errno| errno.as_str(), |_| "ok");
        let _ = writeln!(observed, "#   {command}: {came}");
    }
    Some(format!(
        "#!/bin/sh\n# {head}\n# Needs a directory. What was observed:\n{observed}cd \"$1\" || exit\nxfs_io <<'EOF'\n{commands}EOF\n"
    ))
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

/// One byte again and again is all that xfs_io can write without a file: another one for each pattern.
fn pwrite(offset: i64, data: &[u8]) -> Option<String> {
    let seed = seed(data).unwrap_or(*data.first()?);
    Some(format!("pwrite -q -S {seed:#04x} {offset} {}", data.len()))
}

fn fallocate(mode: Mode) -> Option<&'static str> {
    const MODES: [(u32, &str); 7] = [
        (0, "falloc"),
        (Mode::KEEP_SIZE.0, "falloc -k"),
        (Mode::PUNCH_HOLE.0 | Mode::KEEP_SIZE.0, "fpunch"),
        (Mode::COLLAPSE_RANGE.0, "fcollapse"),
        (Mode::INSERT_RANGE.0, "finsert"),
        (Mode::ZERO_RANGE.0, "fzero"),
        (Mode::ZERO_RANGE.0 | Mode::KEEP_SIZE.0, "fzero -k"),
    ];
    MODES.iter().find(|(bits, _)| *bits == mode.0).map(|(_, command)| *command)
}

/// chattr(1) of xfs_io knows these.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_are_said_briefly() {
        assert_eq!(bytes(&pattern(77, 5000)), "pattern(77, 5000)");
        assert_eq!(bytes(&[9; 20]), "repeated(9, 20)");
        assert_eq!(bytes(b"value"), "literal(\"\\x76\\x61\\x6c\\x75\\x65\", 5)");
        let swap = [swap_header(), pattern(1, 4096)].concat();
        assert_eq!(bytes(&swap), "swap_file(1, 4096)");
    }
}
