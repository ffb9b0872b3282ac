//! Networks that other people trained, imported and evaluated as their owners would do it. Needs the folder named by
//! `TEMPER_DATA`, with the models below `models/`; without it the tests report themselves as skipped.

pub mod support;

use std::io::Write as _;
use std::path::{Path, PathBuf};

use support::temper;

/// The folder of real data, or `None` after saying that the test is skipped.
fn data() -> Option<PathBuf> {
    let folder = std::env::var_os("TEMPER_DATA").map(PathBuf::from);
    if folder.is_none() {
        // Straight to standard error, past the test runner, which hides what tests print.
        let _ = writeln!(std::io::stderr(), "skipped: TEMPER_DATA is not set");
    }
    folder
}

/// Imports a model with these arguments, evaluates it, and compares the number of correct images.
fn check(arguments: &[&str], data: &str, limit: Option<&str>, correct: u64) {
    let dir = tempfile::tempdir().expect("a folder");
    let model = dir.path().join("model.safetensors").to_string_lossy().into_owned();
    let run = temper(&[&["model", "import", "-o", &model], arguments].concat());
    assert_eq!(run.code, 0, "{arguments:?}: {}", run.err);
    let limit = limit.map_or(vec![], |limit| vec!["--limit", limit]);
    let evaluation = temper(&[&["eval", &model, "--data", data, "--json"], limit.as_slice()].concat()).json();
    assert_eq!(evaluation["correct"], correct, "{arguments:?}");
}

fn file(folder: &Path, name: &str) -> String {
    folder.join("models").join(name).to_string_lossy().into_owned()
}

const CIFAR: [&str; 4] = ["--mean", ".485,.456,.406", "--std", ".229,.224,.225"];

#[test]
fn residual_networks_reach_their_published_accuracy() {
    let Some(folder) = data() else { return };
    let akamaster = file(&folder, "resnet20-12fca82f.th");
    check(&[&["--arch", "resnet20", "--weights", &akamaster], &CIFAR[..]].concat(), "cifar-10", None, 9173);
    let crosssim = |arch: &str, name: &str, correct| {
        let weights = file(&folder, name);
        let arguments =
            [&["--arch", arch, "--weights", &weights, "--set", "bn1.eps=1e-3"], &CIFAR[..]].concat();
        check(&arguments, "cifar-10", Some("1000"), correct);
    };
    crosssim("resnet14", "crosssim-resnet14_cifar10.pth", 890);
    crosssim("resnet20", "crosssim-resnet20_cifar10.pth", 911);
}

#[test]
fn small_networks_reach_their_accuracy_on_all_images() {
    let Some(folder) = data() else { return };
    let lenet = file(&folder, "mrfi-lenet_cifar10.pth");
    check(&["--arch", "lenet5", "--weights", &lenet, "--mean", ".5", "--std", ".5"], "cifar-10", None, 6226);
    check(&["--onnx", &file(&folder, "lltfi-mnist-cnn.onnx")], "mnist", None, 9867);
    let description = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/architectures/burn-mnist.toml");
    for (name, correct) in [("burn-mnist.pt", 9915), ("burn-mnist.safetensors", 9917)] {
        let weights = file(&folder, name);
        let arguments = ["--arch", description, "--weights", &weights, "--mean", ".1307", "--std", ".3081"];
        check(&arguments, "mnist", None, correct);
    }
}
