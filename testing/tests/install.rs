//! `make install`, and the use of the installed files: as a reader, at a shell, in C and C++, and without a checkout.

use iomap_testing::tools::{has, not_tested};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

const PREFIX: &str = "/usr/local";
const COMMANDS: [&str; 4] = ["iomap-conformance", "iomap-file", "iomap-reference", "iomap-spec"];

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace is around this package")
}

/// The directory with the commands of this build. A test of the whole workspace has built them.
fn binaries() -> Option<PathBuf> {
    let test = std::env::current_exe().expect("this test has a path");
    let directory = test.ancestors().nth(2)?.to_owned();
    match COMMANDS.iter().find(|command| !directory.join(command).is_file()) {
        None => Some(directory),
        Some(command) => {
            not_tested(format_args!("{command} is not built: cargo build --workspace"));
            None
        }
    }
}

/// A fresh installation.
struct Installed {
    destdir: TempDir,
    binaries: PathBuf,
}

impl Installed {
    fn new() -> Option<Self> {
        let installed = Self { binaries: binaries()?, destdir: tempfile::tempdir().expect("a temporary directory") };
        installed.make("install");
        Some(installed)
    }

    fn make(&self, target: &str) {
        let directory = |name, path: &Path| format!("{name}={}", path.display());
        let mut make = Command::new("make");
        make.arg("--no-print-directory").arg("-C").arg(top()).args([target, &format!("PREFIX={PREFIX}")]);
        make.args([directory("DESTDIR", self.destdir.path()), directory("BINARIES", &self.binaries)]);
        succeeded(&mut make);
    }

    fn root(&self) -> PathBuf {
        self.destdir.path().join(&PREFIX[1..])
    }

    /// The output of a script for bash, where @ stands for the place of the installation.
    fn bash(&self, script: &str) -> String {
        let script = script.replace("@", &self.root().display().to_string());
        succeeded(Command::new("bash").args(["--norc", "-euc", &script]))
    }
}

/// The output of a command.
fn succeeded(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.env_remove("MANPATH").output().expect("it can be run");
    let [stdout, stderr] = [stdout, stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(status.success(), "{command:?}: {status}\n{stdout}{stderr}");
    stdout
}

#[test]
fn pages_are_found_by_each_name() {
    let Some(installed) = Installed::new() else { return };
    if !has("mandb") || !has("man") || !has("whatis") {
        return;
    }
    installed.bash("mandb --create --quiet @/share/man 2>/dev/null");
    let pages = std::fs::read_dir(top().join("man")).expect("the pages are there").flatten();
    let titles = pages.filter_map(|page| page.file_name().to_str()?.strip_suffix(".md").map(str::to_owned));
    let titles: Vec<String> =
        titles.filter_map(|page| page.split_once('.').map(|(title, _)| title.to_owned())).collect();
    assert!(titles.len() > 8, "{titles:?}");
    for name in titles.iter().map(String::as_str).chain(["FALLOC_FL_UNSEAL_BLOCK_MAP", "STATX_ATTR_IOMAP_IMMUTABLE"]) {
        let page = installed.bash(&format!("MANWIDTH=80 man -M @/share/man {name}"));
        assert!(page.contains(name), "{name}: {page}");
        let whatis = installed.bash(&format!("whatis -M @/share/man {name}"));
        assert!(whatis.starts_with(name) && whatis.contains(" - "), "{name}: {whatis}");
    }
    let found = installed.bash("apropos -M @/share/man immutable");
    assert!(found.contains("iomap_immutable (7)"), "{found}");
}

#[test]
fn shells_complete_commands() {
    let Some(installed) = Installed::new() else { return };
    for command in COMMANDS {
        let completed = |words: &str| {
            installed.bash(&format!(
                "source @/share/bash-completion/completions/{command}
                COMP_WORDS=({command} {words}) COMP_CWORD=1
                function=$(complete -p {command} | sed 's/.* -F \\([^ ]*\\).*/\\1/')
                $function {command} {words} {command}
                printf '%s\\n' \"${{COMPREPLY[*]}}\""
            ))
        };
        assert_eq!(completed("comple"), "completions\n", "{command}");
    }
    if has("fish") {
        let fish = "PATH=@/bin:$PATH fish --no-config -c 'set fish_complete_path @/share/fish/vendor_completions.d; complete -C \
                    \"iomap-conformance matri\"'";
        assert!(installed.bash(fish).starts_with("matrix\t"));
    }
    if has("zsh") {
        let zsh = "cd @ && zsh -fc 'fpath=($PWD/share/zsh/site-functions $fpath); autoload -U compinit; compinit -uD
            for it in $fpath[1]/_*; do print $_comps[${it:t:s/_/}]; autoload +X ${it:t} || exit; done'";
        assert_eq!(installed.bash(zsh), COMMANDS.map(|command| format!("_{command}\n")).concat());
    }
}

const PROGRAM: &str = r#"
#ifndef __cplusplus
#define _GNU_SOURCE
#endif
#include <iomap_immutable.h>
#include <stdio.h>

int main(int argc, char *argv[])
{
	int fd = open(argc > 1 ? argv[1] : "/", O_PATH);

	printf("%d %d\n", iomap_immutable_probe(fd), iomap_immutable_probe(-1));
	return FALLOC_FL_SEAL_BLOCK_MAP == FS_XFLAG_IOMAP_IMMUTABLE;
}
"#;

#[test]
fn programs_find_the_header() {
    let Some(installed) = Installed::new() else { return };
    if !has("cc") || !has("c++") || !has("pkg-config") {
        return;
    }
    for (name, compiler) in [("probe.c", "cc -std=c99 -pedantic"), ("probe.cc", "c++ -std=c++11 -pedantic")] {
        std::fs::write(installed.root().join(name), PROGRAM).expect("the directory can be written");
        let script = format!(
            "cd @; export PKG_CONFIG_PATH=$PWD/share/pkgconfig PKG_CONFIG_SYSROOT_DIR={}
            {compiler} -Wall -Wextra -Werror $(pkg-config --cflags iomap-immutable) -o probe {name} && ./probe @",
            installed.destdir.path().display()
        );
        assert_eq!(installed.bash(&script), "0 -1\n", "{name}");
    }
}

/// The checkout is covered by an empty directory while the installed commands work.
#[test]
fn commands_need_no_checkout() {
    let Some(installed) = Installed::new() else { return };
    if !installed.bash("id -u").starts_with("0\n") {
        return not_tested("covering the checkout takes root");
    }
    let script = format!(
        "mount -t tmpfs none {0}; test -z \"$(ls -A {0})\"; mkdir @/empty; cd @/empty; PATH=@/bin:$PATH
        iomap-spec man iomap_immutable | grep -m 1 '^.TH'
        iomap-spec show truncate.shrink | head -n 1
        iomap-spec book --out book 2>/dev/null; ls book/index.html
        iomap-conformance --list | grep -c :: || true
        iomap-conformance truncate >suite; tail -n 1 suite
        iomap-reference rules truncate | head -n 1
        iomap-file find . 2>&1 || true",
        top().display()
    );
    let script = script.replace("@", &installed.root().display().to_string());
    let said =
        succeeded(Command::new("unshare").args(["--mount", "bash", "--norc", "-euo", "pipefail", "-c", &script]));
    for expected in [".TH iomap_immutable", "truncate.shrink", "book/index.html", "\nconforms", "do not offer sealing"]
    {
        assert!(said.contains(expected), "{expected}: {said}");
    }
}

#[test]
fn help_has_each_target() {
    let makefile = std::fs::read_to_string(top().join("Makefile")).expect("it is there").replace("\\\n", " ");
    let phony = makefile.lines().find_map(|line| line.strip_prefix(".PHONY: ")).expect("targets are no files");
    let help = succeeded(Command::new("make").arg("-C").arg(top()).args(["--no-print-directory", "help"]));
    let told: Vec<&str> = help.lines().filter_map(|line| line.split(' ').next()).collect();
    let missing: Vec<&str> = phony.split_whitespace().filter(|target| !told.contains(target)).collect();
    assert_eq!(missing, [""; 0], "a comment stands above each target");
}

/// No command writes an escape sequence to a terminal that does not want one.
#[test]
fn escapes_are_for_terminals_that_have_them() {
    let Some(installed) = Installed::new() else { return };
    if !has("script") {
        return;
    }
    let lines = [
        "iomap-conformance truncate::shrink",
        "iomap-reference rules truncate",
        "iomap-spec show truncate.shrink",
        "iomap-spec check --pages @",
        "iomap-file status @",
    ];
    let general = COMMANDS.into_iter().flat_map(|it| [format!("{it} --help"), format!("{it} --bogus")]);
    for line in general.chain(lines.map(str::to_owned)) {
        for environment in ["TERM=dumb", "NO_COLOR=1 TERM=xterm", "CI=true CLICOLOR=1 TERM=dumb"] {
            let script = format!("PATH=@/bin:$PATH script -qec 'env {environment} {line}' /dev/null || true");
            let written = installed.bash(&script);
            assert!(!written.is_empty() && !written.contains('\x1b'), "{environment} {line}: {written:?}");
        }
    }
    let coloured =
        installed.bash("PATH=@/bin:$PATH script -qec 'env -u NO_COLOR TERM=xterm iomap-file --help' /dev/null");
    assert!(coloured.contains('\x1b'), "{coloured:?}");
}

#[test]
fn uninstall_removes_all_files() {
    let Some(installed) = Installed::new() else { return };
    let other = installed.root().join("share/man/man1/other.1");
    std::fs::write(&other, "").expect("the directory can be written");
    installed.make("uninstall");
    let left = iomap_testing::files::below(installed.destdir.path()).expect("it can be read");
    assert_eq!(left, [other.strip_prefix(installed.destdir.path()).expect("it is below")]);
    let directories = installed.bash("find @ -mindepth 1 -type d -printf '%P\n' | sort");
    assert_eq!(directories, "share\nshare/man\nshare/man/man1\n");
}
