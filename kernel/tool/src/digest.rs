//! SHA-256 as hex digits.

use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// The digest of these parts. The length of each part counts, so that parts cannot flow into each other.
pub(crate) fn of_parts<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut sha = Sha256::new();
    for part in parts {
        sha.update(part.len().to_le_bytes());
        sha.update(part);
    }
    hexadecimal(&sha.finalize())
}

/// The beginning of the digest of these parts, for a name.
pub(crate) fn short<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut digest = of_parts(parts);
    digest.truncate(16);
    digest
}

/// The digest that sha256sum(1) prints for a file.
pub(crate) fn of_file(path: &Path) -> io::Result<String> {
    let (mut file, mut sha, mut buffer) = (File::open(path)?, Sha256::new(), vec![0; 1 << 20]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hexadecimal(&sha.finalize())),
            len => sha.update(&buffer[..len]),
        }
    }
}

fn hexadecimal(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
