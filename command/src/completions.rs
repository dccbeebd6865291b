//! The completion of a command line in a shell.

use crate::error::Error;
use crate::output::Output;
use clap::Command;
use clap_complete::Shell;
use iomap_vocabulary::Exit;

/// Prints the script that completes this command in a shell.
///
/// # Errors
/// The script cannot be printed.
pub fn completions(shell: Shell, name: &'static str, command: &Command) -> Result<Exit, Error> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut visible(name, command), name, &mut script);
    Output::standard().write(&String::from_utf8_lossy(&script)).map(|()| Exit::Fine)
}

/// The command without its hidden subcommands, which clap_complete would offer too.
fn visible(name: &'static str, command: &Command) -> Command {
    let subcommands = command.get_subcommands().filter(|it| !it.is_hide_set()).cloned();
    let (arguments, groups) = (command.get_arguments().cloned(), command.get_groups().cloned());
    Command::new(name).version(env!("CARGO_PKG_VERSION")).args(arguments).groups(groups).subcommands(subcommands)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_commands_are_not_offered() {
        let command = Command::new("it").subcommand(Command::new("seen")).subcommand(Command::new("unseen").hide(true));
        let names: Vec<String> = visible("it", &command).get_subcommands().map(|it| it.get_name().to_owned()).collect();
        assert_eq!(names, ["seen"]);
    }
}
