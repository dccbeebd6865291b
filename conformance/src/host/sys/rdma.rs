//! RDMA between a process and itself, through the software adapter rdma_rxe.
//!
//! The commands are those of <rdma/ib_user_verbs.h>, and write(2) takes them. The queues are those of
//! <rdma/rdma_user_rxe.h>, in memory that is shared with the kernel. Both are ABI: no library is needed. A word has 32
//! bits, and a number of 64 bits is two words.

use super::mapping::{Mapping, Registration, scratch};
use super::vfs::errno;
use nix::errno::Errno;
use nix::sys::mman::{MapFlags, ProtFlags};
use std::fs::File;
use std::net::Ipv6Addr;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The time limit for the adapter. The adapter is a part of the kernel, and answers after its own timeouts, about 2 s.
const DEADLINE: Duration = Duration::from_secs(30);

/// The number of bytes in the largest request.
const ROOM: usize = 1 << 20;

/// An adapter: its device, an address of its port, and the number of the address in the kernel.
struct Adapter {
    device: PathBuf,
    number: u8,
    address: Ipv6Addr,
}

/// The first adapter of rdma_rxe whose network device has an IPv4 address: such an adapter can reach itself.
fn adapter() -> Option<Adapter> {
    std::fs::read_dir("/sys/class/infiniband_verbs").ok()?.flatten().find_map(|entry| {
        let name = std::fs::read_to_string(entry.path().join("ibdev")).ok().filter(|name| name.starts_with("rxe"))?;
        let gids = Path::new("/sys/class/infiniband").join(name.trim()).join("ports/1/gids");
        let gid = |number: u8| std::fs::read_to_string(gids.join(number.to_string())).ok()?.trim().parse().ok();
        let (number, address) = (0..=u8::MAX)
            .map_while(|number| gid(number).map(|address: Ipv6Addr| (number, address)))
            .find(|(_, address)| address.to_ipv4_mapped().is_some())?;
        Some(Adapter { device: Path::new("/dev/infiniband").join(entry.file_name()), number, address })
    })
}

/// Whether there is such an adapter.
pub(crate) fn is_there() -> bool {
    adapter().is_some()
}

fn halves(number: u64) -> [u32; 2] {
    [number as u32, (number >> 32) as u32]
}

fn bytes(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(4 * at..4 * at + 4).map_or(0, |word| u32::from_ne_bytes([word[0], word[1], word[2], word[3]]))
}

/// `struct rxe_queue_buf`, mapped.
struct Queue(Mapping);

impl Queue {
    const PRODUCER: usize = 32;
    const CONSUMER: usize = 64;
    const ELEMENTS: usize = 96;

    /// The queue that the `struct mminfo` in a response describes.
    fn new(device: &File, place: &[u32]) -> Result<Self, Errno> {
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        let (offset, len) = (i64::from(place[0]) | i64::from(place[1]) << 32, place[2] as usize);
        Mapping::from(device.as_fd(), offset, len, protection, MapFlags::MAP_SHARED).map(Self)
    }

    fn get(&self, at: usize) -> Result<u32, Errno> {
        Ok(word(&self.0.load(4 * at, 4)?, 0))
    }

    /// The offset of the element to which an index points, in bytes.
    fn element(&self, index: usize) -> Result<usize, Errno> {
        Ok(4 * Self::ELEMENTS + ((self.get(index)? as usize) << self.get(0)?))
    }

    fn advance(&self, index: usize) -> Result<(), Errno> {
        let next = (self.get(index)? + 1) & self.get(1)?;
        self.0.store(4 * index, &next.to_ne_bytes())
    }

    fn is_empty(&self) -> Result<bool, Errno> {
        Ok(self.get(Self::PRODUCER)? == self.get(Self::CONSUMER)?)
    }
}

/// A mapping as a memory region, and a queue pair that is connected to itself to reach it.
pub(crate) struct Region {
    /// All other objects end with this descriptor.
    device: File,
    _events: OwnedFd,
    pair: u32,
    sends: Queue,
    completions: Queue,
    sequence: u32,
    /// The data to send, and the place for received data.
    local: Mapping,
    local_key: u32,
    remote: u64,
    remote_key: u32,
    len: usize,
}

/// Makes a command with these arguments. Returns `answers` words.
fn command(device: &File, number: u32, arguments: &[u32], answers: usize) -> Result<Vec<u32>, Errno> {
    let mut answer = vec![0_u32; answers];
    let place = answer.as_mut_ptr().expose_provenance() as u64;
    let response = if answers == 0 { Vec::new() } else { halves(place).to_vec() };
    let words = 2 + response.len() + arguments.len();
    let request = [&[number, (words | answers << 16) as u32][..], &response, arguments].concat();
    let request = bytes(&request);
    // SAFETY: the kernel reads the request, and writes to the answer as many words as the request says.
    let count = unsafe { libc::write(device.as_raw_fd(), request.as_ptr().cast(), request.len()) };
    Errno::result(count)?;
    Ok(std::hint::black_box(answer))
}

/// IB_USER_VERBS_CMD_REG_MR for local and remote access, or for remote reading. Returns lkey and rkey.
fn register(device: &File, domain: u32, mapping: &Mapping, write: bool) -> Result<(u32, u32), Errno> {
    const LOCAL_WRITE_REMOTE_WRITE_REMOTE_READ: u32 = 1 | 2 | 4;
    const REMOTE_READ: u32 = 4;
    let start = halves(mapping.start.as_ptr().addr() as u64);
    let rest = [domain, if write { LOCAL_WRITE_REMOTE_WRITE_REMOTE_READ } else { REMOTE_READ }];
    let keys = command(device, 9, &[&start[..], &halves(mapping.len as u64), &start, &rest].concat(), 3)?;
    Ok((keys[1], keys[2]))
}

impl Region {
    /// Registers a mapping, for reading or for writing, too.
    pub(crate) fn new(mapping: &Mapping, write: bool) -> Result<Self, Errno> {
        let adapter = adapter().ok_or(Errno::ENODEV)?;
        let device = File::options().read(true).write(true).open(&adapter.device).map_err(errno)?;
        // IB_USER_VERBS_CMD_GET_CONTEXT
        let context = command(&device, 0, &[], 2)?;
        // SAFETY: the descriptor was just made and has no other owner.
        let _events = unsafe { OwnedFd::from_raw_fd(context[0].cast_signed()) };
        // IB_USER_VERBS_CMD_ALLOC_PD
        let domain = command(&device, 3, &[], 1)?[0];
        let (_, remote_key) = register(&device, domain, mapping, write)?;
        let room = scratch(&vec![0; ROOM])?;
        let local = Mapping::new(room.as_fd(), ROOM, true, true)?;
        let (local_key, _) = register(&device, domain, &local, true)?;
        // IB_USER_VERBS_CMD_CREATE_CQ: user_handle, cqe, comp_vector, comp_channel, reserved
        let queue = command(&device, 18, &[0, 0, 4, 0, u32::MAX, 0], 2 + 4)?;
        let completions = Queue::new(&device, &queue[2..])?;
        // IB_USER_VERBS_CMD_CREATE_QP: user_handle, pd, CQs, SRQ, most requests and pieces of each, inline data, and in
        // bytes sq_sig_all, qp_type (IB_QPT_RC), is_srq
        let flags = u32::from_ne_bytes([1, 2, 0, 0]);
        let pair = command(&device, 24, &[0, 0, domain, queue[0], queue[0], 0, 4, 4, 1, 1, 0, flags], 8 + 8)?;
        let sends = Queue::new(&device, &pair[12..])?;
        connect(&device, (pair[0], pair[1]), &adapter)?;
        let (remote, len) = (mapping.start.as_ptr().addr() as u64, mapping.len);
        let (pair, sequence) = (pair[0], 0);
        Ok(Self { device, _events, pair, sends, completions, sequence, local, local_key, remote, remote_key, len })
    }

    /// Makes one request, and waits until it is completed.
    fn transfer(&mut self, opcode: u32, offset: usize, len: usize) -> Result<(), Errno> {
        if len > ROOM || offset.checked_add(len).is_none_or(|end| end > self.len) {
            return Err(Errno::EFAULT);
        }
        const SIGNALED: u32 = 2;
        let [remote, local] = [self.remote + offset as u64, self.local.start.as_ptr().addr() as u64].map(halves);
        self.sequence += 1;
        // struct rxe_send_wqe
        let mut request = [0; 56];
        request[3..5].copy_from_slice(&[opcode, SIGNALED]);
        request[6..8].copy_from_slice(&remote);
        request[8] = self.remote_key;
        request[38..40].copy_from_slice(&remote);
        request[44] = self.sequence;
        // Its struct rxe_dma_info: length, resid, cur_sge, num_sge, and one struct rxe_sge.
        request[46..50].copy_from_slice(&[len as u32, len as u32, 0, 1]);
        request[52..].copy_from_slice(&[local[0], local[1], len as u32, self.local_key]);
        self.sends.0.store(self.sends.element(Queue::PRODUCER)?, &bytes(&request))?;
        self.sends.advance(Queue::PRODUCER)?;
        // IB_USER_VERBS_CMD_POST_SEND without requests only tells the kernel that the queue has requests.
        const REQUEST_WORDS: u32 = 14;
        command(&self.device, 28, &[self.pair, 0, 0, 4 * REQUEST_WORDS], 1)?;
        let deadline = Instant::now() + DEADLINE;
        while self.completions.is_empty()? {
            if Instant::now() > deadline {
                return Err(Errno::ETIMEDOUT);
            }
            std::thread::yield_now();
        }
        // struct ib_uverbs_wc
        let completion = self.completions.0.load(self.completions.element(Queue::CONSUMER)?, 16)?;
        self.completions.advance(Queue::CONSUMER)?;
        if word(&completion, 2) == 0 { Ok(()) } else { Err(Errno::EIO) }
    }
}

/// IB_USER_VERBS_CMD_MODIFY_QP three times, from one state to the next. The mask of each call says which of the
/// attributes it needs.
fn connect(device: &File, (pair, number): (u32, u32), adapter: &Adapter) -> Result<(), Errno> {
    const STATE: u32 = 1;
    const INIT: u32 = 1 << 3 | 1 << 4 | 1 << 5;
    const READY_TO_RECEIVE: u32 = 1 << 7 | 1 << 8 | 1 << 12 | 1 << 15 | 1 << 17 | 1 << 20;
    const READY_TO_SEND: u32 = 1 << 9 | 1 << 10 | 1 << 11 | 1 << 13 | 1 << 16;
    const REMOTE_WRITE_REMOTE_READ: u32 = 2 | 4;
    const MTU_1024: u8 = 3;
    let (port, address) = (1, adapter.address.octets());
    for (state, mask) in [(1, INIT), (2, READY_TO_RECEIVE), (3, READY_TO_SEND)] {
        // struct ib_uverbs_modify_qp, in words
        let mut all = [0; 28];
        all[..4].copy_from_slice(&[0, 1, 2, 3].map(|at| word(&address, at)));
        // sgid_index and hop_limit; is_global and port_num
        all[6] = u32::from_ne_bytes([adapter.number, 64, 0, 0]);
        all[7] = u32::from_ne_bytes([0, 0, 1, port]);
        all[16..18].copy_from_slice(&[pair, STATE | mask]);
        all[21..23].copy_from_slice(&[number, REMOTE_WRITE_REMOTE_READ]);
        // qp_state and path_mtu; max_rd_atomic, max_dest_rd_atomic and min_rnr_timer; port_num, timeout and retries
        all[24] = u32::from_ne_bytes([state, 0, MTU_1024, 0]);
        all[25] = u32::from_ne_bytes([0, 1, 1, 12]);
        all[26] = u32::from_ne_bytes([port, 14, 7, 7]);
        command(device, 26, &all, 0)?;
    }
    Ok(())
}

impl Registration for Region {
    fn number(&self) -> i32 {
        self.device.as_raw_fd()
    }

    fn write(&mut self, offset: usize, data: &[u8]) -> Result<(), Errno> {
        const RDMA_WRITE: u32 = 0;
        for (number, part) in data.chunks(ROOM).enumerate() {
            self.local.store(0, part)?;
            self.transfer(RDMA_WRITE, offset + number * ROOM, part.len())?;
        }
        Ok(())
    }

    fn read(&mut self, offset: usize, len: usize) -> Result<Vec<u8>, Errno> {
        const RDMA_READ: u32 = 4;
        let mut data = Vec::new();
        while data.len() < len {
            let part = ROOM.min(len - data.len());
            self.transfer(RDMA_READ, offset + data.len(), part)?;
            data.extend(self.local.load(0, part)?);
        }
        Ok(data)
    }
}
