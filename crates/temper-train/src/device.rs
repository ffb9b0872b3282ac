//! Where training computes.

use thiserror::Error;

pub use burn::tensor::Device;

/// There is no such device.
#[derive(Debug, Error)]
pub enum DeviceError {
    /// The program was built without it.
    #[error(
        "this build of temper computes on the CPU only; build it with `--features gpu` for a graphics processor"
    )]
    NotBuilt,
}

/// The processor: the reference.
pub fn cpu() -> Device {
    Device::flex()
}

/// The first graphics processor.
///
/// # Errors
/// When the program was built without support for it.
pub fn gpu() -> Result<Device, DeviceError> {
    Err(DeviceError::NotBuilt)
}
