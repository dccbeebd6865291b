//! The release, parameters, age and build of a kernel.

use chrono::NaiveDate;
use iomap_command::count;
use iomap_results::Kernel;
use nix::sys::utsname::{UtsName, uname};
use std::ffi::OsStr;

/// The release of the running kernel, as `uname -r` prints it.
pub fn release() -> String {
    of_uname(UtsName::release).unwrap_or_else(|| "unknown".into())
}

/// The running kernel.
pub(crate) fn running() -> Kernel {
    let notes = std::fs::read("/sys/kernel/notes").unwrap_or_default();
    let built = of_uname(UtsName::version).and_then(|version| built(&version));
    Kernel { release: release(), built, build_id: build_id(&notes) }
}

fn of_uname(field: fn(&UtsName) -> &OsStr) -> Option<String> {
    uname().ok().map(|name| field(&name).to_string_lossy().into_owned())
}

/// The path of this program in a guest of the lab, where it is the first process.
pub(crate) const INIT: &str = "/iomap-conformance";

/// Whether this is a guest of the lab, where every device was made for the suite.
pub(crate) fn is_guest() -> bool {
    let line = std::fs::read_to_string("/proc/cmdline").unwrap_or_default();
    line.split_ascii_whitespace().any(|parameter| parameter.strip_prefix("rdinit=") == Some(INIT))
}

/// The first two numbers of a version.
pub(crate) fn version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// The day of the build in a kernel's version. Distributions write it as date(1) does, with or without `-R` or `-I`. A
/// version has at most 64 characters, and may end within the date.
pub(crate) fn built(version: &str) -> Option<String> {
    let words: Vec<&str> =
        version.split(|c: char| c.is_whitespace() || "(),".contains(c)).filter(|word| !word.is_empty()).collect();
    let iso = |word: &&str| NaiveDate::parse_from_str(word.get(..10)?, "%Y-%m-%d").ok();
    let with_month = |at: usize| {
        let date = |day: &str, year: &str| {
            NaiveDate::parse_from_str(&format!("{day} {} {year}", words[at]), "%d %b %Y")
                .ok()
                .filter(|_| year.len() == 4)
        };
        let day_first = || date(words.get(at.checked_sub(1)?)?, words.get(at + 1)?);
        // Between the day and the year are the time and its zone.
        let month_first = || words.iter().skip(at + 3).take(3).find_map(|year| date(words.get(at + 1)?, year));
        day_first().or_else(month_first)
    };
    let day = words.iter().find_map(iso).or_else(|| (0..words.len()).find_map(with_month))?;
    Some(day.to_string())
}

/// The build id among the notes of a kernel, which are those of an ELF file: three numbers, a name and a description.
pub(crate) fn build_id(mut notes: &[u8]) -> Option<String> {
    const NT_GNU_BUILD_ID: usize = 3;
    loop {
        let [name, description, kind] =
            [0, 4, 8].map(|at| Some(u32::from_le_bytes(notes.get(at..at + 4)?.try_into().ok()?) as usize));
        let (name, description) = (name?, description?);
        let begin = 12 + name.next_multiple_of(4);
        if kind? == NT_GNU_BUILD_ID && notes.get(12..12 + name)? == b"GNU\0" {
            let id = notes.get(begin..begin + description)?;
            return Some(id.iter().map(|byte| format!("{byte:02x}")).collect());
        }
        notes = notes.get(begin + description.next_multiple_of(4)..)?;
    }
}

/// The age of a kernel when a run began, and the first digits of its build id. `None` if neither is known.
pub(crate) fn build_in_words(kernel: &Kernel, started: Option<&str>) -> Option<String> {
    let day = |text: &str| NaiveDate::parse_from_str(text.get(..10)?, "%Y-%m-%d").ok();
    let age = |built: &str| Some((day(started?)? - day(built)?).num_days()).filter(|days| *days >= 0);
    let built = kernel.built.as_ref().map(|built| match age(built) {
        Some(days) => format!("built {built}, {} before this run", count(days.unsigned_abs() as usize, "day")),
        None => format!("built {built}"),
    });
    let id = kernel.build_id.as_ref().map(|id| format!("build id {}", id.get(..12).unwrap_or(id)));
    let words: Vec<String> = built.into_iter().chain(id).collect();
    (!words.is_empty()).then(|| words.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_day_of_a_build() {
        for (version, day) in [
            ("#1 SMP PREEMPT_DYNAMIC Debian 6.12.117-1~deb12u1 (2026-10-18)", Some("2026-10-18")),
            ("#26-Ubuntu SMP PREEMPT_DYNAMIC Fri Jul 12 14:28:08 UTC 2024", Some("2024-07-12")),
            ("#1 SMP PREEMPT_DYNAMIC Thu Aug  1 02:00:00 PM CEST 2024", Some("2024-08-01")),
            ("#1 SMP PREEMPT_DYNAMIC Thu, 01 Aug 2024 12:00:00 +0000", Some("2024-08-01")),
            ("#1-NixOS SMP 2024-08-01T12:00:00Z", Some("2024-08-01")),
            // Cut off after 64 characters.
            ("#41~22.04.2-Ubuntu SMP PREEMPT_DYNAMIC Mon Jun  3 11:32:55 UTC 2", None),
            ("#1 SMP Mon Feb 30 11:32:55 UTC 2026", None),
            ("#1 SMP", None),
            ("", None),
        ] {
            assert_eq!(built(version).as_deref(), day, "{version}");
        }
    }

    #[test]
    fn the_age_in_words() {
        let kernel = |built: Option<&str>, id: Option<&str>| Kernel {
            built: built.map(str::to_owned),
            build_id: id.map(str::to_owned),
            ..Kernel::of_release("6.12")
        };
        let (day, id) = (Some("2026-10-18"), Some("0123456789abcdef0123"));
        let started = Some("2026-11-29T18:47:29Z");
        for (kernel, started, words) in [
            (kernel(day, id), started, Some("built 2026-10-18, 42 days before this run, build id 0123456789ab")),
            (kernel(day, None), None, Some("built 2026-10-18")),
            // A machine without a clock.
            (kernel(day, None), Some("1970-01-01T00:00:03Z"), Some("built 2026-10-18")),
            (kernel(None, Some("01")), started, Some("build id 01")),
            (kernel(None, None), started, None),
        ] {
            assert_eq!(build_in_words(&kernel, started).as_deref(), words);
        }
    }

    fn note(kind: u8, name: &[u8], description: &[u8]) -> Vec<u8> {
        let mut note = vec![name.len() as u8, 0, 0, 0, description.len() as u8, 0, 0, 0, kind, 0, 0, 0];
        for part in [name, description] {
            note.extend(part);
            note.resize(note.len().next_multiple_of(4), 0);
        }
        note
    }

    #[test]
    fn the_build_id_among_other_notes() {
        let [other, xen, id] =
            [note(3, b"Linux\0", &[7; 5]), note(18, b"Xen\0", &[1]), note(3, b"GNU\0", &[0x0a, 0xff, 0])];
        let all = [&other[..], &xen, &id].concat();
        assert_eq!(build_id(&all).as_deref(), Some("0aff00"));
        assert_eq!(build_id(&all[..all.len() - 2]), None);
        assert_eq!(build_id(&xen), None);
        assert_eq!(build_id(&[0xff; 16]), None);
    }

    #[test]
    fn the_running_kernel_has_a_build_id_where_the_kernel_shows_it() {
        let notes = std::path::Path::new("/sys/kernel/notes").exists();
        assert_eq!(running().build_id.is_some(), notes);
    }
}
