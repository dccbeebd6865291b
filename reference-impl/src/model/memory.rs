//! The memory of a file system with a conditional violation: the past of each file, and the present request. The fault
//! shows only if its condition is true of them. Every other file system remembers nothing.

use crate::call::caller::Credentials;
use crate::call::system_call::{Fd, MapId};
use crate::conditions::{Company, Facts, Held, Past, Present};
use crate::model::state::{Mapping, State};
use crate::rules::Op;
use crate::storage::inode::Kind;
use crate::units::Ino;
use std::collections::{HashMap, HashSet};

/// The memory.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(crate) pasts: HashMap<Ino, Past>,
    /// The files of the present call.
    pub(crate) files: Vec<Present>,
    /// The request that is decided or carried out.
    pub(crate) present: Option<Present>,
    /// The descriptors that mappings and registrations were made with.
    pub(crate) made_with: HashMap<MapId, Fd>,
    /// The mappings and registrations whose descriptor is closed.
    pub(crate) orphans: HashSet<MapId>,
    /// Names that a file had.
    pub(crate) old_names: HashSet<String>,
    pub(crate) sealed_gone: bool,
    pub(crate) was_read_only: bool,
}

impl Memory {
    /// The request about a file: what the call says of it.
    fn request(&self, ino: Ino) -> Present {
        self.files.iter().find(|file| file.ino == ino).cloned().unwrap_or_else(|| Present::of(ino))
    }
}

impl State {
    /// Whether a fault may show now: its condition is true of the present request, or it has none.
    pub(crate) fn condition_met(&self) -> bool {
        match &self.misbehaviour.memory {
            None => true,
            Some(memory) => memory.present.as_ref().is_some_and(|present| self.meets(memory, present)),
        }
    }

    /// Whether a fault may show about a file, whichever the present request is about.
    pub(crate) fn condition_met_by(&self, ino: Ino) -> bool {
        match &self.misbehaviour.memory {
            None => true,
            Some(memory) => self.meets(memory, &memory.request(ino)),
        }
    }

    /// Begins a request about a file. Returns the request that this one is a part of.
    pub(crate) fn attend(&mut self, who: &Credentials, ino: Ino, op: Op) -> Option<Present> {
        let size = self.volume.inodes.get(&ino).map_or(0, |file| file.size);
        let memory = self.misbehaviour.memory.as_mut()?;
        let request = memory.request(ino);
        memory.present.replace(request.with(who, op, size))
    }

    /// An agent writes to the storage that a file has or had.
    pub(crate) fn agent_comes(&mut self, ino: Ino) -> Option<Present> {
        let memory = self.misbehaviour.memory.as_mut()?;
        memory.pasts.entry(ino).or_default().agent_wrote = true;
        memory.present.replace(Present::of(ino))
    }

    /// Ends a request: the one that it is a part of goes on.
    pub(crate) fn resume(&mut self, outer: Option<Present>) {
        if let Some(memory) = &mut self.misbehaviour.memory {
            memory.present = outer;
        }
    }

    fn meets(&self, memory: &Memory, request: &Present) -> bool {
        let Some(condition) = self.misbehaviour.condition() else { return true };
        let Some(file) = self.volume.inodes.get(&request.ino) else { return false };
        let unknown = Past::default();
        let held = |id: &MapId, pages: &Mapping| Held {
            shared: pages.shared,
            write: pages.write,
            part: (pages.len as u64) < file.size,
            closed: memory.orphans.contains(id),
        };
        let mappings = self.mappings.iter().filter(|(_, it)| it.ino == request.ino);
        let registrations = self.registrations.iter().filter(|(_, it)| it.pages.ino == request.ino);
        let facts = Facts {
            file,
            past: memory.pasts.get(&request.ino).unwrap_or(&unknown),
            request,
            descriptor: request.fd.and_then(|fd| self.descriptors.get(fd)).map(|it| (it.flags, it.position)),
            mappings: mappings.map(|(id, it)| held(id, it)).collect(),
            registrations: registrations.map(|(id, it)| held(id, &it.pages)).collect(),
            company: self.company(memory, request),
        };
        let met = (condition.holds)(&facts);
        if met {
            self.misbehaviour.shows();
        }
        met
    }

    fn company(&self, memory: &Memory, request: &Present) -> Company {
        let inodes = &self.volume.inodes;
        let others = || inodes.iter().filter(|(ino, file)| **ino != request.ino && file.kind == Kind::Regular);
        let uid = inodes.get(&request.ino).map_or(0, |file| file.uid);
        let other = request.other.and_then(|ino| inodes.get(&ino));
        Company {
            full: self.volume.free() == 0,
            at_limit: self.at_limit(uid),
            limited: self.quotas.contains_key(&uid),
            was_read_only: memory.was_read_only,
            leased: self.is_leased(request.ino),
            sealed: others().filter(|(_, file)| file.sealed).count(),
            sealed_gone: memory.sealed_gone,
            files: others().count() + 1,
            held: others().any(|(_, file)| file.mappings + file.registrations > 0),
            checkpoints: self.volume.checkpoints,
            other_sealed: other.map(|file| file.sealed),
            other_size: other.map(|file| file.size),
        }
    }
}
