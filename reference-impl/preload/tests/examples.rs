//! The C programs of the pages must compile, and print the output in the pages.

mod programs;

use programs::{Files, PREFIX, compile, example, examples, run, transcript};

#[test]
fn examples_print_what_the_page_shows() {
    for example in examples() {
        let Some(dir) = compile(&example.name, &example.source) else { return };
        assert_eq!(
            transcript(&example.console, |line| run(&dir, line, Files::InProcess)),
            example.console,
            "{}",
            example.name
        );
    }
}

/// A command of a page that uses no file of the reference prints the same without the library.
#[test]
fn commands_on_kernel_files_need_no_library() {
    let is_of_kernel = |line: &&str| line.starts_with("$ ") && !line.contains(PREFIX);
    let mut count = 0;
    for example in examples() {
        for line in example.console.lines().filter(is_of_kernel) {
            let Some(dir) = compile(&example.name, &example.source) else { return };
            let command = line.trim_start_matches("$ ");
            let kernel = run(&dir, command, Files::Kernel);
            assert_eq!(run(&dir, command, Files::InProcess), kernel);
            assert_eq!(run(&dir, command, Files::Mounted), kernel);
            count += 1;
        }
    }
    assert!(count > 0, "no example shows what a kernel of today answers");
}

#[test]
fn detection_without_privilege() {
    let example = example("detect");
    let Some(dir) = compile(&example.name, &example.source) else { return };
    let (output, success) = run(&dir, "./detect /iomap/data", Files::InProcessUnprivileged);
    assert_eq!(output, "the file is not sealed, and files here can be\n");
    assert!(success);
}

/// Unsealed files behave like files of the kernel, and the library does not affect files of the kernel.
#[test]
fn ordinary_files_are_all_alike() {
    let Some(dir) = compile("ordinary", include_str!("ordinary.c")) else { return };
    let kernel = run(&dir, &format!("./ordinary {}", dir.path().display()), Files::Kernel);
    assert!(kernel.1, "{}", kernel.0);
    for files in [Files::InProcess, Files::Mounted] {
        assert_eq!(run(&dir, &format!("./ordinary {}", dir.path().display()), files), kernel);
    }
    assert_eq!(run(&dir, &format!("./ordinary {PREFIX}"), Files::InProcess), kernel);
}

#[test]
fn where_both_kinds_of_files_meet() {
    let Some(dir) = compile("borders", include_str!("borders.c")) else { return };
    let (output, success) = run(&dir, "./borders /iomap/ours other", Files::InProcess);
    assert_eq!(
        output,
        "\
ioctl(ours, FS_IOC_FSGETXATTR, &attr): 0
ioctl(ours, FS_IOC_FSSETXATTR, &attr): 0
ioctl(ours, FS_IOC_FSSETXATTR, &attr): 0
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
