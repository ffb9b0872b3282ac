//! Studies: what is measured on which chip, that a stopped study goes on, and what is refused.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use temper_train::device;
use temper_train::study::{
    Repair, Study, StudyCondition, StudyError, StudyObserver, StudyRecord, StudySpec, StudySummary,
};
use temper_train::training::{Ended, Observer};

#[path = "support/run.rs"]
pub mod run;

use run::{StopAfter, chain};

/// Three chips under two conditions, with every repair.
const STUDY: &str = r#"
chips = { first = 5, count = 3 }

[sweep]
row_offset = ["raw", "matched"]

[[hardware]]
model = { kind = "sandwich-ram", cells = 8, reserve = 2040.0 }

[[repair]]
kind = "offset-calibration"

[[repair]]
kind = "batch-norm"
images = 100
batch_size = 50

[[repair]]
kind = "retraining"
phase = { epochs = 2, batch_size = 50, optimizer = { kind = "sgd", lr = 0.1 } }

[[repair]]
kind = "many-chips"
phase = { epochs = 2, batch_size = 50, optimizer = { kind = "sgd", lr = 0.1 } }

[golden]
seed = 7

[golden.data]
set = "digits"
train_limit = 300
test_limit = 200

[golden.network.description]
input = [1, 8, 8]
node = [
    { name = "flatten", op = { kind = "flatten" } },
    { name = "fc1", op = { kind = "linear", in_features = 64, out_features = 32, bias = false } },
    { name = "bn1", op = { kind = "batch-norm", num_features = 32 } },
    { name = "relu1", op = { kind = "relu" } },
    { name = "fc2", op = { kind = "linear", in_features = 32, out_features = 10, bias = false } },
    { name = "bn2", op = { kind = "batch-norm", num_features = 10 } },
]

[[golden.phase]]
epochs = 6
batch_size = 50
optimizer = { kind = "adam", lr = 0.01 }
storage = [
    { target = "weight", format = "binary", granularity = "channel" },
    { target = "activation", place = "input", format = "uint8" },
]
"#;

/// Stops after so many records.
struct Stop {
    golden: StopAfter,
    left: AtomicUsize,
}

impl Stop {
    fn after(records: usize) -> Self {
        Self { golden: StopAfter::never(), left: AtomicUsize::new(records) }
    }
}

impl StudyObserver for Stop {
    fn golden(&self) -> &dyn Observer {
        &self.golden
    }

    fn epoch(&self) {}

    fn recorded(&self, _: &StudyCondition, _: &StudyRecord) {
        let less = |left: usize| left.checked_sub(1);
        self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).ok();
    }

    fn is_cancelled(&self) -> bool {
        self.left.load(Ordering::SeqCst) == 0
    }
}

fn study(text: &str) -> Result<Study, StudyError> {
    Study::new(StudySpec::parse(text)?, Path::new("nowhere"), Path::new("nowhere"))
}

fn run_on(threads: usize, dir: &Path, observer: &Stop) -> Ended {
    let study = study(STUDY).expect("sound");
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
    pool.install(|| study.run(dir, &device::cpu(), observer)).expect("it runs")
}

type Found = BTreeMap<(usize, u64, Repair), (f64, Option<usize>, Option<f64>)>;

/// What is recorded in a folder, but for the times.
fn found(dir: &Path) -> Found {
    let records = StudyRecord::read_all(dir).expect("readable");
    let all = records.len();
    let found: Found = records
        .into_iter()
        .map(|r| ((r.condition, r.chip, r.repair), (r.accuracy, r.epoch, r.last_accuracy)))
        .collect();
    assert_eq!(found.len(), all, "nothing is recorded twice");
    found
}

#[test]
fn a_study_measures_every_repair_on_every_chip_and_goes_on_where_it_was_stopped() {
    let folders = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
    let [whole, stopped] = folders.each_ref().map(tempfile::TempDir::path);
    assert_eq!(run_on(2, whole, &Stop::after(usize::MAX)), Ended::Complete);
    let expected = found(whole);
    let kinds = [
        Repair::Nothing,
        Repair::OffsetCalibration,
        Repair::BatchNorm,
        Repair::Retraining,
        Repair::ManyChips,
        Repair::OtherChip,
    ];
    let keys = (0..2)
        .flat_map(|condition| (5..8).flat_map(move |chip| kinds.map(|repair| (condition, chip, repair))));
    assert_eq!(expected.keys().copied().collect::<Vec<_>>(), keys.collect::<Vec<_>>());

    // On one thread, stopped twice, once in the middle of a line.
    assert_eq!(run_on(1, stopped, &Stop::after(5)), Ended::Stopped);
    let records = stopped.join("records.jsonl");
    let text = fs::read_to_string(&records).expect("records");
    fs::write(&records, &text[..text.len() - 7]).expect("it can be written");
    assert_eq!(run_on(1, stopped, &Stop::after(9)), Ended::Stopped);
    assert_eq!(run_on(1, stopped, &Stop::after(usize::MAX)), Ended::Complete);
    assert_eq!(found(stopped), expected);

    for condition in 0..2 {
        let of = |chip, repair| expected[&(condition, chip, repair)];
        for chip in 5..8 {
            // What retraining starts from is what was measured without it, and what it ends with is recorded.
            let folder = whole.join(format!("retraining/condition-{}/chip-{chip}", condition + 1));
            let result = fs::read_to_string(folder.join("result.json")).expect("a result");
            let result: serde_json::Value = serde_json::from_str(&result).expect("JSON");
            let phase = &result["phases"][0];
            assert_eq!(phase["start_accuracy"].as_f64(), Some(of(chip, Repair::Nothing).0));
            let (accuracy, epoch, last) = of(chip, Repair::Retraining);
            assert_eq!(phase["best_test_accuracy"].as_f64(), Some(accuracy));
            assert_eq!(phase["best_epoch"].as_u64(), epoch.map(|epoch| epoch as u64));
            assert_eq!(phase["last_test_accuracy"].as_f64(), last);
        }
    }
    // The same chips under both conditions: what is calibrated does not depend on what the offsets were.
    for chip in 5..8 {
        let calibrated = |condition| expected[&(condition, chip, Repair::OffsetCalibration)];
        assert!((calibrated(0).0 - calibrated(1).0).abs() < 0.05);
    }
}

#[test]
fn figures_are_those_of_the_records() {
    let study = study(STUDY).expect("sound");
    let record = |chip, repair, accuracy| StudyRecord {
        condition: 1,
        chip,
        repair,
        accuracy,
        epoch: None,
        last_accuracy: None,
        seconds: 2.0,
    };
    let records = [
        record(5, Repair::Nothing, 0.5),
        record(6, Repair::Nothing, 0.7),
        record(7, Repair::Nothing, 0.6),
        record(5, Repair::Retraining, 0.8),
        record(6, Repair::Retraining, 0.79),
    ];
    let summary = StudySummary::new(study.spec(), study.conditions(), 0.8, &records, 0.95);
    assert_eq!(summary.repairs.len(), 2);
    let [stricken, retrained] = &summary.repairs[..] else { panic!("two") };
    assert_eq!((stricken.condition, stricken.label.as_str()), (1, "row_offset = matched"));
    assert!((stricken.accuracy.mean - 0.6).abs() < 1e-12 && (stricken.lost.mean - 0.25).abs() < 1e-12);
    assert_eq!((stricken.good.successes, stricken.recovered), (0, None));
    // (0.3 + 0.09) gained of (0.3 + 0.1) lost by the two chips that were retrained.
    let ratio = retrained.recovered.expect("two chips");
    assert!((ratio.ratio - 0.975).abs() < 1e-9 && ratio.draws == 2);
    // 0.79 is within the tolerance of 0.01.
    assert_eq!((retrained.good.successes, retrained.good.trials), (2, 2));
}

#[test]
fn senseless_studies_are_refused() {
    let refused = |from: &str, to: &str| {
        assert!(STUDY.contains(from), "{from}");
        chain(&study(&STUDY.replacen(from, to, 1)).expect_err("refused"))
    };
    assert_eq!(refused("count = 3", "count = 0"), "[chips] count: expected at least 1, found 0");
    assert_eq!(
        refused("row_offset = [\"raw\"", "row_offset = [\"rough\""),
        "[sweep] row_offset: unknown variant `rough`, expected one of `raw`, `matched`, `calibrated`"
    );
    assert!(refused("row_offset = [", "offset = [").starts_with("[sweep] offset: unknown field `offset`"));
    assert_eq!(refused("[\"raw\", \"matched\"]", "[]"), "[sweep] row_offset: expected at least one value");
    assert_eq!(
        refused("kind = \"batch-norm\"\nimages = 100", "kind = \"batch-norm\"\nimages = 10"),
        "repair 2, batch_size: expected batches of at least 2 of as many images or more, found 50 of 10"
    );
    assert_eq!(refused("kind = \"many-chips\"", "kind = \"retraining\""), "repair 4: a second retraining");
    assert_eq!(
        refused("phase = { epochs = 2,", "phase = { chip = 3, epochs = 2,"),
        "repair 3, phase.chip: is the study's; leave it out"
    );
    assert_eq!(
        refused("format = \"binary\", granularity = \"channel\"", "format = \"int8\""),
        "[[hardware]], row_offset = raw: phase 1: hardware 1: the weights of fc1 are stored in int8; the device holds binary"
    );
    assert_eq!(
        refused("phase = { epochs = 2, batch_size = 50", "phase = { epochs = 2, batch_size = 5000"),
        "repair 3, row_offset = raw: phase 1, batch_size: expected at most the number of images, 300, found 5000"
    );
}

#[test]
fn a_folder_of_something_else_is_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let study = study(STUDY).expect("sound");
    let refused = || chain(&study.run(folder.path(), &device::cpu(), &Stop::after(0)).expect_err("refused"));
    fs::write(folder.path().join("notes.txt"), "mine").expect("it can be written");
    assert!(refused().ends_with("holds files, but no study; give a new or an empty folder with -o"));
    fs::write(folder.path().join("study.toml"), STUDY.replace("count = 3", "count = 4"))
        .expect("it can be written");
    assert!(refused().ends_with("holds another study; give another folder with -o"));
    fs::write(folder.path().join("study.toml"), STUDY).expect("it can be written");
    fs::write(folder.path().join("records.jsonl"), "{\"condition\": 0}\n").expect("it can be written");
    let damaged = chain(&StudyRecord::read_all(folder.path()).expect_err("refused"));
    assert!(damaged.contains("records.jsonl, line 1: missing field `chip`"), "{damaged}");
}
