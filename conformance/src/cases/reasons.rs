//! Calls that have two reasons to fail at once (rule.either).
//!
//! The reasons are the rows of the reference's rules that apply. The circumstances below only have to bring every row
//! about; the table [`REASONS`] has the pairs of them that matter, with the clauses that are met.

use crate::case::context::Context;
use crate::case::definition::{Case, case};
use crate::case::file::{Effect, File};
use crate::case::prepare::pattern;
use crate::mechanism::{BLOCK_LEN, Mechanism, SIZE};
use crate::verdict::{Observed, Seen, Trouble};
use crate::words;
use iomap_clauses::*;
use iomap_reference::{
    Call, Caller, FLAG_APPEND, FLAG_COMPRESS, FLAG_IMMUTABLE, FLAG_JOURNAL, FLAG_VERITY, Fd, MapId, Mode, Reply, Route,
};
use nix::fcntl::OFlag;
use std::cell::RefCell;

/// A case about a clause: its calls meet another reason, too.
macro_rules! one_of_two {
    ($($clause:ident $name:literal $call:literal,)+) => {
        &[$(case(
            &$clause,
            concat!("one_of_two_", $name),
            concat!($call, " reports that reason, or the other reason that the call has"),
            two_reasons,
        ),)+]
    };
}

#[rustfmt::skip] // One case, one line.
pub(super) static CASES: &[Case] = one_of_two![
    SEAL_LENGTH "length" "sealing from an offset below 0 or with a length below 1",
    SEAL_OFFSET "offset" "sealing from an offset that is not 0",
    SEAL_SHORT "short" "sealing less than the whole file",
    SEAL_COMBINED "combined" "sealing with more bits in the mode",
    SEAL_READONLY "readonly" "sealing without write access",
    SEAL_DIRECTORY "directory" "sealing a directory",
    SEAL_PRIVILEGE "privilege" "sealing without the capability",
    SEAL_ORDER "order" "sealing without write access and without the capability",
    SEAL_APPEND_ONLY "append_only" "sealing an append-only file",
    SEAL_IMMUTABLE "immutable" "sealing an immutable file",
    SEAL_FIFO "fifo" "sealing a FIFO",
    SEAL_SPECIAL "special" "sealing a device",
    SEAL_EMPTY "empty" "sealing an empty file",
    SEAL_INLINE "inline" "sealing a file without storage",
    SEAL_HOLE "hole" "sealing a file with a hole",
    SEAL_UNWRITTEN "unwritten" "sealing a file with unwritten space",
    SEAL_SHARED "shared" "sealing a file that shares storage with another",
    SEAL_SHARED_WITHIN "shared_within" "sealing a file that shares storage with itself",
    SEAL_NEVER "never" "sealing a file that is never written in place",
    SEAL_MAPPED "mapped" "sealing a file that is mapped",
    UNSEAL_RANGE "range" "unsealing with a wrong offset or length",
    UNSEAL_COMBINED "combined" "unsealing with more bits in the mode",
    UNSEAL_READONLY "readonly" "unsealing without write access",
    UNSEAL_DIRECTORY "directory" "unsealing a directory",
    UNSEAL_PRIVILEGE "privilege" "unsealing without the capability",
    UNSEAL_APPEND_ONLY "append_only" "unsealing an append-only file",
    UNSEAL_IMMUTABLE "immutable" "unsealing an immutable file",
    UNSEAL_FIFO "fifo" "unsealing a FIFO",
    UNSEAL_SPECIAL "special" "unsealing a device",
    UNSEAL_MAPPED "mapped" "unsealing a file that is mapped",
    WRITE_APPEND "append" "an append to a sealed file",
    WRITE_BEYOND "beyond" "a write beyond the end of a sealed file",
    WRITE_COPY_BEYOND "copy_beyond" "a copy beyond the end of a sealed file",
    WRITE_READONLY "readonly" "a write to a sealed file without write access",
    TRUNCATE_ORDER "order" "truncation of a sealed file to a size below 0 or without write access",
    TRUNCATE_PATH "path" "truncation of a sealed file by its name",
    TRUNCATE_EMPTY "empty" "truncation of a sealed file to 0",
    TRUNCATE_SHRINK "shrink" "truncation of a sealed file to a smaller size",
    FALLOCATE_ARGUMENT "argument" "allocation in a sealed file with a wrong offset or length",
    FALLOCATE_UNKNOWN "unknown" "allocation in a sealed file with an unknown bit",
    FALLOCATE_READONLY "readonly" "allocation in a sealed file without write access",
    FALLOCATE_PUNCH "punch" "a punch into a sealed file",
    FALLOCATE_ZERO "zero" "zeroing in a sealed file",
    FALLOCATE_COLLAPSE "collapse" "a collapse in a sealed file",
    FALLOCATE_INSERT "insert" "an insertion in a sealed file",
    FALLOCATE_WRITE_ZEROES "write_zeroes" "writing zeroes to a sealed file",
    FALLOCATE_GROW "grow" "allocation beyond the end of a sealed file",
    FALLOCATE_KEEP_BEYOND "keep_beyond" "allocation behind the end of a sealed file",
    FALLOCATE_NO_OP "no_op" "an allocation that would change nothing of a sealed file",
    SHARE_SOURCE "source" "cloning from a sealed file",
    SHARE_TARGET "target" "cloning into a sealed file",
    SHARE_WITHIN "within" "cloning within a sealed file",
    SHARE_DEDUPE_SOURCE "dedupe_source" "deduplication from a sealed file",
    SHARE_DEDUPE_TARGET "dedupe_target" "deduplication into a sealed file",
    SWAP_WRITES "writes" "a write to a sealed swap file",
];

/// The circumstances of a call.
#[derive(Clone)]
struct Try {
    kind: Kind,
    flags: OFlag,
    caller: Caller,
    /// More bits of the mode of fallocate(2).
    bits: Mode,
    offset: i64,
    len: i64,
    size: i64,
    /// The actions on the file before it is sealed.
    early: Vec<Act>,
    /// The actions on the file after that.
    late: Vec<Act>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Regular,
    Directory,
    Fifo,
    Device,
}

/// The files of a call.
struct Scene<'a> {
    t: &'a Context<'a>,
    file: File<'a>,
    other: File<'a>,
    /// The name and the descriptor of the file for the call.
    name: String,
    fd: Fd,
    /// The calls that end what the scene began, the last one first.
    undo: RefCell<Vec<Call>>,
}

type Act = fn(&Scene) -> Made;

/// The number that a call of a preparation returns. `None` if there can be no such scene here.
type Made = Option<i64>;

struct Circumstance(&'static str, fn(&mut Try));

struct Operation {
    name: &'static str,
    /// Whether the file is sealed before the call.
    sealed: bool,
    call: fn(&Scene, &Try) -> Call,
}

const fn when(words: &'static str, change: fn(&mut Try)) -> Circumstance {
    Circumstance(words, change)
}

#[rustfmt::skip] // One circumstance, one line.
static CIRCUMSTANCES: &[Circumstance] = &[
    when("a length of 0", |t| t.len = 0),
    when("a length of -1", |t| t.len = -1),
    when("a byte less", |t| t.len -= 1),
    when("a byte more", |t| t.len += 1),
    when("an offset of -1", |t| t.offset = -1),
    when("an offset of a block", |t| t.offset = BLOCK_LEN),
    when("an offset at the end", |t| t.offset = SIZE),
    when("FALLOC_FL_KEEP_SIZE", |t| t.bits = t.bits | Mode::KEEP_SIZE),
    when("an unknown bit", |t| t.bits = t.bits | Mode(1 << 20)),
    when("O_RDONLY", |t| t.flags = OFlag::O_RDONLY),
    when("O_APPEND", |t| t.flags |= OFlag::O_APPEND),
    when("no capability", |t| t.caller = Caller::Unprivileged),
    when("an empty file", |t| t.size = 0),
    when("data inside the metadata", |t| {
        t.size = 16;
        t.early.push(|s| s.inline());
    }),
    when("a directory", |t| t.kind = Kind::Directory),
    when("a FIFO", |t| t.kind = Kind::Fifo),
    when("a device", |t| t.kind = Kind::Device),
    when("a hole", |t| t.early.push(|s| s.allocate(Mode::PUNCH_HOLE | Mode::KEEP_SIZE))),
    when("unwritten space", |t| t.early.push(|s| s.allocate(Mode::ZERO_RANGE))),
    when("shared storage", |t| t.early.push(|s| s.make(&Call::Clone { from: s.file.fd(), to: s.other.fd() }))),
    when("storage that is shared within", |t| t.early.push(|s| s.make(&within(s.file.fd())))),
    when("compressed or journaled data", |t| t.early.push(|s| s.flag(FLAG_COMPRESS).or_else(|| s.flag(FLAG_JOURNAL)))),
    when("the attribute append-only", |t| t.late.push(|s| s.flag(FLAG_APPEND))),
    when("the attribute immutable", |t| t.late.push(|s| s.flag(FLAG_IMMUTABLE))),
    when("a mapping", |t| t.late.push(|s| s.map())),
    when("a registration", |t| t.late.push(|s| s.register())),
    when("an active swap file", |t| t.late.push(|s| s.activate())),
];

const fn outside(name: &'static str, call: fn(&Scene, &Try) -> Call) -> Operation {
    Operation { name, sealed: false, call }
}

const fn inside(name: &'static str, call: fn(&Scene, &Try) -> Call) -> Operation {
    Operation { name, sealed: true, call }
}

#[rustfmt::skip] // One operation, one line.
static OPERATIONS: &[Operation] = &[
    outside("seal", |s, t| s.fallocate(t, Mode::SEAL)),
    inside("seal again", |s, t| s.fallocate(t, Mode::SEAL)),
    inside("unseal", |s, t| s.fallocate(t, Mode::UNSEAL)),
    outside("unseal again", |s, t| s.fallocate(t, Mode::UNSEAL)),
    inside("allocate", |s, t| s.fallocate(t, Mode::ALLOCATE)),
    inside("punch", |s, t| s.fallocate(t, Mode::PUNCH_HOLE | Mode::KEEP_SIZE)),
    inside("zero", |s, t| s.fallocate(t, Mode::ZERO_RANGE)),
    inside("collapse", |s, t| s.fallocate(t, Mode::COLLAPSE_RANGE)),
    inside("insert", |s, t| s.fallocate(t, Mode::INSERT_RANGE)),
    inside("unshare", |s, t| s.fallocate(t, Mode::UNSHARE_RANGE)),
    inside("write zeroes", |s, t| s.fallocate(t, Mode::WRITE_ZEROES)),
    inside("write", |s, t| s.write(t)),
    inside("write encoded", |s, t| s.write(t).via(Route::BtrfsEncoded)),
    inside("append", |s, t| Call::Pwritev { fd: s.fd, offset: t.offset, parts: vec![t.data()], append: Some(true) }),
    inside("write atomically", |s, t| Call::PwriteAtomic { fd: s.fd, offset: t.offset, data: t.data() }),
    inside("write with a limit", |s, t| Call::PwriteLimited { fd: s.fd, offset: t.offset, data: t.data(), limit: SIZE as u64 }),
    inside("copy into", |s, t| t.copy(s.other.fd(), s.fd)),
    inside("copy from", |s, t| t.copy(s.fd, s.other.fd())),
    inside("truncate", |s, t| Call::Ftruncate { fd: s.fd, size: t.len }),
    inside("truncate by name", |s, t| Call::Truncate { name: s.name.clone(), size: t.len }),
    inside("open with O_TRUNC", |s, t| Call::Open { name: s.name.clone(), flags: t.flags | OFlag::O_TRUNC, mode: 0 }),
    inside("clone from", |s, _| Call::Clone { from: s.fd, to: s.other.fd() }),
    inside("clone into", |s, _| Call::Clone { from: s.other.fd(), to: s.fd }),
    inside("clone within", |s, _| within(s.fd)),
    inside("deduplicate from", |s, t| t.dedupe(s.fd, s.other.fd())),
    inside("deduplicate into", |s, t| t.dedupe(s.other.fd(), s.fd)),
    inside("exchange with", |s, _| Call::Exchange { one: s.fd, other: s.other.fd() }),
    inside("exchange from", |s, _| Call::Exchange { one: s.other.fd(), other: s.fd }),
    inside("make a snapshot", |_, _| Call::Snapshot),
    inside("shrink", |_, _| Call::Shrink { size: BLOCK_LEN }),
    inside("defragment", |s, _| Call::Defragment { fd: s.fd }),
    inside("convert", |s, _| Call::Defragment { fd: s.fd }.via(Route::Ext4Migrate)),
    inside("compress", |s, _| Call::ChangeFlags { fd: s.fd, set: FLAG_COMPRESS, clear: 0 }),
    inside("enable fs-verity", |s, _| Call::ChangeFlags { fd: s.fd, set: FLAG_VERITY, clear: 0 }.via(Route::Verity)),
    inside("set DAX", |s, _| Call::ChangeXflags { fd: s.fd, set: 0x8000, clear: 0 }.via(Route::Dax)),
];

/// Cloning of the first half of a file to its second half.
fn within(fd: Fd) -> Call {
    Call::CloneRange { from: fd, from_offset: 0, to: fd, to_offset: SIZE / 2, len: SIZE / 2 }
}

impl Try {
    const PLAIN: Self = Self {
        kind: Kind::Regular,
        flags: OFlag::O_RDWR,
        caller: Caller::Privileged,
        bits: Mode::ALLOCATE,
        offset: 0,
        len: SIZE,
        size: SIZE,
        early: Vec::new(),
        late: Vec::new(),
    };

    fn of(circumstances: &[&Circumstance]) -> Self {
        let mut it = Self::PLAIN;
        circumstances.iter().for_each(|Circumstance(_, change)| change(&mut it));
        it
    }

    fn data(&self) -> Vec<u8> {
        vec![7; usize::try_from(self.len).unwrap_or_default()]
    }

    fn copy(&self, from: Fd, to: Fd) -> Call {
        Call::CopyRange { from, from_offset: 0, to, to_offset: self.offset, len: self.len as usize }
    }

    fn dedupe(&self, from: Fd, to: Fd) -> Call {
        Call::Dedupe { from, from_offset: 0, to, to_offset: 0, len: self.len as usize }
    }
}

impl<'a> Scene<'a> {
    /// The files before the call. `None` if there can be no such scene here.
    fn prepare(t: &'a Context<'a>, name: &str, it: &Try, sealed: bool) -> Result<Option<Self>, Trouble> {
        // The file has the header of a swap file.
        let data = |size: i64| {
            let mut data = [Mechanism::Swapfile.header(), pattern(1, SIZE)].concat();
            data.truncate(size as usize);
            data
        };
        let make = |name: String, size: i64| {
            let ready = t.make(&name, |fd| {
                t.setup(&Call::Pwrite { fd, offset: 0, data: data(size) })?;
                t.setup(&Call::Fsync { fd }).map(|_| ())
            })?;
            Ok(File::from_ready(t, ready))
        };
        let (file, other) = (make(name.into(), it.size)?, make(format!("other-{name}"), SIZE)?);
        let name = match it.kind {
            Kind::Regular => file.name(),
            Kind::Directory => ".".into(),
            _ => format!("special-{name}"),
        };
        let mut scene = Self { t, file, other, name, fd: -1, undo: RefCell::default() };
        match scene.open(it).filter(|_| scene.begin(it, sealed)) {
            Some(()) => Ok(Some(scene)),
            None => scene.end().map(|()| None),
        }
    }

    fn open(&mut self, it: &Try) -> Option<()> {
        if it.kind == Kind::Fifo {
            self.make(&Call::Mkfifo { name: self.name.clone() })?;
        }
        let flags = match it.kind {
            Kind::Directory => OFlag::O_RDONLY,
            Kind::Fifo => it.flags | OFlag::O_NONBLOCK,
            _ => it.flags,
        };
        let open = match it.kind {
            Kind::Device => Call::Special { socket: false },
            _ => Call::Open { name: self.name.clone(), flags, mode: 0 },
        };
        self.fd = self.make(&open)? as Fd;
        self.later(Call::Close { fd: self.fd });
        Some(())
    }

    fn begin(&self, it: &Try, sealed: bool) -> bool {
        let seal: &[Act] = if sealed { &[|s| s.seal()] } else { &[] };
        it.early.iter().chain(seal).chain(&it.late).all(|act| act(self).is_some())
    }

    fn later(&self, call: Call) {
        self.undo.borrow_mut().push(call);
    }

    fn end(self) -> Result<(), Trouble> {
        // A step that failed has nothing to end, so failures do not count.
        for call in self.undo.take().iter().rev() {
            let _ = self.t.attempt(call)?;
        }
        self.file.retire();
        self.other.retire();
        Ok(())
    }

    fn make(&self, call: &Call) -> Made {
        match self.t.attempt(call).ok()?.ok()? {
            Reply::Number(number) => Some(number),
            _ => Some(0),
        }
    }

    /// The descriptor of the file for its preparation.
    fn made(&self) -> Fd {
        self.file.fd()
    }

    fn seal(&self) -> Made {
        self.make(&crate::mechanism::seal(self.made(), SIZE))
    }

    fn flag(&self, flag: u32) -> Made {
        self.later(Call::ChangeFlags { fd: self.made(), set: 0, clear: flag });
        self.make(&Call::ChangeFlags { fd: self.made(), set: flag, clear: 0 })
    }

    fn allocate(&self, mode: Mode) -> Made {
        self.make(&Call::Fallocate { fd: self.made(), mode, offset: BLOCK_LEN, len: BLOCK_LEN })
    }

    /// Whether the file has no storage of its own.
    fn inline(&self) -> Made {
        match self.file.agent() {
            Ok(agent) if agent.span().is_ok() => None,
            // In the directory of somebody there is no way to know.
            Err(Trouble::NotReachable(_)) => None,
            Ok(_) | Err(_) => Some(0),
        }
    }

    fn map(&self) -> Made {
        let map = self.make(&Call::Map { fd: self.made(), len: SIZE as usize, shared: true, write: true })?;
        self.later(Call::Unmap { map: map as MapId });
        Some(map)
    }

    fn register(&self) -> Made {
        let map = self.map()?;
        let registration = self.make(&Call::Register { map: map as MapId })?;
        self.later(Call::Unregister { registration: registration as MapId });
        Some(registration)
    }

    fn activate(&self) -> Made {
        let active = self.make(&Call::Swapon { fd: self.made() })?;
        self.later(Call::Swapoff { fd: self.made() });
        Some(active)
    }

    fn fallocate(&self, it: &Try, mode: Mode) -> Call {
        Call::Fallocate { fd: self.fd, mode: mode | it.bits, offset: it.offset, len: it.len }
    }

    fn write(&self, it: &Try) -> Call {
        Call::Pwrite { fd: self.fd, offset: it.offset, data: it.data() }
    }
}

/// One line of the table.
struct Row {
    operation: &'static Operation,
    circumstances: Vec<&'static Circumstance>,
    /// The clauses that refuse the call.
    clauses: Vec<&'static Clause>,
}

/// The calls with their circumstances and the clauses that refuse them: `seal: a length of 0, O_RDONLY: seal.length
/// seal.readonly`.
static REASONS: &str = include_str!("reasons.txt");

fn rows() -> impl Iterator<Item = Row> {
    REASONS.lines().filter_map(|line| {
        let [operation, circumstances, clauses] = line.split(": ").collect::<Vec<_>>().try_into().ok()?;
        let named = |name: &str| CIRCUMSTANCES.iter().find(|it| it.0 == name);
        Some(Row {
            operation: OPERATIONS.iter().find(|it| it.name == operation)?,
            circumstances: circumstances.split(", ").map(named).collect::<Option<_>>()?,
            clauses: clauses.split(' ').map(|id| ALL.iter().copied().find(|it| it.id == id)).collect::<Option<_>>()?,
        })
    })
}

/// The errors that come after that of this clause, because its text says so.
fn comes_before(clause: &Clause) -> Option<Errno> {
    let (_, later) = clause.text.split_once("reported before ")?;
    [("ETXTBSY", Errno::ETXTBSY), ("that of the missing capability", Errno::EPERM)]
        .into_iter()
        .find_map(|(words, errno)| later.starts_with(words).then_some(errno))
}

/// Whether the clauses allow this error. A clause that comes before another one excludes the other's error.
fn are_reasons(clauses: &[&Clause], errno: Errno) -> bool {
    let first = clauses.iter().find(|one| {
        comes_before(one)
            .is_some_and(|later| clauses.iter().any(|other| other.id != one.id && other.allows(Some(later))))
    });
    match first {
        Some(first) => first.allows(Some(errno)),
        None => clauses.iter().any(|clause| clause.allows(Some(errno))),
    }
}

/// A scene with its call, made: the call, its error, and the changes that it has made. `None` if there can be no such scene
/// here.
fn come(t: &Context, name: &str, it: &Try, operation: &Operation, sealed: bool) -> Result<Option<Came>, Trouble> {
    let Some(scene) = Scene::prepare(t, name, it, sealed)? else { return Ok(None) };
    let call = (operation.call)(&scene, it);
    if t.reach(&call).is_err() {
        return scene.end().map(|()| None);
    }
    let seen = match it.kind {
        Kind::Regular => scene.file.act_as(it.caller, &call, Effect::Nothing)?,
        _ => t.observe_as(it.caller, &call)?,
    };
    scene.end()?;
    Ok(seen.0.into_iter().next().map(|one| Came { call, errno: one.outcome.flatten(), changes: one.faults }))
}

struct Came {
    call: Call,
    errno: Option<Errno>,
    changes: Vec<String>,
}

/// Makes the calls of the table that the clause of the case refuses, together with another reason.
fn two_reasons(t: &Context) -> Seen {
    t.needs_seal("rules with more than one reason")?;
    let mut seen = Observed::default();
    for (number, row) in rows().filter(|row| t.is_about(row.clauses[0])).enumerate() {
        let (it, sealed) = (Try::of(&row.circumstances), row.operation.sealed);
        let made = come(t, &format!("file-{number}"), &it, row.operation, sealed)?;
        let Some(Came { call, errno, changes: mut faults }) = made else { continue };
        let is_reason = errno.is_some_and(|errno| are_reasons(&row.clauses, errno));
        // A call that fails on any file may fail on a sealed one (rule.ordinary).
        let is_ordinary = || -> Result<bool, Trouble> {
            let twin = if sealed { come(t, &format!("unsealed-{number}"), &it, row.operation, false)? } else { None };
            Ok(errno.is_some() && twin.is_some_and(|twin| twin.errno == errno))
        };
        if !is_reason && is_ordinary()? {
            if faults.is_empty() {
                continue;
            }
        } else if !is_reason {
            let came = errno.map_or("succeeds".into(), |errno| format!("fails with {}", words::name(errno)));
            faults.push(format!("it {came}, which none of these clauses allows"));
        }
        let circumstances: Vec<&str> = row.circumstances.iter().map(|it| it.0).collect();
        let clauses: Vec<&str> = row.clauses.iter().map(|clause| clause.id).collect();
        let what =
            format!("{call} with {} is refused because of {}", circumstances.join(" and "), clauses.join(" or "));
        seen = seen.and(t.one(what, None, faults));
    }
    match seen.0.is_empty() {
        true => Err(Trouble::NotOffered("here each such call fails on any file, or it cannot be made".into())),
        false => Ok(seen),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::trace::Trace;
    use crate::target::reference::BLOCKS;
    use iomap_reference::{Fs, Outcome};
    use std::collections::BTreeSet;

    /// The table has a call for each set of clauses that a call of the model meets, with each error that the call has on
    /// a file that is not sealed. The model itself reports one of the reasons.
    #[test]
    fn the_reasons_are_those_of_the_model() {
        let (mut found, mut met) = (String::new(), BTreeSet::new());
        for operation in OPERATIONS {
            let mut known = BTreeSet::new();
            let error = |it: &Try| on_model(it, operation, false).and_then(|(_, outcome, _)| outcome.err());
            let always = error(&Try::PLAIN);
            for (at, one) in CIRCUMSTANCES.iter().enumerate() {
                // The last round has one circumstance only.
                for other in CIRCUMSTANCES[at + 1..].iter().map(Some).chain([None]) {
                    let circumstances: Vec<_> = [Some(one), other].into_iter().flatten().collect();
                    let it = Try::of(&circumstances);
                    let Some((call, outcome, clauses)) = on_model(&it, operation, operation.sealed) else { continue };
                    let ids: Vec<_> = clauses.iter().map(|clause| clause.id).collect();
                    met.extend(ids.iter().copied());
                    let ordinary = operation.sealed.then(|| error(&it)).flatten();
                    let is_allowed = match outcome {
                        Ok(_) => clauses.is_empty(),
                        Err(errno) => are_reasons(&clauses, errno) || ordinary == Some(errno),
                    };
                    assert!(is_allowed, "{call} = {outcome:?}, the reasons are {ids:?}");
                    let two = clauses.len() > 1 || (ordinary.is_some() && ordinary != always);
                    if !clauses.is_empty() && two && known.insert((ids.clone(), ordinary.map(words::name))) {
                        let names: Vec<_> = circumstances.iter().map(|it| it.0).collect();
                        found += &format!("{}: {}: {}\n", operation.name, names.join(", "), ids.join(" "));
                    }
                }
            }
        }
        for (clause, answer) in iomap_reference::rules() {
            assert!(!answer.starts_with('E') || met.contains(clause.id), "no call meets {clause}");
        }
        if std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
            std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/src/cases/reasons.txt"), &found).unwrap();
        } else {
            assert!(found == REASONS, "INSTA_UPDATE=always writes src/cases/reasons.txt anew:\n{found}");
        }
    }

    #[test]
    fn each_line_is_a_row_of_a_case() {
        assert_eq!(rows().count(), REASONS.lines().count());
        for row in rows() {
            let id = row.clauses[0].id;
            assert!(CASES.iter().any(|case| case.clause.id == id), "no case is about {id} and another reason");
        }
        for case in CASES {
            assert!(rows().any(|row| row.clauses[0].id == case.clause.id), "no line is about {}", case.clause);
        }
    }

    fn on_model(it: &Try, operation: &Operation, sealed: bool) -> Option<(Call, Outcome, Vec<&'static Clause>)> {
        let model = Fs::new(BLOCKS);
        let t = Context::new(&model, Mechanism::Seal, Trace::default());
        let scene = Scene::prepare(&t, "file-0", it, sealed).unwrap()?;
        let call = (operation.call)(&scene, it);
        let (outcome, clauses) = iomap_reference::reasons(|| model.call(it.caller, &call));
        scene.end().unwrap();
        Some((call, outcome, clauses))
    }
}
