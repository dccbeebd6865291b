//! Kernels in a directory in which packages of a distribution were unpacked, with the places that distributions use.

use crate::error::{Error, Result};
use crate::lab::machine::bzimage::BzImage;
use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// A kernel in a directory.
pub(crate) struct Found {
    pub(crate) release: String,
    pub(crate) image: PathBuf,
    /// The directory of its modules, or `None` if everything is built in.
    pub(crate) modules: Option<PathBuf>,
}

/// The directories that have a directory of modules for each release.
const MODULES: [&str; 2] = ["lib/modules", "usr/lib/modules"];

/// Whether a directory has the places of this layout.
pub(crate) fn has_kernels(root: &Path) -> bool {
    MODULES.iter().any(|place| root.join(place).is_dir()) || !entries(&root.join("boot"), "vmlinuz-").is_empty()
}

/// The kernels of a directory, by release: `boot/vmlinuz-RELEASE`, or `vmlinuz` among the modules.
pub(crate) fn kernels(root: &Path) -> Result<Vec<Found>> {
    let mut modules = BTreeMap::new();
    for directory in MODULES.iter().flat_map(|place| entries(&root.join(place), "")) {
        let release = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // lib can be a link to usr/lib.
        modules.entry(release).or_insert(directory);
    }
    let images = entries(&root.join("boot"), "vmlinuz-");
    let beside = modules.values().map(|directory| directory.join("vmlinuz"));
    let mut found = BTreeMap::new();
    // An installed system can have a second image of a release, for a rescue.
    for image in beside.chain(images).filter(|image| image.is_file()) {
        let release =
            BzImage::read(&image).map_err(|error| Error::about(image.display(), error))?.identity(None).release;
        let modules = modules.get(&release).cloned();
        found.entry(release.clone()).or_insert(Found { release, image, modules });
    }
    if let Some((release, directory)) = modules.iter().find(|(release, _)| !found.contains_key(*release)) {
        let directory = directory.strip_prefix(root).unwrap_or(directory).display();
        return Err(format!(
            "modules of {release} without the kernel: neither boot/vmlinuz-{release} nor {directory}/vmlinuz"
        )
        .into());
    }
    if found.is_empty() {
        return Err("no kernel: neither boot/vmlinuz-RELEASE nor lib/modules/RELEASE/vmlinuz".into());
    }
    Ok(found.into_values().collect())
}

/// The entries of a directory whose names begin like this, in their order. None if there is no such directory.
fn entries(directory: &Path, begin: &str) -> Vec<PathBuf> {
    let all = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let wanted = all.filter(|entry| entry.file_name().to_string_lossy().starts_with(begin));
    let mut paths: Vec<PathBuf> = wanted.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

/// Links what depmod(8) reads: the directories of modules, and the lists that the build of the kernel made.
pub(crate) fn link(modules: &Path, place: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(modules)? {
        let entry = entry?;
        let name = entry.file_name();
        let list = ["modules.order", "modules.builtin", "modules.builtin.modinfo"].iter().any(|list| name == *list);
        // `build` and `source` lead to the sources of the kernel.
        if list || (entry.path().is_dir() && name != "build" && name != "source") {
            symlink(entry.path(), place.join(name))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The smallest file that passes for a bzImage of this release.
    fn image(path: &Path, release: &str) {
        let mut bytes = vec![0; 1024];
        bytes[0x202..0x206].copy_from_slice(b"HdrS");
        bytes[0x236] = 1;
        bytes[0x20f] = 1;
        bytes.truncate(0x300);
        bytes.extend(format!("{release} (builder@host) #1 SMP Thu Aug  1 12:00:00 UTC 2024\0").bytes());
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    fn releases(root: &Path) -> Vec<(String, String, Option<String>)> {
        let within = |path: &Path| path.strip_prefix(root).unwrap().display().to_string();
        let found = kernels(root).unwrap().into_iter();
        found.map(|it| (it.release, within(&it.image), it.modules.as_deref().map(within))).collect()
    }

    #[test]
    fn kernels_where_distributions_have_them() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        assert!(!has_kernels(root));
        // Debian 12 and Ubuntu.
        image(&root.join("boot/vmlinuz-6.1.0-56-amd64"), "6.1.0-56-amd64");
        assert!(has_kernels(root));
        std::fs::create_dir_all(root.join("lib/modules/6.1.0-56-amd64/kernel")).unwrap();
        // Fedora and Arch, and a second image in Fedora's /boot.
        image(&root.join("usr/lib/modules/6.15.3-arch1-1/vmlinuz"), "6.15.3-arch1-1");
        image(&root.join("boot/vmlinuz-0-rescue-0123"), "6.15.3-arch1-1");
        // Without modules, and what is no kernel.
        image(&root.join("boot/vmlinuz-5.10.0"), "5.10.0");
        std::fs::write(root.join("boot/System.map-5.10.0"), "").unwrap();
        symlink("nowhere", root.join("boot/vmlinuz-default")).unwrap();
        let text = |text: &str| text.to_owned();
        let expected = [
            (text("5.10.0"), text("boot/vmlinuz-5.10.0"), None),
            (text("6.1.0-56-amd64"), text("boot/vmlinuz-6.1.0-56-amd64"), Some(text("lib/modules/6.1.0-56-amd64"))),
            (
                text("6.15.3-arch1-1"),
                text("usr/lib/modules/6.15.3-arch1-1/vmlinuz"),
                Some(text("usr/lib/modules/6.15.3-arch1-1")),
            ),
        ];
        assert_eq!(releases(root), expected);
    }

    #[test]
    fn modules_without_a_kernel_are_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        std::fs::create_dir_all(root.join("usr/lib/modules/6.8.0-40-generic/kernel")).unwrap();
        let said = kernels(root).err().unwrap().to_string();
        let missing = "neither boot/vmlinuz-6.8.0-40-generic nor usr/lib/modules/6.8.0-40-generic/vmlinuz";
        assert_eq!(said, format!("modules of 6.8.0-40-generic without the kernel: {missing}"));
        std::fs::create_dir(root.join("boot")).unwrap();
        std::fs::write(root.join("boot/vmlinuz-6.8.0-40-generic"), "").unwrap();
        let said = kernels(root).err().unwrap().to_string();
        assert!(said.ends_with("boot/vmlinuz-6.8.0-40-generic: not a Linux bzImage"), "{said}");
    }
}
