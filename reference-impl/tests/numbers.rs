//! The provisional numbers against the headers of kernels: no other name may have them.

use iomap_vocabulary::{NUMBERS, Number};
use std::path::{Path, PathBuf};

/// The names of a header that have a bit of the number, and the number's own name with another value.
fn collisions(header: &str, number: &Number) -> Vec<String> {
    let defined = |line: &str| {
        let (name, value) = line
            .trim()
            .strip_prefix('#')?
            .trim_start()
            .strip_prefix("define")?
            .trim()
            .split_once(char::is_whitespace)?;
        Some((name.to_owned(), value_of(value)?)).filter(|(name, _)| name.starts_with(number.prefix))
    };
    let all = header.lines().filter_map(defined);
    let bad = all.filter(|(name, value)| match name == number.name {
        true => *value != number.value,
        false => value & number.value != 0,
    });
    bad.map(|(name, value)| format!("{name} is {value:#x}, and {} is {:#x}", number.name, number.value)).collect()
}

/// The value of a number or of a shift, as headers write them. Other expressions have no value here.
fn value_of(text: &str) -> Option<u64> {
    let text = text.split("/*").next()?.split("//").next()?.replace(['(', ')'], "");
    let plain = |text: &str| {
        let digits = text.trim().trim_end_matches(['u', 'U', 'l', 'L']);
        match digits.strip_prefix("0x").or(digits.strip_prefix("0X")) {
            Some(hexadecimal) => u64::from_str_radix(hexadecimal, 16).ok(),
            None => digits.parse().ok(),
        }
    };
    match text.split_once("<<") {
        Some((one, by)) => plain(one)?.checked_shl(plain(by)?.try_into().ok()?),
        None => plain(&text),
    }
}

/// The directories with headers of kernels on this machine: that of the C library, and those of packages.
fn directories() -> Vec<PathBuf> {
    let packages = std::fs::read_dir("/usr/src").into_iter().flatten().flatten();
    let packages = packages.map(|package| package.path().join("include/uapi/linux"));
    std::iter::once(PathBuf::from("/usr/include/linux")).chain(packages).filter(|path| path.is_dir()).collect()
}

#[test]
fn no_header_has_a_provisional_number() {
    let found = directories();
    assert!(!found.is_empty(), "no header of a kernel is here: apt-get install linux-libc-dev");
    let mut bad = Vec::new();
    for (directory, number) in found.iter().flat_map(|directory| NUMBERS.into_iter().map(move |it| (directory, it))) {
        // Packages for building modules can lack a header.
        let Ok(text) = std::fs::read_to_string(Path::new(directory).join(number.header)) else { continue };
        assert!(text.contains(number.prefix), "{}/{} has no {}", directory.display(), number.header, number.prefix);
        bad.extend(collisions(&text, &number).into_iter().map(|it| format!("{}: {it}", directory.display())));
    }
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}

/// The header for programs in C has each number, with its value, and no other constant of these kinds.
#[test]
fn the_header_for_programs_has_the_numbers() {
    let header = include_str!("../../include/iomap_immutable.h");
    let mut found: Vec<(String, u64)> = Vec::new();
    for line in header.lines().filter_map(|line| line.strip_prefix("#define ")) {
        let Some((name, value)) = line.split_once(char::is_whitespace) else { continue };
        found.extend(value_of(value).map(|value| (name.to_owned(), value)));
    }
    assert_eq!(found, NUMBERS.map(|number| (number.name.to_owned(), number.value)));
}

#[test]
fn a_collision_has_a_name() {
    let old = Number { value: 0x0010_0000, ..NUMBERS[2] };
    let header = "#define FS_XFLAG_DAX\t0x00008000\t/* use DAX */\n#define FS_XFLAG_DIO 0x00100000U\n";
    assert_eq!(collisions(header, &old), ["FS_XFLAG_DIO is 0x100000, and FS_XFLAG_IOMAP_IMMUTABLE is 0x100000"]);
    assert_eq!(collisions(header, &NUMBERS[2]), [""; 0]);
    let shifted = "# define FALLOC_FL_ATOMIC (1U << 8)\n#define FALLOC_FL_UNSEAL_BLOCK_MAP 0x400 // moved\n";
    assert_eq!(collisions(shifted, &NUMBERS[0]), ["FALLOC_FL_ATOMIC is 0x100, and FALLOC_FL_SEAL_BLOCK_MAP is 0x100"]);
    assert_eq!(
        collisions(shifted, &NUMBERS[1]),
        ["FALLOC_FL_UNSEAL_BLOCK_MAP is 0x400, and FALLOC_FL_UNSEAL_BLOCK_MAP is 0x200"]
    );
    let wide = "#define STATX_ATTR_NEXT 0x1000000000000ULL\n#define STATX_ALL 0xffffffffffffffff\n";
    assert_eq!(
        collisions(wide, &NUMBERS[3]),
        ["STATX_ATTR_NEXT is 0x1000000000000, and STATX_ATTR_IOMAP_IMMUTABLE is 0x1000000000000"]
    );
}
