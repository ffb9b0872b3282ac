//! What became of a training is told apart.

#[path = "support/run.rs"]
pub mod run;

use run::{SMALL, StopAfter, prepare, train};
use serde_json::Value;
use temper_train::training::{EpochRecord, Verdict, WeightStatistics, judge};

/// An epoch that ended with this loss and this accuracy on test images.
fn epoch(number: usize, train_loss: f64, test_accuracy: f64) -> EpochRecord {
    EpochRecord {
        phase: 1,
        epoch: number,
        epoch_of_phase: number,
        lr: 0.1,
        train_loss,
        train_accuracy: 0.5,
        validation_loss: None,
        validation_accuracy: None,
        test_loss: 1.0,
        test_accuracy,
        seconds: 0.0,
        weights: WeightStatistics { mean: 0.0, std: 1.0, l2_norm: 1.0, zero_share: 0.0 },
        layers: Vec::new(),
        activations: Vec::new(),
    }
}

fn verdict(epochs: &[(f64, f64)], chance: f64, images: usize) -> Verdict {
    let records: Vec<EpochRecord> =
        epochs.iter().enumerate().map(|(i, &(loss, accuracy))| epoch(i + 1, loss, accuracy)).collect();
    judge(&records, chance, images)
}

#[test]
fn records_are_judged_by_the_most_frequent_class() {
    use Verdict::{DidNotLearn, Diverged, Learned, NotFinite};
    // Of 10 000 images with a tenth of each class the line is 0.1 + 0.1 · 0.9 = 0.19, far beyond luck.
    for (epochs, expected) in [
        (&[(1.0, 0.5), (0.5, 0.9)][..], Learned),
        (&[(1.0, 0.1), (0.5, 0.191)], Learned),
        (&[(1.0, 0.1), (0.5, 0.189)], DidNotLearn),
        (&[(1.0, 0.9), (0.5, 0.189)], Diverged),
        (&[(1.0, 0.9), (0.5, 0.1), (0.4, 0.9)], Learned),
        (&[(1.0, 0.9), (f64::NAN, 0.9)], NotFinite),
        (&[(f64::INFINITY, 0.1)], NotFinite),
        (&[], DidNotLearn),
    ] {
        assert_eq!(verdict(epochs, 0.1, 10_000), expected, "{epochs:?}");
    }
    // Of 100 images luck reaches further: 0.1 + 4 · √(0.1 · 0.9 / 100) = 0.22.
    assert_eq!(verdict(&[(1.0, 0.21)], 0.1, 100), DidNotLearn);
    assert_eq!(verdict(&[(1.0, 0.23)], 0.1, 100), Learned);
    // Naming the most frequent class is no learning, however frequent it is.
    assert_eq!(verdict(&[(1.0, 0.95)], 0.95, 10_000), DidNotLearn);
    assert_eq!(verdict(&[(1.0, 0.96)], 0.95, 10_000), Learned);
}

#[test]
fn held_out_images_go_before_test_images() {
    let record = EpochRecord { validation_accuracy: Some(0.1), ..epoch(1, 1.0, 0.9) };
    assert_eq!(judge(&[record], 0.1, 10_000), Verdict::DidNotLearn);
}

/// The content of `result.json` after training with this in place of the learning rate.
fn result(lr: &str) -> Value {
    let dir = tempfile::tempdir().expect("a folder");
    let prepared = prepare(&SMALL.replace("lr = 0.1", lr)).expect("sound");
    train(&prepared, dir.path(), &StopAfter::never()).expect("trains");
    let text = std::fs::read(dir.path().join("result.json")).expect("written");
    serde_json::from_slice(&text).expect("JSON")
}

#[test]
fn trainings_that_fail_are_told_from_those_that_work() {
    assert_eq!(result("lr = 0.5")["verdict"], "learned");
    let still = result("lr = 0.0");
    assert_eq!(still["verdict"], "did-not-learn");
    assert_eq!(still["phases"][0]["start_accuracy"], still["phases"][0]["best_accuracy"]);
    assert_eq!((&still["phases"][0]["epochs"], &still["phases"][0]["best_epoch"]), (&2.into(), &1.into()));
    // The loss overflows in the second step.
    let lost = result("lr = 1e30");
    assert_eq!((&lost["verdict"], &lost["phases"][0]["epochs"]), (&"not-finite".into(), &1.into()));
    let wild = result("lr = 1e6");
    assert!(
        ["did-not-learn", "diverged", "not-finite"].iter().any(|known| wild["verdict"] == *known),
        "{wild}"
    );
}
