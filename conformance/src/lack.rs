//! Resources and rights that the machine or the caller lacks. A verdict never rests on a lack: it is `error`, with the
//! name of the lack.
//!
//! An errno alone shows no lack: a kernel that wrongly answers EPERM would hide behind it. Each lack has a counter, or
//! another call of the same kind, that shows it at that moment, apart from the call that failed. A state that a case
//! arranged itself, such as a full file system of the suite's own, has no row here.

use crate::words;
use iomap_clauses::Errno;
use iomap_reference::{Call, FLAG_APPEND, FLAG_IMMUTABLE, Route, XFLAG_APPEND, XFLAG_IMMUTABLE};
use std::fmt;

/// A resource with a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counter {
    /// The part that is in use.
    pub used: u64,
    /// The limit.
    pub limit: u64,
}

impl Counter {
    fn left(self) -> u64 {
        self.limit.saturating_sub(self.used)
    }
}

/// A capability of capabilities(7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Capability {
    /// Its bit.
    pub bit: u32,
    /// Its name.
    pub name: &'static str,
}

const CHOWN: Capability = Capability { bit: 0, name: "CAP_CHOWN" };
const LINUX_IMMUTABLE: Capability = Capability { bit: 9, name: "CAP_LINUX_IMMUTABLE" };
const DAC_OVERRIDE: Capability = Capability { bit: 1, name: "CAP_DAC_OVERRIDE" };
const SYS_ADMIN: Capability = Capability { bit: 21, name: "CAP_SYS_ADMIN" };

/// The capabilities that cases need on file systems of the suite, and for swap files on every file system. swapoff(2)
/// opens the file, which a case may have given to another user: without CAP_DAC_OVERRIDE the file would stay active.
pub(crate) const ADMINISTRATION: &[Capability] = &[CHOWN, DAC_OVERRIDE, LINUX_IMMUTABLE, SYS_ADMIN];

/// The capabilities for changing the attributes and the owners of files.
pub(crate) const ATTRIBUTES: &[Capability] = &[CHOWN, LINUX_IMMUTABLE];

/// The sources that show a lack. `None` means that this machine does not have the resource, or that it cannot be
/// queried.
pub(crate) trait Probe {
    /// The descriptors of this process.
    fn descriptors(&self) -> Option<Counter>;
    /// The descriptors of the machine.
    fn machine_descriptors(&self) -> Option<Counter>;
    /// The bytes of address space of this process.
    fn address_space(&self) -> Option<Counter>;
    /// The bytes of memory of the machine.
    fn memory(&self) -> Option<Counter>;
    /// Whether the caller has a capability for the whole machine.
    fn has(&self, capability: Capability) -> bool;
    /// Whether another process cannot be started for the same reason.
    fn refuses_process(&self, errno: Errno) -> bool;
    /// The active swap areas of the machine.
    fn swap_areas(&self) -> Option<Counter>;
    /// Whether an ordinary file cannot become a swap file for the same reason.
    fn refuses_swap(&self, errno: Errno) -> bool;
    /// The directory of the images, and the bytes of room there. Once data were lost for
    /// lack of room, it counts as full.
    fn room(&self) -> Option<(String, Counter)>;
    /// The bytes of room in the file system of the suite itself.
    fn room_inside(&self) -> Option<Counter>;
    /// Whether an ordinary file in the directory of the user cannot get a block for the same reason, and where.
    fn refuses_block(&self, errno: Errno) -> Option<String>;
    /// The reason why no loop device is available.
    fn loop_device(&self) -> Option<String>;
}

/// The needs of a run. Zero and empty lists mean that the run does not need the resource.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Needs {
    /// Descriptors of this process.
    pub descriptors: u64,
    /// Bytes of address space.
    pub address_space: u64,
    /// Capabilities.
    pub rights: &'static [Capability],
    /// Bytes of room for images.
    pub room: u64,
    /// Swap areas at the same time.
    pub swap_areas: u64,
}

/// A kind of lack.
struct Lack {
    /// Its name in reports.
    name: &'static str,
    /// Whether a failure of this call can be its sign.
    sign: fn(&Call, Errno) -> bool,
    /// The proof of the lack, apart from the call that failed.
    shown: fn(&dyn Probe, &Call, Errno) -> Option<String>,
    /// The sign before a run that there will be a lack.
    ahead: fn(&dyn Probe, &Needs) -> Option<String>,
}

/// The number of descriptors that other threads may have closed since a call found none.
const DESCRIPTORS_BETWEEN: u64 = 64;

/// The number of descriptors that the processes of the machine may have closed since then.
const MACHINE_DESCRIPTORS_BETWEEN: u64 = 256;

/// The number of swap areas that other processes may have given back.
const AREAS_BETWEEN: u64 = 3;

/// Memory below this limit counts as none, in bytes: a thread takes as much address space.
const LITTLE_MEMORY: u64 = 16 << 20;

/// Room below this limit counts as none, in bytes: file systems write more than one block at a time.
const LITTLE_ROOM: u64 = 1 << 20;

static LACKS: &[Lack] = &[
    Lack {
        name: "file descriptors",
        sign: |_, errno| matches!(errno, Errno::EMFILE | Errno::ENFILE),
        shown: |probe, _, errno| {
            let (counter, between, whose) = match errno {
                Errno::EMFILE => (probe.descriptors()?, DESCRIPTORS_BETWEEN, "of this process (ulimit -n)"),
                _ => (probe.machine_descriptors()?, MACHINE_DESCRIPTORS_BETWEEN, "of the machine (fs.file-max)"),
            };
            (counter.left() < between).then(|| format!("{} of {} {whose} are in use", counter.used, counter.limit))
        },
        ahead: |probe, needs| {
            let limit = probe.descriptors()?.limit;
            let short = limit < needs.descriptors;
            short.then(|| format!("a run takes {}, and the limit is {limit} (ulimit -n)", needs.descriptors))
        },
    },
    Lack {
        name: "memory",
        sign: |_, errno| matches!(errno, Errno::ENOMEM | Errno::EAGAIN),
        shown: |probe, _, _| {
            let counters = [("address space (ulimit -v)", probe.address_space()), ("memory", probe.memory())];
            counters.into_iter().find_map(|(what, counter)| {
                let left = counter.map(Counter::left).filter(|left| *left < LITTLE_MEMORY)?;
                Some(format!("{} of {what} are left", mebibytes(left)))
            })
        },
        ahead: |probe, needs| {
            let limit = probe.address_space()?.limit;
            let (takes, limit) =
                (limit < needs.address_space).then(|| (mebibytes(needs.address_space), mebibytes(limit)))?;
            Some(format!("a run takes {takes} of address space, and the limit is {limit} (ulimit -v)"))
        },
    },
    Lack {
        name: "processes",
        // copy_process() of kernel/fork.c: RLIMIT_NPROC, or the limit of the control group.
        sign: |call, errno| errno == Errno::EAGAIN && starts_process(call),
        shown: |probe, _, errno| {
            probe.refuses_process(errno).then(|| "no other process can be started (ulimit -u, pids.max)".into())
        },
        ahead: |_, _| None,
    },
    Lack {
        name: "rights of the caller",
        sign: |call, errno| matches!(errno, Errno::EPERM | Errno::EACCES) && right(call).is_some(),
        shown: |probe, call, _| {
            right(call).filter(|right| !probe.has(*right)).map(|right| format!("{} is missing", right.name))
        },
        ahead: |probe, needs| {
            let missing: Vec<&str> = needs.rights.iter().filter(|it| !probe.has(**it)).map(|it| it.name).collect();
            (!missing.is_empty()).then(|| format!("{} missing", is_or_are(&missing)))
        },
    },
    Lack {
        name: "swap areas",
        // alloc_swap_info() of mm/swapfile.c.
        sign: |call, errno| matches!(call.bare(), Call::Swapon { .. }) && errno == Errno::EPERM,
        shown: |probe, _, errno| {
            let counter = probe.swap_areas()?;
            let full = counter.left() < AREAS_BETWEEN || probe.refuses_swap(errno);
            full.then(|| format!("{} are active (/proc/swaps)", counter.used))
        },
        ahead: |probe, needs| {
            let counter = probe.swap_areas()?;
            let Counter { used, limit } = counter;
            let short = needs.swap_areas > 0 && counter.left() < needs.swap_areas;
            short.then(|| format!("a run takes {}, and {used} of {limit} are active (/proc/swaps)", needs.swap_areas))
        },
    },
    Lack {
        name: "room for images",
        // A write that fails on the loop device is EIO, and then the file system is shut down or read-only.
        sign: |_, errno| matches!(errno, Errno::EIO | Errno::EROFS | Errno::ENOSPC),
        shown: |probe, call, errno| {
            let (place, room) = probe.room()?;
            // The loop device passes ENOSPC on. A file system that is full itself, because its case filled it, has the
            // same answer: that one is a verdict.
            let may_be_own = errno == Errno::ENOSPC && !replaces_storage(call);
            let is_own = may_be_own && probe.room_inside().is_none_or(|inside| inside.left() < LITTLE_ROOM);
            (room.left() < LITTLE_ROOM && !is_own).then(|| format!("{place} is full"))
        },
        ahead: |probe, needs| {
            let (place, room) = probe.room()?;
            let (left, takes) = (room.left() < needs.room).then(|| (mebibytes(room.left()), mebibytes(needs.room)))?;
            Some(format!("a run takes {takes} in {place}, and {left} are left (TMPDIR)"))
        },
    },
    Lack {
        name: "room in the directory",
        sign: |_, errno| matches!(errno, Errno::ENOSPC | Errno::EDQUOT),
        shown: |probe, _, errno| probe.refuses_block(errno),
        ahead: |_, _| None,
    },
    Lack {
        name: "loop devices",
        sign: |call, errno| errno == Errno::EIO && replaces_storage(call),
        shown: |probe, _, _| probe.loop_device(),
        ahead: |_, _| None,
    },
];

/// Whether the suite makes an image, and attaches it, during a call.
fn replaces_storage(call: &Call) -> bool {
    matches!(call, Call::PowerLoss { .. } | Call::PowerLossAfter { .. } | Call::RemoveDevice | Call::ReplaceDevice)
}

/// Whether a process of its own makes the call.
fn starts_process(call: &Call) -> bool {
    matches!(call, Call::PwriteLimited { .. } | Call::Via { route: Route::Fork | Route::Namespace, .. })
}

/// The capability that a call needs for every file.
fn right(call: &Call) -> Option<Capability> {
    Some(match call {
        Call::Via { route: Route::Freeze | Route::Trim, .. } => SYS_ADMIN,
        Call::Via { call, .. } | Call::Watched { call, .. } => return right(call),
        Call::ChangeFlags { set, clear, .. } if (set | clear) & (FLAG_IMMUTABLE | FLAG_APPEND) != 0 => LINUX_IMMUTABLE,
        Call::ChangeXflags { set, clear, .. } if (set | clear) & (XFLAG_IMMUTABLE | XFLAG_APPEND) != 0 => {
            LINUX_IMMUTABLE
        }
        Call::Fallocate { mode, .. } if mode.changes_state() => LINUX_IMMUTABLE,
        Call::Chown { .. } => CHOWN,
        Call::Swapon { .. } | Call::Swapoff { .. } | Call::Remount { .. } => SYS_ADMIN,
        Call::Cycle | Call::CycleWith { .. } => SYS_ADMIN,
        Call::PowerLoss { .. } | Call::SetQuota { .. } | Call::Snapshot | Call::Collect => SYS_ADMIN,
        Call::PowerLossAfter { .. } | Call::Shrink { .. } | Call::RemoveDevice | Call::ReplaceDevice => SYS_ADMIN,
        _ => return None,
    })
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}

fn is_or_are(names: &[&str]) -> String {
    format!("{} {}", names.join(", "), if names.len() == 1 { "is" } else { "are" })
}

/// A lack that was shown when a call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lacking {
    /// The call and its result, as strace(1) would print it.
    pub call: String,
    /// The errno.
    pub errno: Errno,
    /// The name of the lack, and the proof.
    pub what: String,
}

impl fmt::Display for Lacking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} = {}", self.what, self.call, words::name(self.errno))
    }
}

/// The lack that made a call fail, if there is one. The function is called right after the call.
pub(crate) fn behind(probe: &dyn Probe, call: &Call, errno: Errno) -> Option<Lacking> {
    let shown = |lack: &Lack| Some(format!("{}: {}", lacks(lack.name), (lack.shown)(probe, call, errno)?));
    let what = LACKS.iter().filter(|lack| (lack.sign)(call, errno)).find_map(shown)?;
    Some(Lacking { call: call.to_string(), errno, what })
}

/// The lack of room for images at this moment. The loop device loses writes then, and the file system above answers
/// some later calls differently: a violation that a case saw shows nothing.
pub(crate) fn lost_data(probe: &dyn Probe) -> Option<String> {
    shown_by(probe, "room for images", Errno::EIO)
}

/// A lack at this moment, for preparations that are no calls of a case.
pub(crate) fn now(probe: &dyn Probe) -> Option<String> {
    let signs = [
        ("room for images", Errno::EIO),
        ("file descriptors", Errno::EMFILE),
        ("file descriptors", Errno::ENFILE),
        ("memory", Errno::ENOMEM),
    ];
    signs.into_iter().find_map(|(name, errno)| shown_by(probe, name, errno))
}

/// The proof of a lack, whatever call would fail because of it.
fn shown_by(probe: &dyn Probe, name: &str, errno: Errno) -> Option<String> {
    let lack = LACKS.iter().find(|lack| lack.name == name)?;
    Some(format!("{}: {}", lacks(name), (lack.shown)(probe, &Call::FreeSpace, errno)?))
}

/// A need that the machine does not meet for a run, in one line, or `None`.
pub(crate) fn missing(probe: &dyn Probe, needs: &Needs) -> Option<String> {
    LACKS.iter().find_map(|lack| Some(format!("{}: {}", lacks(lack.name), (lack.ahead)(probe, needs)?)))
}

fn lacks(name: &str) -> String {
    format!("lacking {name}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use iomap_reference::Mode;

    /// A machine that lacks only the things that a test takes away.
    struct Fake {
        descriptors: Counter,
        address_space: Counter,
        without: Option<Capability>,
        swap_areas: Counter,
        room: Counter,
        room_inside: Counter,
        no_block: Option<Errno>,
        no_process: Option<Errno>,
    }

    const PLENTY: Counter = Counter { used: 10, limit: 1 << 40 };
    const FULL: Counter = Counter { used: 23, limit: 23 };

    impl Default for Fake {
        fn default() -> Self {
            let [descriptors, address_space, swap_areas, room, room_inside] = [PLENTY; 5];
            Self {
                descriptors,
                address_space,
                without: None,
                swap_areas,
                room,
                room_inside,
                no_block: None,
                no_process: None,
            }
        }
    }

    impl Probe for Fake {
        fn descriptors(&self) -> Option<Counter> {
            Some(self.descriptors)
        }

        fn machine_descriptors(&self) -> Option<Counter> {
            Some(PLENTY)
        }

        fn address_space(&self) -> Option<Counter> {
            Some(self.address_space)
        }

        fn memory(&self) -> Option<Counter> {
            Some(PLENTY)
        }

        fn has(&self, capability: Capability) -> bool {
            self.without != Some(capability)
        }

        fn swap_areas(&self) -> Option<Counter> {
            Some(self.swap_areas)
        }

        fn refuses_process(&self, errno: Errno) -> bool {
            self.no_process == Some(errno)
        }

        fn refuses_swap(&self, _: Errno) -> bool {
            false
        }

        fn room(&self) -> Option<(String, Counter)> {
            Some(("/tmp".into(), self.room))
        }

        fn room_inside(&self) -> Option<Counter> {
            Some(self.room_inside)
        }

        fn refuses_block(&self, errno: Errno) -> Option<String> {
            (self.no_block == Some(errno)).then(|| "another file gets no block".into())
        }

        fn loop_device(&self) -> Option<String> {
            None
        }
    }

    const SWAPON: Call = Call::Swapon { fd: 3 };
    const SHRINK: Call = Call::Ftruncate { fd: 3, size: 0 };
    const FLAG: Call = Call::ChangeFlags { fd: 3, set: FLAG_IMMUTABLE, clear: 0 };
    const PUNCH: Call = Call::Fallocate { fd: 3, mode: Mode::PUNCH_HOLE, offset: 0, len: 4096 };

    /// Each machine with a lack, with a call and the errno that the call gets there.
    fn lacking() -> Vec<(Fake, Call, Errno, &'static str)> {
        let without = |capability| Fake { without: Some(capability), ..Fake::default() };
        let no_block = |errno| Fake { no_block: Some(errno), ..Fake::default() };
        let full = || Fake { room: FULL, ..Fake::default() };
        vec![
            (
                Fake { descriptors: FULL, ..Fake::default() },
                SHRINK,
                Errno::EMFILE,
                "lacking file descriptors: 23 of 23 of",
            ),
            (
                Fake { address_space: FULL, ..Fake::default() },
                SHRINK,
                Errno::ENOMEM,
                "lacking memory: 0 MiB of address",
            ),
            (
                Fake { no_process: Some(Errno::EAGAIN), ..Fake::default() },
                Call::Store { map: 1, offset: 0, data: vec![1] }.via(Route::Fork),
                Errno::EAGAIN,
                "lacking processes: no other process can be started",
            ),
            (
                without(LINUX_IMMUTABLE),
                FLAG,
                Errno::EPERM,
                "lacking rights of the caller: CAP_LINUX_IMMUTABLE is missing",
            ),
            (without(SYS_ADMIN), SWAPON, Errno::EPERM, "lacking rights of the caller: CAP_SYS_ADMIN is missing"),
            (Fake { swap_areas: FULL, ..Fake::default() }, SWAPON, Errno::EPERM, "lacking swap areas: 23 are active"),
            (full(), SHRINK, Errno::EIO, "lacking room for images: /tmp is full"),
            (full(), SHRINK, Errno::EROFS, "lacking room for images: /tmp is full"),
            (full(), Call::ReplaceDevice, Errno::ENOSPC, "lacking room for images: /tmp is full"),
            (no_block(Errno::ENOSPC), SHRINK, Errno::ENOSPC, "lacking room in the directory: another file"),
            (no_block(Errno::EDQUOT), SHRINK, Errno::EDQUOT, "lacking room in the directory: another file"),
        ]
    }

    #[test]
    fn a_lack_that_is_shown_has_a_name() {
        for (machine, call, errno, name) in lacking() {
            let what = behind(&machine, &call, errno).map(|lack| lack.what).unwrap_or_default();
            assert!(what.starts_with(name), "{call} = {errno}: {what:?}");
        }
    }

    #[test]
    fn an_errno_alone_shows_nothing() {
        for (_, call, errno, _) in lacking() {
            assert_eq!(behind(&Fake::default(), &call, errno), None, "{call} = {errno}");
        }
    }

    #[test]
    fn a_lack_elsewhere_excuses_nothing() {
        let everything = Fake {
            descriptors: FULL,
            without: Some(LINUX_IMMUTABLE),
            swap_areas: FULL,
            room: FULL,
            room_inside: FULL,
            no_block: Some(Errno::EDQUOT),
            no_process: Some(Errno::EAGAIN),
            ..Fake::default()
        };
        for (call, errno) in [
            // The answer of a kernel to a file in the state.
            (SHRINK, Errno::EPERM),
            (PUNCH, Errno::EPERM),
            (SHRINK, Errno::ETXTBSY),
            (SHRINK, Errno::EAGAIN),
            (SWAPON, Errno::EINVAL),
            // A full file system that the suite made.
            (PUNCH, Errno::ENOSPC),
            (Call::Chown { name: "file".into(), uid: 1, gid: 1 }, Errno::EPERM),
        ] {
            assert_eq!(behind(&everything, &call, errno), None, "{call} = {errno}");
        }
    }

    /// The image has no room, but the file system in it has: so the errors of its writes come from the loop device.
    #[test]
    fn no_room_under_a_file_system_that_has_room() {
        let full = Fake { room: FULL, ..Fake::default() };
        for call in [SWAPON, PUNCH] {
            let lack = behind(&full, &call, Errno::ENOSPC).expect("a lack").to_string();
            assert!(lack.starts_with("lacking room for images: /tmp is full"), "{lack}");
        }
        assert_eq!(behind(&Fake::default(), &PUNCH, Errno::ENOSPC), None);
    }

    #[test]
    fn data_are_lost_without_room_only() {
        let full = Fake { room: FULL, ..Fake::default() };
        assert_eq!(lost_data(&full).as_deref(), Some("lacking room for images: /tmp is full"));
        let other = Fake { descriptors: FULL, address_space: FULL, swap_areas: FULL, ..Fake::default() };
        assert_eq!(lost_data(&other), None);
    }

    #[test]
    fn a_lack_for_a_run_is_one_line() {
        let needs =
            Needs { descriptors: 256, address_space: 1 << 30, rights: ADMINISTRATION, room: 100 << 20, swap_areas: 10 };
        assert_eq!(missing(&Fake::default(), &needs), None);
        let short = Fake { descriptors: Counter { used: 3, limit: 64 }, ..Fake::default() };
        let said = missing(&short, &needs).unwrap();
        assert_eq!(said, "lacking file descriptors: a run takes 256, and the limit is 64 (ulimit -n)");
        let small = Fake { room: Counter { used: 50 << 20, limit: 60 << 20 }, ..Fake::default() };
        let said = missing(&small, &needs).unwrap();
        assert_eq!(said, "lacking room for images: a run takes 100 MiB in /tmp, and 10 MiB are left (TMPDIR)");
        assert_eq!(missing(&small, &Needs::default()), None);
        let ordinary = Fake { without: Some(CHOWN), ..Fake::default() };
        assert_eq!(missing(&ordinary, &needs).unwrap(), "lacking rights of the caller: CAP_CHOWN is missing");
    }
}
