//! The virtio port of a guest, through which messages go to the host.

use crate::error::{Error, Result, at};
use crate::lab::protocol::{Message, PORT};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The time in which the port has to appear after its driver is loaded.
const DEADLINE: Duration = Duration::from_secs(30);

/// Opens the port, as soon as its driver has found it.
pub(crate) fn open() -> Result<File> {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(path) = find_port() {
            return File::options().write(true).open(&path).map_err(at(&path));
        }
        if Instant::now() > deadline {
            return Err("no virtio port to the host: the kernel needs virtio_pci and virtio_console".into());
        }
        std::thread::yield_now();
    }
}

fn find_port() -> Option<PathBuf> {
    let mut ports = std::fs::read_dir("/sys/class/virtio-ports").ok()?.flatten();
    let ours = |path: &Path| std::fs::read_to_string(path.join("name")).is_ok_and(|name| name.trim_end() == PORT);
    let found = ports.find(|entry| ours(&entry.path()))?;
    Some(Path::new("/dev").join(found.file_name())).filter(|path| path.exists())
}

/// Sends a message to the host.
pub(crate) fn say(to: &mut impl Write, message: &Message) -> Result<()> {
    let line = serde_json::to_string(message).map_err(|e| e.to_string())? + "\n";
    to.write_all(line.as_bytes()).map_err(|e| Error::about("the port", e))
}
