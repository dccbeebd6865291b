//! Compares the page of a command with its `--help`.

use std::collections::BTreeSet;

/// The options and commands that only the page or only the help names. `help` runs the command with these arguments,
/// and returns its output.
pub fn differences(program: &str, page: &str, help: impl Fn(&[&str]) -> String) -> BTreeSet<String> {
    let general = help(&["--help"]);
    let commands = commands(&general);
    let own = commands.iter().filter(|command| *command != "help");
    let all: Vec<String> = own.map(|command| help(&[command, "--help"])).chain([general]).collect();
    let headings = page.lines().filter_map(|line| line.strip_prefix("## ")?.strip_prefix(program));
    let offered: BTreeSet<String> = all.iter().flat_map(|help| options(help)).chain(commands).collect();
    let named: BTreeSet<String> =
        headings.map(|name| name.trim().to_owned()).chain(options_on(program, page)).collect();
    offered.symmetric_difference(&named).cloned().collect()
}

/// The names below `Commands:`.
fn commands(help: &str) -> Vec<String> {
    let below = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    // The continuation of an explanation is indented further.
    let names = below.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    names.filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// `-j` and `--test-threads` of the line `-j, --test-threads <N>`.
fn options(help: &str) -> impl Iterator<Item = String> {
    let lines = help.lines().map(str::trim_start).filter(|line| line.starts_with('-'));
    let words = lines.flat_map(|line| line.split("  ").next().unwrap_or(line).split([' ', ',']));
    words.filter(|word| word.starts_with('-') && word.len() > 1).map(str::to_owned)
}

/// Long options anywhere, also in examples, and short options in bold. Options of other programs are in the code of
/// their command lines.
fn options_on(program: &str, page: &str) -> Vec<String> {
    let page = page.lines().flat_map(|line| own_parts(program, line)).collect::<Vec<_>>().join("\n");
    let words = page.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    let long = words.filter(|word| word.strip_prefix("--").is_some_and(|name| name.starts_with(char::is_alphabetic)));
    let short = page.split("**").filter(|word| word.starts_with('-') && word.len() == 2);
    long.chain(short).map(str::to_owned).collect()
}

/// The parts of a line without the code in it that begins with the name of another program.
fn own_parts<'a>(program: &str, line: &'a str) -> Vec<&'a str> {
    let is_other = |code: &str| code.starts_with(|c: char| c.is_ascii_lowercase()) && !code.starts_with(program);
    let parts = line.split('`').enumerate();
    parts.filter(|(at, part)| at % 2 == 0 || !is_other(part)).map(|(_, part)| part).collect()
}
