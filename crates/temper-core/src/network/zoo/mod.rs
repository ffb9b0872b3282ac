//! Builders of the architectures that reliability studies use.
//!
//! Module names are torchvision's (`layer1.0.conv1`, `layer2.0.downsample.0`, `fc`), so that weights trained in PyTorch find their
//! place. All builders return networks with blank parameters (see [`Network::with_blank_parameters`]).

mod builder;
mod feedforward;
mod infer;
mod resnet;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use self::infer::ArchitectureOptions;

use super::{Network, NetworkError, Op};

/// A family of networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// Multi-layer perceptron.
    Mlp,
    /// LeNet-5 (LeCun et al., 1998) as it is trained today.
    Lenet5,
    /// VGG (Simonyan and Zisserman, 2015) with batch norm, in the form for 32×32 images: 13 or 16 layers.
    Vgg(usize),
    /// ResNet for 32×32 images: 3×3 stem, no max-pooling, four stages of 64 to 512 channels; 18 or 34 layers.
    Resnet(usize),
    /// ResNet for CIFAR-10 (He et al., 2016, §4.2): three stages of 16 to 64 channels; 6n + 2 layers.
    CifarResnet(usize),
}

impl Family {
    /// The names accepted by [`FromStr`], for messages.
    pub const NAMES: &str = "mlp, lenet5, vgg13, vgg16, resnet18, resnet34, resnet20, resnet32, resnet44, resnet56 (any resnet6n+2)";
}

/// A name that is no family's.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("unknown architecture \"{0}\"; known are {names}, or a file that describes a network", names = Family::NAMES)]
pub struct UnknownFamily(pub String);

impl FromStr for Family {
    type Err = UnknownFamily;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let unknown = || UnknownFamily(name.to_owned());
        let depth = |prefix| name.strip_prefix(prefix).and_then(|depth: &str| depth.parse::<usize>().ok());
        match name {
            "mlp" => Ok(Self::Mlp),
            "lenet5" => Ok(Self::Lenet5),
            "vgg13" => Ok(Self::Vgg(13)),
            "vgg16" => Ok(Self::Vgg(16)),
            _ => match depth("resnet").ok_or_else(unknown)? {
                depth @ (18 | 34) => Ok(Self::Resnet(depth)),
                depth if (8..=1202).contains(&depth) && depth % 6 == 2 => Ok(Self::CifarResnet(depth)),
                _ => Err(unknown()),
            },
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mlp => f.write_str("mlp"),
            Self::Lenet5 => f.write_str("lenet5"),
            Self::Vgg(depth) => write!(f, "vgg{depth}"),
            Self::Resnet(depth) | Self::CifarResnet(depth) => write!(f, "resnet{depth}"),
        }
    }
}

/// How a residual block whose input and output differ in shape passes its input on (He et al., 2016, §3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shortcut {
    /// Option A: every second pixel, new channels zero.
    A,
    /// Option B: a 1×1 convolution and a batch norm.
    B,
}

/// The function between layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Nonlinearity {
    /// Rectified linear unit.
    #[default]
    Relu,
    /// Hyperbolic tangent.
    Tanh,
    /// Logistic function.
    Sigmoid,
}

impl Nonlinearity {
    fn op(self) -> Op {
        match self {
            Self::Relu => Op::Relu,
            Self::Tanh => Op::Tanh,
            Self::Sigmoid => Op::Sigmoid,
        }
    }
}

/// How [`Family::Lenet5`] halves its images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pooling {
    /// The largest of four.
    #[default]
    Max,
    /// The mean of four.
    Avg,
}

/// An architecture with its options. Options that a family does not have are ignored by it.
#[derive(Debug, Clone, PartialEq)]
pub struct Architecture {
    /// Which family.
    pub family: Family,
    /// Shape of an input image, `[C, H, W]`; an MLP flattens it.
    pub input: Vec<usize>,
    /// Number of classes.
    pub classes: usize,
    /// Widths: of the hidden layers (MLP); of both convolutions and both hidden linear layers (LeNet-5); of the stages (ResNet,
    /// VGG). The family's usual ones if empty.
    pub widths: Vec<usize>,
    /// Shortcut of [`Family::CifarResnet`]; [`Family::Resnet`] always has option B.
    pub shortcut: Shortcut,
    /// Padding of the first convolution of [`Family::Lenet5`]: 2 in the original form for 28×28 images, 0 for 32×32.
    pub padding: usize,
    /// Nonlinearity of [`Family::Mlp`] and [`Family::Lenet5`].
    pub nonlinearity: Nonlinearity,
    /// Pooling of [`Family::Lenet5`].
    pub pooling: Pooling,
}

impl Architecture {
    /// A family with its usual options: CIFAR-10's images, or MNIST's for LeNet-5 and MLP; ten classes.
    pub fn new(family: Family) -> Self {
        let input = match family {
            Family::Mlp | Family::Lenet5 => vec![1, 28, 28],
            _ => vec![3, 32, 32],
        };
        Self {
            family,
            input,
            classes: 10,
            widths: Vec::new(),
            shortcut: Shortcut::A,
            padding: 2,
            nonlinearity: Nonlinearity::default(),
            pooling: Pooling::default(),
        }
    }

    /// The network, with blank parameters.
    ///
    /// # Errors
    /// When the number of widths is not the family's, or the shapes do not fit.
    pub fn build(&self) -> Result<Network, ArchitectureError> {
        let network = match self.family {
            Family::Mlp => feedforward::mlp(self),
            Family::Lenet5 => feedforward::lenet5(self)?,
            Family::Vgg(depth) => feedforward::vgg(self, depth)?,
            Family::Resnet(depth) => resnet::resnet(self, depth)?,
            Family::CifarResnet(depth) => resnet::cifar_resnet(self, depth)?,
        };
        Ok(network.build()?)
    }

    /// The widths, or `usual` if none are given.
    fn widths<const N: usize>(&self, usual: [usize; N]) -> Result<[usize; N], ArchitectureError> {
        if self.widths.is_empty() {
            return Ok(usual);
        }
        let found = self.widths.len();
        let error = ArchitectureError::Widths { family: self.family, expected: N, found };
        <[usize; N]>::try_from(self.widths.as_slice()).map_err(|_| error)
    }

    /// The input as an image.
    fn image(&self) -> Result<[usize; 3], ArchitectureError> {
        let error = ArchitectureError::Input { family: self.family, found: self.input.clone() };
        <[usize; 3]>::try_from(self.input.as_slice()).map_err(|_| error)
    }
}

/// Why an architecture's options do not make a network.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ArchitectureError {
    /// Too few or too many widths.
    #[error("{family} takes {expected} widths, found {found}")]
    Widths {
        /// The family.
        family: Family,
        /// Number it takes.
        expected: usize,
        /// Number given.
        found: usize,
    },
    /// The input is not an image.
    #[error("{family} takes an input of shape [C, H, W], found {found:?}")]
    Input {
        /// The family.
        family: Family,
        /// The shape given.
        found: Vec<usize>,
    },
    /// The shapes do not fit.
    #[error(transparent)]
    Network(#[from] NetworkError),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(architecture: &Architecture) -> usize {
        let trained = |path: &str| !path.contains("running_");
        let network = architecture.build().expect("the architecture is sound");
        network
            .tensors()
            .iter()
            .filter(|(path, _)| trained(path))
            .map(|(_, tensor)| tensor.data().len())
            .sum()
    }

    fn usual(name: &str) -> Architecture {
        Architecture::new(name.parse().expect("a known name"))
    }

    /// Counts of trained parameters: He et al. 2016, Table 6 (0.27 M, 0.46 M, 0.66 M, 0.85 M), to the last one as PyTorch counts
    /// them; LeNet-5 with 28×28 inputs; an MLP by hand; the others as commonly published for CIFAR-10.
    #[test]
    fn architectures_have_their_published_sizes() {
        assert_eq!(parameters(&usual("resnet20")), 269_722);
        assert_eq!(parameters(&usual("resnet32")), 464_154);
        assert_eq!(parameters(&usual("resnet44")), 658_586);
        assert_eq!(parameters(&usual("resnet56")), 853_018);
        assert_eq!(parameters(&Architecture { shortcut: Shortcut::B, ..usual("resnet20") }), 272_474);
        assert_eq!(parameters(&usual("resnet18")), 11_173_962);
        assert_eq!(parameters(&usual("resnet34")), 21_282_122);
        assert_eq!(parameters(&usual("lenet5")), 61_706);
        let mlp = Architecture { widths: vec![300, 100], ..usual("mlp") };
        assert_eq!(parameters(&mlp), 784 * 300 + 300 + 300 * 100 + 100 + 1000 + 10);
        assert_eq!(parameters(&usual("vgg16")), 14_728_266);
        assert_eq!(parameters(&usual("vgg13")), 9_416_010);
    }

    #[test]
    fn names_round_trip_and_others_are_refused() {
        for name in
            ["mlp", "lenet5", "vgg13", "vgg16", "resnet18", "resnet34", "resnet14", "resnet20", "resnet110"]
        {
            assert_eq!(name.parse::<Family>().expect("known").to_string(), name);
        }
        for name in
            ["", "resnet", "resnet19", "resnet2", "vgg11", "lenet", "resnet-20", "resnet18446744073709551618"]
        {
            assert_eq!(name.parse::<Family>(), Err(UnknownFamily(name.to_owned())));
        }
    }

    #[test]
    fn wrong_widths_and_inputs_are_refused() {
        let error = Architecture { widths: vec![1, 2], ..usual("resnet20") }.build();
        assert_eq!(
            error,
            Err(ArchitectureError::Widths { family: Family::CifarResnet(20), expected: 3, found: 2 })
        );
        let error = Architecture { input: vec![784], ..usual("lenet5") }.build();
        assert_eq!(error, Err(ArchitectureError::Input { family: Family::Lenet5, found: vec![784] }));
        let error = Architecture { input: vec![1, 4, 4], padding: 0, ..usual("lenet5") }.build();
        assert!(matches!(error, Err(ArchitectureError::Network(NetworkError::Shape { .. }))));
    }
}
