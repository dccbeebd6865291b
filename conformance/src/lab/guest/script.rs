//! A script in a guest: bash executes it, and each of its steps becomes a message.

use crate::error::{Error, Result};
use crate::lab::protocol::{Message, ScriptStep};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

/// Runs a script with bash. If it fails, the last line of its errors is the reason.
pub(crate) fn play(script: &str, filter: Option<&str>, tell: &mut dyn FnMut(&Message) -> Result<()>) -> Result<()> {
    let (path, errors) = ("/tmp/scenario", "/tmp/errors");
    std::fs::write(path, script).map_err(|e| Error::about(path, e))?;
    let log = File::create(errors).map_err(|e| Error::about(errors, e))?;
    let mut bash = Command::new("bash");
    bash.arg(path).env("PATH", "/bin").env("FILTER", filter.unwrap_or_default());
    bash.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
    let mut bash = bash.spawn().map_err(|e| Error::about("bash", e))?;
    let lines = bash.stdout.take().map(BufReader::new).into_iter().flat_map(BufRead::lines);
    for line in lines.map_while(std::result::Result::ok) {
        let mut fields = line.split('\t').map(str::to_owned);
        let [step, outcome, traffic] = [(); 3].map(|()| fields.next().unwrap_or_default());
        tell(&Message::Step(ScriptStep { step, outcome, traffic, expected: None }))?;
    }
    if bash.wait().is_ok_and(|status| status.success()) {
        return Ok(());
    }
    let said = std::fs::read_to_string(errors).unwrap_or_default();
    iomap_command::tell(&said);
    tell(&Message::Failed(0, said.trim().lines().last().unwrap_or_default().to_owned()))
}
