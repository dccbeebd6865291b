//! The C programs of the pages compile, and print what the pages show.

use iomap_spec::load;
use iomap_spec::model::Block;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// Names below this are the model's.
const PREFIX: &str = "/iomap";

/// A complete program, and a terminal on which it was run.
struct Example {
    name: String,
    source: String,
    console: String,
}

/// Every complete program in a page, with the console that follows it and gives it its name. Other C is a fragment.
fn examples() -> Vec<Example> {
    let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../man");
    let spec = load(&pages).unwrap_or_else(|findings| panic!("{}", findings[0]));
    let blocks = spec.pages.iter().flat_map(|page| &page.sections).flat_map(|section| &section.blocks);
    let code: Vec<(&str, &String)> = blocks
        .filter_map(|block| match block {
            Block::Code { text, language, .. } => Some((language.as_str(), text)),
            _ => None,
        })
        .collect();
    let programs = (0..code.len()).filter(|at| code[*at].0 == "c" && code[*at].1.contains("int main("));
    let found: Vec<Example> = programs
        .map(|at| match code.get(at + 1) {
            Some(("console", console)) => Example {
                name: console.strip_prefix("$ ./").and_then(|run| run.split(' ').next()).unwrap_or_default().to_owned(),
                source: format!("{}\n", code[at].1),
                console: format!("{console}\n"),
            },
            _ => panic!("no console follows this program:\n{}", code[at].1),
        })
        .collect();
    assert!(!found.is_empty(), "no programs in {}", pages.display());
    found
}

/// A directory with the program; `None`, with a note, if there is no compiler.
fn compile(name: &str, source: &str) -> Option<TempDir> {
    let dir = tempfile::tempdir().expect("a temporary directory can be made");
    std::fs::write(dir.path().join(name).with_extension("c"), source).expect("it can be written to");
    let mut cc = Command::new("cc");
    cc.args(["-Wall", "-Wextra", "-Werror", "-o", name]).arg(format!("{name}.c")).current_dir(&dir);
    match cc.output() {
        Ok(output) => {
            assert!(output.status.success(), "{name}.c:\n{}", String::from_utf8_lossy(&output.stderr));
            Some(dir)
        }
        Err(error) => {
            let required = std::env::var_os("IOMAP_TESTS_REQUIRE_TOOLS").is_some_and(|value| value == "1");
            assert!(!required, "cc is required but cannot be run: {error}");
            eprintln!("not tested, cc cannot be run: {error}");
            None
        }
    }
}

/// The library. Cargo builds it for this test, and puts it beside this test.
fn library() -> PathBuf {
    let path = std::env::current_exe().expect("this test has a path").with_file_name("libiomap_preload.so");
    assert!(path.is_file(), "{} is missing", path.display());
    path
}

/// Where files below the prefix come from.
#[derive(Clone, Copy, PartialEq)]
enum Files {
    Reference,
    ReferenceUnprivileged,
    Kernel,
}

/// What a command line prints, errors last, and whether it succeeds.
fn run(dir: &TempDir, line: &str, files: Files) -> (String, bool) {
    let mut words = line.split(' ');
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words).current_dir(dir).env_remove("LD_PRELOAD");
    if files != Files::Kernel {
        command.env("LD_PRELOAD", library()).env("IOMAP_REFERENCE", PREFIX);
    }
    if files == Files::ReferenceUnprivileged {
        command.env("IOMAP_REFERENCE_UNPRIVILEGED", "1");
    }
    let output = command.output().unwrap_or_else(|error| panic!("{line}: {error}"));
    (String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned(), output.status.success())
}

/// A console as the page would show it, or what is wrong.
fn transcript(dir: &TempDir, console: &str, files: Files) -> String {
    let lines = console.lines().filter_map(|line| line.strip_prefix("$ "));
    let shown = lines.map(|line| {
        let (output, success) = run(dir, line, files);
        format!("$ {line}\n{output}{}", if success { "" } else { "(failed)\n" })
    });
    shown.collect()
}

#[test]
fn examples_print_what_the_page_shows() {
    for example in examples() {
        let Some(dir) = compile(&example.name, &example.source) else { return };
        assert_eq!(transcript(&dir, &example.console, Files::Reference), example.console, "{}", example.name);
    }
}

/// A command of the page that names no file of the reference prints the same without the library.
#[test]
fn commands_on_kernel_files_need_no_library() {
    let is_of_kernel = |line: &&str| line.starts_with("$ ") && !line.contains(PREFIX);
    let mut count = 0;
    for example in examples() {
        for line in example.console.lines().filter(is_of_kernel) {
            let Some(dir) = compile(&example.name, &example.source) else { return };
            assert_eq!(transcript(&dir, line, Files::Kernel), transcript(&dir, line, Files::Reference));
            count += 1;
        }
    }
    assert!(count > 0, "no example shows what a kernel of today answers");
}

#[test]
fn detection_without_privilege() {
    let example = examples().into_iter().find(|example| example.name == "detect").expect("the page detects support");
    let Some(dir) = compile(&example.name, &example.source) else { return };
    let (output, success) = run(&dir, "./detect /iomap/scratch", Files::ReferenceUnprivileged);
    assert_eq!(output, "sealing is offered, but not to you\nthis file is not sealed\n");
    assert!(success);
}

/// Files that are not sealed are like the kernel's, and the kernel's are untouched by the library.
#[test]
fn ordinary_files_are_all_alike() {
    let Some(dir) = compile("ordinary", include_str!("ordinary.c")) else { return };
    let kernel = run(&dir, &format!("./ordinary {}", dir.path().display()), Files::Kernel);
    assert!(kernel.1, "{}", kernel.0);
    assert_eq!(run(&dir, &format!("./ordinary {}", dir.path().display()), Files::Reference), kernel);
    assert_eq!(run(&dir, &format!("./ordinary {PREFIX}"), Files::Reference), kernel);
}

#[test]
fn where_both_kinds_of_files_meet() {
    let Some(dir) = compile("borders", include_str!("borders.c")) else { return };
    let (output, success) = run(&dir, "./borders /iomap/ours other", Files::Reference);
    assert_eq!(
        output,
        "\
ioctl(ours, FS_IOC_FSGETXATTR, &attr): 0
ioctl(ours, FS_IOC_FSSETXATTR, &attr): 0
ioctl(ours, FS_IOC_FSSETXATTR, &attr): EINVAL
ioctl(ours, FS_IOC_FSGETXATTR, &attr): 0
attr.fsx_xflags == FS_XFLAG_NODUMP: 1
ioctl(ours, FICLONE, other): EXDEV
copy_file_range(ours, NULL, other, NULL, 1, 0): EXDEV
rename(argv[1], argv[2]): EXDEV
link(argv[2], argv[1]): EXDEV
writev(ours, &part, 1): EBADF
fcntl(ours, F_GETFD) & FD_CLOEXEC: 1
munmap(map + PAGE, PAGE): EINVAL
map[PAGE]: 0
munmap(map, 2 * PAGE): 0
munmap(map, 0): EINVAL
"
    );
    assert!(success);
}
