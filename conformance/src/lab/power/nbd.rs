//! A server of disks for QEMU, by the NBD protocol.
//!
//! It implements doc/proto.md of <https://github.com/NetworkBlockDevice/nbd>: fixed newstyle negotiation as far as QEMU
//! needs it, and simple replies. A disk without power does not answer.

use crate::lab::power::disk::Disk;
use std::io::{self, Read, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;

/// A disk, and its name in the guest.
pub(crate) type Export = (String, Arc<Disk>);

const FIXED_NEWSTYLE: u16 = 1;
const OPTIONS: u64 = u64::from_be_bytes(*b"IHAVEOPT");
const REPLY_TO_OPTION: u64 = 0x0003_e889_0455_65a9;
const REQUEST: u32 = 0x2560_9513;
const REPLY: u32 = 0x6744_6698;

const OPT_ABORT: u32 = 2;
const OPT_GO: u32 = 7;

const REP_ACK: u32 = 1;
const REP_INFO: u32 = 3;
const REP_ERR_UNSUP: u32 = 1 << 31 | 1;
const REP_ERR_UNKNOWN: u32 = 1 << 31 | 6;

/// The information of REP_INFO: the size, and the abilities of the disk, which are flags and flush.
const INFO_EXPORT: u16 = 0;
const ABILITIES: u16 = 1 | 1 << 2;

const CMD_READ: u16 = 0;
const CMD_WRITE: u16 = 1;
const CMD_DISC: u16 = 2;
const CMD_FLUSH: u16 = 3;

/// The longest request, in bytes, which QEMU never exceeds.
const LONGEST: u32 = 32 << 20;

/// The longest data of an option, in bytes; names are shorter.
const LONGEST_OPTION: u32 = 8192;

/// Serves disks until it is dropped.
pub(crate) struct Server {
    address: SocketAddr,
    /// The name of the socket. It is abstract, so it ends with this process.
    name: String,
    ended: Arc<AtomicBool>,
    listener: Option<JoinHandle<()>>,
}

static SERVERS: AtomicUsize = AtomicUsize::new(0);

impl Server {
    pub(crate) fn start(exports: Vec<Export>) -> io::Result<Self> {
        let number = SERVERS.fetch_add(1, Ordering::Relaxed);
        let name = format!("iomap-conformance-{}-{number}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name)?;
        let (listener, ended) = (UnixListener::bind_addr(&address)?, Arc::new(AtomicBool::new(false)));
        let seen = ended.clone();
        let listener = std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if seen.load(Ordering::Relaxed) {
                    return;
                }
                let exports = exports.clone();
                // A connection ends with QEMU, or when the other side violates the protocol, which QEMU reports.
                std::thread::spawn(move || serve(stream, &exports));
            }
        });
        Ok(Self { address, name, ended, listener: Some(listener) })
    }

    /// The arguments of QEMU for the disk of this name.
    pub(crate) fn arguments(&self, disk: &str) -> Vec<String> {
        let server = format!("server.type=unix,server.path={},server.abstract=on", self.name);
        [
            "-blockdev".into(),
            format!("driver=nbd,node-name={disk},{server},export={disk}"),
            "-device".into(),
            format!("virtio-blk-pci,drive={disk},serial={disk},write-cache=on"),
        ]
        .into()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        // The thread waits for a connection, so make one.
        if UnixStream::connect_addr(&self.address).is_ok() {
            self.listener.take().map(JoinHandle::join);
        }
    }
}

fn serve(mut stream: UnixStream, exports: &[Export]) -> io::Result<()> {
    let Some(disk) = negotiate(&mut stream, exports)? else { return Ok(()) };
    let mut data = Vec::new();
    loop {
        let (magic, _flags, command) = (u32_of(&mut stream)?, u16_of(&mut stream)?, u16_of(&mut stream)?);
        let (cookie, offset, length) = (u64_of(&mut stream)?, u64_of(&mut stream)?, u32_of(&mut stream)?);
        if magic != REQUEST || length > LONGEST {
            return Err(io::ErrorKind::InvalidData.into());
        }
        data.resize(length as usize, 0);
        let done = match command {
            CMD_READ => disk.read(offset, &mut data),
            CMD_WRITE => {
                stream.read_exact(&mut data)?;
                disk.write(offset, &data)
            }
            CMD_FLUSH => disk.flush(),
            CMD_DISC => return Ok(()),
            _ => Some(Err(io::Error::from_raw_os_error(libc::EINVAL))),
        };
        // Without power, keep the connection silent until QEMU ends.
        let Some(done) = done else { return io::copy(&mut stream, &mut io::sink()).map(drop) };
        let error = done.err().map_or(0, |error| error.raw_os_error().unwrap_or(libc::EIO));
        let mut reply = [&REPLY.to_be_bytes()[..], &error.to_be_bytes(), &cookie.to_be_bytes()].concat();
        if command == CMD_READ && error == 0 {
            reply.extend(&data);
        }
        stream.write_all(&reply)?;
    }
}

/// Finds the disk that the client wants. Returns `None` if it wants no disk.
fn negotiate(stream: &mut UnixStream, exports: &[Export]) -> io::Result<Option<Arc<Disk>>> {
    stream.write_all(b"NBDMAGIC")?;
    stream.write_all(&OPTIONS.to_be_bytes())?;
    stream.write_all(&FIXED_NEWSTYLE.to_be_bytes())?;
    let _flags_of_the_client = u32_of(stream)?;
    loop {
        let (magic, option, length) = (u64_of(stream)?, u32_of(stream)?, u32_of(stream)?);
        if magic != OPTIONS || length > LONGEST_OPTION {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut data = vec![0; length as usize];
        stream.read_exact(&mut data)?;
        let mut reply = |kind: u32, data: &[u8]| {
            let head = [&REPLY_TO_OPTION.to_be_bytes()[..], &option.to_be_bytes(), &kind.to_be_bytes()].concat();
            stream.write_all(&[&head[..], &(data.len() as u32).to_be_bytes(), data].concat())
        };
        match option {
            OPT_GO => {
                // The length of the name, the name, and further questions of the client.
                let name =
                    |name: &str| data.starts_with(&[&(name.len() as u32).to_be_bytes(), name.as_bytes()].concat());
                let Some((_, disk)) = exports.iter().find(|(export, _)| name(export)) else {
                    reply(REP_ERR_UNKNOWN, &[])?;
                    continue;
                };
                let about = [&INFO_EXPORT.to_be_bytes()[..], &disk.size().to_be_bytes(), &ABILITIES.to_be_bytes()];
                reply(REP_INFO, &about.concat())?;
                reply(REP_ACK, &[])?;
                return Ok(Some(disk.clone()));
            }
            OPT_ABORT => return reply(REP_ACK, &[]).map(|()| None),
            _ => reply(REP_ERR_UNSUP, &[])?,
        }
    }
}

fn u16_of(stream: &mut UnixStream) -> io::Result<u16> {
    array(stream).map(u16::from_be_bytes)
}

fn u32_of(stream: &mut UnixStream) -> io::Result<u32> {
    array(stream).map(u32::from_be_bytes)
}

fn u64_of(stream: &mut UnixStream) -> io::Result<u64> {
    array(stream).map(u64::from_be_bytes)
}

fn array<const N: usize>(stream: &mut UnixStream) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}
