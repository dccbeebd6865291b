//! The console of a guest: its file, and the errors and alarms in its text.

use crate::error::Result;
use crate::kernel_log;
use crate::lab::cache::Cache;
use std::path::PathBuf;

/// The kind of cache entries for consoles, and the number that is kept.
const CONSOLES: (&str, usize) = ("consoles", 64);

/// The number of lines of a console that are shown with a failure.
const TAIL: usize = 25;

/// Words that a kernel writes before it ends, and their meanings.
const ENDS: [(&str, &str); 6] = [
    ("Out of memory", "the guest ran out of memory (--memory)"),
    ("System is deadlocked on memory", "the guest ran out of memory (--memory)"),
    ("Initramfs unpacking failed", "the guest could not unpack its initramfs (--memory, or it is damaged)"),
    // Search for the cause of a panic first, because it says more than the panic.
    ("BUG: ", "the kernel failed"),
    ("Kernel panic", "the kernel panicked"),
    ("iomap-conformance: ", "the guest could not begin"),
];

/// The file for the console of the guest with this name. Old consoles are deleted.
pub(crate) fn place(cache: &Cache, name: &[&str]) -> Result<PathBuf> {
    let (kind, keep) = CONSOLES;
    cache.prune(kind, keep)?;
    Ok(cache.directory(kind)?.join(format!("{}-{}.log", name.join("-"), std::process::id())))
}

/// The alarming lines of the kernel log, without their times.
pub(crate) fn alarms(console: &str) -> Vec<String> {
    lines(console).map(|line| without_time(&line).to_owned()).filter(|line| kernel_log::is_alarming(line)).collect()
}

/// The reason why a guest ended, in one line, if its console shows a reason.
pub(crate) fn end(console: &str) -> Option<String> {
    ENDS.iter().find_map(|(word, meaning)| {
        let line = lines(console).find(|line| line.contains(word))?;
        Some(format!("{meaning}: {}", without_time(&line)))
    })
}

/// The last lines, indented.
pub(crate) fn tail(console: &str) -> String {
    let lines: Vec<String> = lines(console).collect();
    lines[lines.len().saturating_sub(TAIL)..].iter().map(|line| format!("  {line}\n")).collect()
}

/// The lines without the escape sequences that firmware writes.
fn lines(console: &str) -> impl Iterator<Item = String> {
    let plain = |line: &str| {
        let mut parts = line.split('\x1b');
        let first = parts.next().unwrap_or_default().to_owned();
        let rest =
            parts.map(|part| part.trim_start_matches(|c: char| !c.is_ascii_alphabetic()).get(1..).unwrap_or_default());
        first + &rest.collect::<String>()
    };
    console.lines().map(move |line| plain(line).trim_end().to_owned()).filter(|line| !line.is_empty())
}

/// A line without the seconds since the start, so that equal messages are equal.
fn without_time(line: &str) -> &str {
    line.strip_prefix('[').and_then(|rest| rest.split_once("] ")).map_or(line, |(_, text)| text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alarms_and_the_end_are_read_from_the_console() {
        let console = "\x1b[2J\x1bcSeaBIOS\r\n[    1.5] WARNING: CPU: 0 PID: 1 at fs/x.c:7\n\
            [    2.0] Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100\n";
        let panic = "Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100";
        assert_eq!(alarms(console), ["WARNING: CPU: 0 PID: 1 at fs/x.c:7", panic]);
        let why = "the kernel panicked: Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100";
        assert_eq!(end(console).as_deref(), Some(why));
        assert!(tail(console).starts_with("  SeaBIOS\n"), "{}", tail(console));
        assert_eq!(end("[ 0.1] fine\n"), None);
    }
}
