//! Holds, which are uses of a file without a descriptor: mappings, registrations, active swap.

use crate::call::caller::{Capabilities, Credentials};
use crate::call::route::Route;
use crate::call::system_call::{Fd, MapId};
use crate::model::descriptors::Descriptor;
use crate::model::state::{Mapping, Registration, State};
use crate::rules::Op;
use crate::storage::inode::Kind;
use crate::units::{Address, BLOCK, Ino};
use crate::violation::Quirk;
use nix::errno::Errno;
use std::collections::BTreeMap;
use std::io;

/// The mark of a swap file, at the end of its first page.
const SWAP_MAGIC: &[u8] = b"SWAPSPACE2";

impl State {
    pub(crate) fn map(
        &mut self,
        who: &Credentials,
        fd: Fd,
        len: usize,
        shared: bool,
        write: bool,
    ) -> Result<MapId, Errno> {
        let descriptor = *self.descriptor(fd)?;
        if len == 0 {
            return Err(Errno::EINVAL);
        }
        if !descriptor.readable() || (shared && write && !descriptor.writable()) {
            return Err(Errno::EACCES);
        }
        let ino = descriptor.ino;
        self.guarded(who, ino, descriptor.writable(), Op::Map { shared, write }, |fs| {
            let id = fs.volume.number();
            // A mapping consists of whole pages.
            let len = len.next_multiple_of(BLOCK);
            let may_write = !shared || descriptor.writable();
            fs.mappings.insert(id, Mapping { ino, len, shared, write, may_write, private: BTreeMap::new() });
            fs.held_mut(ino).mappings += 1;
            Ok(id)
        })
    }

    pub(crate) fn load(&mut self, id: MapId, offset: usize, len: usize) -> Result<Vec<u8>, Errno> {
        let mapping = self.mappings.get(&id).ok_or(Errno::EFAULT)?.clone();
        self.load_from(&mapping, offset, len)
    }

    fn load_from(&mut self, mapping: &Mapping, offset: usize, len: usize) -> Result<Vec<u8>, Errno> {
        self.within(mapping, offset, len)?;
        let mut data = self.volume.read_at(mapping.ino, offset as u64, len)?;
        data.resize(len, 0);
        for (index, byte) in data.iter_mut().enumerate() {
            *byte = mapping.private.get(&(offset + index)).copied().unwrap_or(*byte);
        }
        Ok(data)
    }

    pub(crate) fn store_through(&mut self, id: MapId, offset: usize, data: &[u8]) -> Result<(), Errno> {
        let mapping = self.mappings.get(&id).ok_or(Errno::EFAULT)?;
        self.within(mapping, offset, data.len())?;
        let (ino, shared) = (mapping.ino, mapping.shared);
        if !mapping.write {
            return Err(Errno::EFAULT);
        }
        if !shared {
            let mapping = self.mappings.get_mut(&id).ok_or(Errno::EFAULT)?;
            mapping.private.extend(data.iter().enumerate().map(|(index, byte)| (offset + index, *byte)));
            return Ok(());
        }
        self.store_to(ino, offset, data)
    }

    fn store_to(&mut self, ino: Ino, offset: usize, data: &[u8]) -> Result<(), Errno> {
        if self.inode(ino).sealed && self.has(Quirk::StoreIsLost) {
            return Ok(());
        }
        // Bytes stored beyond the size, in the last page, are not data of the file.
        let inside = (self.inode(ino).size as usize).saturating_sub(offset).min(data.len());
        let inside = if inside < data.len() && self.has(Quirk::TailIsData) { data.len() } else { inside };
        self.write_at(ino, offset as u64, &data[..inside]).map(|_| ()).map_err(|_| Errno::EFAULT)
    }

    /// Flushes the caches of the processor for a part of a mapping: its stores are then on storage, without a call of
    /// the file system.
    pub(crate) fn flush(&mut self, id: MapId, offset: usize, len: usize) -> Result<(), Errno> {
        let ino = self.mappings.get(&id).ok_or(Errno::EFAULT)?.ino;
        let blocks = (offset / BLOCK) as u64..(offset + len).div_ceil(BLOCK) as u64;
        let places: Vec<Address> = self.inode(ino).map.runs(blocks).flat_map(|run| run.addresses()).collect();
        let written = places.into_iter().try_for_each(|at| {
            let data = self.agent_reads(at)?;
            data.as_chunks().0.iter().try_for_each(|block| self.agent_wrote(at, block))
        });
        written.map_err(|_| Errno::EIO)
    }

    /// Checks that a range is inside the mapping, which ends at the end of the file's last page.
    fn within(&self, mapping: &Mapping, offset: usize, len: usize) -> Result<(), Errno> {
        let pages = self.inode(mapping.ino).size.next_multiple_of(BLOCK as u64) as usize;
        let end = offset.checked_add(len).ok_or(Errno::EFAULT)?;
        let inside = end <= mapping.len && (end <= pages || self.has(Quirk::AccessBeyond));
        if inside { Ok(()) } else { Err(Errno::EFAULT) }
    }

    /// mprotect(2).
    pub(crate) fn protect(&mut self, id: MapId, write: bool) -> Result<(), Errno> {
        let mapping = self.mappings.get_mut(&id).ok_or(Errno::EFAULT)?;
        if write && !mapping.may_write {
            return Err(Errno::EACCES);
        }
        mapping.write = write;
        let ino = mapping.ino;
        if self.has(Quirk::ProtectUnmaps) {
            // The mapping is gone for a moment, as if it were taken apart and put together again.
            self.held_mut(ino).mappings -= 1;
            let met = self.let_in();
            self.held_mut(ino).mappings += 1;
            met?;
        }
        Ok(())
    }

    pub(crate) fn unmap(&mut self, id: MapId) -> Result<(), Errno> {
        let mapping = self.mappings.remove(&id).ok_or(Errno::EINVAL)?;
        self.held_mut(mapping.ino).mappings -= 1;
        self.release_unused(mapping.ino);
        Ok(())
    }

    /// Registers a shared mapping for a device. The registration outlives the mapping.
    pub(crate) fn register(&mut self, who: &Credentials, map: MapId) -> Result<MapId, Errno> {
        let mut pages = self.mappings.get(&map).filter(|mapping| mapping.shared).ok_or(Errno::EFAULT)?.clone();
        let ino = pages.ino;
        self.guarded(who, ino, true, Op::Register, |fs| {
            if fs.has(Quirk::RegistrationBusy) {
                return Err(Errno::EBUSY);
            }
            if fs.has(Quirk::DeviceSeesOld) {
                let size = fs.inode(ino).size as usize;
                pages.private = fs.volume.read_at(ino, 0, size)?.into_iter().enumerate().collect();
            }
            let (id, by) = (fs.volume.number(), fs.route);
            pages.write &= by != Some(Route::RdmaRead);
            fs.registrations.insert(id, Registration { pages, by });
            fs.held_mut(ino).registrations += 1;
            Ok(id)
        })
    }

    pub(crate) fn unregister(&mut self, registration: MapId) -> Result<(), Errno> {
        let ino = self.registrations.remove(&registration).ok_or(Errno::ENXIO)?.pages.ino;
        self.held_mut(ino).registrations -= 1;
        self.release_unused(ino);
        Ok(())
    }

    /// Whether a file has a registration that was made by this route.
    pub(crate) fn is_registered_by(&self, ino: Ino, route: Route) -> bool {
        self.registrations.values().any(|registration| registration.pages.ino == ino && registration.by == Some(route))
    }

    /// A device writes to registered memory: the effect is that of a store through the mapping.
    pub(crate) fn device_stores(&mut self, registration: MapId, offset: usize, data: &[u8]) -> Result<(), Errno> {
        let pages = &self.registrations.get(&registration).ok_or(Errno::ENXIO)?.pages;
        self.within(pages, offset, data.len())?;
        let ino = pages.ino;
        if !pages.write {
            return Err(Errno::EFAULT);
        }
        let file = self.inode(ino);
        if file.sealed && self.has(Quirk::DeviceStoreIsLost) {
            return Ok(());
        }
        if file.links == 0 && self.has(Quirk::DeviceStoreGoesAstray) {
            let mut others = self.volume.inodes.iter().filter(|(_, file)| file.kind == Kind::Regular && file.links > 0);
            let newest = others.next_back().map(|(other, _)| *other);
            return newest.map_or(Ok(()), |other| self.store_to(other, offset, data));
        }
        self.store_to(ino, offset, data)
    }

    pub(crate) fn device_loads(&mut self, registration: MapId, offset: usize, len: usize) -> Result<Vec<u8>, Errno> {
        let pages = self.registrations.get(&registration).ok_or(Errno::ENXIO)?.pages.clone();
        self.load_from(&pages, offset, len)
    }

    /// F_SETLEASE. A lease is no hold: others ask for it when they open the file, or truncate it by name.
    pub(crate) fn set_lease(&mut self, fd: Fd, on: bool) -> Result<(), Errno> {
        let descriptor = *self.descriptor(fd)?;
        if !on {
            return self.leases.remove(&fd).map(drop).ok_or(Errno::EAGAIN);
        }
        let of_file = self.descriptors.values().filter(|other| other.ino == descriptor.ino);
        let in_the_way = match descriptor.writable() {
            true => of_file.count() > 1,
            false => of_file.into_iter().any(Descriptor::writable),
        };
        if in_the_way {
            return Err(Errno::EAGAIN);
        }
        self.leases.insert(fd, false);
        Ok(())
    }

    /// Whether a descriptor has a lease that nobody wants back.
    pub(crate) fn has_lease(&self, fd: Fd) -> Result<bool, Errno> {
        self.descriptor(fd)?;
        Ok(self.leases.get(&fd) == Some(&false))
    }

    /// Whether a file has a lease.
    pub(crate) fn is_leased(&self, ino: Ino) -> bool {
        self.leases.keys().any(|fd| self.descriptor(*fd).is_ok_and(|descriptor| descriptor.ino == ino))
    }

    /// Asks for the leases of a file. The caller does not wait for the answer.
    pub(crate) fn break_leases(&mut self, ino: Ino) {
        let descriptors = &self.descriptors;
        let of_file = |fd: &Fd| descriptors.get(*fd).is_some_and(|descriptor| descriptor.ino == ino);
        self.leases.iter_mut().filter(|(fd, _)| of_file(fd)).for_each(|(_, wanted)| *wanted = true);
    }

    pub(crate) fn swapon(&mut self, who: &Credentials, fd: Fd) -> Result<(), Errno> {
        let ino = self.descriptor(fd)?.ino;
        if !who.has(Capabilities::SYS_ADMIN) {
            return Err(Errno::EPERM);
        }
        self.guarded(who, ino, true, Op::Swapon, |fs| {
            let magic = fs.volume.read_at(ino, (BLOCK - SWAP_MAGIC.len()) as u64, SWAP_MAGIC.len())?;
            let file = fs.inode(ino);
            match () {
                () if file.kind != Kind::Regular || file.hole().is_some() || magic != SWAP_MAGIC => Err(Errno::EINVAL),
                () if file.map.addresses().any(|at| fs.volume.is_shared(at)) => Err(Errno::EINVAL),
                () if file.swap => Err(Errno::EBUSY),
                () if file.links == 0 => Err(Errno::ENOENT),
                () => {
                    let (seals, moves) = (fs.has(Quirk::SwaponSeals), fs.has(Quirk::SwaponMoves));
                    let places = file.map.addresses().collect();
                    fs.swap_places.insert(ino, places);
                    let file = fs.inode_mut(ino);
                    file.swap = true;
                    file.sealed |= seals;
                    if moves {
                        fs.volume.relocate(ino);
                    }
                    Ok(())
                }
            }
        })
    }

    pub(crate) fn swapoff(&mut self, who: &Credentials, fd: Fd) -> Result<(), Errno> {
        let ino = self.descriptor(fd)?.ino;
        if !who.has(Capabilities::SYS_ADMIN) {
            return Err(Errno::EPERM);
        }
        let unseals = self.has(Quirk::SwapoffUnseals);
        let file = self.inode_mut(ino);
        if !std::mem::replace(&mut file.swap, false) {
            return Err(Errno::EINVAL);
        }
        file.sealed &= !unseals;
        self.swap_places.remove(&ino);
        Ok(())
    }

    /// The kernel writes memory to the pages of an active swap file, starting with the second page, because the first
    /// one has the header.
    pub(crate) fn swap_out(&mut self, fd: Fd, data: &[u8]) -> Result<(), Errno> {
        let places = self.swap_pages(fd)?;
        let written = places.into_iter().zip(data.as_chunks().0).try_for_each(|(at, page)| self.agent_wrote(at, page));
        written.map_err(|_| Errno::EIO)
    }

    pub(crate) fn swap_in(&mut self, fd: Fd, len: usize) -> Result<Vec<u8>, Errno> {
        let places = self.swap_pages(fd)?;
        let pages: io::Result<Vec<_>> =
            places.into_iter().take(len.div_ceil(BLOCK)).map(|at| self.agent_reads(at)).collect();
        let mut data = pages.map_err(|_| Errno::EIO)?.concat();
        data.truncate(len);
        Ok(data)
    }

    fn swap_pages(&self, fd: Fd) -> Result<Vec<Address>, Errno> {
        let ino = self.descriptor(fd)?.ino;
        Ok(self.swap_places.get(&ino).ok_or(Errno::EINVAL)?[1..].to_vec())
    }

    /// An agent reads the storage.
    pub(crate) fn agent_reads(&mut self, at: Address) -> io::Result<Vec<u8>> {
        self.volume.store.read_direct(at)
    }

    /// An agent writes to the storage; its data are durable at once.
    pub(crate) fn agent_wrote(&mut self, at: Address, bytes: &[u8; BLOCK]) -> io::Result<()> {
        let durable = !self.has(Quirk::AgentDataLost);
        self.volume.store.write_direct(at, bytes, durable)
    }
}
