//! `--device`: where training computes.

use anyhow::Result;
use clap::{Args, ValueEnum};
use temper_train::device::{self, Device};

/// The option.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct DeviceArgs {
    /// Where to train
    #[arg(long, default_value = "cpu")]
    device: Choice,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Choice {
    /// The processor
    Cpu,
    /// The first graphics processor; needs a build with the feature `gpu`
    Gpu,
}

impl DeviceArgs {
    /// The device.
    ///
    /// # Errors
    /// When there is none, or the program was built without it.
    pub(super) fn open(self) -> Result<Device> {
        match self.device {
            Choice::Cpu => Ok(device::cpu()),
            Choice::Gpu => Ok(device::gpu()?),
        }
    }
}
