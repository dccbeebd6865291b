//! The table of scenarios: scripts, and the modules and programs that these need.

use crate::lab::machine::packages::Tool;
use serde::Serialize;

/// A scenario: a server and its client in one guest, or other work in guests that runs no cases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Scenario {
    /// The kernel's NFS server, with layouts of XFS
    Pnfs,
    /// The kernel's SMB server, with leases
    Smb,
    /// Samba's SMB server, with oplocks that the kernel knows of
    Samba,
    /// The first kernel seals files; the other kernels, which do not know the state, get the storage
    Unaware,
    /// The instructions of calls on files that are sealed and on files that are not
    Cost,
    /// The suite beside programs that work on the same file system, and files that stay sealed
    Stress,
}

/// The programs that every script uses, and their packages.
pub(crate) static TOOLS: [Tool; 26] = [
    ("bash", "bash"),
    ("cmp", "diffutils"),
    ("cp", "coreutils"),
    ("dd", "coreutils"),
    ("dmesg", "util-linux"),
    ("grep", "grep"),
    ("head", "coreutils"),
    ("ip", "iproute2"),
    ("ln", "coreutils"),
    ("mkdir", "coreutils"),
    ("mkfs.xfs", "xfsprogs"),
    ("mkswap", "util-linux"),
    ("mount", "mount"),
    ("mv", "coreutils"),
    ("rdma", "iproute2"),
    ("rm", "coreutils"),
    ("sed", "sed"),
    ("stat", "coreutils"),
    ("swapoff", "mount"),
    ("swapon", "mount"),
    ("sync", "coreutils"),
    ("touch", "coreutils"),
    ("tr", "coreutils"),
    ("truncate", "coreutils"),
    ("umount", "mount"),
    ("wc", "coreutils"),
];

/// A script, and the modules and programs that it needs.
pub(crate) struct Script {
    pub(crate) text: &'static str,
    pub(crate) modules: &'static [&'static str],
    pub(crate) tools: &'static [Tool],
}

/// The modules of the kernel's SMB server and client. Ciphers are included, because a guest does not load them by name.
const SMB: &[&str] = &[
    "xfs",
    "sha512_generic",
    "ghash-generic",
    "ctr",
    "gcm",
    "ccm",
    "cmac",
    "ecb",
    "seqiv",
    "nls_utf8",
    "ksmbd",
    "cifs",
];

/// The functions at the beginning of every script.
pub(crate) const STEPS: &str = include_str!("scenarios/steps.sh");

impl Scenario {
    /// The script of this scenario, and its needs; `None` if this program does the work.
    pub(crate) fn script(self) -> Option<Script> {
        Some(match self {
            Self::Unaware | Self::Cost | Self::Stress => return None,
            Self::Pnfs => Script {
                text: include_str!("scenarios/pnfs.sh"),
                modules: &[
                    "xfs",
                    "sd_mod",
                    "target_core_file",
                    "tcm_loop",
                    "nfsd",
                    "nfsv4",
                    "blocklayoutdriver",
                    "dm_mod",
                ],
                tools: &[
                    ("xfs_io", "xfsprogs"),
                    ("exportfs", "nfs-kernel-server"),
                    ("rpc.mountd", "nfs-kernel-server"),
                    ("rpc.nfsd", "nfs-kernel-server"),
                    ("blkmapd", "nfs-common"),
                    ("mount.nfs4", "nfs-common"),
                ],
            },
            Self::Smb => Script {
                text: concat!(include_str!("scenarios/smb.sh"), "\n", include_str!("scenarios/ksmbd.sh")),
                modules: SMB,
                tools: &[("xfs_io", "xfsprogs"), ("ksmbd.adduser", "ksmbd-tools"), ("ksmbd.mountd", "ksmbd-tools")],
            },
            Self::Samba => Script {
                text: concat!(include_str!("scenarios/smb.sh"), "\n", include_str!("scenarios/samba.sh")),
                modules: SMB,
                tools: &[("xfs_io", "xfsprogs"), ("smbd", "samba"), ("smbpasswd", "samba-common-bin")],
            },
        })
    }
}
