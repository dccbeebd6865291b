//! The picture of a file: all properties that a call could change silently.

use crate::case::file::File;
use crate::verdict::Trouble;
use iomap_reference::Stat;

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
    lead: usize,
}

impl Picture {
    /// Takes a picture of a file.
    pub(crate) fn take(file: &File) -> Result<Self, Trouble> {
        file.context.system.looking(|| Self::look(file))
    }

    fn look(file: &File) -> Result<Self, Trouble> {
        let context = file.context;
        let stat = file.stat()?;
        let lead = context.lead() as usize;
        let len = (stat.size as usize).saturating_sub(lead);
        let data = file.read(0, len as i64)?;
        let position = file.position()?;
        let hole = file.hole()?;
        let state = context.mechanism().state_bit().map(|_| file.state(file.fd())).transpose()?;
        Ok(Self { stat, data, hole, reserve: i64::MAX, position, state, lead })
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
        let rows: [(&str, String, String, bool); 11] = [
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
