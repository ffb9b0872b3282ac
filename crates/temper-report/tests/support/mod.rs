//! Directories made by hand, and pages looked through.

pub mod browser;
pub mod experiment;
pub mod page;

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use temper_core::campaign::{Outcomes, TrialRecord};

/// The name of every campaign here.
pub const CAMPAIGN: &str = "00112233aabbccdd";

/// A campaign made by hand: its swept values, draws, and what a draw comes to.
pub struct Made {
    /// Its axes in order, with their values.
    pub axes: Vec<(String, Vec<Value>)>,
    /// Draws of each condition.
    pub draws: u64,
    /// Images of the golden run, and how many are right.
    pub golden: (u64, u64),
    /// The only `[[fault]]`.
    pub fault: Value,
    /// Whether predictions are recorded.
    pub predictions: bool,
}

impl Made {
    /// A sweep of bit error rates.
    pub fn rates(rates: &[f64], draws: u64) -> Self {
        let axis = ("bit_error_rate".to_owned(), rates.iter().map(|rate| json!(rate)).collect());
        let fault = json!({"target": "weight", "layers": "*", "model": "bit-flip"});
        Self { axes: vec![axis], draws, golden: (100, 90), fault, predictions: false }
    }

    /// All combinations of the axes' values, the last running fastest.
    fn conditions(&self) -> Vec<Vec<Value>> {
        self.axes.iter().fold(vec![Vec::new()], |conditions, (axis, values)| {
            let with = |condition: &Vec<Value>, value: &Value| {
                let mut condition = condition.clone();
                condition.push(json!({"axis": axis, "value": value}));
                condition
            };
            conditions
                .iter()
                .flat_map(|condition| values.iter().map(move |value| with(condition, value)))
                .collect()
        })
    }

    /// Writes `campaign.json`; returns the number of conditions.
    pub fn describe(&self, dir: &Path) -> usize {
        let conditions = self.conditions();
        let plan: Vec<Value> = conditions
            .iter()
            .enumerate()
            .map(|(id, swept)| json!({"id": id, "swept": swept, "sites": 1_000_000, "draws": self.draws}))
            .collect();
        let (images, correct) = self.golden;
        let mut sweep = String::from("{");
        for (i, (axis, values)) in self.axes.iter().enumerate() {
            let comma = if i > 0 { "," } else { "" };
            write!(sweep, "{comma}{}:{}", json!(axis), json!(values)).expect("text");
        }
        sweep.push('}');
        let info = json!({
            "format_version": 5,
            "identity": {"campaign": CAMPAIGN, "spec": "1".repeat(16), "network": "2".repeat(16), "data": "3".repeat(16)},
            "spec": {
                "seed": 7,
                "model": {"file": "nets/small.safetensors"},
                "data": {"set": "digits", "split": "test"},
                "fault": [self.fault],
                "sweep": "SWEEP",
                "trials": {"count": self.draws},
                "record": {"predictions": self.predictions, "confidence": false},
            },
            "model_file": "nets/small.safetensors",
            "plan": {"conditions": plan, "images": images, "draw_images": "all", "image_macs": 1000},
            "golden": vec![json!({"images": images, "correct": correct}); conditions.len()],
        });
        // The axes of a sweep have an order.
        let text = info.to_string().replacen("\"SWEEP\"", &sweep, 1);
        fs::create_dir_all(dir.join("shards/0001-of-1")).expect("a folder");
        fs::write(dir.join("campaign.json"), text).expect("written");
        conditions.len()
    }

    /// A record of which so many images are right, silently wrong and broken.
    pub fn record(&self, conditions: usize, condition: usize, draw: u64, counts: [u64; 3]) -> TrialRecord {
        let (images, golden) = self.golden;
        let [correct, sdc, due] = counts;
        let outcomes = Outcomes {
            images,
            correct,
            golden_correct: golden,
            masked: images - sdc - due,
            sdc,
            due,
            critical: golden.saturating_sub(correct),
            ..Outcomes::default()
        };
        TrialRecord {
            campaign: CAMPAIGN.to_owned(),
            trial: draw * conditions as u64 + condition as u64,
            condition,
            draw,
            faults: 3,
            outcomes,
            near: None,
            predictions: None,
            masked_proven: 0,
            cpu_seconds: 0.001,
        }
    }

    /// Writes the campaign with all its draws; `counts` says how many images are right, silently wrong and broken.
    pub fn write(&self, dir: &Path, counts: impl Fn(usize, u64) -> [u64; 3]) {
        let conditions = self.describe(dir);
        let mut log = String::new();
        for draw in 0..self.draws {
            for condition in 0..conditions {
                log += &self.record(conditions, condition, draw, counts(condition, draw)).to_line();
            }
        }
        fs::write(log_of(dir), log).expect("written");
    }
}

/// The only log of a campaign made by hand.
pub fn log_of(dir: &Path) -> PathBuf {
    dir.join("shards/0001-of-1/host-1-1.jsonl")
}

/// The line of an epoch.
pub fn epoch(phase: usize, epoch: usize, of_phase: usize, loss: &str, accuracy: f64) -> String {
    let layers = r#"[{"parameter":"fc1.weight","mean":0.0,"std":0.1,"l2_norm":1.0,"zero_share":0.5}]"#;
    format!(
        "{{\"phase\":{phase},\"epoch\":{epoch},\"epoch_of_phase\":{of_phase},\"lr\":{lr},\"train_loss\":{loss},\"train_accuracy\":{accuracy},\
         \"test_loss\":{loss},\"test_accuracy\":{accuracy},\"seconds\":1.5,\"weights\":{{\"mean\":0.0,\"std\":0.2,\"l2_norm\":1.0,\"zero_share\":0.5}},\
         \"layers\":{layers},\"activations\":[{{\"node\":\"relu1\",\"zero_share\":0.25}}]}}\n",
        lr = 0.1 / epoch as f64
    )
}

const RECIPE: &str = r#"
[data]
set = "digits"
[network]
architecture = "mlp"
[[phase]]
name = "first"
epochs = 3
batch_size = 50
optimizer = { kind = "sgd", lr = 0.1 }
[[phase]]
name = "second"
epochs = 2
batch_size = 50
optimizer = { kind = "adam" }
"#;

/// Writes a training: its epochs, and what became of it, if it is finished.
pub fn training(dir: &Path, history: &str, verdict: Option<&str>) {
    fs::create_dir_all(dir.join("models")).expect("a folder");
    fs::write(dir.join("recipe.toml"), format!("seed = 3\n{RECIPE}")).expect("written");
    fs::write(dir.join("history.jsonl"), history).expect("written");
    if let Some(verdict) = verdict {
        for network in ["model.safetensors", "last.safetensors"] {
            fs::write(dir.join(network), "").expect("written");
        }
        let phase = json!({
            "name": "first", "start_accuracy": 0.1, "best_accuracy": 0.8, "best_epoch": 2, "best_test_accuracy": 0.8,
            "last_test_accuracy": 0.75, "epochs": 3, "seconds": 4.5,
        });
        let result = json!({"verdict": verdict, "phases": [phase]});
        fs::write(dir.join("result.json"), result.to_string()).expect("written");
    }
}

/// A training of two phases that went well.
pub fn good_training(dir: &Path) {
    let accuracies = [0.5, 0.8, 0.75, 0.85, 0.9];
    let history: String = accuracies
        .into_iter()
        .enumerate()
        .map(|(i, accuracy)| {
            let (phase, of_phase) = if i < 3 { (1, i + 1) } else { (2, i - 2) };
            epoch(phase, i + 1, of_phase, &format!("{}", 1.0 - accuracy), accuracy)
        })
        .collect();
    training(dir, &history, Some("learned"));
}

/// Writes a study of two conditions and three chips: nothing, batch norm and retraining.
pub fn study(dir: &Path) {
    let recipe = RECIPE.replace("[data]", "[golden.data]").replace("[network]", "[golden.network]");
    let recipe = recipe.replace("[[phase]]", "[[golden.phase]]");
    let spec = format!(
        "chips = {{ count = 3 }}\nsweep = {{ \"rounding\" = [\"floor\", \"nearest\"] }}\nrepair = [{{ kind = \"batch-norm\", images = 200 }}, \
         {{ kind = \"retraining\", phase = {{ epochs = 2, batch_size = 50, optimizer = {{ kind = \"adam\" }} }} }}]\n\
         hardware = [{{ model = {{ kind = \"sandwich-ram\" }} }}]\ngolden.seed = 1\n{recipe}"
    );
    fs::create_dir_all(dir).expect("a folder");
    fs::write(dir.join("study.toml"), spec).expect("written");
    good_training(&dir.join("golden"));
    let mut records = String::new();
    for condition in 0..2 {
        for chip in 1..=3 {
            let stricken = 0.3 + 0.1 * f64::from(chip) - 0.05 * f64::from(condition);
            for (repair, accuracy) in
                [("nothing", stricken), ("batch-norm", 0.7), ("retraining", 0.78), ("other-chip", 0.4)]
            {
                let record = json!({
                    "condition": condition, "chip": chip, "repair": repair, "accuracy": accuracy, "seconds": 0.5,
                });
                writeln!(records, "{record}").expect("text");
            }
            let folder = dir.join(format!("retraining/condition-{}/chip-{chip}", condition + 1));
            fs::create_dir_all(&folder).expect("a folder");
            let history = epoch(1, 1, 1, "0.5", 0.7) + &epoch(1, 2, 2, "0.4", 0.78);
            fs::write(folder.join("history.jsonl"), history).expect("written");
        }
    }
    fs::write(dir.join("records.jsonl"), records).expect("written");
}

/// A line of a log: an object that ends in the checksum of itself without it.
pub fn sealed(object: &Value) -> String {
    let json = object.to_string();
    let body = json.strip_suffix('}').expect("an object");
    format!("{body},\"crc32\":\"{:08x}\"}}\n", crc32fast::hash(json.as_bytes()))
}
