//! A training's directory.

use std::path::Path;

use temper_train::recipe::RecipeSpec;
use temper_train::training::{EpochRecord, TrainingResult, Verdict, WeightStatistics};

use super::{methods, text_of};
use crate::chart::{Axis, Band, Chart, Line, Lines, Marker, Point, Scale};
use crate::error::ReportError;
use crate::number::{Format, counted, percent};
use crate::report::{Block, Figure, KeyFigure, Report, Section};
use crate::table::{Cell, Table};

/// Layers drawn at most, so that lines can be told apart.
const MOST_LAYERS: usize = 11;

/// What a training left.
pub(super) struct Trained {
    pub(super) recipe: RecipeSpec,
    recipe_text: String,
    pub(super) history: Vec<EpochRecord>,
    pub(super) result: Option<TrainingResult>,
}

impl Trained {
    /// Reads it.
    pub(super) fn read(dir: &Path) -> Result<Self, ReportError> {
        let path = dir.join("recipe.toml");
        let recipe_text = text_of(&path)?;
        let recipe = RecipeSpec::parse(&recipe_text)
            .map_err(|source| ReportError::Recipe { path: path.clone(), source })?;
        let history = EpochRecord::read_all(&dir.join("history.jsonl"))?;
        let path = dir.join("result.json");
        let result = if path.exists() {
            let text = text_of(&path)?;
            let damaged = |source| ReportError::Damaged {
                path: path.clone(),
                expected: "the result of a training",
                source,
            };
            Some(serde_json::from_str(&text).map_err(damaged)?)
        } else {
            None
        };
        Ok(Self { recipe, recipe_text, history, result })
    }

    /// The epochs, over all phases from 1, that are the best of their phases; the first of several.
    fn best_epochs(&self) -> Vec<&EpochRecord> {
        let better =
            |best: &'_ &EpochRecord, new: &&EpochRecord| new.choosing_accuracy() > best.choosing_accuracy();
        let phases = self.history.chunk_by(|a, b| a.phase == b.phase);
        phases
            .filter_map(|phase| phase.iter().reduce(|best, new| if better(&best, &new) { new } else { best }))
            .collect()
    }

    /// What is marked in every curve: where phases end, and the best epochs.
    fn markers(&self) -> Vec<Marker> {
        let ends = self.history.windows(2).filter(|pair| pair[0].phase != pair[1].phase);
        let ends = ends.map(|pair| Marker {
            x: pair[0].epoch as f64 + 0.5,
            label: "next phase".to_owned(),
            is_result: false,
        });
        let best = self.best_epochs().into_iter().map(|record| Marker {
            x: record.epoch as f64,
            label: "best epoch of a phase".to_owned(),
            is_result: true,
        });
        ends.chain(best).collect()
    }

    /// What is trained, in words.
    pub(super) fn name(&self) -> String {
        let network = &self.recipe.network;
        let file = || Some(network.file.as_ref()?.file_stem()?.to_string_lossy().into_owned());
        let name = network.architecture.clone().or_else(file).unwrap_or_else(|| "a network".to_owned());
        format!("{name} on {}", self.recipe.data.set)
    }

    /// The warnings that come before anything else.
    fn warnings(&self) -> Vec<Block> {
        let (done, all) = (self.history.len(), self.recipe.epochs());
        let mut warnings = Vec::new();
        match &self.result {
            Some(result) if result.verdict != Verdict::Learned => {
                warnings.push(Block::warning(format!("Verdict – {}.", result.verdict.describe())));
            }
            Some(_) => {}
            None => warnings.push(Block::warning(format!(
                "This training is not finished: {done} of {} are recorded. temper train --resume goes on with it.",
                counted(all as u64, "epoch", "epochs")
            ))),
        }
        warnings
    }

    fn key_figures(&self) -> Vec<KeyFigure> {
        let mut figures = Vec::new();
        if let Some(best) = self.best_epochs().last() {
            let chosen = if best.validation_accuracy.is_some() {
                "chosen by held-out images"
            } else {
                "chosen by the test images themselves"
            };
            figures.push(KeyFigure::new(
                "Test accuracy, best epoch",
                percent(best.test_accuracy, 2),
                format!("epoch {}, {chosen}", best.epoch),
            ));
        }
        if let Some(last) = self.history.last() {
            figures.push(KeyFigure::new(
                "Test accuracy, last epoch",
                percent(last.test_accuracy, 2),
                format!("epoch {} of {}", last.epoch, self.recipe.epochs()),
            ));
            figures.push(KeyFigure::new(
                "Accuracy in training, last epoch",
                percent(last.train_accuracy, 2),
                format!("loss {}", Format::Plain.text(last.train_loss)),
            ));
        }
        let verdict = match self.result.as_ref().map(|result| result.verdict) {
            Some(Verdict::Learned) => {
                KeyFigure::new("Verdict", "learned", "clearly better than the most frequent class")
            }
            Some(Verdict::DidNotLearn) => KeyFigure::new("Verdict", "did not learn", "at no epoch").warning(),
            Some(Verdict::Diverged) => {
                KeyFigure::new("Verdict", "diverged", "learned, and lost it again").warning()
            }
            Some(Verdict::NotFinite) => {
                KeyFigure::new("Verdict", "not finite", "the loss became infinite or no number").warning()
            }
            None => KeyFigure::new("Verdict", "not finished", "no result yet").warning(),
        };
        figures.push(verdict);
        figures
    }

    /// The figures of its epochs; their names begin with `prefix`.
    pub(super) fn figures(&self, prefix: &str) -> Vec<Block> {
        if self.history.is_empty() {
            return vec![Block::warning("No epoch is recorded yet: there is nothing to draw.")];
        }
        let mut figures = vec![self.accuracy(prefix), self.loss(prefix), self.learning_rate(prefix)];
        figures
            .extend(self.weights(prefix, "weights", "Standard deviation of weights", |weights| weights.std));
        let zeros = |weights: &WeightStatistics| weights.zero_share;
        if self.history.iter().any(|record| record.weights.zero_share > 0.0) {
            figures.extend(self.weights(prefix, "zero-weights", "Share of weights that are zero", zeros));
        }
        figures.extend(self.activations(prefix));
        figures.into_iter().map(Block::figure).collect()
    }

    fn accuracy(&self, prefix: &str) -> Figure {
        let series: [Series<'_>; 3] = [
            ("training", &|record| Some(record.train_accuracy)),
            ("held out", &|record| record.validation_accuracy),
            ("test", &|record| Some(record.test_accuracy)),
        ];
        let best = self.best_epochs().last().map_or(f64::NAN, |record| record.test_accuracy);
        let alt = format!(
            "Lines of the accuracy over {}; test accuracy at the best epoch {}.",
            counted(self.history.len() as u64, "epoch", "epochs"),
            Format::Share.text(best)
        );
        self.curves(
            (format!("{prefix}accuracy"), "Accuracy over epochs"),
            "Training: of the images as they were trained on, while the network changes. Test and held out: after each epoch, of the network as it is stored.",
            alt,
            (Axis::share("accuracy"), Format::Share),
            &series,
        )
    }

    fn loss(&self, prefix: &str) -> Figure {
        let series: [Series<'_>; 3] = [
            ("training", &|record| Some(record.train_loss)),
            ("held out", &|record| record.validation_loss),
            ("test", &|record| Some(record.test_loss)),
        ];
        let losses = self.history.iter().flat_map(|record| {
            [Some(record.train_loss), record.validation_loss, Some(record.test_loss)].into_iter().flatten()
        });
        let axis = Axis::plain("mean cross-entropy", Scale::of(losses));
        self.curves(
            (format!("{prefix}loss"), "Loss over epochs"),
            "Mean cross-entropy of an image, without regularisers. Where it is infinite or no number the line is broken.",
            "Lines of the loss over epochs.".to_owned(),
            (axis, Format::Plain),
            &series,
        )
    }

    fn learning_rate(&self, prefix: &str) -> Figure {
        let series: [Series<'_>; 1] = [("learning rate", &|record| Some(record.lr))];
        self.curves(
            (format!("{prefix}learning-rate"), "Learning rate over epochs"),
            "Of the first step of each epoch, on a logarithmic axis.",
            "A line of the learning rate over epochs.".to_owned(),
            (Axis::plain("learning rate", Scale::Logarithmic), Format::Plain),
            &series,
        )
    }

    /// A statistic of the weights: of all together, and of each layer.
    fn weights(
        &self,
        prefix: &str,
        name: &str,
        title: &str,
        of: fn(&WeightStatistics) -> f64,
    ) -> Option<Figure> {
        let first = self.history.first()?;
        let layers: Vec<&str> =
            first.layers.iter().take(MOST_LAYERS).map(|layer| layer.parameter.as_str()).collect();
        let of_layer = |parameter: &str, record: &EpochRecord| {
            let found = record.layers.iter().find(|layer| layer.parameter == parameter)?;
            Some(of(&found.statistics))
        };
        let by_layer: Vec<_> =
            layers.iter().map(|&layer| move |record: &EpochRecord| of_layer(layer, record)).collect();
        let all = |record: &EpochRecord| Some(of(&record.weights));
        let mut series: Vec<Series<'_>> = vec![("all weights", &all)];
        series.extend(layers.iter().zip(&by_layer).map(|(&layer, of)| (layer, of as &dyn Fn(&_) -> _)));
        let more = first.layers.len().saturating_sub(MOST_LAYERS);
        let note = if more > 0 { format!(" {more} layers more are not drawn.") } else { String::new() };
        Some(self.curves(
            (format!("{prefix}{name}"), title),
            &format!("Of all convolutions and linear layers together, and of each.{note}"),
            format!("Lines over epochs: {}.", title.to_lowercase()),
            (Axis::plain(&title.to_lowercase(), Scale::Linear), Format::Plain),
            &series,
        ))
    }

    fn activations(&self, prefix: &str) -> Option<Figure> {
        let first = self.history.first().filter(|record| !record.activations.is_empty())?;
        let nodes: Vec<&str> =
            first.activations.iter().take(MOST_LAYERS).map(|found| found.node.as_str()).collect();
        let of_node = |node: &str, record: &EpochRecord| {
            Some(record.activations.iter().find(|found| found.node == node)?.zero_share)
        };
        let by_node: Vec<_> =
            nodes.iter().map(|&node| move |record: &EpochRecord| of_node(node, record)).collect();
        let series: Vec<Series<'_>> =
            nodes.iter().zip(&by_node).map(|(&node, of)| (node, of as &dyn Fn(&_) -> _)).collect();
        Some(self.curves(
            (format!("{prefix}activations"), "Sparsity of activations over epochs"),
            "Share of exact zeros in the outputs of each nonlinearity, on the first 128 test images.",
            "Lines over epochs: the share of activations that are zero.".to_owned(),
            (Axis::share("share of zeros"), Format::Share),
            &series,
        ))
    }

    /// Curves over epochs; what no epoch has is left out.
    fn curves(
        &self,
        (id, title): (String, &str),
        caption: &str,
        alt: String,
        (y, format): (Axis, Format),
        series: &[Series<'_>],
    ) -> Figure {
        let known: Vec<&Series<'_>> =
            series.iter().filter(|(_, of)| self.history.iter().any(|record| of(record).is_some())).collect();
        let line = |(label, of): &&Series<'_>| Line {
            label: if known.len() > 1 { (*label).to_owned() } else { String::new() },
            points: self
                .history
                .iter()
                .map(|record| Point { x: record.epoch as f64, y: of(record).unwrap_or(f64::NAN), band: None })
                .collect(),
            band: Band::None,
        };
        let mut columns = vec![("epoch", Some(Format::Count)), ("phase", Some(Format::Count))];
        columns.extend(known.iter().map(|(label, _)| (*label, Some(format))));
        let mut table = Table::new(&columns);
        for record in &self.history {
            let mut row = vec![Cell::Number(record.epoch as f64), Cell::Number(record.phase as f64)];
            row.extend(known.iter().map(|(_, of)| Cell::number(of(record))));
            table.rows.push(row);
        }
        let x = Axis { title: "epoch".to_owned(), scale: Scale::Linear, format: Format::Count, limits: None };
        let lines = known.iter().map(line).collect();
        let chart = Lines { x, y, lines, markers: self.markers(), reference: None, dots: false };
        Figure {
            id,
            title: title.to_owned(),
            caption: caption.to_owned(),
            alt,
            chart: Chart::Lines(chart),
            table,
        }
    }

    /// What became of each phase.
    pub(super) fn phases(&self, prefix: &str) -> Option<Block> {
        let result = self.result.as_ref()?;
        let mut table = Table::new(&[
            ("phase", None),
            ("epochs", Some(Format::Count)),
            ("accuracy before", Some(Format::Share)),
            ("best accuracy", Some(Format::Share)),
            ("best epoch", Some(Format::Count)),
            ("test accuracy, best epoch", Some(Format::Share)),
            ("test accuracy, last epoch", Some(Format::Share)),
            ("seconds", Some(Format::Plain)),
        ]);
        for phase in &result.phases {
            table.rows.push(vec![
                Cell::text(&phase.name),
                Cell::Number(phase.epochs as f64),
                Cell::Number(phase.start_accuracy),
                Cell::Number(phase.best_accuracy),
                Cell::Number(phase.best_epoch as f64),
                Cell::Number(phase.best_test_accuracy),
                Cell::Number(phase.last_test_accuracy),
                Cell::Number(phase.seconds),
            ]);
        }
        let caption = "The phases. Accuracy before and best accuracy are on the images that choose the best epoch; epochs count within the phase.";
        Some(Block::Table { id: format!("{prefix}phases"), caption: caption.to_owned(), table })
    }
}

/// A curve: what it is called, and its value after an epoch.
type Series<'a> = (&'a str, &'a dyn Fn(&EpochRecord) -> Option<f64>);

/// Reports a training.
pub(super) fn read(dir: &Path) -> Result<Report, ReportError> {
    let trained = Trained::read(dir)?;
    let mut summary = trained.warnings();
    summary.push(Block::KeyFigures(trained.key_figures()));
    summary.extend(trained.phases(""));
    let method = vec![
        "After every epoch the network is measured on all test images, as its phase stores it and on the phase's chip. The best epoch is the \
         first with the highest accuracy on the held-out images; without any it is chosen by the test images, which is kinder to the result than it \
         deserves."
            .to_owned(),
        "A training has learned if its last network is better than naming the most frequent class by more than four standard deviations of a \
         binomial share and by a tenth of the way to 1; it diverged if only an earlier one was."
            .to_owned(),
        "Results are a pure function of the recipe, its seed and the data: the same command gives the same network, bit for bit, on any number of \
         threads."
            .to_owned(),
    ];
    let seed = trained.recipe.seed;
    Ok(Report {
        title: format!("Training {}", trained.name()),
        subtitle: format!(
            "{} in {}.",
            counted(trained.history.len() as u64, "epoch", "epochs"),
            counted(trained.recipe.phases.len() as u64, "phase", "phases")
        ),
        facts: vec![
            ("data set".to_owned(), trained.recipe.data.set.clone()),
            ("seed".to_owned(), seed.to_string()),
            ("epochs of the recipe".to_owned(), trained.recipe.epochs().to_string()),
            ("report by".to_owned(), concat!("temper ", env!("CARGO_PKG_VERSION")).to_owned()),
        ],
        sections: vec![
            Section { id: "summary".to_owned(), title: "Summary".to_owned(), blocks: summary },
            Section { id: "epochs".to_owned(), title: "Epochs".to_owned(), blocks: trained.figures("") },
            methods(method, "The recipe", trained.recipe_text.clone(), "temper train RECIPE.toml -o DIR"),
        ],
    })
}
