//! A trained network in integers beside the same network in floats. Needs the folder named by `TEMPER_DATA`; without it the test
//! reports itself as skipped.

pub mod support;

use std::io::Write as _;
use std::path::Path;

use support::{Silent, campaign, chain};
use temper_core::campaign::Campaign;
use temper_core::data::{Preprocessing, Split, load};
use temper_core::execution::top_class;
use temper_core::network::Model;
use temper_core::network::import::{fit, read_weights};
use temper_core::network::zoo::{Architecture, Family};

const IMAGES: usize = 1000;

fn resnet20(data: &Path) -> Model {
    let weights = read_weights(&data.join("models/resnet20-12fca82f.th"), None).expect("the checkpoint");
    let network = Architecture::new(Family::CifarResnet(20)).build().expect("a sound architecture");
    let network = fit(weights, network).expect("its own weights").network;
    let preprocessing = Preprocessing {
        mean: vec![0.485, 0.456, 0.406],
        std: vec![0.229, 0.224, 0.225],
        ..Preprocessing::default()
    };
    Model { network, preprocessing }
}

#[test]
fn resnet_20_answers_alike_in_integers_and_floats() {
    let Some(folder) = std::env::var_os("TEMPER_DATA") else {
        // Straight to standard error, past the test runner, which hides what tests print.
        let _ = writeln!(std::io::stderr(), "skipped: TEMPER_DATA is not set");
        return;
    };
    let folder = Path::new(&folder);
    let model = resnet20(folder);
    let data = load("cifar-10", Split::Test, Some(IMAGES), folder).expect("the test images");
    let calibration = load("cifar-10", Split::Train, Some(512), folder).expect("the training images");
    let answers = |arithmetic: &str| -> (u64, Vec<Option<usize>>) {
        let spec = campaign(&format!(
            "arithmetic = '{arithmetic}'\ntrials.count = 1\n[[storage]]\ntarget = 'weight'\nformat = 'int8'\ngranularity = 'channel'\n\
             [[storage]]\ntarget = 'activation'\nplace = 'input'\nformat = 'uint8'\n[[fault]]\nmodel = 'bit-flip'\ncount = 1\n"
        ));
        let campaign = Campaign::new(&spec, &model.network, &model.preprocessing, &data, Some(&calibration))
            .unwrap_or_else(|error| panic!("{}", chain(&error)));
        let golden = campaign.golden(&Silent);
        let tops = campaign.golden_logits(&golden, 0).chunks_exact(10).map(top_class);
        (campaign.golden_correct(&golden, 0), tops.collect())
    };
    let ((float_correct, float), (integer_correct, integer)) = (answers("float"), answers("integer"));
    let different = float.iter().zip(&integer).filter(|(a, b)| a != b).count();
    println!(
        "{different} of {IMAGES} answers differ; correct: {float_correct} in floats, {integer_correct} in integers"
    );
    // The same numbers but for the rounding of sums, which now and then moves an activation across a step.
    assert!(different <= 2, "{different} answers differ");
    assert!(float_correct.abs_diff(integer_correct) <= 10 && integer_correct >= 900);
}
