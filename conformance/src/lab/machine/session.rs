//! One session of a guest, from the start of QEMU to its end: the messages of the guest, and the text of its console.

use crate::error::{Error, Result};
use crate::lab::machine::qemu::{Machine, QEMU};
use crate::lab::protocol::Message;
use crate::programs::ending;
use nix::sys::signal::Signal;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// A running guest, and the messages from its port.
pub(crate) struct Session {
    child: Child,
    /// The lines from the port, each with the time of its arrival.
    lines: Receiver<(Instant, String)>,
    /// The maximum time without a message.
    patience: Duration,
}

/// The reason why there is no message.
#[derive(Debug)]
pub(crate) enum Silence {
    /// The guest closed the port. The end of QEMU shows the reason.
    Closed,
    /// The reason is known already.
    Known(Error),
}

impl<E: Into<Error>> From<E> for Silence {
    fn from(reason: E) -> Self {
        Self::Known(reason.into())
    }
}

impl Session {
    fn start(machine: &Machine, patience: Duration) -> Result<Self> {
        let mut command = machine.command();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|e| Error::about(QEMU, e))?;
        let (sender, lines) = channel();
        if let Some(port) = child.stdout.take() {
            std::thread::spawn(move || {
                for line in BufReader::new(port).lines().map_while(std::result::Result::ok) {
                    // Sending fails if the listener has stopped.
                    let _ = sender.send((Instant::now(), line));
                }
            });
        }
        Ok(Self { child, lines, patience })
    }

    /// The next message, and the time of its arrival.
    pub(crate) fn hear(&self) -> std::result::Result<(Instant, Message), Silence> {
        self.hear_within(self.patience)
    }

    /// The next message, if it comes within this time.
    pub(crate) fn hear_within(&self, time: Duration) -> std::result::Result<(Instant, Message), Silence> {
        let (at, line) = self.lines.recv_timeout(time).map_err(|error| match error {
            RecvTimeoutError::Timeout => format!("the guest hangs: nothing for {} s", time.as_secs()).into(),
            RecvTimeoutError::Disconnected => Silence::Closed,
        })?;
        let message = serde_json::from_str(&line).map_err(|e| format!("not a line of the suite: {e}: {line}"))?;
        Ok((at, message))
    }

    /// Cuts the power by killing QEMU. Messages that the guest sent before can still be received.
    pub(crate) fn cut_power(&mut self) {
        let _ = self.child.kill();
    }

    /// Ends QEMU. If there is no message, the reason is the end of QEMU, unless the listener knows a better reason.
    fn end<T>(mut self, heard: std::result::Result<T, Silence>) -> Result<T> {
        // If the listener has no reason, QEMU is ending by itself, or another process has killed it.
        let own = if matches!(heard, Err(Silence::Closed)) { last_moments(&mut self.child) } else { None };
        let _ = self.child.kill();
        let mut words = String::new();
        self.child.stderr.take().map(|mut errors| errors.read_to_string(&mut words));
        let _ = self.child.wait();
        heard.map_err(|silence| match silence {
            Silence::Known(reason) => reason,
            Silence::Closed => obituary(own, &words).into(),
        })
    }
}

/// Starts a machine, ends it when `listen` returns, and also returns the text of its console.
pub(crate) fn attend<T>(
    machine: &Machine,
    patience: Duration,
    listen: impl FnOnce(&mut Session) -> std::result::Result<T, Silence>,
) -> (Result<T>, String) {
    let heard = Session::start(machine, patience).and_then(|mut session| {
        let heard = listen(&mut session);
        session.end(heard)
    });
    let said = std::fs::read(machine.console);
    (heard, said.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default())
}

/// The exit status of QEMU, if it ends shortly after closing the port.
fn last_moments(child: &mut Child) -> Option<ExitStatus> {
    let deadline = Instant::now() + Duration::from_secs(5);
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait().ok()? {
            return Some(status);
        }
        std::thread::yield_now();
    }
    None
}

/// The reason why QEMU ended: its own message, or its exit status.
fn obituary(status: Option<ExitStatus>, words: &str) -> String {
    let said = words.trim().lines().last().unwrap_or_default();
    match status {
        Some(status) if status.signal() == Some(Signal::SIGKILL as i32) => {
            format!("QEMU {}: by another process, or because memory ran out here (--memory, --guests)", ending(status))
        }
        Some(status) if said.is_empty() => format!("QEMU {}", ending(status)),
        Some(_) | None => said.to_owned(),
    }
}
