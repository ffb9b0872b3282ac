//! A recipe resolved against its data and its network: everything that can be wrong is found here, before the first step.

use std::path::Path;

use temper_core::data::{Dataset, Layout, Preprocessing, Split, load};
use temper_core::execution::Program;
use temper_core::hardware::Hardware;
use temper_core::network::{Model, Network, NodeId, ParameterKind};

use super::error::TrainError;
use crate::batches::Batches;
use crate::differentiable::Parameters;
use crate::field::FieldError;
use crate::initialise::initialise;
use crate::recipe::{NetworkSource, PhaseSpec, RecipeError, RecipeSpec, RegularizerSpec};
use crate::stored::Stored;

/// A recipe with its data and its network, ready to train.
#[derive(Debug)]
pub struct Prepared {
    /// The recipe.
    pub recipe: RecipeSpec,
    /// The network, with the parameters that training starts from.
    pub network: Network,
    /// From pixels to its input.
    pub preprocessing: Preprocessing,
    /// The images trained on.
    pub train: Dataset,
    /// The images held out.
    pub validation: Option<Dataset>,
    /// The images tested on.
    pub test: Dataset,
}

impl Prepared {
    /// Loads what a recipe names: data from `data_dir`, a network's file from `base`, the recipe's folder.
    ///
    /// # Errors
    /// When anything does not exist, does not fit, or makes no sense.
    pub fn new(recipe: RecipeSpec, base: &Path, data_dir: &Path) -> Result<Self, TrainError> {
        let data = &recipe.data;
        let train = load(&data.set, Split::Train, data.train_limit, data_dir)?;
        let test = load(&data.set, Split::Test, data.test_limit, data_dir)?;
        let (train, validation) = hold_out(train, data.validation)?;
        let (network, preprocessing) = network_of(&recipe, &train, base)?;
        let prepared = Self { recipe, network, preprocessing, train, validation, test };
        prepared.check()?;
        Ok(prepared)
    }

    /// Checks that all parts go together.
    fn check(&self) -> Result<(), TrainError> {
        let (program, _) = Program::compile(&self.network, &[], &[]);
        program.check_classes(&self.train)?;
        self.preprocessing.bind(&self.train, self.network.input_shape())?;
        for (i, phase) in self.recipe.phases.iter().enumerate() {
            self.check_phase(phase, i + 1)?;
        }
        Ok(())
    }

    /// Checks that a phase goes with data and network.
    pub(crate) fn check_phase(&self, phase: &PhaseSpec, number: usize) -> Result<(), TrainError> {
        self.batches(phase).map_err(|FieldError { field, found, expected }| {
            let reason = format!("expected {expected}, found {found}");
            RecipeError::value(format!("phase {number}, {field}"), reason)
        })?;
        if let Some(augmentation) = &phase.augmentation {
            let found = augmentation.check(self.train.shape());
            found.map_err(|error| RecipeError::field(number, "augmentation", error))?;
        }
        self.trained(phase, number)?;
        for RegularizerSpec::ActivationL1 { .. } in &phase.regularizers {
            self.regularised(phase, number)?;
        }
        Stored::new(self.recipe.seed, &self.network, phase)
            .map_err(|source| TrainError::Stored { number, source })?;
        Ok(())
    }

    /// What the user should know before training: what hardware cannot read.
    pub fn warnings(&self) -> Vec<String> {
        let of_phase = |phase: &PhaseSpec| {
            let hardware = Hardware::new(&self.network, &phase.hardware);
            hardware.map_or_else(|_| Vec::new(), |hardware| hardware.warnings())
        };
        self.recipe.phases.iter().flat_map(of_phase).collect()
    }

    /// Which parameters train in a phase.
    ///
    /// # Errors
    /// When its selectors choose nothing.
    pub fn trained(&self, phase: &PhaseSpec, number: usize) -> Result<Vec<bool>, TrainError> {
        let parameters = Parameters::of(&self.network);
        let has = |id: NodeId| parameters.infos().iter().any(|info| info.node == id);
        let chosen = phase.train_layers.choose(&self.network, has, "parameters");
        let chosen = chosen.map_err(|source| TrainError::Layers { number, field: "train_layers", source })?;
        let trains = parameters.infos().iter().map(|info| {
            chosen.contains(&info.node) && info.kind != ParameterKind::Constant && !info.is_statistic()
        });
        let trains: Vec<bool> = trains.collect();
        if !trains.contains(&true) {
            let reason = "the chosen layers have no parameters that train";
            return Err(RecipeError::value(format!("phase {number}, train_layers"), reason).into());
        }
        Ok(trains)
    }

    /// The nodes whose outputs regularisers of a phase read, with the factor of the sum of magnitudes.
    ///
    /// # Errors
    /// When their selectors choose nothing.
    pub fn regularised(&self, phase: &PhaseSpec, number: usize) -> Result<Vec<(NodeId, f32)>, TrainError> {
        let mut found = Vec::new();
        for RegularizerSpec::ActivationL1 { strength, layers } in &phase.regularizers {
            let nodes = layers.choose(&self.network, |id| id.0 > 0, "outputs");
            let nodes = nodes.map_err(|source| TrainError::Layers {
                number,
                field: "regularizers, layers",
                source,
            })?;
            found.extend(nodes.into_iter().map(|node| (node, *strength)));
        }
        Ok(found)
    }

    /// How a phase cuts its epochs into batches.
    ///
    /// # Errors
    /// When a batch is larger than the data.
    pub fn batches(&self, phase: &PhaseSpec) -> Result<Batches, FieldError> {
        Batches::new(self.train.len(), phase.batch_size, phase.drop_last)
    }

    /// The images by which the best epoch is chosen.
    pub fn choosing(&self) -> &Dataset {
        self.validation.as_ref().unwrap_or(&self.test)
    }
}

/// Splits the last `count` images off.
fn hold_out(train: Dataset, count: usize) -> Result<(Dataset, Option<Dataset>), TrainError> {
    if count == 0 {
        return Ok((train, None));
    }
    let images = train.len();
    let Some(rest) = images.checked_sub(count).filter(|rest| *rest > 0) else {
        let reason = format!("expected less than the number of training images, {images}; found {count}");
        return Err(RecipeError::value("[data] validation", reason).into());
    };
    let held: Vec<usize> = (rest..images).collect();
    let validation = train.select(&held)?;
    Ok((train.take(rest)?, Some(validation)))
}

fn network_of(
    recipe: &RecipeSpec,
    train: &Dataset,
    base: &Path,
) -> Result<(Network, Preprocessing), TrainError> {
    let given = || recipe.preprocessing.clone().unwrap_or_else(|| normalisation(train));
    let blank = match recipe.network.source(train.shape(), train.classes())? {
        NetworkSource::File(file) => {
            let model = Model::load(&base.join(file))?;
            return Ok((model.network, recipe.preprocessing.clone().unwrap_or(model.preprocessing)));
        }
        NetworkSource::Architecture(architecture) => architecture.build()?,
        NetworkSource::Description(description) => description.build()?,
    };
    Ok((initialise(blank, recipe.network.initialisation, recipe.seed), given()))
}

/// The preprocessing that gives the images' channels mean 0 and standard deviation 1.
fn normalisation(data: &Dataset) -> Preprocessing {
    let [channels, height, width] = data.shape();
    let mut sums = vec![(0.0f64, 0.0f64); channels];
    for index in 0..data.len() {
        for (plane, (sum, squares)) in data.image(index).chunks_exact(height * width).zip(&mut sums) {
            for &pixel in plane {
                let pixel = f64::from(pixel) / f64::from(data.pixel_max());
                (*sum, *squares) = (*sum + pixel, *squares + pixel * pixel);
            }
        }
    }
    let count = (data.len() * height * width) as f64;
    let moments = sums.into_iter().map(|(sum, squares)| {
        let mean = sum / count;
        let std = (squares / count - mean * mean).max(0.0).sqrt();
        // A channel of one value is left as it is.
        (mean as f32, if std > 0.0 { std as f32 } else { 1.0 })
    });
    let (mean, std) = moments.unzip();
    Preprocessing { mean, std, layout: Layout::Nchw }
}
