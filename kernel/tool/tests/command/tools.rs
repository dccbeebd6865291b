//! A source that no kernel has, a series for it, and programs that stand for the real ones.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A directory with `source`, a copy of it in `tree`, and `series`.
pub(crate) struct World {
    directory: tempfile::TempDir,
}

const WATER: &str = "\
#include \"tank.h\"

static int valve_open(struct tank *tank)
{
\tif (!tank)
\t\treturn -1;
\ttank->open = 1;
\treturn 0;
}

int tank_fill(struct tank *tank, int amount)
{
\tif (!tank)
\t\treturn -1;
\ttank->level += amount;
\treturn 0;
}
";

const TANK: &str = "\
#define TANK_FLAGS (TANK_OPEN | \\
\t\tTANK_FULL)

struct tank {
\tint level;
\tint open;
};
";

/// Brings a file and a member.
pub(crate) const FIRST: &str = "\
title = \"water: add a seal\"
message = '''
A tank that is sealed must not be filled.
'''
clauses = [\"seal.sealed\"]
files = [\"fs/seal.c\"]

[[edit]]
file = \"include/tank.h\"
function = \"tank\"
after = \"int open;\"
text = '''
\tint sealed;
'''

[[edit]]
file = \"include/tank.h\"
function = \"TANK_FLAGS\"
inline = true
before = \"TANK_FULL\"
text = \"TANK_SEALED | \"
";

/// Refuses a call.
pub(crate) const SECOND: &str = "\
title = \"water: refuse to fill a sealed tank\"
message = \"It would move.\"
clauses = [\"truncate.grow\", \"truncate.shrink\"]

[[edit]]
file = \"fs/water.c\"
function = \"tank_fill\"
before = \"tank->level += amount;\"
text = '''
\tif (tank->sealed)
\t\treturn -2;
'''
";

/// Lets the call through.
pub(crate) const MUTANT: &str = "\
title = \"filling is let through\"
fs = [\"xfs\"]
expected = [\"truncate.grow\"]

[[edit]]
file = \"fs/water.c\"
function = \"tank_fill\"
replace = \"return -2;\"
text = '''
\t\t;
'''
";

impl World {
    pub(crate) fn new() -> Self {
        let world = Self { directory: tempfile::tempdir().expect("a directory") };
        for top in ["source", "tree"] {
            world.write(&format!("{top}/Makefile"), "VERSION = 6\nPATCHLEVEL = 12\nSUBLEVEL = 7\nEXTRAVERSION =\n");
            world.write(&format!("{top}/fs/water.c"), WATER);
            world.write(&format!("{top}/include/tank.h"), TANK);
        }
        world.write("series/patches/01-seal.toml", FIRST);
        world.write("series/patches/02-fill.toml", SECOND);
        world.write("series/mutants/fill.toml", MUTANT);
        world.write("series/files/fs/seal.c", "int tank_seal(struct tank *tank)\n{\n\treturn tank->sealed = 1;\n}\n");
        world.write("series/config/plain.config", "CONFIG_TANK=y\n");
        world
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
        fs::write(path, text).expect("a file");
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// A program in `programs`, a script for sh(1).
    pub(crate) fn program(&self, name: &str, script: &str) {
        self.write(&format!("programs/{name}"), &format!("#!/bin/sh\n{script}"));
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(self.path("programs").join(name), mode).expect("a mode");
    }

    /// The command in this directory, with a cache of its own. Programs in `programs` come first.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_iomap-kernel"));
        let path = std::env::var("PATH").unwrap_or_default();
        let programs = self.path("programs");
        command.args(["--series", "series"]).args(arguments).current_dir(self.directory.path());
        command.env("PATH", format!("{}:{path}", programs.display())).env("XDG_CACHE_HOME", self.path("cache"));
        command.env_remove("IOMAP_SPEC_URL").env("LC_ALL", "C");
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the command starts")
    }

    /// The exit code and all output, with the names of temporary places left out.
    pub(crate) fn said(&self, arguments: &[&str]) -> String {
        self.plain(&self.run(arguments))
    }

    pub(crate) fn plain(&self, output: &Output) -> String {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let code = output.status.code().map_or("signal".to_owned(), |code| code.to_string());
        let said = format!("{}{}exit {code}\n", text(&output.stdout), text(&output.stderr));
        let said = said.replace(&self.directory.path().display().to_string(), "WORLD");
        // The name of a source without a version comes from its path.
        self.cached("trees").iter().fold(said, |said, id| said.replace(&format!("trees/{id}"), "trees/ID"))
    }

    /// The names in a directory of the cache.
    pub(crate) fn cached(&self, kind: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path("cache/iomap/kernel").join(kind)).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    }

    /// Programs that stand for a compiler. Their kernel is the patched source, and they fail where it has an `error`.
    pub(crate) fn compiler(&self) {
        for name in ["gcc", "ld", "as", "flex", "bison", "bc", "perl", "qemu-system-x86_64", "depmod"] {
            self.program(name, "echo 12.2.0\n");
        }
        self.program("make", MAKE);
        let script = "while [ $# -gt 2 ]; do shift; done\ncat \"$2\" >>\"$1\"\n";
        for top in ["source", "tree"] {
            self.write(&format!("{top}/scripts/kconfig/merge_config.sh"), &format!("#!/bin/sh\n{script}"));
            let path = self.path(top).join("scripts/kconfig/merge_config.sh");
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("a mode");
        }
    }
}

const MAKE: &str = "\
for argument; do case $argument in O=*) build=${argument#O=} ;; esac; done
case \"$*\" in
*tinyconfig*) : >\"$build/.config\" ;;
*olddefconfig*) ;;
*)
    if grep -q 'odd;' fs/water.c; then echo 'fs/water.c:1:1: warning: odd' >&2; fi
    if grep -q 'error;' fs/water.c; then echo 'fs/water.c:1:1: error: no such thing' >&2; exit 2; fi
    mkdir -p \"$build/arch/x86/boot\"
    [ ! -e ../../../stall ] || { : >../../../stalled; read line <../../../stall; }
    cat fs/water.c >\"$build/arch/x86/boot/bzImage\"
    cp fs/water.c \"$build/vmlinux\"
    case $* in *W=1*) echo \"$*\" >>\"$build/../strict\" ;; esac
    echo '  CC      fs/water.o'
    echo run >>\"$build/../runs\"
    ;;
esac
";

/// Whether a file exists, for programs that are under way: waits until it does, with a deadline.
pub(crate) fn eventually(mut is_so: impl FnMut() -> bool) -> bool {
    let begun = std::time::Instant::now();
    while begun.elapsed().as_secs() < 60 {
        if is_so() {
            return true;
        }
        std::thread::park_timeout(std::time::Duration::from_millis(5));
    }
    false
}

/// Makes a FIFO.
pub(crate) fn fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().expect("mkfifo starts").success());
}
