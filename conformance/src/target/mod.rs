//! The targets: the places where the calls of a case go.

pub(crate) mod device_dax;
pub(crate) mod directory;
pub(crate) mod found;
pub(crate) mod fuse;
pub(crate) mod host;
pub(crate) mod reference;

use crate::error::Result;
use crate::filesystem::FsKind;
use crate::host::sandbox::Sandbox;
use crate::mechanism::Mechanism;
use crate::system::Target;
use std::sync::Arc;

/// This kernel, with file systems of a kind that the suite makes, or with a device that needs none.
pub(crate) fn of_kernel(sandbox: &Sandbox, fs: FsKind, mechanism: Mechanism) -> Result<Arc<dyn Target>> {
    Ok(match fs.is_mounted() {
        true => Arc::new(host::Host::new(sandbox, fs, mechanism)?),
        false => Arc::new(device_dax::DeviceDax::new()?),
    })
}
