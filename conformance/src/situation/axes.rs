//! The axes of situations and the values on them: one table.
//!
//! A case says what it does with a file. The axes say how the file came about, and in which company the case meets it.
//! The first value of each axis is the plain one; a situation of plain values only is the plain situation.

use crate::mechanism::{BLOCK_LEN, SIZE};
use std::fmt;
use std::str::FromStr;

/// An axis, for code that treats all axes alike.
pub(crate) struct Axis {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) values: &'static [Value],
    get: fn(&Situation) -> usize,
    set: fn(&mut Situation, usize),
}

/// A value on an axis.
pub(crate) struct Value {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
}

macro_rules! axes {
    ($(#[doc = $about:literal] $field:ident: $Axis:ident {
        $(#[doc = $text:literal] $Value:ident = $name:literal;)+
    })+) => {
        $(
            #[doc = $about]
            #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
            pub(crate) enum $Axis { $(#[doc = $text] $Value,)+ }

            impl $Axis {
                const VALUES: &'static [Self] = &[$(Self::$Value,)+];
            }
        )+

        /// A value on each axis.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub struct Situation { $(pub(crate) $field: $Axis,)+ }

        impl Situation {
            /// The situation of plain values only.
            pub const PLAIN: Self = Self { $($field: $Axis::VALUES[0],)+ };
        }

        /// Every axis.
        pub(crate) static AXES: &[Axis] = &[$(Axis {
            name: stringify!($field),
            about: $about,
            values: &[$(Value { name: $name, about: $text },)+],
            get: |situation| situation.$field as usize,
            set: |situation, value| situation.$field = $Axis::VALUES[value],
        },)+];
    };
}

axes! {
    /// The size of the file.
    size: Size {
        /// The file has four blocks.
        Blocks = "blocks";
        /// The last byte of four blocks is missing.
        Less = "less";
        /// The file has one byte more than four blocks.
        More = "more";
        /// The file has many blocks.
        Many = "many";
        /// The file has one block.
        Block = "block";
        /// The file has less than a block.
        Part = "part";
        /// The file has one byte.
        Byte = "byte";
        /// The file has more pieces than one page of a map has room for.
        Large = "large";
    }
    /// The part of the file in which the case acts.
    part: Part {
        /// The file has four blocks, and the case acts in all of them.
        All = "all";
        /// The case acts in the last blocks of a larger file.
        End = "end";
    }
    /// The way in which the storage of the file came about.
    placement: Placement {
        /// The file was written in one piece.
        Whole = "whole";
        /// The blocks were written in turns with those of another file.
        Scattered = "scattered";
        /// The blocks were written from the last to the first.
        Backwards = "backwards";
        /// The space was allocated before it was written.
        Preallocated = "preallocated";
        /// The file shared its storage with another file, and was overwritten.
        Unshared = "unshared";
        /// The file was a hole that was filled, punched, and filled again.
        Filled = "filled";
        /// The file has blocks beyond its end.
        Beyond = "beyond";
        /// The file had one byte, then too many blocks, and was cut to its size.
        Resized = "resized";
    }
    /// The calls that the file has behind it.
    past: Past {
        /// The file was written, and no more.
        None = "none";
        /// The file exchanged its contents with another file, got them back, and was defragmented.
        Moved = "moved";
        /// The file was the source of a copy.
        Copied = "copied";
        /// A process stored into the file by a mapping, which has ended.
        Stored = "stored";
        /// Devices stored into the file in the state: by a registration that has ended, and by the place on storage.
        Device = "device";
        /// The file had a lease.
        Leased = "leased";
        /// The file was overwritten in the state, and not synced.
        Written = "written";
        /// The file was an active swap file.
        Swap = "swap";
    }
    /// The events between the last write of the file and the case.
    history: History {
        /// The file is on storage, and nothing else happened.
        Fresh = "fresh";
        /// The file was in the state, and left it.
        Again = "again";
        /// The file was in the state three times, and left it three times.
        Thrice = "thrice";
        /// The file was in the state, left it, and was overwritten.
        Overwritten = "overwritten";
        /// The file was never synced.
        Unsynced = "unsynced";
        /// The file system was unmounted and mounted twice, and was read-only for a while.
        Remounted = "remounted";
        /// The file system lost its power.
        PowerLoss = "power_loss";
        /// The file system was frozen and thawed.
        Frozen = "frozen";
        /// Calls on the file were refused.
        Refused = "refused";
    }
    /// The names of the file.
    names: Names {
        /// The file has one name, with which it was made.
        One = "one";
        /// The file has three names, and the case uses the last of them.
        Three = "three";
        /// The file has no name any more.
        Gone = "gone";
        /// The file was renamed over another file, which is still open.
        Over = "over";
        /// The file came from another directory.
        Moved = "moved";
        /// The file exchanged its name with another file.
        Exchanged = "exchanged";
        /// The file was made without a name, by O_TMPFILE, and got one.
        Temporary = "temporary";
    }
    /// The descriptor that the case uses.
    access: Access {
        /// The descriptor is open for reading and writing.
        ReadWrite = "rdwr";
        /// The descriptor is open for writing only.
        WriteOnly = "wronly";
        /// The descriptor is open for reading only.
        ReadOnly = "rdonly";
        /// The descriptor has O_APPEND.
        Append = "append";
        /// The descriptor has O_DIRECT.
        Direct = "direct";
        /// The descriptor has O_DSYNC.
        Dsync = "dsync";
        /// The offset of the descriptor is inside the file.
        Offset = "offset";
        /// The descriptor is older than the state, and another one, which is closed, brought the file into the state.
        Other = "other";
        /// All descriptors were opened after the file came into the state.
        Later = "later";
        /// The file has one descriptor.
        Single = "single";
        /// The file has one descriptor, which has a lease.
        Leased = "leased";
    }
    /// The other users of a file in the state.
    holders: Holders {
        /// The case is the only user.
        None = "none";
        /// Six other descriptors are open.
        Descriptor = "descriptor";
        /// The file is mapped, shared and writable.
        Mapping = "mapping";
        /// A part of the file is mapped privately for reading, and the descriptor of the mapping is closed.
        Private = "private";
        /// The file was mapped twice, and one of the mappings is gone.
        Two = "two";
        /// The file is registered for a device.
        Registration = "registration";
        /// The file was registered twice, and one of the registrations is gone.
        Registrations = "registrations";
        /// The file is mapped twice for reading, and a part of it is registered twice for reading.
        Readers = "readers";
        /// The file is an active swap file.
        Swap = "swap";
    }
    /// The rest of the file system.
    company: Company {
        /// The files of the case are the only ones.
        Alone = "alone";
        /// Two other files are in the state.
        Sealed = "sealed";
        /// Two other files share their storage.
        Clones = "clones";
        /// A snapshot was made before the file.
        Snapshot = "snapshot";
        /// A mover has moved what it may move.
        Moved = "moved";
        /// The file system is full.
        Full = "full";
        /// The owner of the files has a quota, and no space left in it.
        Limited = "limited";
        /// There are many files, of which one is mapped, and registered where the kernel registers files.
        Busy = "busy";
    }
    /// The metadata of the file.
    metadata: Metadata {
        /// The metadata are those of a new file.
        New = "new";
        /// The file belongs to another user.
        Owner = "owner";
        /// The file has a large extended attribute.
        Xattr = "xattr";
        /// The file has an attribute beside the state.
        Attribute = "attribute";
        /// The file belongs to a project.
        Project = "project";
        /// The mode and the times of the file were changed.
        Changed = "changed";
        /// The file has the set-user-ID bit.
        SetId = "set_id";
    }
    /// The caller of the calls that are judged.
    caller: Privilege {
        /// The caller has the capabilities.
        All = "privileged";
        /// The caller has neither CAP_LINUX_IMMUTABLE nor CAP_SYS_ADMIN.
        None = "unprivileged";
        /// The caller has no capability, and owns what root owns.
        Owner = "owner";
    }
}

/// The length of a file of [`Size::Many`], in blocks.
const MANY: i64 = 34;

impl Size {
    /// The length, in bytes; `None` if it depends on the system.
    pub(crate) fn bytes(self) -> Option<i64> {
        Some(match self {
            Self::Blocks => SIZE,
            Self::Less => SIZE - 1,
            Self::More => SIZE + 1,
            Self::Many => MANY * BLOCK_LEN,
            Self::Block => BLOCK_LEN,
            Self::Part => BLOCK_LEN / 3,
            Self::Byte => 1,
            Self::Large => return None,
        })
    }
}

impl Situation {
    /// The number of the value on an axis.
    pub(crate) fn get(&self, axis: usize) -> usize {
        (AXES[axis].get)(self)
    }

    /// The same situation with another value on an axis.
    #[must_use]
    pub(crate) fn with(mut self, axis: usize, value: usize) -> Self {
        (AXES[axis].set)(&mut self, value);
        self
    }

    /// The situation with a number of a value for each axis.
    pub(crate) fn of(values: &[usize]) -> Self {
        values.iter().enumerate().fold(Self::PLAIN, |situation, (axis, value)| situation.with(axis, *value))
    }

    /// The axes with another value than the plain one.
    pub(crate) fn axes(&self) -> impl Iterator<Item = usize> + use<> {
        let situation = *self;
        (0..AXES.len()).filter(move |axis| situation.get(*axis) > 0)
    }

    /// Whether all values are plain.
    pub(crate) fn is_plain(&self) -> bool {
        *self == Self::PLAIN
    }

    /// The end of the name of a case in this situation: `[names=three,company=full]`, or nothing.
    pub(crate) fn suffix(&self) -> String {
        if self.is_plain() { String::new() } else { format!("[{self}]") }
    }
}

/// The values that are not plain: `names=three,company=full`.
impl fmt::Display for Situation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, axis) in self.axes().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            write!(f, "{comma}{}", value_name(axis, self.get(axis)))?;
        }
        Ok(())
    }
}

/// The name of a value with its axis: `names=three`.
pub(crate) fn value_name(axis: usize, value: usize) -> String {
    format!("{}={}", AXES[axis].name, AXES[axis].values[value].name)
}

/// A text that names no situation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// There is no such axis.
    Axis(String),
    /// The axis has no such value.
    Value(&'static str, String),
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |f: &mut fmt::Formatter<'_>, name: &str, about: &str| write!(f, "\n  {name:<14}{}", about.trim());
        match self {
            Self::Axis(given) => {
                write!(f, "no axis {given}; the axes:")?;
                AXES.iter().try_for_each(|axis| line(f, axis.name, axis.about))
            }
            Self::Value(axis, given) => {
                write!(f, "{axis} is never {given}; the values:")?;
                let mut values = AXES.iter().filter(|it| it.name == *axis).flat_map(|it| it.values);
                values.try_for_each(|value| line(f, value.name, value.about))
            }
        }
    }
}

impl std::error::Error for Unknown {}

/// Reads `names=three,company=full`. An empty text is the plain situation.
impl FromStr for Situation {
    type Err = Unknown;

    fn from_str(text: &str) -> Result<Self, Unknown> {
        text.split(',').filter(|part| !part.is_empty()).try_fold(Self::PLAIN, |situation, part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let axis = AXES.iter().position(|axis| axis.name == name);
            let axis = axis.ok_or_else(|| Unknown::Axis(name.into()))?;
            let place = AXES[axis].values.iter().position(|it| it.name == value);
            place.map(|value| situation.with(axis, value)).ok_or_else(|| Unknown::Value(AXES[axis].name, value.into()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_situation_is_read_as_it_is_written() {
        for (axis, row) in AXES.iter().enumerate() {
            for value in 0..row.values.len() {
                let one = Situation::PLAIN.with(axis, value);
                assert_eq!(one.get(axis), value);
                assert_eq!(one.to_string().parse(), Ok(one));
                let two = one.with(0, 1);
                assert_eq!(two.to_string().parse(), Ok(two));
            }
        }
        assert_eq!(Situation::PLAIN.suffix(), "");
        assert_eq!("names=four".parse::<Situation>(), Err(Unknown::Value("names", "four".into())));
        assert_eq!("name=three".parse::<Situation>(), Err(Unknown::Axis("name".into())));
    }

    #[test]
    fn the_table_is_sound() {
        let names: HashSet<_> = AXES.iter().map(|axis| axis.name).collect();
        assert_eq!(names.len(), AXES.len());
        for axis in AXES {
            let values: HashSet<_> = axis.values.iter().map(|value| value.name).collect();
            assert_eq!(values.len(), axis.values.len(), "{}", axis.name);
            assert!(axis.values.len() > 1 && axis.about.trim().ends_with('.'), "{}", axis.name);
            assert!(axis.values.iter().all(|value| value.about.trim().ends_with('.')), "{}", axis.name);
        }
    }
}
