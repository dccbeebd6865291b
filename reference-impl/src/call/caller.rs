//! The caller of a system call: its users, groups and capabilities.

/// Capabilities, with the bits of `CapEff` in `/proc/PID/status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities(pub u64);

impl Capabilities {
    /// No capabilities.
    pub const NONE: Self = Self(0);
    /// All capabilities.
    pub const ALL: Self = Self(u64::MAX);
    /// CAP_CHOWN.
    pub const CHOWN: Self = Self(1);
    /// CAP_DAC_OVERRIDE.
    pub const DAC_OVERRIDE: Self = Self(1 << 1);
    /// CAP_DAC_READ_SEARCH.
    pub const DAC_READ_SEARCH: Self = Self(1 << 2);
    /// CAP_FOWNER.
    pub const FOWNER: Self = Self(1 << 3);
    /// CAP_FSETID.
    pub const FSETID: Self = Self(1 << 4);
    /// CAP_LINUX_IMMUTABLE.
    pub const LINUX_IMMUTABLE: Self = Self(1 << 9);
    /// CAP_SYS_ADMIN.
    pub const SYS_ADMIN: Self = Self(1 << 21);
    /// CAP_MKNOD.
    pub const MKNOD: Self = Self(1 << 27);
}

/// The credentials of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The user that creates and accesses files.
    pub uid: u32,
    /// The primary group.
    pub gid: u32,
    /// The supplementary groups.
    pub groups: Vec<u32>,
    /// The capabilities.
    pub capabilities: Capabilities,
}

/// The caller of a call of the suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// A process with CAP_LINUX_IMMUTABLE and CAP_SYS_ADMIN.
    Privileged,
    /// The same process without these two capabilities.
    Unprivileged,
    /// The same process without any capability: it owns what root owns.
    Owner,
}

static PRIVILEGED: Credentials = root(Capabilities::ALL);
static UNPRIVILEGED: Credentials = root(Capabilities(!(Capabilities::LINUX_IMMUTABLE.0 | Capabilities::SYS_ADMIN.0)));

static OWNER: Credentials = root(Capabilities::NONE);

const fn root(capabilities: Capabilities) -> Credentials {
    Credentials { uid: 0, gid: 0, groups: Vec::new(), capabilities }
}

impl Caller {
    /// The superuser, with all capabilities, without two of them, or without any.
    pub fn credentials(self) -> &'static Credentials {
        match self {
            Self::Privileged => &PRIVILEGED,
            Self::Unprivileged => &UNPRIVILEGED,
            Self::Owner => &OWNER,
        }
    }
}

/// Permission to read, as in access(2).
pub const READ: u32 = 4;
/// Permission to write.
pub const WRITE: u32 = 2;
/// Permission to execute, or to search a directory.
pub const EXECUTE: u32 = 1;

impl Credentials {
    /// An ordinary user: no other groups, no capabilities.
    pub const fn user(uid: u32, gid: u32) -> Self {
        Self { uid, gid, groups: Vec::new(), capabilities: Capabilities::NONE }
    }

    pub(crate) fn has(&self, capability: Capabilities) -> bool {
        self.capabilities.0 & capability.0 == capability.0
    }

    pub(crate) fn in_group(&self, gid: u32) -> bool {
        self.gid == gid || self.groups.contains(&gid)
    }

    /// Whether the caller may give the set-group-ID bit to a file of this group.
    pub(crate) fn keeps_setgid(&self, gid: u32) -> bool {
        self.in_group(gid) || self.has(Capabilities::FSETID)
    }
}
