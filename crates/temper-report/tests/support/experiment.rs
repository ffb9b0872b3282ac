//! Experiments made by hand.

use std::fmt::Write;
use std::path::Path;

use temper_train::experiment::{ExperimentDir, ExperimentSpec, Failures, Stage, World};

use super::{Made, epoch, good_training, log_of, training};

/// What becomes of a campaign: how many images are right, of a variant, condition and draw.
pub type Right = fn(&str, usize, u64) -> u64;

/// Plans an experiment as if all its data and files were there, and writes its directory.
pub fn planned(dir: &Path, text: &str) -> ExperimentDir {
    let data = |_: &_| Ok("data".to_owned());
    let file = |_: &Path| Ok("file".to_owned());
    let world = World { data: &data, model: &file, folders: &[] };
    let plan = ExperimentSpec::parse(text).and_then(|spec| spec.plan(&world)).expect("a plan");
    let experiment = ExperimentDir::planned(dir, plan);
    experiment.write().expect("written");
    std::fs::write(dir.join("experiment.toml"), text).expect("written");
    experiment
}

/// Makes every training a good one, and every campaign of the rates and draws, with its outcomes.
pub fn run(experiment: &ExperimentDir, made: &Made, right: Right) {
    for stage in experiment.stages() {
        let folder = experiment.folder(stage);
        match stage {
            Stage::Training(_) => good_training(&folder),
            Stage::Campaign(place) => {
                let variant = &experiment.plan.campaigns[place].variant;
                made.write(&folder, |condition, draw| {
                    let right = right(variant, condition, draw);
                    [right, 90 - right.min(90), 0]
                });
            }
        }
    }
}

/// The place of a stage's variant.
fn of(experiment: &ExperimentDir, variant: &str) -> (Stage, Stage) {
    let found = experiment.plan.variants.iter().find(|found| found.name == variant).expect("a variant");
    (Stage::Training(found.training.expect("a training")), Stage::Campaign(found.campaigns[0]))
}

/// Where nothing is as it should be: trainings that failed, diverged, were stopped and never begun, and a damaged campaign.
pub fn troubled(dir: &Path) {
    const NAMES: [&str; 12] = [
        "plain",
        "trained with bit flips in every step of every epoch, from the plain network",
        "failed",
        "diverged",
        "stopped in training",
        "stopped in its campaign",
        "damaged",
        "never begun",
        "i",
        "j",
        "k, the last but one of all of them",
        "l",
    ];
    let mut text = base();
    for (i, name) in NAMES.iter().enumerate() {
        writeln!(text, "[[variant]]\nname = \"{name}\"\ntrain.seed = {}", i + 1).expect("text");
    }
    text += "[[variant]]\nname = \"impossible\"\ntrain.phase.optimizer.beta = 1\n";
    let mut experiment = planned(dir, &text);
    let made = Made::rates(&[0.0, 1e-6, 1e-4, 1e-2], 8);
    run(&experiment, &made, |variant, condition, draw| {
        90 - (condition as u64 * (5 + variant.len() as u64 % 9)) - draw % 3
    });

    let remove = |stage: Stage| std::fs::remove_dir_all(experiment.folder(stage)).expect("removed");
    for name in ["failed", "diverged", "stopped in training", "never begun"] {
        let (trained, struck) = of(&experiment, name);
        remove(trained);
        remove(struck);
    }
    let history = epoch(1, 1, 1, "1.0", 0.5) + &epoch(1, 2, 2, "null", 0.1);
    training(&experiment.folder(of(&experiment, "diverged").0), &history, Some("not-finite"));
    training(&experiment.folder(of(&experiment, "stopped in training").0), &epoch(1, 1, 1, "1.0", 0.5), None);
    let stopped = log_of(&experiment.folder(of(&experiment, "stopped in its campaign").1));
    let log = std::fs::read_to_string(&stopped).expect("a log");
    let first: String = log.split_inclusive('\n').take(9).collect();
    std::fs::write(&stopped, first).expect("written");
    let damaged = experiment.folder(of(&experiment, "damaged").1).join("campaign.json");
    std::fs::write(damaged, "{ \"format_version\": 3 }").expect("written");
    let failed = experiment.relative(of(&experiment, "failed").0).to_owned();
    experiment.failures = Failures::from([(failed, "there is no layer <conv9>".to_owned())]);
    experiment.write_failures().expect("written");
}

/// The beginning of every experiment here.
pub fn base() -> String {
    "title = \"An experiment <with> a title\"
[train]
seed = 1
data.set = \"digits\"
network.architecture = \"mlp\"
[[train.phase]]
epochs = 5
batch_size = 50
optimizer = { kind = \"adam\" }
[campaign.flips]
seed = 1
trials.count = 8
sweep.bit_error_rate = [0.0, 1e-6, 1e-4, 1e-2]
[[campaign.flips.fault]]
model = \"bit-flip\"
"
    .to_owned()
}
