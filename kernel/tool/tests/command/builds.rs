//! The cache, builds and mutants, with programs that stand for the compiler and the suite.

use crate::tools::{MUTANT, SECOND, World, eventually, fifo};
use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

fn fixture() -> World {
    let world = World::new();
    world.compiler();
    world
}

#[test]
fn kernels_are_cached_by_their_contents() {
    let world = fixture();
    let build = |more: &[&str]| world.run(&[&["build", "--source", "source"], more].concat());
    let path = |output: &std::process::Output| String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let runs = || {
        world.cached("trees").len()
            * world.read(&format!("cache/iomap/kernel/trees/{}/runs", world.cached("trees")[0])).lines().count()
    };
    let first = build(&[]);
    assert!(first.status.success(), "{}", world.plain(&first));
    let link = std::fs::read_link(world.path("series/build")).expect("a link");
    assert_eq!(link.display().to_string(), path(&first));
    assert!(world.read("series/build/arch/x86/boot/bzImage").contains("tank->sealed"));
    assert_eq!((path(&build(&[])), runs()), (path(&first), 1));
    // Another prefix or mutant is another kernel, and does not become the newest.
    let before = build(&["--upto", "0"]);
    assert_eq!(runs(), 2);
    assert!(!std::fs::read_to_string(path(&before) + "/arch/x86/boot/bzImage").expect("a kernel").contains("sealed"));
    assert_ne!(path(&build(&["--mutant", "fill"])), path(&first));
    assert_eq!(std::fs::read_link(world.path("series/build")).expect("a link"), link);
    assert_eq!((path(&build(&[])), runs()), (path(&first), 3));
    // So are another script, configuration and compiler.
    world.write("series/patches/02-fill.toml", &SECOND.replace("-2", "-3"));
    std::fs::remove_file(world.path("series/mutants/fill.toml")).expect("removed");
    build(&[]);
    world.write("series/config/plain.config", "CONFIG_TANK=y\nCONFIG_WATER=y\n");
    build(&[]);
    world.program("gcc", "echo 13\n");
    build(&[]);
    assert_eq!((world.cached("built").len(), runs()), (6, 6));
    assert!(!world.path("source/fs/seal.c").exists());
}

#[test]
fn each_prefix_is_compiled() {
    let world = fixture();
    let prefixes = || world.said(&["prefixes", "--source", "source"]);
    let lines = |said: &str| -> Vec<String> {
        let kept = |line: &&str| !line.contains(" MiB in ") && !line.contains(" of the tree ");
        // A time says nothing here.
        let words = |line: &str| {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words[..] {
                [name, count, objects @ ("object" | "objects"), _, _, ref rest @ ..] => {
                    [&[name, count, objects], rest].concat().join(" ")
                }
                _ => words.join(" "),
            }
        };
        said.lines().filter(kept).map(words).collect()
    };
    // The later patch first. The file that the series brings is compiled with more warnings each time.
    assert_eq!(lines(&prefixes()), ["02-fill 1 object 0 warnings", "01-seal 1 object 0 warnings", "exit 0"]);
    let strict = world.read(&format!("cache/iomap/kernel/trees/{}/strict", world.cached("trees")[0]));
    assert_eq!(strict.lines().filter(|line| line.ends_with(" W=1 fs/seal.o")).count(), 2, "{strict}");
    world.write("series/patches/02-fill.toml", &SECOND.replace("return -2;", "odd; return -2;"));
    std::fs::remove_file(world.path("series/mutants/fill.toml")).expect("removed");
    let said = lines(&prefixes());
    assert_eq!(said[0], "02-fill 1 object 2 warnings");
    assert_eq!(said[1..3], ["fs/water.c:1:1: warning: odd"; 2]);
    assert_eq!(said[3..], ["01-seal 1 object 0 warnings", "exit 1"]);
    world.write("series/patches/02-fill.toml", &SECOND.replace("return -2;", "error;"));
    let said = prefixes();
    assert!(said.contains("fs/water.c:1:1: error: no such thing") && said.ends_with("exit 1\n"), "{said}");
}

#[test]
fn builds_that_fail_leave_nothing() {
    let world = fixture();
    let mut all = String::new();
    let mut say = |name: &str, arguments: &[&str]| {
        let said = world.said(arguments);
        let kept = |line: &&str| !line.contains(" MiB in ") && !line.contains(" of the tree ");
        let said: Vec<&str> = said.lines().filter(kept).collect();
        let said = said.join("\n");
        writeln!(all, "# {name}\n{said}\n").expect("a text");
        assert_eq!(world.cached("built"), [""; 0], "{name}");
    };
    let build: &[&str] = &["build", "--source", "source"];
    world
        .write("series/config/plain.config", "CONFIG_TANK=y\n# CONFIG_TANK is not set\nCONFIG_FIRE=y\nCONFIG_FIRE=m\n");
    world.write("source/scripts/kconfig/merge_config.sh", "");
    say("a configuration that cannot be made", build);
    std::fs::remove_dir_all(world.path("cache")).expect("removed");
    world.compiler();
    say("an option that is lost", build);
    world.write("series/config/plain.config", "CONFIG_TANK=y\n");
    world.write("series/patches/02-fill.toml", &SECOND.replace("return -2;", "error;"));
    say("a source that does not compile", build);
    world.write("series/patches/02-fill.toml", &SECOND.replace("level", "leve"));
    say("a script that does not fit", build);
    std::fs::remove_file(world.path("series/config/plain.config")).expect("removed");
    world.write("series/patches/02-fill.toml", SECOND);
    say("no configuration", build);
    insta::assert_snapshot!(all);
}

#[test]
fn a_build_that_is_killed_leaves_nothing() {
    let world = fixture();
    world.run(&["build", "--source", "source", "--upto", "1"]);
    assert_eq!(world.cached("built").len(), 1);
    fifo(&world.path("cache/iomap/kernel/stall"));
    let mut build = world.command(&["build", "--source", "source"]).stderr(Stdio::null()).spawn().expect("it starts");
    let stalled = world.path("cache/iomap/kernel/stalled");
    assert!(eventually(|| stalled.exists()), "make has begun");
    build.kill().expect("killed");
    build.wait().expect("it ends");
    assert_eq!(world.cached("built").len(), 1);
    // The orphan still has the turn. The next build begins after it.
    let mut next = world.command(&["build", "--source", "source"]);
    let mut next = next.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut said = BufReader::new(next.stderr.take().expect("a pipe")).lines();
    let first = said.next().expect("a line").expect("a line");
    assert!(first.starts_with("waiting for another command that uses "), "{first}");
    let path = world.path("cache/iomap/kernel/stall");
    std::fs::write(&path, "go on\n").expect("the orphan reads it");
    std::fs::remove_file(&path).expect("removed");
    assert!(said.all(|line| line.is_ok()) && next.wait().expect("it ends").success());
    assert_eq!(world.cached("built").len(), 2);
}

const APT: &str = "echo Package: linux-source-6.12\necho Version: 6.12.7-1\necho SHA256: 00\n";

#[test]
fn a_download_that_is_killed_leaves_nothing() {
    let world = World::new();
    world.program("apt-cache", APT);
    fifo(&world.path("stall"));
    let stall = world.path("stall").display().to_string();
    world.program("apt-get", &format!(": >half.deb\nread line <{stall}\n"));
    let mut fetch = world.command(&["fetch"]).stderr(Stdio::null()).spawn().expect("it starts");
    let half = world.path("cache/iomap/kernel/source/6.12.7-1.partial/.download/half.deb");
    assert!(eventually(|| half.exists()), "the download has begun");
    fetch.kill().expect("killed");
    fetch.wait().expect("it ends");
    assert!(eventually(|| world.cached("source").is_empty()), "{:?}", world.cached("source"));
    std::fs::write(&stall, "go on\n").expect("apt-get ends");
    // The next one begins anew.
    world.program("apt-get", ": >whole.deb\n");
    let said = world.said(&["fetch"]);
    assert!(
        said.ends_with(" instead of 00\nexit 3\n") && said.contains("6.12.7-1: SHA-256 e3b0c44298fc1c14"),
        "{said}"
    );
    assert_eq!(world.cached("source"), [""; 0]);
}

#[test]
fn sources_that_cannot_be_fetched() {
    let world = World::new();
    let said = || {
        let said = world.said(&["fetch"]);
        said.lines().filter(|line| !line.contains(" MiB in ")).collect::<Vec<_>>().join("\n")
    };
    world.program("apt-cache", "exit 100\n");
    world.program("apt-get", "exit 100\n");
    assert_eq!(said(), "iomap-kernel: apt offers no linux-source-6.12: apt-get update, or --package DEB\nexit 3");
    world.program("apt-cache", APT);
    assert_eq!(said(), "iomap-kernel: apt-get cannot download linux-source-6.12 6.12.7-1\nexit 3");
    world.write("some.deb", "no package");
    let said = world.said(&["fetch", "--package", "some.deb"]);
    assert!(said.ends_with("iomap-kernel: some.deb: no package linux-source-6.12\nexit 3\n"), "{said}");
    assert_eq!(world.cached("source"), [""; 0]);
}

#[test]
fn a_missing_program_has_its_package() {
    let world = fixture();
    let mut command = world.command(&["build", "--source", "source"]);
    let output = command.env("PATH", "/nowhere").output().expect("it starts");
    let said = "iomap-kernel: missing: gcc, make, ld, as, flex, bison, bc, perl, cp, libelf: \
                apt-get install gcc make binutils flex bison bc perl coreutils libelf-dev\nexit 3\n";
    assert_eq!(world.plain(&output), said);
}

/// A cache on a file system of one MiB.
#[test]
fn too_little_room_is_said_first() {
    let world = fixture();
    let small = world.path("small");
    std::fs::create_dir(&small).expect("a directory");
    let namespace = ["--user", "--map-root-user", "--mount"];
    let mount = "mount -t tmpfs -o size=1m small small || exit 77; exec \"$@\"";
    let command = world.command(&["build", "--source", "source"]);
    let mut unshare = Command::new("unshare");
    unshare.args(namespace).args(["sh", "-c", mount, "sh"]).arg(command.get_program()).args(command.get_args());
    for (key, value) in command.get_envs().filter_map(|(key, value)| Some((key, value?))) {
        unshare.env(key, value);
    }
    let output = unshare.current_dir(world.path("")).env("XDG_CACHE_HOME", &small).output().expect("unshare starts");
    let said = world.plain(&output);
    if output.status.code() == Some(77) || said.starts_with("unshare: ") {
        return iomap_testing::tools::not_tested(format_args!("a small file system: {said}"));
    }
    let expected =
        "iomap-kernel: WORLD/small/iomap/kernel: a build of WORLD/source needs about 900 MiB, and 1 MiB are free";
    assert_eq!(said, format!("{expected}\nexit 3\n"));
}

/// The suite of the test finds the clause violated that the file `violations` has for a kernel with this text.
const SUITE: &str = "\
while [ $# -gt 0 ]; do case $1 in
    --kernel) kernel=$2 ;; --output) output=$2 ;; --fs) fs=$2 ;; --case) filter=$2 ;;
    --budget) pairs=\" in pairs\" ;;
esac; shift; done
echo \"$fs ${filter:-all}$pairs\" >>calls
[ ! -e broken ] || { echo 'no guest' >&2; exit 3; }
verdict=holds clause=truncate.grow
grep -q 'sealed)' $kernel/arch/x86/boot/bzImage && ! grep -q 'return -2' $kernel/arch/x86/boot/bzImage && verdict=$(cat verdict)
[ -z \"$pairs\" ] || [ ! -e unsound ] || verdict=violated
[ ! -e clause ] || clause=$(cat clause)
cat >$output <<END
{\"schema\": 2, \"runs\": [{\"schema\": 2, \"spec\": {\"version\": \"0.3\", \"digest\": \"00000000\"}, \"target\": \"lab\",
\"mechanism\": \"seal\", \"fs\": \"$fs\", \"kernel\": {\"release\": \"6.12.7-sealed\"}, \"totals\": {\"holds\": 1}, \"clauses\": [
{\"id\": \"seal.sealed\", \"verdict\": \"holds\", \"expected\": \"holds\", \"reason\": null, \"cases\": []},
{\"id\": \"$clause\", \"verdict\": \"$verdict\", \"expected\": \"holds\", \"reason\": null, \"cases\": [
{\"name\": \"truncate::grow\", \"verdict\": \"$verdict\", \"duration_ms\": 1.0, \"detail\": \"it grew\"}]}]}]}
END
";

#[test]
fn mutants_are_killed_or_live() {
    let world = fixture();
    world.program("suite", SUITE);
    let suite = world.path("programs/suite").display().to_string();
    let mutants = |more: &[&str]| {
        let said = world.said(&[&["mutants", "--source", "source", "--suite", &suite], more].concat());
        let kept =
            |line: &&str| !line.contains("MiB") && !line.contains("of the tree") && !line.starts_with("built in");
        // A mutant's own line ends with its time.
        let without_time = |line: &str| match line.rsplit_once(", ") {
            Some((rest, _)) if line.starts_with("1/1 ") => rest.to_owned(),
            _ => line.to_owned(),
        };
        said.lines().filter(kept).map(without_time).collect::<Vec<_>>().join("\n")
    };
    let calls = || std::fs::read_to_string(world.path("calls")).unwrap_or_default();
    let mut all = String::new();
    let mut say = |name: &str, said: String| {
        writeln!(all, "# {name}\n{said}\n{}", calls()).expect("a text");
        let _ = std::fs::remove_file(world.path("calls"));
    };
    world.write("verdict", "violated");
    say("killed: the kernel without a mutant is first", mutants(&[]));
    say("what is known is not run again", mutants(&[]));
    say("except on demand", mutants(&["--again"]));
    world.write("verdict", "holds");
    say("lives: pairs are next, and the whole suite is last", mutants(&["--again", "fill"]));
    say("it is known too", mutants(&[]));
    world.program("suite", &format!("{SUITE}\n# another suite\n"));
    say("but not for another suite", mutants(&[]));
    say("and not for fewer situations", mutants(&["--budget", "20000"]));
    say("its outcome is written", mutants(&["--record"]));
    let recorded = || world.read("series/mutants.json");
    let lives = recorded();
    world.write("unsound", "");
    say("the kernel without a mutant violates the clause in pairs, too", mutants(&["--again"]));
    std::fs::remove_file(world.path("unsound")).expect("removed");
    world.write("series/mutants/fill.toml", &MUTANT.replace("expected", "equivalent = \"it is empty\"\nexpected"));
    say("equivalent", mutants(&["--again"]));
    world.write("verdict", "violated");
    world.write("clause", "write.append");
    say("noticed by another clause", mutants(&["--again"]));
    say("the table alone", mutants(&["--table"]));
    world.write("series/mutants/fill.toml", &MUTANT.replace("truncate.grow", "write.append"));
    say("killed after all, if that is its clause", mutants(&[]));
    mutants(&["--record"]);
    let killed = recorded();
    world.write("series/mutants/fill.toml", &MUTANT.replace("\t\t;\n", "\t\terror;\n"));
    say("does not compile", mutants(&[]));
    world.write("series/mutants/fill.toml", MUTANT);
    world.write("broken", "");
    say("no results", mutants(&["--again"]));
    say("no such mutant", mutants(&["fil"]));
    let missing = world.said(&["mutants", "--source", "source", "--suite", "nothing"]);
    say("no suite", missing);
    writeln!(all, "# mutants.json\n{lives}\n{killed}").expect("a text");
    insta::assert_snapshot!(all);
}

/// A row without an outcome here stays while the edits of its mutant are the same.
#[test]
fn rows_stay() {
    let world = fixture();
    world.program("suite", SUITE);
    world.write("verdict", "violated");
    let suite = world.path("programs/suite").display().to_string();
    let mutants = |more: &[&str]| {
        drop(world.said(&[&["mutants", "--source", "source", "--suite", &suite], more].concat()));
        world.read("series/mutants.json")
    };
    world.said(&["mutants", "--source", "source", "--suite", &suite]);
    let recorded = mutants(&["--record"]);
    assert!(recorded.contains("truncate.grow"), "{recorded}");
    std::fs::remove_dir_all(world.path("cache/iomap/kernel/outcomes")).expect("removed");
    assert_eq!(mutants(&["--record"]), recorded);
    world.write("series/mutants/fill.toml", &MUTANT.replace("\t\t;\n", "\t\terror;\n"));
    assert!(!mutants(&["--record"]).contains("fill"));
}
