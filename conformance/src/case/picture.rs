//! The picture of a file: all properties that a call could change silently.

use crate::case::file::File;
use crate::system::System;
use crate::verdict::Trouble;
use crate::words;
use iomap_reference::{Outcome, Stat};

/// A file at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Picture {
    /// fstat(2) and the extended attributes.
    pub stat: Stat,
    /// The contents after the mechanism's header.
    pub data: Vec<u8>,
    /// The first hole, or the size.
    pub hole: i64,
    /// The offset from which on a hole does not count: the file grew there, perhaps over storage that the file system
    /// had in reserve, which is data as soon as somebody has read it.
    pub reserve: i64,
    /// The offset of the read-write descriptor.
    pub position: i64,
    /// Whether a query shows the state; `None` if the mechanism has no query.
    pub state: Option<bool>,
    /// The other things that a call which changes nothing leaves alone.
    rest: Rest,
    lead: usize,
}

/// The attribute of FS_IOC_FSGETXATTR that comes and goes with the extended attributes of a file.
const HAS_XATTRS: u32 = 0x8000_0000;

/// The things around a file: no call on the file changes them without need.
#[derive(Clone, Debug)]
struct Rest {
    /// The access time, after the reads of an earlier picture, where the system shows it at once.
    atime: Option<i128>,
    /// `fsx_xflags` without the state.
    flags: Option<u32>,
    /// The offsets of the descriptors with O_APPEND and O_DIRECT. Looking for holes moves that of the reader.
    positions: Vec<i64>,
    /// The access modes and status flags of all descriptors.
    status: Vec<i64>,
    /// The first byte of each mapping of the situation, or the error of reading it.
    mapped: Vec<Outcome>,
    /// The other file of the situation: its metadata and its contents.
    company: Option<(Stat, Vec<u8>)>,
    /// The free space, where no other case uses the file system and no effect comes late.
    free: Option<i64>,
}

impl Picture {
    /// Takes a picture of a file.
    pub(crate) fn take(file: &File) -> Result<Self, Trouble> {
        file.context.system.looking(|| Self::look(file))
    }

    /// Takes a picture of a file before a call. Reading the file has changed its access time.
    pub(crate) fn take_before(file: &File) -> Result<Self, Trouble> {
        let mut picture = Self::take(file)?;
        if let Some(atime) = &mut picture.rest.atime {
            *atime = file.context.system.looking(|| file.stat())?.atime;
        }
        Ok(picture)
    }

    fn look(file: &File) -> Result<Self, Trouble> {
        let context = file.context;
        let stat = file.stat()?;
        let lead = context.lead() as usize;
        let len = (stat.size as usize).saturating_sub(lead);
        let data = file.read(0, len as i64)?;
        let position = file.position()?;
        let hole = file.hole()?;
        let flags = context.mechanism().state_bit().map(|_| file.flags(file.fd())).transpose()?;
        let bit = context.mechanism().state_bit().unwrap_or_default();
        let rest = Rest {
            atime: context.system.shows_access_times().then_some(stat.atime),
            flags: flags.map(|flags| flags & !(bit | HAS_XATTRS)),
            positions: file.further_positions()?,
            status: file.status_flags()?,
            mapped: context.mapped_bytes(),
            company: context.look_at_company()?,
            free: context.exact_space(),
        };
        let state = flags.map(|flags| flags & bit != 0);
        Ok(Self { stat, data, hole, reserve: i64::MAX, position, state, rest, lead })
    }

    /// Passes over the changes that any call may make that succeeds: it may read the file, and take space for others.
    pub(crate) fn pass_over(&mut self, later: &Self) {
        (self.rest.atime, self.rest.free) = (later.rest.atime, later.rest.free);
    }

    /// Changes the data of the picture, at an offset of the case.
    pub(crate) fn patch(&mut self, offset: i64, data: &[u8]) {
        let end = offset as usize + data.len();
        if self.data.len() < end {
            self.data.resize(end, 0);
            self.stat.size = (self.lead + end) as u64;
        }
        self.data[offset as usize..end].copy_from_slice(data);
    }

    /// The differences of a later picture, in words.
    pub(crate) fn differences(&self, later: &Self, times: bool) -> Vec<String> {
        let (a, b) = (&self.stat, &later.stat);
        let hole = |picture: &Self| picture.hole.min(self.reserve);
        let rows: [(&str, String, String, bool); 18] = [
            ("size", a.size.to_string(), b.size.to_string(), true),
            ("first hole", hole(self).to_string(), hole(later).to_string(), true),
            ("file offset", self.position.to_string(), later.position.to_string(), true),
            ("mode", format!("{:#o}", a.mode), format!("{:#o}", b.mode), true),
            ("owner", format!("{}:{}", a.uid, a.gid), format!("{}:{}", b.uid, b.gid), true),
            ("links", a.links.to_string(), b.links.to_string(), true),
            ("extended attributes", attributes(&a.xattrs), attributes(&b.xattrs), true),
            ("state", shown(self.state), shown(later.state), true),
            ("modification time", a.mtime.to_string(), b.mtime.to_string(), times),
            ("status change time", a.ctime.to_string(), b.ctime.to_string(), times),
            ("contents", String::new(), first_difference(&self.data, &later.data), true),
            ("access time", shown_time(self.rest.atime), shown_time(later.rest.atime), times),
            ("attributes", hex(self.rest.flags), hex(later.rest.flags), times),
            ("offsets of the other descriptors", list(&self.rest.positions), list(&later.rest.positions), times),
            ("status flags of the descriptors", octal(&self.rest.status), octal(&later.rest.status), true),
            ("mappings", outcomes(&self.rest.mapped), outcomes(&later.rest.mapped), times),
            ("another file", String::new(), other(&self.rest.company, &later.rest.company), true),
            ("free space", list(&self.rest.free), list(&later.rest.free), times),
        ];
        let differing = rows.iter().filter(|(_, before, after, counts)| *counts && before != after);
        differing
            .map(|(what, before, after, _)| match before.as_str() {
                "" => format!("{what} {after}"),
                _ => format!("{what} was to be {before}, is {after}"),
            })
            .collect()
    }
}

/// Attributes as getfattr(1) prints them; values that are not text are numbers.
fn attributes(all: &[(String, Vec<u8>)]) -> String {
    let value = |value: &[u8]| match std::str::from_utf8(value) {
        Ok(text) => text.escape_debug().to_string(),
        Err(_) => format!("{} bytes", value.len()),
    };
    let shown: Vec<String> = all.iter().map(|(name, it)| format!("{name}={}", value(it))).collect();
    if shown.is_empty() { "none".into() } else { shown.join(", ") }
}

fn shown_time(time: Option<i128>) -> String {
    time.map_or_else(String::new, |time| time.to_string())
}

fn octal(flags: &[i64]) -> String {
    flags.iter().map(|flags| format!("{flags:#o}")).collect::<Vec<_>>().join(", ")
}

fn hex(flags: Option<u32>) -> String {
    flags.map_or_else(String::new, |flags| format!("{flags:#x}"))
}

fn list<'a>(numbers: impl IntoIterator<Item = &'a i64>) -> String {
    numbers.into_iter().map(i64::to_string).collect::<Vec<_>>().join(", ")
}

fn outcomes(all: &[Outcome]) -> String {
    all.iter().map(words::outcome).collect::<Vec<_>>().join(", ")
}

/// The difference of the other file, apart from its access time.
fn other(before: &Option<(Stat, Vec<u8>)>, after: &Option<(Stat, Vec<u8>)>) -> String {
    let (Some((a, data)), Some((b, later))) = (before, after) else { return String::new() };
    let same = Stat { atime: a.atime, ..b.clone() } == *a;
    match (same, first_difference(data, later)) {
        (true, difference) => difference,
        (false, _) => "has other metadata".into(),
    }
}

fn shown(state: Option<bool>) -> String {
    state.map_or("unknown".into(), |sealed| if sealed { "sealed" } else { "not sealed" }.into())
}

fn first_difference(a: &[u8], b: &[u8]) -> String {
    // Nearly all pictures are equal, and comparing them whole is the fastest way to know that.
    if a == b {
        return String::new();
    }
    let common = a.iter().zip(b).position(|(x, y)| x != y);
    common.map_or(String::new(), |at| format!("differ from byte {at} on"))
}
