//! The ways in which the storage of a file comes about.

use crate::case::context::Context;
use crate::case::prepare::{open, pattern};
use crate::mechanism::BLOCK_LEN;
use crate::situation::axes::{Placement, Size};
use crate::verdict::Trouble;
use iomap_reference::{BLOCK, Call, Fd, Mode};
use nix::fcntl::OFlag;

/// The length of the storage beyond the end of [`Placement::Beyond`], in blocks.
const BEHIND: i64 = 3;

impl Context<'_> {
    /// Writes a whole file in the manner of its placement.
    pub(super) fn placed(&self, name: &str, fd: Fd, data: &[u8]) -> Result<(), Trouble> {
        if data.is_empty() {
            return Ok(());
        }
        let len = data.len() as i64;
        let write = |fd, offset, data: &[u8]| self.setup(&Call::Pwrite { fd, offset, data: data.into() }).map(drop);
        let sync = |fd| self.setup(&Call::Fsync { fd }).map(drop);
        let backwards = || {
            let mut blocks = data.chunks(BLOCK).enumerate().rev();
            blocks.try_for_each(|(block, bytes)| write(fd, block as i64 * BLOCK_LEN, bytes))
        };
        let allocate = |mode, len| self.given(&Call::Fallocate { fd, mode, offset: 0, len }, "no allocation");
        if len < BLOCK_LEN && !matches!(self.situation.placement, Placement::Preallocated | Placement::Resized) {
            // A file that begins as a small one can be inside its inode.
            write(fd, 0, &pattern(206, BLOCK_LEN))?;
            self.setup(&Call::Ftruncate { fd, size: len })?;
        }
        match self.situation.placement {
            Placement::Whole if self.situation.size == Size::Large => self.in_pieces(name, fd, data)?,
            Placement::Whole => write(fd, 0, data)?,
            Placement::Scattered => {
                let spacer = open(&self.system, &format!("{name}-spacer"), OFlag::O_RDWR | OFlag::O_CREAT)?;
                // Only the blocks of the case are scattered: each costs a sync of two files.
                let (head, rest) = data.split_at((self.lead() as usize).min(data.len()));
                write(fd, 0, head)?;
                for (block, bytes) in rest.chunks(BLOCK).enumerate() {
                    let offset = block as i64 * BLOCK_LEN;
                    write(fd, head.len() as i64 + offset, bytes)?;
                    sync(fd)?;
                    write(spacer, offset, bytes)?;
                    sync(spacer)?;
                }
                self.close(spacer)?;
            }
            Placement::Backwards => backwards()?,
            Placement::Preallocated => {
                allocate(Mode::ALLOCATE, len)?;
                write(fd, 0, data)?;
            }
            Placement::Unshared => {
                write(fd, 0, data)?;
                sync(fd)?;
                let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_TRUNC;
                let to = open(&self.system, &format!("{name}-clone"), flags)?;
                self.given(&Call::Clone { from: fd, to }, "no sharing")?;
                self.close(to)?;
                write(fd, 0, data)?;
            }
            Placement::Filled => {
                self.setup(&Call::Ftruncate { fd, size: len })?;
                backwards()?;
                allocate(Mode::PUNCH_HOLE | Mode::KEEP_SIZE, len)?;
                backwards()?;
            }
            Placement::Beyond => {
                allocate(Mode::KEEP_SIZE, len + BEHIND * BLOCK_LEN)?;
                write(fd, 0, data)?;
            }
            Placement::Resized => {
                write(fd, 0, &data[..1])?;
                write(fd, 0, &[data, &pattern(205, BEHIND * BLOCK_LEN)].concat())?;
                self.setup(&Call::Ftruncate { fd, size: len })?;
            }
        }
        self.did(|done| done.placement = self.situation.placement);
        Ok(())
    }

    /// Writes a whole file of which each block is a piece: another file gets the storage between them. Allocation is
    /// faster than a sync for each block.
    fn in_pieces(&self, name: &str, fd: Fd, data: &[u8]) -> Result<(), Trouble> {
        let between = open(&self.system, &format!("{name}-between"), OFlag::O_RDWR | OFlag::O_CREAT)?;
        for (block, bytes) in data.chunks(BLOCK).enumerate() {
            let (offset, len) = (block as i64 * BLOCK_LEN, bytes.len() as i64);
            for fd in [fd, between] {
                self.given(&Call::Fallocate { fd, mode: Mode::ALLOCATE, offset, len }, "no allocation")?;
            }
        }
        self.setup(&Call::Pwrite { fd, offset: 0, data: data.into() })?;
        self.close(between)
    }
}
