//! Data: holes, allocation, sharing, and the flags of open(2).

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use iomap_reference::*;
use nix::errno::Errno;
use nix::fcntl::OFlag;

const LEN: i64 = BLOCK as i64;
const UNIT: u64 = BLOCK as u64;

fn root() -> &'static Credentials {
    Caller::Privileged.credentials()
}

fn open(fs: &Fs, name: &[u8], flags: OFlag) -> Fd {
    fs.create(root(), (Fs::ROOT, name), flags, 0o600).unwrap().1
}

fn file(fs: &Fs, name: &[u8], blocks: usize) -> Fd {
    let fd = open(fs, name, OFlag::O_RDWR);
    let data: Vec<u8> = (0..blocks * BLOCK).map(|at| (at / BLOCK) as u8 + 1).collect();
    fs.write(root(), fd, 0, &data).unwrap();
    fd
}

/// The first byte of each block.
fn blocks(fs: &Fs, fd: Fd) -> Vec<u8> {
    fs.read(root(), fd, 0, 64 * BLOCK).unwrap().chunks(BLOCK).map(|block| block[0]).collect()
}

fn at(fd: Fd, offset: u64) -> At {
    At { fd, offset }
}

#[test]
fn data_and_holes_are_found() {
    let fs = Fs::new(16);
    let fd = open(&fs, b"file", OFlag::O_RDWR);
    fs.write(root(), fd, LEN, &[1; BLOCK]).unwrap();
    fs.fallocate(root(), fd, Mode::ALLOCATE, 2 * LEN, LEN).unwrap();
    fs.write(root(), fd, 4 * LEN, b"data").unwrap();
    let seek = |offset, whence| fs.seek(root(), fd, offset, whence);
    for (offset, data, hole) in
        [(0, LEN, 0), (LEN, LEN, 2 * LEN), (LEN + 5, LEN + 5, 2 * LEN), (2 * LEN, 4 * LEN, 2 * LEN)]
    {
        assert_eq!((seek(offset, Whence::Data), seek(offset, Whence::Hole)), (Ok(data), Ok(hole)), "{offset}");
    }
    assert_eq!(seek(4 * LEN + 1, Whence::Hole), Ok(4 * LEN + 4));
    assert_eq!(seek(4 * LEN + 4, Whence::Data), Err(Errno::ENXIO));
    fs.fallocate(root(), fd, Mode::PUNCH_HOLE | Mode::KEEP_SIZE, 4 * LEN, LEN).unwrap();
    assert_eq!(seek(2 * LEN, Whence::Data), Err(Errno::ENXIO));
}

#[test]
fn each_mode_of_fallocate_does_its_part() {
    let keep = Mode::KEEP_SIZE;
    // The mode, four blocks after a call on the second and third, and the number of free blocks out of ten.
    for (mode, expected, free) in [
        (Mode::PUNCH_HOLE | keep, vec![1, 0, 0, 4], 8),
        (Mode::ZERO_RANGE, vec![1, 0, 0, 4], 6),
        (Mode::ZERO_RANGE | keep, vec![1, 0, 0, 4], 6),
        (Mode::WRITE_ZEROES, vec![1, 0, 0, 4], 6),
        (Mode::COLLAPSE_RANGE, vec![1, 4], 8),
        (Mode::INSERT_RANGE, vec![1, 0, 0, 2, 3, 4], 6),
        (Mode::UNSHARE_RANGE, vec![1, 2, 3, 4], 6),
        (Mode::ALLOCATE, vec![1, 2, 3, 4], 6),
    ] {
        let fs = Fs::new(10);
        let fd = file(&fs, b"file", 4);
        assert_eq!(fs.fallocate(root(), fd, mode, LEN, 2 * LEN), Ok(()), "{mode}");
        assert_eq!((blocks(&fs, fd), fs.space().free), (expected, free), "{mode}");
    }
    let fs = Fs::new(10);
    let fd = file(&fs, b"file", 4);
    for (mode, offset, len, errno) in [
        (Mode::PUNCH_HOLE, 0, LEN, Errno::EOPNOTSUPP),
        (Mode::COLLAPSE_RANGE | keep, 0, LEN, Errno::EOPNOTSUPP),
        (Mode::ZERO_RANGE | Mode::UNSHARE_RANGE, 0, LEN, Errno::EOPNOTSUPP),
        (Mode::COLLAPSE_RANGE, 1, LEN, Errno::EINVAL),
        (Mode::COLLAPSE_RANGE, LEN, 3 * LEN, Errno::EINVAL),
        (Mode::INSERT_RANGE, 4 * LEN, LEN, Errno::EINVAL),
        (Mode::INSERT_RANGE, 0, i64::MAX & -LEN, Errno::EFBIG),
        (Mode::ALLOCATE, i64::MAX, 1, Errno::EFBIG),
        (Mode::ALLOCATE, 0, i64::MAX, Errno::ENOSPC),
        (Mode::ALLOCATE, 0, 0, Errno::EINVAL),
    ] {
        assert_eq!(fs.fallocate(root(), fd, mode, offset, len), Err(errno), "{mode} {offset} {len}");
        assert_eq!(blocks(&fs, fd), [1, 2, 3, 4]);
    }
}

#[test]
fn ranges_are_shared_and_written_apart() {
    let fs = Fs::new(16);
    let (from, to) = (file(&fs, b"from", 4), file(&fs, b"to", 2));
    fs.clone_range(root(), at(from, UNIT), at(to, 3 * UNIT), 2 * UNIT).unwrap();
    assert_eq!((blocks(&fs, to), fs.space().free), (vec![1, 2, 0, 2, 3], 10));
    fs.write(root(), from, LEN, &[9; BLOCK]).unwrap();
    assert_eq!((blocks(&fs, from), blocks(&fs, to), fs.space().free), (vec![1, 9, 3, 4], vec![1, 2, 0, 2, 3], 9));
    for (one, other, len, errno) in [
        (at(from, 1), at(to, 0), UNIT, Errno::EINVAL),
        (at(from, 0), at(to, 0), 5, Errno::EINVAL),
        (at(from, 0), at(to, 0), 5 * UNIT, Errno::EINVAL),
        (at(from, 0), at(from, UNIT), 2 * UNIT, Errno::EINVAL),
        (at(from, 5 * UNIT), at(to, 0), 0, Errno::EINVAL),
    ] {
        assert_eq!(fs.clone_range(root(), one, other, len), Err(errno), "{one:?} {other:?} {len}");
    }
}

/// A long read combines pieces of all lengths from the cache, from storage and from holes.
#[test]
fn any_part_of_a_file_in_pieces_is_read() {
    const SIZE: usize = 40 * BLOCK;
    let mut disk = MemoryDisk::new(300);
    format(&mut disk, &Options::default()).unwrap();
    let fs = Fs::mount(Box::new(disk), 8 * BLOCK, false).unwrap();
    let fds = [open(&fs, b"one", OFlag::O_RDWR), open(&fs, b"other", OFlag::O_RDWR)];
    let mut expected = [vec![0; SIZE], vec![0; SIZE]];
    let mut random = fastrand::Rng::with_seed(3);
    for step in 0..400 {
        let file = random.usize(..2);
        let (a, b) = (random.usize(..SIZE), random.usize(..SIZE));
        // Half of the ranges consist of whole blocks.
        let unit = [1, BLOCK][random.usize(..2)];
        let (from, to) = (a.min(b) / unit * unit, a.max(b) / unit * unit);
        match random.u8(..4) {
            0 if from < to => {
                let mode = Mode::PUNCH_HOLE | Mode::KEEP_SIZE;
                fs.fallocate(root(), fds[file], mode, from as i64, (to - from) as i64).unwrap();
                expected[file][from..to].fill(0);
            }
            0 => (),
            1 => fs.commit().unwrap(),
            _ => {
                let data: Vec<u8> = (from..to).map(|at| (at / 512 + step) as u8).collect();
                assert_eq!(fs.write(root(), fds[file], from as i64, &data), Ok(to - from));
                expected[file][from..to].copy_from_slice(&data);
            }
        }
        let (from, len) = (random.usize(..SIZE), random.usize(..SIZE));
        let read = fs.read(root(), fds[file], from as i64, len).unwrap();
        assert_eq!(read, expected[file][from..from + read.len()], "{len} bytes from {from} on after step {step}");
    }
}

#[test]
fn equal_ranges_become_one() {
    let fs = Fs::new(16);
    let (one, other) = (file(&fs, b"one", 4), file(&fs, b"other", 4));
    assert_eq!(fs.dedupe_range(root(), at(one, UNIT), at(other, UNIT), 2 * UNIT), Ok(2 * UNIT));
    assert_eq!((fs.space().free, blocks(&fs, other)), (10, vec![1, 2, 3, 4]));
    assert_eq!(fs.dedupe_range(root(), at(one, 0), at(other, UNIT), UNIT), Err(Errno::EBADE));
    assert_eq!(fs.dedupe_range(root(), at(one, 0), at(other, 4 * UNIT), UNIT), Err(Errno::EINVAL));
}

#[test]
fn direct_transfers_are_aligned() {
    let fs = Fs::new(16);
    let fd = open(&fs, b"file", OFlag::O_RDWR | OFlag::O_DIRECT);
    assert_eq!(fs.write(root(), fd, 512, &[1; 1024]), Ok(1024));
    for (offset, len) in [(1, 512), (0, 511)] {
        assert_eq!(fs.write(root(), fd, offset, &vec![1; len]), Err(Errno::EINVAL));
        assert_eq!(fs.read(root(), fd, offset, len), Err(Errno::EINVAL));
    }
}

#[test]
fn a_synchronous_write_survives_a_loss_of_power() {
    for (flags, kept) in [(OFlag::O_DSYNC, true), (OFlag::O_SYNC, true), (OFlag::empty(), false)] {
        let fs = Fs::new(16);
        let fd = open(&fs, b"file", OFlag::O_RDWR | flags);
        fs.write(root(), fd, 0, b"data").unwrap();
        fs.call(Caller::Privileged, &Call::PowerLoss { during: None }).unwrap();
        assert_eq!(fs.lookup(root(), (Fs::ROOT, b"file")).is_ok(), kept, "{flags:?}");
    }
}

#[test]
fn a_write_without_room_changes_no_byte() {
    let fs = Fs::new(4);
    let fd = file(&fs, b"file", 3);
    assert_eq!(fs.write(root(), fd, 2 * LEN, &[7; 3 * BLOCK]), Err(Errno::ENOSPC));
    assert_eq!((blocks(&fs, fd), fs.space().free), (vec![1, 2, 3], 1));
    assert_eq!(fs.write(root(), fd, i64::MAX, b"x"), Err(Errno::EFBIG));
    // A file can be as large as the largest offset, and be read there.
    fs.call(Caller::Privileged, &Call::Ftruncate { fd, size: i64::MAX }).unwrap();
    assert_eq!(fs.read(root(), fd, i64::MAX - 2, 8), Ok(vec![0; 2]));
    assert_eq!(fs.seek(root(), fd, 0, Whence::Hole), Ok(3 * LEN));
}
