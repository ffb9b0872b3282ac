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
    /// There is none, or it has no driver.
    #[error(
        "there is no graphics processor to train on, or no {api} driver for it; `--device cpu` needs neither"
    )]
    Unavailable {
        /// What it is spoken to through.
        api: &'static str,
        /// Why it cannot be used.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// The processor: the reference.
pub fn cpu() -> Device {
    Device::flex()
}

/// The graphics processor of the highest performance, through Vulkan, or Metal on Apple's systems. It can be started once in a
/// process.
///
/// # Errors
/// When the program was built without support for it, or there is none.
#[cfg(feature = "gpu")]
pub fn gpu() -> Result<Device, DeviceError> {
    use burn::tensor::wgpu::WgpuBackend;

    // Named, because an interface that is left open may be a driver without compute shaders.
    let (api, backend) = if cfg!(target_vendor = "apple") {
        ("Metal", WgpuBackend::Metal)
    } else {
        ("Vulkan", WgpuBackend::Vulkan)
    };
    let unavailable = |source| DeviceError::Unavailable { api, source: Box::new(source) };
    Device::wgpu_options().graphics_api(backend).init().map_err(unavailable)
}

/// The graphics processor.
///
/// # Errors
/// Always: the program was built without support for it.
#[cfg(not(feature = "gpu"))]
pub fn gpu() -> Result<Device, DeviceError> {
    Err(DeviceError::NotBuilt)
}
