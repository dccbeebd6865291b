//! The behaviour of a command whose standard output is gone or full. It is the same for all commands.

use std::fs::OpenOptions;
use std::process::{Command, Output, Stdio};

/// The disagreements of a command line with the rules for output. `command` makes the command with these arguments.
///
/// - A reader that leaves early changes neither the exit code nor standard error.
/// - A full disk is an error of the environment: exit code 3, and one line that names standard output.
/// - A standard error that is full changes no exit code.
/// - With `--output -`, if the command line takes it, the text goes to standard output, and no file has the name `-`.
///
/// # Panics
/// The command cannot be run.
pub fn faults(command: impl Fn(&[&str]) -> Command, arguments: &[&str], takes_output: bool) -> Vec<String> {
    let run = |arguments: &[&str], stdout: Stdio| -> Output {
        let mut command = command(arguments);
        command.stdin(Stdio::null()).stdout(stdout).stderr(Stdio::piped());
        command.spawn().and_then(std::process::Child::wait_with_output).expect("the command can be run")
    };
    let full = || OpenOptions::new().write(true).open("/dev/full").expect("the device is there");
    let error = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();
    let mut faults = Vec::new();
    let mut expect = |fine: bool, what: &str, seen: String| {
        if !fine {
            faults.push(format!("{}: {what}: {seen}", arguments.join(" ")));
        }
    };
    let usual = run(arguments, Stdio::piped());

    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let gone = run(arguments, writer.into());
    let same = (gone.status.code(), &gone.stderr) == (usual.status.code(), &usual.stderr);
    expect(same, "a closed pipe", format!("{}, {}", gone.status, error(&gone)));

    let no_room = run(arguments, full().into());
    let said = error(&no_room);
    let told = said.lines().filter(|line| line.contains(": standard output: No space left on device")).count() == 1;
    expect(no_room.status.code() == Some(3) && told, "a full disk", format!("{}, {said}", no_room.status));

    let mut silent = command(arguments);
    let silent =
        silent.stdin(Stdio::null()).stdout(Stdio::null()).stderr(full()).status().expect("the command can be run");
    expect(silent.code() == usual.status.code(), "a full standard error", silent.to_string());

    if takes_output {
        let dash = run(&[arguments, &["--output", "-"]].concat(), Stdio::piped());
        let same = (dash.status.code(), dash.stdout.len()) == (usual.status.code(), usual.stdout.len());
        expect(same, "--output -", format!("{}, {} bytes, {}", dash.status, dash.stdout.len(), error(&dash)));
        let directory = command(&[]).get_current_dir().map_or_else(Default::default, ToOwned::to_owned);
        expect(!directory.join("-").exists(), "--output -", "a file has this name".into());
    }
    faults
}
