//! The interface of a daemon: names, listings, remembered and open inodes, limits.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use iomap_reference::*;
use nix::errno::Errno;
use nix::fcntl::OFlag;

const ROOT: Ino = Fs::ROOT;

fn root() -> &'static Credentials {
    Caller::Privileged.credentials()
}

fn file(fs: &Fs, name: &[u8]) -> (Attributes, Fd) {
    fs.create(root(), (ROOT, name), OFlag::O_RDWR, 0o644).unwrap()
}

fn directory(fs: &Fs, name: &[u8]) -> Ino {
    fs.mknod(root(), (ROOT, name), Kind::Directory, 0o755, 0).unwrap().ino
}

fn names(fs: &Fs, fd: Fd, cookie: u64) -> Vec<(Vec<u8>, u64)> {
    let mut names = Vec::new();
    fs.list(fd, cookie, |listed| {
        names.push((listed.name.to_vec(), listed.cookie));
        true
    })
    .unwrap();
    names
}

#[test]
fn names_are_bytes() {
    let fs = Fs::new(16);
    let name = b"\xff\n\x01 name".as_slice();
    let (made, _) = file(&fs, name);
    assert_eq!(fs.lookup(root(), (ROOT, name)).map(|found| found.ino), Ok(made.ino));
    for (name, errno) in [
        (b"a/b".to_vec(), Errno::EINVAL),
        (b"a\0b".to_vec(), Errno::EINVAL),
        (b"..".to_vec(), Errno::EINVAL),
        (Vec::new(), Errno::ENOENT),
        (vec![b'n'; 256], Errno::ENAMETOOLONG),
    ] {
        assert_eq!(fs.mknod(root(), (ROOT, &name), Kind::Fifo, 0o600, 0), Err(errno), "{name:?}");
    }
}

#[test]
fn a_listing_goes_on_where_it_was() {
    let fs = Fs::new(16);
    [b"a", b"b", b"c", b"d"].into_iter().for_each(|name| _ = file(&fs, name));
    let fd = fs.open(root(), ROOT, OFlag::O_RDONLY | OFlag::O_DIRECTORY).unwrap();
    let before = names(&fs, fd, 0);
    assert_eq!(
        before.iter().map(|(name, _)| name.as_slice()).collect::<Vec<_>>(),
        [&b"."[..], b"..", b"a", b"b", b"c", b"d"]
    );
    // Remove a name that was listed, replace a name that was not listed, and add a new name.
    fs.unlink(root(), (ROOT, b"a")).unwrap();
    fs.rename(root(), (ROOT, b"d"), (ROOT, b"c"), 0).unwrap();
    file(&fs, b"e");
    let after = names(&fs, fd, before[3].1);
    assert_eq!(after.iter().map(|(name, _)| name.as_slice()).collect::<Vec<_>>(), [b"c", b"e"]);
    assert_eq!(after[0].1, before[4].1);
}

#[test]
fn a_removed_file_stays_until_it_is_forgotten_and_closed() {
    let fs = Fs::new(16);
    let (made, fd) = file(&fs, b"file");
    fs.write(root(), fd, 0, &[1; 2 * BLOCK]).unwrap();
    fs.unlink(root(), (ROOT, b"file")).unwrap();
    assert_eq!(fs.attributes(made.ino).unwrap().links, 0);
    fs.release(fd).unwrap();
    assert_eq!((fs.attributes(made.ino).is_ok(), fs.space().free), (true, 14));
    fs.forget(made.ino, 1);
    assert_eq!((fs.attributes(made.ino), fs.space().free), (Err(Errno::ENOENT), 16));
    assert_eq!(fs.open(root(), made.ino, OFlag::O_RDONLY), Err(Errno::ESTALE));
}

#[test]
fn a_removed_directory_takes_no_new_name() {
    let fs = Fs::new(16);
    let gone = directory(&fs, b"gone");
    let fd = fs.open(root(), gone, OFlag::O_RDONLY).unwrap();
    fs.rmdir(root(), (ROOT, b"gone")).unwrap();
    assert_eq!(fs.mknod(root(), (gone, b"file"), Kind::Regular, 0o600, 0), Err(Errno::ENOENT));
    assert_eq!(names(&fs, fd, 0), []);
}

#[test]
fn a_temporary_file_can_get_a_name_unless_it_is_exclusive() {
    let fs = Fs::new(16);
    for (more, name, came) in [(OFlag::empty(), b"one", Ok(1)), (OFlag::O_EXCL, b"two", Err(Errno::ENOENT))] {
        let (made, _) = fs.temporary(root(), ROOT, OFlag::O_RDWR | more, 0o600).unwrap();
        assert_eq!(fs.link(root(), made.ino, (ROOT, name)).map(|made| made.links), came);
    }
}

#[test]
fn a_rename_can_leave_a_whiteout() {
    let fs = Fs::new(16);
    let (made, _) = file(&fs, b"from");
    fs.rename(root(), (ROOT, b"from"), (ROOT, b"to"), RENAME_WHITEOUT).unwrap();
    let left = fs.lookup(root(), (ROOT, b"from")).unwrap();
    assert_eq!((left.kind, left.rdev), (Kind::Character, 0));
    assert_eq!(fs.lookup(root(), (ROOT, b"to")).unwrap().ino, made.ino);
    let both = RENAME_WHITEOUT | RENAME_EXCHANGE;
    assert_eq!(fs.rename(root(), (ROOT, b"from"), (ROOT, b"to"), both), Err(Errno::EINVAL));
}

/// A failing call changes nothing, even if the cause of the failure comes last.
#[test]
fn a_whiteout_without_room_leaves_the_names() {
    let fs = Fs::new(16);
    let (made, _) = file(&fs, b"from");
    fs.set_quota(root().uid, Some(Quota { blocks: None, inodes: Some(fs.space().inodes) }));
    assert_eq!(fs.rename(root(), (ROOT, b"from"), (ROOT, b"to"), RENAME_WHITEOUT), Err(Errno::EDQUOT));
    assert_eq!(fs.lookup(root(), (ROOT, b"from")).unwrap().ino, made.ino);
    assert_eq!(fs.lookup(root(), (ROOT, b"to")), Err(Errno::ENOENT));
}

#[test]
fn a_file_has_so_many_names_and_no_more() {
    let fs = Fs::new(16);
    let (made, _) = file(&fs, b"0");
    for number in 1..65_000 {
        fs.link(root(), made.ino, (ROOT, number.to_string().as_bytes())).unwrap();
    }
    assert_eq!(fs.link(root(), made.ino, (ROOT, b"more")), Err(Errno::EMLINK));
}

#[test]
fn groups_and_capabilities_count() {
    let fs = Fs::new(16);
    let (made, _) = file(&fs, b"file");
    let changes = Changes { mode: Some(0o640), gid: Some(7), ..Changes::default() };
    fs.set_attributes(root(), made.ino, None, changes).unwrap();
    let user = Credentials::user(1000, 1000);
    let member = Credentials { groups: vec![5, 7], ..user.clone() };
    let reader = Credentials { capabilities: Capabilities::DAC_READ_SEARCH, ..user.clone() };
    for (who, read, write) in [
        (&user, Err(Errno::EACCES), Err(Errno::EACCES)),
        (&member, Ok(()), Err(Errno::EACCES)),
        (&reader, Ok(()), Err(Errno::EACCES)),
        (root(), Ok(()), Ok(())),
    ] {
        assert_eq!(fs.access(who, made.ino, READ), read, "{who:?}");
        assert_eq!(fs.access(who, made.ino, WRITE), write, "{who:?}");
    }
    assert_eq!(fs.access(root(), made.ino, EXECUTE), Err(Errno::EACCES));
}

#[test]
fn attributes_follow_their_namespaces() {
    let fs = Fs::new(16);
    let (made, _) = file(&fs, b"file");
    let (set, user) =
        (|name: &[u8], flags| fs.set_xattr(root(), made.ino, name, b"value", flags), Credentials::user(1, 1));
    assert_eq!(set(b"user.a", XATTR_REPLACE), Err(Errno::ENODATA));
    assert_eq!(set(b"user.a", XATTR_CREATE), Ok(()));
    assert_eq!(set(b"user.a", XATTR_CREATE), Err(Errno::EEXIST));
    assert_eq!(set(b"trusted.a", 0), Ok(()));
    assert_eq!(set(b"other.a", 0), Err(Errno::EOPNOTSUPP));
    assert_eq!(set(b"user.", 0), Err(Errno::EINVAL));
    assert_eq!(set(&[b'n'; 256], 0), Err(Errno::ERANGE));
    assert_eq!(fs.set_xattr(root(), made.ino, b"user.b", &[0; 65_537], 0), Err(Errno::E2BIG));
    assert_eq!(fs.xattr_names(root(), made.ino).unwrap(), [b"trusted.a".to_vec(), b"user.a".to_vec()]);
    assert_eq!(fs.xattr_names(&user, made.ino).unwrap(), [b"user.a".to_vec()]);
    assert_eq!(fs.xattr(&user, made.ino, b"user.a"), Ok(b"value".to_vec()));
    assert_eq!(fs.xattr(&user, made.ino, b"trusted.a"), Err(Errno::ENODATA));
    assert_eq!(fs.set_xattr(&user, made.ino, b"user.a", b"", 0), Err(Errno::EACCES));
    assert_eq!(fs.remove_xattr(root(), made.ino, b"user.a"), Ok(()));
    assert_eq!(fs.remove_xattr(root(), made.ino, b"user.a"), Err(Errno::ENODATA));
}

#[test]
fn a_quota_limits_blocks_and_inodes_of_one_user() {
    let fs = Fs::new(64);
    let (user, other) = (Credentials::user(1000, 1000), Credentials::user(1001, 1001));
    let open = Changes { mode: Some(0o777), ..Changes::default() };
    fs.set_attributes(root(), ROOT, None, open).unwrap();
    fs.set_quota(1000, Some(Quota { blocks: Some(3), inodes: Some(2) }));
    let (made, fd) = fs.create(&user, (ROOT, b"one"), OFlag::O_RDWR, 0o600).unwrap();
    assert_eq!(fs.write(&user, fd, 0, &[1; 4 * BLOCK]), Err(Errno::EDQUOT));
    assert_eq!(fs.write(&user, fd, 0, &[1; 3 * BLOCK]), Ok(3 * BLOCK));
    // The file's blocks can be overwritten.
    assert_eq!(fs.write(&user, fd, 0, &[2; 3 * BLOCK]), Ok(3 * BLOCK));
    let range = fs.fallocate(&user, fd, Mode::KEEP_SIZE, 3 * BLOCK as i64, 1);
    assert_eq!(range, Err(Errno::EDQUOT));
    fs.mknod(&user, (ROOT, b"two"), Kind::Fifo, 0o600, 0).unwrap();
    assert_eq!(fs.mknod(&user, (ROOT, b"three"), Kind::Fifo, 0o600, 0), Err(Errno::EDQUOT));
    let (third, _) = fs.create(&other, (ROOT, b"three"), OFlag::O_RDWR, 0o600).unwrap();
    let given = Changes { uid: Some(1000), ..Changes::default() };
    assert_eq!(fs.set_attributes(root(), third.ino, None, given), Err(Errno::EDQUOT));
    fs.set_quota(1000, None);
    assert_eq!(fs.set_attributes(root(), third.ino, None, given).map(|given| given.uid), Ok(1000));
    assert_eq!(fs.attributes(made.ino).unwrap().blocks, 3 * BLOCK as u64 / 512);
}

/// A removed directory outlives its parent while it is open or remembered.
#[test]
fn a_removed_directory_has_no_parent() {
    let fs = Fs::new(16);
    let outer = directory(&fs, b"outer");
    let inner = fs.mknod(root(), (outer, b"inner"), Kind::Directory, 0o755, 0).unwrap().ino;
    let other = directory(&fs, b"other");
    fs.rmdir(root(), (outer, b"inner")).unwrap();
    fs.rmdir(root(), (ROOT, b"outer")).unwrap();
    fs.forget(outer, 1);
    assert_eq!(fs.attributes(outer), Err(Errno::ENOENT));
    assert_eq!(fs.lookup(root(), (inner, b"..")), Err(Errno::ESTALE));
    assert_eq!(fs.rename(root(), (ROOT, b"other"), (inner, b"x"), 0), Err(Errno::ENOENT));
    assert_eq!(fs.attributes(other).map(|other| other.links), Ok(2));
}

#[test]
fn times_come_from_the_clock() {
    let fs = Fs::timed(16, || 1_000_000_007);
    let (made, _) = file(&fs, b"file");
    assert_eq!(
        (made.atime, made.mtime, made.ctime, made.birth),
        (1_000_000_007, 1_000_000_007, 1_000_000_007, 1_000_000_007)
    );
}

#[test]
fn a_read_sets_the_time_of_access_once_after_a_change() {
    let fs = Fs::new(16);
    let (made, fd) = file(&fs, b"file");
    let atime = |fs: &Fs| fs.attributes(made.ino).unwrap().atime;
    fs.write(root(), fd, 0, b"data").unwrap();
    let before = atime(&fs);
    file(&fs, b"other");
    fs.read(root(), fd, 0, 4).unwrap();
    let read = atime(&fs);
    assert!(read > before);
    file(&fs, b"another");
    fs.read(root(), fd, 0, 4).unwrap();
    assert_eq!(atime(&fs), read);
}
