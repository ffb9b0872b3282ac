//! The network of a recipe.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use temper_core::network::GraphDescription;
use temper_core::network::zoo::{Architecture, ArchitectureOptions, Family, Nonlinearity, Pooling, Shortcut};

use super::RecipeError;
use crate::initialise::Initialisation;

/// `[network]`: what is trained. Exactly one of `architecture`, `file` and `description` is given.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NetworkSpec {
    /// A family of networks: `mlp`, `lenet5`, `vgg13`, `resnet18`, `resnet20` …; starts from random parameters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub architecture: Option<String>,
    /// A model file, whose parameters training goes on from; a relative path starts at the recipe's folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// A network written out node by node; starts from random parameters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<GraphDescription>,
    /// Widths: hidden layers of an MLP; channels and features of LeNet-5; stages of a ResNet or VGG. The usual ones, if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub widths: Option<Vec<usize>>,
    /// Shortcut of a CIFAR ResNet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shortcut: Option<Shortcut>,
    /// Padding of LeNet-5's first convolution; what makes its input 32×32, if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub padding: Option<usize>,
    /// Nonlinearity of an MLP or LeNet-5; ReLU, if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nonlinearity: Option<Nonlinearity>,
    /// Pooling of LeNet-5; maximum, if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pooling: Option<Pooling>,
    /// What random parameters are drawn from.
    pub initialisation: Initialisation,
}

/// Where a network comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum NetworkSource {
    /// A family with its options.
    Architecture(Architecture),
    /// A model file.
    File(PathBuf),
    /// Written out.
    Description(GraphDescription),
}

impl NetworkSpec {
    /// Where the network comes from, for images of `input` `[C, H, W]` in `classes` classes.
    ///
    /// # Errors
    /// When it comes from nowhere or from several places, the family is unknown, or it does not have an option that is given.
    pub fn source(&self, input: [usize; 3], classes: usize) -> Result<NetworkSource, RecipeError> {
        let given = [
            ("architecture", self.architecture.is_some()),
            ("file", self.file.is_some()),
            ("description", self.description.is_some()),
        ];
        let names: Vec<_> = given.into_iter().filter_map(|(name, given)| given.then_some(name)).collect();
        let [name] = names[..] else {
            let found = if names.is_empty() { "none".to_owned() } else { names.join(" and ") };
            let reason = format!("expected one of architecture, file and description; found {found}");
            return Err(RecipeError::value("[network]", reason));
        };
        let options = ArchitectureOptions {
            input: Some(input.to_vec()),
            classes: Some(classes),
            widths: self.widths.clone(),
            shortcut: self.shortcut,
            padding: self.padding,
            nonlinearity: self.nonlinearity,
            pooling: self.pooling,
        };
        let Some(family) = &self.architecture else {
            self.refuse_options(name)?;
            return Ok(match (&self.file, &self.description) {
                (Some(file), _) => NetworkSource::File(file.clone()),
                (None, Some(description)) => NetworkSource::Description(description.clone()),
                (None, None) => unreachable!("one of the three is given"),
            });
        };
        let family: Family = family
            .parse()
            .map_err(|error| RecipeError::value("[network] architecture", format!("{error}")))?;
        if let [unused, ..] = options.unused(family)[..] {
            return Err(RecipeError::value(
                format!("[network] {unused}"),
                format!("{family} has none; leave it out"),
            ));
        }
        let usual = Architecture::new(family);
        // LeNet-5 is made for 32×32.
        let padding = self.padding.unwrap_or(32usize.saturating_sub(input[1]) / 2);
        Ok(NetworkSource::Architecture(Architecture {
            input: input.to_vec(),
            classes,
            widths: self.widths.clone().unwrap_or_default(),
            shortcut: self.shortcut.unwrap_or(usual.shortcut),
            padding,
            nonlinearity: self.nonlinearity.unwrap_or_default(),
            pooling: self.pooling.unwrap_or_default(),
            ..usual
        }))
    }

    /// Options of an architecture where there is none.
    fn refuse_options(&self, source: &str) -> Result<(), RecipeError> {
        let given = [
            ("widths", self.widths.is_some()),
            ("shortcut", self.shortcut.is_some()),
            ("padding", self.padding.is_some()),
            ("nonlinearity", self.nonlinearity.is_some()),
            ("pooling", self.pooling.is_some()),
        ];
        match given.into_iter().find(|(_, given)| *given) {
            Some((name, _)) => {
                let reason = format!("it belongs to an architecture, but the network comes from a {source}");
                Err(RecipeError::value(format!("[network] {name}"), reason))
            }
            None => Ok(()),
        }
    }

    pub(super) fn check(&self) -> Result<(), RecipeError> {
        // Any image will do to see whether the choice makes sense.
        self.source([3, 32, 32], 10).map(|_| ())
    }
}
