//! Writes the C program.

use crate::mechanism::BLOCK_LEN;
use crate::mechanism::Mechanism;
use crate::reach;
use crate::reproduce::needs::{self, has_word};
use crate::reproduce::origin::{Origin, seed};
use crate::reproduce::routes;
use crate::system::{Action, Failure, Step};
use crate::words;
use iomap_reference::{Call, Caller, Fd, MapId, Reply, Stat, Whence, append_flag};
use nix::fcntl::OFlag;
use std::collections::BTreeMap;
use std::fmt;
use std::fmt::Write as _;

/// The helper functions; a program gets only those that it uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Obstacle(String);

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Obstacle {}

impl From<String> for Obstacle {
    fn from(reason: String) -> Self {
        Self(reason)
    }
}

impl From<&str> for Obstacle {
    fn from(reason: &str) -> Self {
        Self(reason.into())
    }
}

const HELPERS: &str = include_str!("helpers.c");

const HOW_TO: &str = "\
/*
 * Prints each call with its result. Works in a directory of its own below the one that it is given, and removes that
 * again, however it ends. It ends with 0 if all is as it was observed, with 1 if something is not, with 77 if it
 * cannot be shown here, and with 2 if it cannot work. It needs
 *
{needs} *
 *\tcc -o again this.c && ./again /mnt/scratch
 */
#define _GNU_SOURCE
";

/// The names in the program for numbers in the trace, because the system reuses descriptors.
#[derive(Default)]
struct Names {
    descriptors: BTreeMap<Fd, usize>,
    /// The number and the length of each mapping.
    maps: BTreeMap<MapId, (usize, usize)>,
    made: usize,
    /// Whether the calls race. If two calls are repeated, the order of their times is unknown.
    race: bool,
    /// The last times that a descriptor showed.
    times: BTreeMap<usize, (i128, i128)>,
}

impl Names {
    fn fd(&self, fd: Fd) -> String {
        self.descriptors.get(&fd).map_or_else(|| "-1".into(), |number| format!("fd[{number}]"))
    }

    fn map(&self, map: MapId) -> Result<(String, usize), Obstacle> {
        let known = self.maps.get(&map).map(|(number, len)| (format!("map[{number}]"), *len));
        known.ok_or_else(|| "a mapping that is not there".into())
    }

    /// Records the file or mapping that a successful call made.
    fn learn(&mut self, call: &Call, number: i64) {
        match call {
            Call::Via { call, .. } => return self.learn(call, number),
            Call::Open { .. } | Call::Special { .. } | Call::Register { .. } => {
                self.descriptors.insert(number as Fd, self.made);
            }
            Call::Map { len, .. } => {
                self.maps.insert(number as MapId, (self.made, *len));
            }
            Call::Unmap { map } => {
                self.maps.remove(map);
                return;
            }
            _ => return,
        }
        self.made += 1;
    }

    /// An fstat(2) that compares the times with those of the last one on this descriptor.
    fn look(&mut self, fd: Fd, stat: &Stat) -> Result<String, Obstacle> {
        let number = *self.descriptors.get(&fd).ok_or("a descriptor that is not there")?;
        if self.race {
            return Ok(format!("CALL(file_size(fd[{number}]), {})", stat.size));
        }
        let (mtime, ctime) = self.times.insert(number, (stat.mtime, stat.ctime)).unwrap_or_default();
        let changed = match (mtime != stat.mtime, ctime != stat.ctime) {
            (false, false) => "0",
            (true, false) => "OTHER_MTIME",
            (false, true) => "OTHER_CTIME",
            (true, true) => "OTHER_MTIME | OTHER_CTIME",
        };
        let Stat { mode, uid, gid, links, size, .. } = stat;
        Ok(format!("looks({number}, 0{mode:o}, {uid}, {gid}, {links}, {size}, {changed})"))
    }
}

/// The program, or the reason why there is none.
pub(super) fn program(head: &str, origin: &Origin, steps: &[&Step]) -> Result<String, Obstacle> {
    if steps.iter().any(|step| matches!(step.action, Action::AgentRead(..) | Action::AgentWrite(..))) {
        return Err("the storage agent took part".into());
    }
    // In a race only the last round shows the result. The program repeats it until it gets that result.
    let begin = steps.iter().rposition(|step| step.round);
    let race = begin.is_some();
    let steps = &steps[begin.unwrap_or(0)..];
    let mut names = Names { race, ..Names::default() };
    let (mut beside, mut body) = (String::new(), String::new());
    // The picture after one call is also the picture before the next one, so leave one out.
    let mut looks: Vec<&Step> = Vec::new();
    let mut rest = steps.iter().peekable();
    while let Some(step) = rest.next() {
        match step.look {
            false => looks.clear(),
            true if looks.iter().any(|it| it.action == step.action && it.outcome == step.outcome) => continue,
            true => looks.push(step),
        }
        let (call, caller) = match &step.action {
            Action::Call(caller, call) => (call, *caller),
            Action::Racing(call) => {
                // Collect all calls of both sides.
                let mut ones = vec![statement(call, step, &mut names)?];
                while let Some(next) = rest.next_if(|next| matches!(next.action, Action::Racing(_))) {
                    let Action::Racing(call) = &next.action else { continue };
                    ones.push(statement(call, next, &mut names)?);
                }
                let mut others = Vec::new();
                while let Some(next) = rest.next_if(|next| matches!(next.action, Action::Beside(_))) {
                    let Action::Beside(call) = &next.action else { continue };
                    others.push(statement(call, next, &mut names)?);
                }
                let number = beside.matches("static void *beside_").count();
                let lines = |lines: Vec<String>| lines.iter().map(|line| format!("\t{line};\n")).collect::<String>();
                let _ = write!(
                    beside,
                    "static void *beside_{number}(void *together)\n{{\n\twait_for_the_other(together, 1);\n{}\
                     \treturn first_failed();\n}}\n\n",
                    lines(others)
                );
                let _ = write!(body, "\tat_the_same_time(beside_{number});\n{}\tjoin();\n", lines(ones));
                continue;
            }
            _ => return Err("a second call without a first one".into()),
        };
        // Skip a mapping that only the suite knows: in the program its address may belong to another mapping.
        if matches!(call, Call::Unmap { map } if !names.maps.contains_key(map)) {
            continue;
        }
        let line = statement(call, step, &mut names)?;
        let again = step.times > 1 && !matches!(step.outcome, Some(Ok(Reply::Stat(_) | Reply::Data(_))));
        let often = if again { format!("for (int n = 0; n < {}; n++)\n\t\t", step.times) } else { String::new() };
        let (before, after) = match caller {
            Caller::Privileged => ("", ""),
            Caller::Unprivileged => ("privileges(1);\n\t", "\n\tprivileges(2);"),
            Caller::Owner => ("privileges(0);\n\t", "\n\tprivileges(2);"),
        };
        let _ = writeln!(body, "\t{before}{often}{line};{after}");
    }
    let needs = needs::of(origin, &body);
    let checks: String = needs.iter().map(|need| format!("\tneed({}, {:?});\n", need.test, need.what)).collect();
    let main = if race {
        format!(
            "{beside}static void once(void)\n{{\n{body}}}\n\nint main(int argc, char **argv)\n{{\n\t\
             start(argc, argv);\n{checks}\treturn until_it_shows(once);\n}}\n"
        )
    } else {
        format!("int main(int argc, char **argv)\n{{\n\tstart(argc, argv);\n{checks}{body}\treturn end();\n}}\n")
    };
    let head = head.replace("*/", "* /");
    let needs: String = needs.iter().map(|need| format!(" *\t- {}\n", need.what)).collect();
    let how_to = HOW_TO.replace("{needs}", &needs);
    // A failed call, which made no file, has an element of the array as well.
    let files = names.made + 1;
    Ok(format!("/* {head} */\n{how_to}#define FILES {files}\n{}\n{main}", helpers(&main)))
}

/// The pieces of [`HELPERS`] that a text needs. Each piece comes after those that it uses.
fn helpers(text: &str) -> String {
    let (includes, rest) = HELPERS.split_once("\n\n").unwrap_or_default();
    let mut pieces: Vec<String> = Vec::new();
    for piece in rest.trim_end().split("\n\n") {
        match pieces.last_mut() {
            // A blank line inside a function.
            Some(last) if piece.starts_with('\t') => *last += &format!("\n\n{piece}"),
            _ => pieces.push(piece.into()),
        }
    }
    let mut needed = code(text);
    let mut chosen = Vec::new();
    for piece in pieces.iter().rev() {
        if piece.lines().filter_map(defined).any(|name| has_word(&needed, name)) {
            needed = format!("{needed}\n{}", code(piece));
            chosen.push(format!("\n{piece}\n"));
        }
    }
    // The comment after a header lists the names that need it.
    let include = |line: &str| match line.split_once(" /* ") {
        None => Some(format!("{line}\n")),
        Some((header, names)) => {
            let wanted = names.split(' ').any(|name| has_word(&needed, name));
            wanted.then(|| format!("{header}\n"))
        }
    };
    includes.lines().filter_map(include).chain(chosen.into_iter().rev()).collect()
}

/// The name that an unindented line defines.
fn defined(line: &str) -> Option<&str> {
    let rest = ["static ", "#define ", "struct "].iter().find_map(|start| line.strip_prefix(start))?;
    let rest = if line.starts_with("#define") { rest.split(' ').next()? } else { rest };
    let name = rest.split(['(', '[', ';', '=', '{']).next()?;
    name.trim_end().rsplit([' ', '*']).next()
}

/// The text without comments and strings. No string contains a quotation mark.
fn code(text: &str) -> String {
    let code: String = text.split("/*").map(|part| part.split_once("*/").map_or(part, |(_, code)| code)).collect();
    code.split('"').step_by(2).collect::<Vec<_>>().join(" ")
}

/// The checksum of data that were read, as in the programs: FNV-1a.
fn checksum(data: &[u8]) -> u32 {
    data.iter().fold(0x811c_9dc5, |sum, byte| (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

/// One line of the program.
fn statement(call: &Call, step: &Step, names: &mut Names) -> Result<String, Obstacle> {
    if let (Call::Stat { fd }, Some(Ok(Reply::Stat(stat)))) = (call, &step.outcome) {
        return names.look(*fd, stat);
    }
    let (text, result) = (expression(call, names)?, observed(call, step.outcome.as_ref()));
    Ok(match &step.outcome {
        Some(Ok(Reply::Data(data))) => format!("READ({text}, {result}, {:#x})", checksum(data)),
        Some(Ok(Reply::Number(number))) => {
            names.learn(call, *number);
            format!("CALL({text}, {result})")
        }
        _ => format!("CALL({text}, {result})"),
    })
}

/// Whether the result of a call is a number that the next run of the program may give to something else.
fn makes(call: &Call) -> bool {
    matches!(call, Call::Open { .. } | Call::Special { .. } | Call::Map { .. } | Call::Register { .. })
}

/// The outcome of a call, as arguments of the macro CALL.
fn observed(call: &Call, outcome: Option<&Result<Reply, Failure>>) -> String {
    let plain = if let Call::Via { call, .. } = call { call } else { call };
    match outcome {
        Some(Ok(Reply::Number(_))) if makes(plain) => "ANY".into(),
        Some(Ok(Reply::Number(number))) => number.to_string(),
        Some(Ok(Reply::Data(data))) => data.len().to_string(),
        Some(Err(Failure::Call(errno))) => format!("-{}", words::name(*errno)),
        // Only calls come here.
        Some(Err(Failure::Agent(_))) => "0".into(),
        Some(Ok(Reply::Stat(_))) | None => "0".into(),
    }
}

/// A name as a string of C. A file of another case is in a neighbour directory, but the programs have one directory.
fn flat(name: &str) -> String {
    format!("{:?}", name.strip_prefix("../").map_or_else(|| name.to_owned(), |other| other.replace('/', "-")))
}

/// The bytes as an expression of C: most data of cases are a pattern, or one repeated byte.
fn bytes(data: &[u8]) -> String {
    const LEAD: usize = 2 * BLOCK_LEN as usize;
    let len = data.len();
    if let Some(seed) = seed(data) {
        return format!("pattern({seed}, {len})");
    }
    // The header of a swap file, perhaps followed by a pattern.
    if data.len() >= LEAD && data[..LEAD] == Mechanism::Swapfile.header()[..] {
        match &data[LEAD..] {
            [] => return "swap_file(0, 0)".into(),
            rest => {
                if let Some(seed) = seed(rest) {
                    return format!("swap_file({seed}, {})", len - LEAD);
                }
            }
        }
    }
    match data {
        [] => "literal(\"\", 0)".into(),
        [first, ..] if data.iter().all(|byte| byte == first) => format!("repeated({first}, {len})"),
        _ => format!("literal({}, {len})", literal(data)),
    }
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
    // The kernel adds O_LARGEFILE itself; the library has no such name.
    std::iter::once(access)
        .chain(rest.into_iter().filter(|name| *name != "O_LARGEFILE"))
        .collect::<Vec<_>>()
        .join(" | ")
}

/// The names of the flags of FS_IOC_SETFLAGS.
fn inode_flags(flags: u32) -> String {
    const NAMES: [(u32, &str); 5] = [
        (0, "0"),
        (iomap_reference::FLAG_IMMUTABLE, "FS_IMMUTABLE_FL"),
        (iomap_reference::FLAG_APPEND, "FS_APPEND_FL"),
        (iomap_reference::FLAG_COMPRESS, "FS_COMPR_FL"),
        (iomap_reference::FLAG_NOCOW, "FS_NOCOW_FL"),
    ];
    NAMES.iter().find(|(bit, _)| *bit == flags).map_or_else(|| format!("{flags:#x}"), |(_, name)| (*name).into())
}

/// A call as an expression of C whose value is its result, or -1.
fn expression(call: &Call, names: &Names) -> Result<String, Obstacle> {
    let fd = |fd: &Fd| names.fd(*fd);
    let made = names.made;
    Ok(match call {
        Call::Open { name, flags, mode } if flags.contains(OFlag::O_CREAT) => {
            format!("fd[{made}] = open({}, {}, 0{mode:o})", flat(name), open_flags(*flags))
        }
        Call::Open { name, flags, .. } => format!("fd[{made}] = open({}, {})", flat(name), open_flags(*flags)),
        Call::Special { .. } => format!("fd[{made}] = {call}"),
        Call::Close { fd: it } => format!("close({})", fd(it)),
        Call::Read { fd: it, len } => format!("read({}, buffer({len}), {len})", fd(it)),
        Call::Pread { fd: it, offset, len } => format!("pread({}, buffer({len}), {len}, {offset})", fd(it)),
        Call::Write { fd: it, data } => format!("write({}, {}, {})", fd(it), bytes(data), data.len()),
        Call::Pwrite { fd: it, offset, data } => {
            format!("pwrite({}, {}, {}, {offset})", fd(it), bytes(data), data.len())
        }
        Call::PwriteAtomic { fd: it, offset, data } => {
            vector(&fd(it), std::slice::from_ref(data), *offset, "RWF_ATOMIC")
        }
        Call::Pwritev { fd: it, offset, parts, append } => vector(&fd(it), parts, *offset, append_flag(*append)),
        Call::PwriteLimited { fd: it, offset, data, limit } => {
            format!("limited_pwrite({}, {}, {}, {offset}, {limit})", fd(it), bytes(data), data.len())
        }
        Call::Seek { fd: it, offset, whence } => {
            let whence = match whence {
                Whence::Set => "SEEK_SET",
                Whence::Cur => "SEEK_CUR",
                Whence::Hole => "SEEK_HOLE",
                Whence::Data => "SEEK_DATA",
            };
            format!("lseek({}, {offset}, {whence})", fd(it))
        }
        Call::StatusFlags { fd: it } => format!("fcntl({}, F_GETFL)", fd(it)),
        Call::Fsync { fd: it } => format!("fsync({})", fd(it)),
        Call::Ftruncate { fd: it, size } => format!("ftruncate({}, {size})", fd(it)),
        Call::Truncate { name, size } => format!("truncate({}, {size})", flat(name)),
        Call::Fallocate { fd: it, mode, offset, len } => {
            reach::ask_for_program(call).map_err(|trouble| trouble.reason().to_owned())?;
            match mode.changes_state() {
                // No header has the names of these.
                true => format!("fallocate({}, {:#x}, {offset}, {len})", fd(it), mode.0),
                false => format!("fallocate({}, {mode}, {offset}, {len})", fd(it)),
            }
        }
        Call::CopyRange { from, from_offset, to, to_offset, len } => {
            let (from, to) = (fd(from), fd(to));
            format!("copy_file_range({from}, &(off_t){{ {from_offset} }}, {to}, &(off_t){{ {to_offset} }}, {len}, 0)")
        }
        Call::Clone { from, to } => format!("ioctl({}, FICLONE, {})", fd(to), fd(from)),
        Call::CloneRange { from, from_offset, to, to_offset, len } => {
            let range = format!("{{ {}, {from_offset}, {len}, {to_offset} }}", fd(from));
            format!("ioctl({}, FICLONERANGE, &(struct file_clone_range){range})", fd(to))
        }
        Call::Dedupe { from, from_offset, to, to_offset, len } => {
            format!("dedupe({}, {from_offset}, {}, {to_offset}, {len})", fd(from), fd(to))
        }
        // Only XFS has the plain call.
        Call::Exchange { one, other } => format!("swap_extents({}, {})", fd(one), fd(other)),
        Call::Map { .. } => format!("map[{made}] = {}", mapping(call, names)),
        Call::Register { map } => {
            let (map, len) = names.map(*map)?;
            format!("fd[{made}] = register_buffer({map}, {len})")
        }
        Call::Unregister { registration } => format!("close({})", names.fd(*registration as Fd)),
        Call::Protect { map, write } => {
            let (map, len) = names.map(*map)?;
            format!("mprotect({map}, {len}, {})", if *write { "PROT_READ | PROT_WRITE" } else { "PROT_READ" })
        }
        Call::Load { map, offset, len } => format!("load({} + {offset}, {len})", names.map(*map)?.0),
        Call::Store { map, offset, data } => {
            format!("store({} + {offset}, {}, {})", names.map(*map)?.0, bytes(data), data.len())
        }
        Call::Unmap { map } => {
            let (map, len) = names.map(*map)?;
            format!("munmap({map}, {len})")
        }
        Call::Unlink { name } => format!("unlink({})", flat(name)),
        Call::Rename { from, to, exchange: false } => format!("rename({}, {})", flat(from), flat(to)),
        Call::Rename { from, to, exchange: true } => {
            format!("renameat2(AT_FDCWD, {}, AT_FDCWD, {}, RENAME_EXCHANGE)", flat(from), flat(to))
        }
        Call::RenameNew { from, to } => {
            format!("renameat2(AT_FDCWD, {}, AT_FDCWD, {}, RENAME_NOREPLACE)", flat(from), flat(to))
        }
        Call::Link { from, to } => format!("link({}, {})", flat(from), flat(to)),
        Call::LinkFd { fd: it, to } => {
            format!("linkat({}, \"\", AT_FDCWD, {}, AT_EMPTY_PATH)", fd(it), flat(to))
        }
        Call::Symlink { target, name } => format!("symlink({}, {})", flat(target), flat(name)),
        Call::Mkdir { name, mode } => format!("mkdir({}, 0{mode:o})", flat(name)),
        Call::Subvolume { name } => format!("subvolume({})", flat(name)),
        Call::Rmdir { name } => format!("rmdir({})", flat(name)),
        Call::Mkfifo { name } => format!("mkfifo({}, 0600)", flat(name)),
        Call::Chmod { name, mode } => format!("chmod({}, 0{mode:o})", flat(name)),
        Call::Chown { name, uid, gid } => format!("chown({}, {uid}, {gid})", flat(name)),
        Call::Utimes { name, atime, mtime } => {
            let times = format!("{{ {{ {atime}, 0 }}, {{ {mtime}, 0 }} }}");
            format!("utimensat(AT_FDCWD, {}, (struct timespec[]){times}, 0)", flat(name))
        }
        Call::SetXattr { name, key, value } => {
            format!("setxattr({}, {key:?}, {}, {}, 0)", flat(name), bytes(value), value.len())
        }
        Call::RemoveXattr { name, key } => format!("removexattr({}, {key:?})", flat(name)),
        Call::Stat { fd: it } => format!("file_size({})", fd(it)),
        Call::Statx { name, mask } => {
            format!("{}({})", if *mask { "statx_mask" } else { "statx_attributes" }, flat(name))
        }
        Call::GetXflags { fd: it } => format!("xflags({})", fd(it)),
        Call::ChangeXflags { fd: it, set, clear } => format!("change_xflags({}, {set:#x}, {clear:#x})", fd(it)),
        Call::ChangeFlags { fd: it, set, clear } => {
            format!("change_flags({}, {}, {})", fd(it), inode_flags(*set), inode_flags(*clear))
        }
        Call::Swapon { fd: it } => format!("swapon(self({}), 0)", fd(it)),
        Call::Swapoff { fd: it } => format!("swapoff(self({}))", fd(it)),
        Call::SwapOut { data, .. } => format!("swap_out({}, {})", bytes(data), data.len()),
        Call::SwapIn { len, .. } => format!("swap_in(buffer({len}), {len})"),
        Call::Via { route, call } => {
            let reads = matches!(**call, Call::Pread { .. });
            let arguments = arguments(call, names)?;
            routes::expression(*route, reads, &arguments).ok_or_else(|| format!("{route}: no expression of C"))?
        }
        Call::Snapshot | Call::Collect | Call::RemoveDevice | Call::ReplaceDevice | Call::Shrink { .. } => {
            return Err("something was done to the whole file system".into());
        }
        Call::Defragment { .. } => return Err("the file system was asked to move the file".into()),
        Call::SetLease { .. } | Call::GetLease { .. } => return Err("a lease was set".into()),
        Call::Watched { .. } => return Err("inotify(7) watched the file".into()),
        Call::AtomicMax { .. } => return Err("the largest atomic write was asked for".into()),
        Call::Cycle | Call::CycleWith { .. } | Call::Remount { .. } => {
            return Err("the file system was mounted again".into());
        }
        Call::PowerLoss { .. } | Call::PowerLossAfter { .. } => return Err("the power was lost".into()),
        Call::FreeSpace => return Err("the free space was counted".into()),
        Call::SetQuota { .. } => return Err("a quota was set".into()),
        Call::Pin { .. } => return Err("F2FS_IOC_SET_PIN_FILE".into()),
        Call::DeviceStore { .. } | Call::DeviceLoad { .. } => return Err("a device reached into the file".into()),
    })
}

fn vector(file: &str, parts: &[Vec<u8>], offset: i64, flags: &str) -> String {
    let all: Vec<String> = parts.iter().map(|part| format!("{{ {}, {} }}", bytes(part), part.len())).collect();
    format!("pwritev2({file}, (struct iovec[]){{ {} }}, {}, {offset}, {flags})", all.join(", "), parts.len())
}

fn mapping(call: &Call, names: &Names) -> String {
    let Call::Map { fd, len, shared, write } = call else { return String::new() };
    let protection = if *write { "PROT_READ | PROT_WRITE" } else { "PROT_READ" };
    let kind = if *shared { "MAP_SHARED" } else { "MAP_PRIVATE" };
    format!("mmap(NULL, {len}, {protection}, {kind}, {}, 0)", names.fd(*fd))
}

/// The arguments of a call, by the names that [`routes`] uses.
fn arguments(call: &Call, names: &Names) -> Result<Vec<(&'static str, String)>, Obstacle> {
    let file = |fd: &Fd| ("fd", names.fd(*fd));
    let data = |bytes_: &[u8]| [("data", bytes(bytes_)), ("len", bytes_.len().to_string())];
    Ok(match call {
        Call::Write { fd, data: it } => {
            let [data, len] = data(it);
            // -1 stands for the file offset.
            vec![file(fd), data, len, ("offset", "0".into()), ("place", "-1".into())]
        }
        Call::Pwrite { fd, offset, data: it } => {
            let [data, len] = data(it);
            vec![file(fd), data, len, ("offset", offset.to_string()), ("place", offset.to_string())]
        }
        Call::Pread { fd, offset, len } => {
            let buffer = format!("buffer({len})");
            vec![file(fd), ("data", buffer), ("len", len.to_string()), ("offset", offset.to_string())]
        }
        Call::Map { fd, len, .. } => {
            let map = format!("map[{}]", names.made);
            vec![("map", map), ("mapping", mapping(call, names)), file(fd), ("len", len.to_string())]
        }
        Call::Store { map, offset, data: it } => {
            let [data, len] = data(it);
            vec![("to", format!("{} + {offset}", names.map(*map)?.0)), data, len]
        }
        Call::Fallocate { fd, offset, len, .. } => {
            vec![file(fd), ("offset", offset.to_string()), ("len", len.to_string())]
        }
        Call::Exchange { one, other } => vec![file(one), ("other", names.fd(*other))],
        Call::Defragment { fd } | Call::Fsync { fd } | Call::Swapon { fd } | Call::GetXflags { fd } => vec![file(fd)],
        Call::StatusFlags { fd } => vec![file(fd)],
        Call::Unlink { name } => vec![("name", flat(name))],
        Call::ChangeFlags { fd, .. } | Call::ChangeXflags { fd, .. } => vec![file(fd)],
        Call::Link { from, to } | Call::Rename { from, to, .. } => vec![("name", flat(from)), ("to", flat(to))],
        Call::Chmod { name, mode } => vec![("name", flat(name)), ("mode", format!("0{mode:o}"))],
        Call::Chown { name, uid, gid } => {
            vec![("name", flat(name)), ("uid", uid.to_string()), ("gid", gid.to_string())]
        }
        Call::Utimes { name, atime, mtime } => {
            vec![("name", flat(name)), ("atime", atime.to_string()), ("mtime", mtime.to_string())]
        }
        Call::SetXattr { name, key, value } => {
            let [data, len] = data(value);
            vec![("name", flat(name)), ("key", format!("{key:?}")), data, len]
        }
        other => return Err(format!("{other}: no route").into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::prepare::pattern;
    use iomap_clauses::Errno;
    use iomap_reference::Mode;
    use iomap_reference::Route;
    use std::process::Command;

    fn step(action: Action, outcome: Result<i64, Errno>) -> Step {
        let outcome = outcome.map(Reply::Number).map_err(Failure::Call);
        Step { action, outcome: Some(outcome), look: false, times: 1, round: false }
    }

    fn call(call: Call, outcome: Result<i64, Errno>) -> Step {
        step(Action::Call(Caller::Privileged, call), outcome)
    }

    fn open(flags: OFlag) -> Step {
        call(Call::Open { name: "file".into(), flags, mode: 0o600 }, Ok(3))
    }

    /// Compiles the program of these steps in a directory.
    fn compiled(directory: &std::path::Path, steps: &[Step]) {
        let text = program("a test", &Origin::default(), &steps.iter().collect::<Vec<_>>()).unwrap();
        let source = directory.join("again.c");
        std::fs::write(&source, &text).unwrap();
        let mut compiler = Command::new("cc");
        let compiler = compiler.args(["-Wall", "-Wextra", "-Werror", "-O0", "-fsanitize=address,undefined", "-o"]);
        let compiler = compiler.arg(directory.join("again"));
        let output = compiler.arg(&source).output().unwrap();
        assert!(output.status.success(), "{}\n{text}", String::from_utf8_lossy(&output.stderr));
    }

    /// Every route compiles, also those that no kernel violates a clause by.
    #[test]
    fn every_route_compiles() {
        let (fd, map, offset, data) = (3, 0, 0, pattern(1, 512));
        let name = "file".to_owned();
        let plain = |route: Route| match route.clauses()[0].id {
            "read.any" | "write.inside" | "refuse.other" => Call::Pwrite { fd, offset, data: data.clone() },
            "write.atomic" => Call::Pwrite { fd, offset, data: data.clone() },
            "write.mapped" if matches!(route, Route::ProcessVm | Route::ProcMem | Route::DirectInto | Route::Fork) => {
                Call::Store { map, offset: 0, data: data.clone() }
            }
            "durable.agent" => Call::Store { map, offset: 0, data: data.clone() },
            "write.mapped" => Call::Map { fd, len: 4096, shared: true, write: true },
            "share.exchange" => Call::Exchange { one: fd, other: fd },
            "name.unlink" => Call::Unlink { name: "volume/file".into() },
            "swap.on" => Call::Swapon { fd },
            "name.link" => Call::Link { from: name.clone(), to: name.clone() },
            "name.rename" => Call::Rename { from: name.clone(), to: name.clone(), exchange: false },
            "meta.chmod" => Call::Chmod { name: name.clone(), mode: 0o640 },
            "meta.chown" => Call::Chown { name: name.clone(), uid: 1, gid: 1 },
            "meta.utimes" => Call::Utimes { name: name.clone(), atime: 1, mtime: 2 },
            "meta.xattr" => Call::SetXattr { name: name.clone(), key: "user.k".into(), value: data.clone() },
            id if id.starts_with("query") => Call::GetXflags { fd },
            id if id.starts_with("fallocate") => Call::Fallocate { fd, mode: Mode::KEEP_SIZE, offset, len: 4096 },
            _ => Call::Fsync { fd },
        };
        let mut steps = vec![open(OFlag::O_RDWR)];
        steps.push(call(Call::Map { fd, len: 4096, shared: true, write: true }, Ok(0)));
        let all = Route::all().filter(|route| !routes::WITHOUT.contains(route));
        steps.extend(all.map(|route| call(plain(route).via(route), Err(Errno::EPERM))));
        let reads = [Route::Aio, Route::Ring, Route::RingFixed, Route::Splice, Route::Sendfile];
        steps.extend(reads.map(|route| call(Call::Pread { fd, offset, len: 512 }.via(route), Err(Errno::EPERM))));
        let others = [
            Call::Statx { name: name.clone(), mask: false },
            Call::Statx { name: name.clone(), mask: true },
            Call::PwriteLimited { fd, offset, data: data.clone(), limit: 100 },
            Call::Pwritev { fd, offset, parts: vec![data.clone()], append: Some(false) },
        ];
        steps.extend(others.map(|it| call(it, Err(Errno::EPERM))));
        let directory = tempfile::tempdir().unwrap();
        compiled(directory.path(), &steps);
        let text = std::fs::read_to_string(directory.path().join("again.c")).unwrap();
        let main = text.split_once("int main").unwrap().1;
        for argument in ["{fd}", "{data}", "{len}", "{offset}", "{name}", "{to}", "{map}", "{other}"] {
            assert!(!main.contains(argument), "{main}");
        }
    }

    #[test]
    fn two_calls_at_the_same_time() {
        let directory = tempfile::tempdir().unwrap();
        let write = Call::Pwrite { fd: 3, offset: 0, data: vec![1; 10] };
        for (outcome, code) in [(Ok(10), 0), (Err(Errno::ETXTBSY), 1)] {
            let steps = [
                // This call belongs to an earlier round.
                call(Call::Unlink { name: "nowhere".into() }, Ok(0)),
                Step { round: true, ..open(OFlag::O_RDWR | OFlag::O_CREAT) },
                step(Action::Racing(Call::Chmod { name: "file".into(), mode: 0o640 }), Ok(0)),
                step(Action::Racing(Call::Chmod { name: "file".into(), mode: 0o600 }), Ok(0)),
                step(Action::Beside(write.clone()), outcome),
                step(Action::Beside(Call::Fsync { fd: 3 }), Ok(0)),
            ];
            compiled(directory.path(), &steps);
            let ran = Command::new(directory.path().join("again")).arg(directory.path()).output().unwrap();
            assert_eq!(ran.status.code(), Some(code), "{ran:?}");
            let left = std::fs::read_dir(directory.path()).unwrap().flatten().filter(|it| it.path().is_dir());
            assert_eq!(left.count(), 0);
        }
    }

    #[test]
    fn data_are_said_briefly() {
        assert_eq!(bytes(&pattern(77, 5000)), "pattern(77, 5000)");
        assert_eq!(bytes(&[9; 20]), "repeated(9, 20)");
        assert_eq!(bytes(b"value"), "literal(\"\\x76\\x61\\x6c\\x75\\x65\", 5)");
        let swap = [Mechanism::Swapfile.header(), pattern(1, 4096)].concat();
        assert_eq!(bytes(&swap), "swap_file(1, 4096)");
    }
}
