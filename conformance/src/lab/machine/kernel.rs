//! Finds kernels by the name on the command line: the image for QEMU, and the modules.

use crate::error::{Error, Result, at};
use crate::host::sys::process;
use crate::lab::cache::{self, Cache};
use crate::lab::machine::bzimage::BzImage;
use crate::lab::machine::{layout, packages};
use crate::programs::{self, Failure, ending};
use iomap_command::tell_line;
use iomap_results::Kernel;
use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A kernel to boot.
#[derive(Clone, Debug)]
pub(crate) struct BootKernel {
    /// Its release, age and build.
    pub(crate) identity: Kernel,
    /// The file that QEMU boots: the bzImage, or the kernel inside.
    pub(crate) image: PathBuf,
    /// The directory that has `lib/modules`, if it is known.
    pub(crate) modules: Option<PathBuf>,
    /// The kernel with its symbols, for a debugger.
    pub(crate) symbols: Option<PathBuf>,
}

impl BootKernel {
    /// Finds the kernels of a name: a package, an image, a build tree, a directory of kernels, or a version of Debian.
    pub(crate) fn find(name: &str, cache: &Cache) -> Result<Vec<Self>> {
        let path = Path::new(name);
        let one = |kernel: Result<Self>| kernel.map(|kernel| vec![kernel]);
        let found = match Source::of(name)? {
            Source::Tree => one(tree(path, cache)),
            Source::Directory => directory(path, cache),
            Source::Package => one(package(path, cache)),
            Source::Image => one(image(path, cache)),
            Source::Version => one(package(&download(name, cache)?, cache)),
        };
        found.map_err(|e| Error::about(name, e))
    }

    /// Finds the kernels of all names.
    pub(crate) fn find_all(names: &[String], cache: &Cache) -> Result<Vec<Self>> {
        let found: Vec<Vec<Self>> = names.iter().map(|name| Self::find(name, cache)).collect::<Result<_>>()?;
        Ok(found.concat())
    }

    /// The release, as `uname -r` will print it.
    pub(crate) fn release(&self) -> &str {
        &self.identity.release
    }

    fn new(image: PathBuf, modules: Option<PathBuf>, cache: &Cache) -> Result<Self> {
        let bzimage = BzImage::read(&image)?;
        let unpacked = bzimage.unpacked(&image, cache)?;
        let identity = bzimage.identity(unpacked.as_deref());
        Ok(Self { identity, image: unpacked.unwrap_or(image), modules, symbols: None })
    }
}

/// The image in a build tree.
const BUILT: &str = "arch/x86/boot/bzImage";

/// The meaning of a name of a kernel.
pub(crate) enum Source {
    /// A tree in which a kernel was built.
    Tree,
    /// A directory in which packages with kernels were unpacked.
    Directory,
    /// A package of Debian, in a file.
    Package,
    /// A bzImage.
    Image,
    /// A version, whose package apt downloads.
    Version,
}

impl Source {
    /// The meaning of this name.
    pub(crate) fn of(name: &str) -> Result<Self> {
        let path = Path::new(name);
        match () {
            // A tree can have modules that its make(1) has installed there.
            () if path.join(BUILT).is_file() => Ok(Source::Tree),
            () if layout::has_kernels(path) => Ok(Source::Directory),
            () if path.is_dir() => Ok(Source::Tree),
            () if path.is_file() && starts_with(path, b"!<arch>\n") => Ok(Source::Package),
            () if path.is_file() => Ok(Source::Image),
            () if name.starts_with(|c: char| c.is_ascii_digit()) && !name.contains('/') => Ok(Source::Version),
            () => Err(format!("{name}: no such file or directory, and no version such as 6.12").into()),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Source::Tree => "the kernel of a build tree",
            Source::Directory => "kernels of unpacked packages",
            Source::Package => "a package of Debian",
            Source::Image => "an image of a kernel",
            Source::Version => "the package of Debian, from the cache or by apt",
        })
    }
}

fn starts_with(path: &Path, magic: &[u8]) -> bool {
    let mut start = vec![0; magic.len()];
    File::open(path).and_then(|file| file.read_exact_at(&mut start, 0)).is_ok() && start == magic
}

/// The kernel of a single image, with modules if they are at the usual place beside the image or on this machine.
fn image(path: &Path, cache: &Cache) -> Result<BootKernel> {
    let path = std::path::absolute(path).map_err(at(path))?;
    let release = BzImage::read(&path)?.identity(None).release;
    let around = path.parent().and_then(Path::parent).unwrap_or(Path::new("/"));
    let has_modules = |root: &&Path| root.join("lib/modules").join(&release).join("modules.dep").exists();
    let modules = [around, Path::new("/")].into_iter().find(has_modules).map(Path::to_path_buf);
    BootKernel::new(path, modules, cache)
}

/// The kernel of a build tree. Its modules are linked into the layout that depmod(8) needs.
fn tree(path: &Path, cache: &Cache) -> Result<BootKernel> {
    let path = std::path::absolute(path).map_err(at(path))?;
    let image = path.join(BUILT);
    if !image.is_file() {
        return Err("no arch/x86/boot/bzImage: the kernel is not built yet, or for another architecture; \
            and neither boot/vmlinuz-RELEASE nor lib/modules/RELEASE/vmlinuz"
            .into());
    }
    let kernel = BootKernel::new(image, None, cache)?;
    let modules = linked(&path, kernel.release(), cache, |place| link(&path, place))?;
    let symbols = Some(path.join("vmlinux")).filter(|path| path.is_file());
    Ok(BootKernel { modules: Some(modules), symbols, ..kernel })
}

/// The kernels of a directory, in the order of their releases.
fn directory(path: &Path, cache: &Cache) -> Result<Vec<BootKernel>> {
    let path = std::path::absolute(path).map_err(at(path))?;
    let kernels = layout::kernels(&path)?.into_iter().map(|found| {
        let make = |modules: PathBuf| linked(&path, &found.release, cache, |place| layout::link(&modules, place));
        BootKernel::new(found.image, found.modules.map(make).transpose()?, cache)
    });
    kernels.collect()
}

/// The modules of a release in a directory, at the place that depmod(8) needs. Nothing is written into the directory.
fn linked(from: &Path, release: &str, cache: &Cache, link: impl FnOnce(&Path) -> io::Result<()>) -> Result<PathBuf> {
    let name = format!("{}-{release}", from.to_string_lossy().replace('/', "-"));
    let root = cache.directory("trees")?.join(name);
    let make = |root: &Path| {
        let place = root.join("lib/modules").join(release);
        std::fs::create_dir_all(&place).and_then(|()| link(&place)).map_err(at(root))?;
        depmod(root, release)
    };
    // Replace an old layout, because the directory may have other modules now.
    cache::put(&root, make, || false)?;
    Ok(root)
}

/// Links the modules of a build tree to their places.
fn link(tree: &Path, place: &Path) -> io::Result<()> {
    for name in ["modules.order", "modules.builtin", "modules.builtin.modinfo"] {
        if tree.join(name).exists() {
            symlink(tree.join(name), place.join(name))?;
        }
    }
    let order = std::fs::read_to_string(tree.join("modules.order")).unwrap_or_default();
    for line in order.lines() {
        // Until Linux 6.3 the lines begin with `kernel/`, and for some versions since 6.12 they end with .o.
        let module = line.trim_start_matches("kernel/").trim_end_matches(".o").trim_end_matches(".ko");
        let to = place.join("kernel").join(format!("{module}.ko"));
        std::fs::create_dir_all(to.parent().unwrap_or(place))?;
        symlink(tree.join(format!("{module}.ko")), to)?;
    }
    Ok(())
}

/// The parts of a package that a run can need. The rest, three quarters of it, are drivers for hardware.
const WANTED: [&str; 21] = [
    "*/vmlinuz-*",
    "*/modules.order",
    "*/modules.builtin*",
    "*/kernel/arch/*",
    "*/kernel/block/*",
    "*/kernel/crypto/*",
    "*/kernel/fs/*",
    "*/kernel/lib/*",
    "*/kernel/mm/*",
    "*/kernel/drivers/acpi/nfit/*",
    "*/kernel/drivers/block/*",
    "*/kernel/drivers/char/*",
    "*/kernel/drivers/dax/*",
    "*/kernel/drivers/infiniband/*",
    "*/kernel/drivers/md/*",
    "*/kernel/drivers/net/dummy.ko*",
    "*/kernel/drivers/nvdimm/*",
    "*/kernel/drivers/scsi/*",
    "*/kernel/drivers/target/*",
    "*/kernel/drivers/virtio/*",
    "*/kernel/net/*",
];

fn package(path: &Path, cache: &Cache) -> Result<BootKernel> {
    // The key includes the wanted parts, because they determine the contents.
    let key = format!("{}-{}", cache.digest(path)?, &cache::digest_of(WANTED.concat().as_bytes())[..8]);
    let root = cache.get("kernels", &key, UNPACKED, |root| unpack(path, root))?;
    BootKernel::new(image_in(&root)?, Some(root), cache)
}

/// The approximate number of bytes that are unpacked from a package, and that depmod(8) adds.
const UNPACKED: u64 = 160 << 20;

/// The kernel of an unpacked package.
fn image_in(root: &Path) -> Result<PathBuf> {
    let images = std::fs::read_dir(root.join("boot")).map_err(|_| "a package without a kernel: it has no /boot")?;
    Ok(images.flatten().map(|entry| entry.path()).next().ok_or("a package without a kernel: nothing in its /boot")?)
}

fn unpack(path: &Path, root: &Path) -> Result<()> {
    let damaged = |failure: Failure| format!("the package is damaged: {failure}");
    let architecture =
        programs::output(Command::new("dpkg-deb").arg("-f").arg(path).arg("Architecture")).map_err(damaged)?;
    let architecture = String::from_utf8_lossy(&architecture);
    if architecture.trim() != "amd64" {
        return Err(format!("a package for {}: the lab boots amd64", architecture.trim()).into());
    }
    std::fs::create_dir_all(root).map_err(at(root))?;
    let mut contents = Command::new("dpkg-deb");
    contents.arg("--fsys-tarfile").arg(path).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    process::end_with_parent(&mut contents);
    let mut contents = contents.spawn().map_err(|e| Error::about("dpkg-deb", e))?;
    let from = contents.stdout.take().map_or_else(Stdio::null, Stdio::from);
    let mut tar = Command::new("tar");
    tar.env("LC_ALL", "C").arg("-xC").arg(root).args(["--no-same-owner", "--wildcards"]).args(WANTED);
    let unpacked = programs::of_input(&mut tar, from);
    let read = contents.wait_with_output().map_err(|e| Error::about("dpkg-deb", e))?;
    if let Some(why) = unpacked.err().and_then(|failure| refused(&failure)) {
        return Err(why.into());
    }
    if !read.status.success() {
        let said = String::from_utf8_lossy(&read.stderr).trim().replace('\n', ", ");
        return Err(format!("the package is damaged: dpkg-deb {}: {said}", ending(read.status)).into());
    }
    if root.join("usr/lib").is_dir() && !root.join("lib").exists() {
        symlink("usr/lib", root.join("lib")).map_err(at(root))?;
    }
    BzImage::read(&image_in(root)?)?;
    let modules = std::fs::read_dir(root.join("lib/modules")).map_err(|_| "a package without modules")?;
    modules.flatten().try_for_each(|entry| depmod(root, &entry.file_name().to_string_lossy()))
}

/// The reason why tar(1) failed. tar reports each pattern without a match, which is harmless, because the needed files
/// are checked later. If an archive is cut off, dpkg-deb reports the reason.
fn refused(failure: &Failure) -> Option<String> {
    const HARMLESS: [&str; 4] = ["Not found in archive", "Exiting with failure", "not recoverable", "Unexpected EOF"];
    let Failure::Ended { status, said, .. } = failure else { return Some(failure.to_string()) };
    let complaint = said.lines().find(|line| HARMLESS.iter().all(|harmless| !line.contains(harmless)));
    complaint.map(str::to_owned).or_else(|| status.code().is_none().then(|| failure.to_string()))
}

/// Finds the dependencies of modules with depmod(8), which is normally done when a package is installed.
fn depmod(root: &Path, release: &str) -> Result<()> {
    Ok(programs::output(Command::new(admin("depmod")).arg("-b").arg(root).arg(release)).map(drop)?)
}

/// The path of an administrator's program: the programs of kmod are not in the PATH of ordinary users.
pub(crate) fn admin(name: &str) -> PathBuf {
    programs::find(name).unwrap_or_else(|| name.into())
}

/// Downloads, with apt, Debian's newest kernel of a series such as `6.12`, or of one version.
fn download(version: &str, cache: &Cache) -> Result<PathBuf> {
    let prefix = format!("linux-image-{version}");
    // apt takes a second, and its answer changes only with its lists, so remember it.
    let lists = std::fs::metadata("/var/lib/apt/lists").and_then(|lists| lists.modified());
    let name = cache.answer(&format!("apt-cache pkgnames {prefix}"), &format!("{lists:?}"), || {
        let names = programs::output(Command::new("apt-cache").args(["pkgnames", &prefix]))?;
        let names = String::from_utf8_lossy(&names);
        let newest = names.lines().filter_map(|name| Some((numbers(name, version)?, name))).max();
        let newest = newest.map(|(_, name)| name.to_owned());
        newest.ok_or_else(|| format!("apt knows no kernel {version} for amd64: apt-get update").into())
    })?;
    cache.get("packages", &format!("{name}.deb"), DOWNLOADED, |path| {
        tell_line(format_args!("downloading {name}"));
        let directory = path.with_file_name("download");
        std::fs::create_dir(&directory).map_err(at(&directory))?;
        // apt-get leaves an incomplete file under its final name, so check its success.
        packages::download(&[&name], &directory)?;
        let files = std::fs::read_dir(&directory).map_err(at(&directory))?;
        let file = files.flatten().next().ok_or_else(|| format!("apt-get download {name} left no file"))?;
        let placed = std::fs::rename(file.path(), path).and_then(|()| std::fs::remove_dir_all(&directory));
        placed.map_err(at(path))
    })
}

/// The approximate size of a package with a kernel, in bytes.
const DOWNLOADED: u64 = 120 << 20;

/// The version numbers in the name of a kernel's package: `linux-image-6.12.117+deb12-amd64`. Other flavours have a
/// word before `-amd64`, and packages that only depend on the newest kernel have no third number.
fn numbers(package: &str, version: &str) -> Option<Vec<u32>> {
    let release = package.strip_prefix("linux-image-")?.strip_suffix("-amd64")?;
    let rest = release.strip_prefix(version)?;
    let plain = release.split(['.', '-', '+', '~']).all(|part| part.trim_start_matches("deb").parse::<u32>().is_ok());
    let numbers: Vec<u32> = release.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect();
    (plain && numbers.len() > 2 && !rest.starts_with(|c: char| c.is_ascii_digit())).then_some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::machine::modules;
    use iomap_testing::tools::has;

    #[test]
    fn a_tree_with_installed_modules_is_a_tree() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let is_tree = || matches!(Source::of(root.to_str().unwrap()), Ok(Source::Tree));
        assert!(is_tree());
        std::fs::create_dir_all(root.join("lib/modules/6.12.0")).unwrap();
        assert!(!is_tree());
        std::fs::create_dir_all(root.join("arch/x86/boot")).unwrap();
        std::fs::write(root.join(BUILT), "").unwrap();
        assert!(is_tree());
    }

    /// A directory of kernels has the kernel, the build id and the modules of the package that was unpacked there.
    #[test]
    fn a_directory_is_as_good_as_its_package() {
        if !["apt-cache", "dpkg-deb", "depmod", "xz"].into_iter().all(has) {
            return;
        }
        let cache = Cache::open().unwrap();
        let package = BootKernel::find("6.1", &cache).unwrap().remove(0);
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("kernels");
        // As in Debian 13, where /lib is a link.
        std::fs::create_dir_all(root.join("usr")).unwrap();
        let unpacked = package.modules.as_ref().unwrap();
        symlink(unpacked.join("boot"), root.join("boot")).unwrap();
        symlink(unpacked.join("lib"), root.join("usr/lib")).unwrap();
        symlink("usr/lib", root.join("lib")).unwrap();
        let found = BootKernel::find(root.to_str().unwrap(), &Cache::at(directory.path().join("cache"))).unwrap();
        let [kernel] = &found[..] else { panic!("{found:?}") };
        assert_eq!(kernel.identity, package.identity);
        assert!(kernel.identity.built.is_some() && kernel.identity.build_id.is_some(), "{kernel:?}");
        let names = |kernel: &BootKernel| -> Vec<String> {
            modules::resolve(kernel, &["xfs"]).unwrap().iter().map(|path| modules::file_name(path)).collect()
        };
        assert_eq!(names(kernel), names(&package));
        assert!(names(kernel).contains(&"xfs.ko".to_owned()));
    }

    #[test]
    fn packages_with_a_kernel_of_a_version() {
        let newest = |version| {
            let names = [
                "linux-image-6.1.0-9-amd64",
                "linux-image-6.1.0-56-amd64",
                "linux-image-6.1.0-57-cloud-amd64",
                "linux-image-6.12-amd64",
                "linux-image-6.12.117+deb12-amd64",
                "linux-image-6.12.101+deb12-amd64",
                "linux-image-6.12.120+deb12-rt-amd64",
            ];
            names.into_iter().filter_map(|name| Some((numbers(name, version)?, name))).max().map(|(_, name)| name)
        };
        assert_eq!(newest("6.1"), Some("linux-image-6.1.0-56-amd64"));
        assert_eq!(newest("6.12"), Some("linux-image-6.12.117+deb12-amd64"));
        assert_eq!(newest("6.12.101"), Some("linux-image-6.12.101+deb12-amd64"));
        assert_eq!(newest("6.13"), None);
    }
}
