//! Which layers lie on which hardware, as the user writes it and as it is for a network.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::chip::{Array, Chip, ChipLayer, chip_stream};
use super::crossbar::{Crossbar, CrossbarError, CrossbarSpec};
use super::sandwich_ram::{SandwichRam, SandwichRamError, SandwichRamSpec};
use crate::memory::{IntegerSource, Layers, Memory, SelectorError};
use crate::network::{Network, NodeId, Op};
use crate::number::NumberFormat;

/// One `[[hardware]]`: layers that lie on an analog device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HardwareSpec {
    /// The layers, convolutions and linear ones; all of them, if absent.
    #[serde(default, skip_serializing_if = "is_all")]
    pub layers: Layers,
    /// The device.
    pub model: HardwareModel,
}

fn is_all(layers: &Layers) -> bool {
    *layers == Layers::default()
}

/// A device, with its parameters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum HardwareModel {
    /// An array that adds up by the widths of pulses.
    SandwichRam(SandwichRamSpec),
    /// A resistive crossbar of differential pairs.
    Crossbar(CrossbarSpec),
}

/// Hardware that a network cannot lie on.
#[derive(Debug, Error, PartialEq)]
pub enum HardwareError {
    /// A parameter of the device.
    #[error("model")]
    SandwichRam(#[from] SandwichRamError),
    /// A parameter of the device.
    #[error("model")]
    Crossbar(#[from] CrossbarError),
    /// The choice of layers.
    #[error(transparent)]
    Selector(#[from] SelectorError),
    /// A layer that has no weights to lie anywhere.
    #[error("{layer} is of kind {kind}; only convolutions and linear layers lie on hardware")]
    Kind {
        /// The layer.
        layer: String,
        /// Its kind.
        kind: &'static str,
    },
    /// A convolution in groups.
    #[error("{layer} has {groups} groups; convolutions on hardware have one")]
    Groups {
        /// The layer.
        layer: String,
        /// Their number.
        groups: usize,
    },
    /// A layer that two entries choose.
    #[error("{layer} lies on the hardware of an earlier entry already")]
    Twice {
        /// The layer.
        layer: String,
    },
    /// Weights that the device cannot hold.
    #[error("the weights of {layer} are stored in {found}; the device holds {expected}")]
    Weights {
        /// The layer.
        layer: String,
        /// Their format.
        found: NumberFormat,
        /// What it should be.
        expected: &'static str,
    },
    /// Inputs that the device cannot read.
    #[error(
        "{layer} on the device reads {expected}, but {found}; store its inputs so (target = \"activation\", place = \"input\", layers = \"{layer}\")"
    )]
    Inputs {
        /// The layer.
        layer: String,
        /// What was found.
        found: String,
        /// What it should be.
        expected: &'static str,
    },
}

impl HardwareError {
    /// The field of the entry that is wrong, or that asks for what was not found.
    pub fn field(&self) -> &'static str {
        match self {
            Self::Selector(_) | Self::Kind { .. } | Self::Groups { .. } | Self::Twice { .. } => "layers",
            Self::SandwichRam(_) | Self::Crossbar(_) | Self::Weights { .. } | Self::Inputs { .. } => "model",
        }
    }
}

/// The layers of a network that lie on hardware.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Hardware {
    layers: Vec<HardwareLayer>,
}

/// A layer on a device.
#[derive(Debug, Clone, PartialEq)]
struct HardwareLayer {
    /// The entry that chose it, from 1.
    entry: usize,
    node: NodeId,
    name: String,
    model: HardwareModel,
    /// Outputs and inputs of its matrix.
    shape: [usize; 2],
}

impl HardwareLayer {
    /// Checks that weights have one bit, and features at most 8 without a sign.
    fn check_binary(&self, memory: &Memory) -> Result<(), HardwareError> {
        let layer = || self.name.clone();
        let found = memory.weights_of(&self.name).format;
        if found != NumberFormat::Binary {
            return Err(HardwareError::Weights { layer: layer(), found, expected: "binary" });
        }
        let expected = "unsigned integers of at most 8 bits";
        let inputs = |found| HardwareError::Inputs { layer: layer(), found, expected };
        let stored = memory.stored_inputs(self.node).map_err(inputs)?;
        match memory.tensor(stored.inputs).format {
            NumberFormat::Uint(_) => Ok(()),
            format => Err(inputs(format!("they are stored in {format}"))),
        }
    }
}

impl HardwareModel {
    fn check(&self) -> Result<(), HardwareError> {
        match self {
            Self::SandwichRam(spec) => Ok(spec.check()?),
            Self::Crossbar(spec) => Ok(spec.check()?),
        }
    }
}

impl Hardware {
    /// What `entries` make of a network; the error's number is that of an entry, from 1.
    ///
    /// # Errors
    /// When an entry's parameters are out of range, or it chooses nothing, or what cannot lie on its device.
    pub fn new(network: &Network, entries: &[HardwareSpec]) -> Result<Self, (usize, HardwareError)> {
        let mut hardware = Self::default();
        for (i, entry) in entries.iter().enumerate() {
            hardware.add(network, i + 1, entry).map_err(|error| (i + 1, error))?;
        }
        hardware.layers.sort_by_key(|layer| layer.node);
        Ok(hardware)
    }

    fn add(&mut self, network: &Network, number: usize, entry: &HardwareSpec) -> Result<(), HardwareError> {
        entry.model.check()?;
        let is_product = |id: NodeId| matches!(network.node(id).op, Op::Conv2d { .. } | Op::Linear { .. });
        for node in entry.layers.choose(network, is_product, "weights")? {
            let layer = || network.node(node).name.clone();
            let shape = match network.node(node).op {
                Op::Linear { in_features, out_features, .. } => [out_features, in_features],
                Op::Conv2d { out_channels, in_channels, kernel, groups: 1, .. } => {
                    [out_channels, in_channels * kernel.height * kernel.width]
                }
                Op::Conv2d { groups, .. } => return Err(HardwareError::Groups { layer: layer(), groups }),
                ref op => return Err(HardwareError::Kind { layer: layer(), kind: op.kind() }),
            };
            if self.layers.iter().any(|known| known.node == node) {
                return Err(HardwareError::Twice { layer: layer() });
            }
            let (name, model) = (layer(), entry.model.clone());
            self.layers.push(HardwareLayer { entry: number, node, name, model, shape });
        }
        Ok(())
    }

    /// Checks that a network's layers are stored as their devices hold and read them; the error's number is that of an entry, from 1.
    ///
    /// # Errors
    /// When one is not.
    pub fn check_storage(&self, memory: &Memory) -> Result<(), (usize, HardwareError)> {
        self.layers.iter().try_for_each(|layer| {
            let checked = match layer.model {
                HardwareModel::SandwichRam(_) => layer.check_binary(memory),
                HardwareModel::Crossbar(_) => Ok(()),
            };
            checked.map_err(|error| (layer.entry, error))
        })
    }

    /// What the user should know before layers compute: devices whose readings can leave their range.
    pub fn warnings(&self) -> Vec<String> {
        let warning = |layer: &HardwareLayer| match &layer.model {
            HardwareModel::SandwichRam(spec) => {
                let needed = spec.needed_reserve();
                (spec.reserve < needed).then(|| {
                    format!(
                        "{}: pulses can vanish: they begin with a reserve of {}, and the {} cells of a row can take {needed} away",
                        layer.name, spec.reserve, spec.cells
                    )
                })
            }
            HardwareModel::Crossbar(_) => None,
        };
        self.layers.iter().filter_map(warning).collect()
    }

    /// Whether no layer lies on hardware.
    pub fn is_empty(&self) -> bool {
        self.layers.is_empty()
    }

    /// The layers, in the order of the network.
    pub fn nodes(&self) -> Vec<NodeId> {
        self.layers.iter().map(|layer| layer.node).collect()
    }

    /// Number of weights that lie on hardware.
    pub fn weights(&self) -> usize {
        self.layers.iter().map(|layer| layer.shape.iter().product::<usize>()).sum()
    }

    /// Of layers whose devices compute with codes, where these lie in a memory whose storage was [checked](Self::check_storage).
    pub(crate) fn sources(&self, memory: &Memory) -> Vec<IntegerSource> {
        let of_codes = |layer: &&HardwareLayer| matches!(layer.model, HardwareModel::SandwichRam(_));
        let source = |layer: &HardwareLayer| memory.integer_source(layer.node).expect("stored as codes");
        self.layers.iter().filter(of_codes).map(source).collect()
    }

    /// Draws a chip. What a layer gets depends on the seed and the layer alone.
    pub fn draw(&self, seed: u64) -> Chip {
        let draw = |HardwareLayer { node, name, model, shape, .. }: &HardwareLayer| {
            let rng = &mut chip_stream(seed, *node);
            let array = match model {
                HardwareModel::SandwichRam(spec) => Array::SandwichRam(SandwichRam::draw(spec, *shape, rng)),
                HardwareModel::Crossbar(spec) => Array::Crossbar(Crossbar::draw(spec, *shape, rng)),
            };
            ChipLayer { layer: name.clone(), array }
        };
        Chip { seed, layers: self.layers.iter().map(draw).collect() }
    }
}
