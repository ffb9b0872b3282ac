//! Campaigns against brute force: for every trial the network is copied, its parameters are changed by hand, and all images run
//! through the copy; outcomes are counted anew from their definitions.

pub mod support;

use rand::Rng;
use support::brute::{count, struck};
use support::{Silent, bind, campaign, digits_images, digits_model, fixture, noise, run, with_values};
use temper_core::campaign::{Campaign, CampaignSpec, Outcomes, Swept, SweptValue, Trial, TrialRecord};
use temper_core::data::{Dataset, Preprocessing};
use temper_core::execution::{Program, logits};
use temper_core::fault::{BitSelection, FaultSite, FaultSpec, Number, trial_stream};
use temper_core::memory::Memory;
use temper_core::network::zoo::{Architecture, Family, Shortcut};
use temper_core::network::{GraphDescription, Model, Network, NodeDescription, Op};

/// The faults of one condition, with the swept field set by hand.
fn faults_of(spec: &CampaignSpec, campaign: &Campaign<'_>, trial: Trial) -> Vec<FaultSpec> {
    let mut faults = spec.faults.clone();
    for Swept { axis, value } in &campaign.plan().conditions[trial.condition].swept {
        let real = match *value {
            SweptValue::Integer(value) => value as f64,
            SweptValue::Real(value) => value,
            SweptValue::Text(_) => f64::NAN,
        };
        for fault in &mut faults {
            match axis.as_str() {
                "count" => fault.count = Some(real as u64),
                "bit" => fault.bits = Some(BitSelection::List(vec![real as u32])),
                "bit_error_rate" => fault.bit_error_rate = Some(real),
                "value_fault_rate" => fault.value_fault_rate = Some(real),
                other => panic!("{other:?}"),
            }
        }
    }
    faults
}

/// The sites of a trial: every fault in turn draws from the trial's one stream.
fn sites(faults: &[FaultSpec], memory: &Memory, mut stream: impl Rng) -> Vec<FaultSite> {
    let resolved =
        faults.iter().map(|fault| fault.resolve(memory, Number::Specified).expect("a sound fault"));
    resolved.flat_map(|fault| fault.draw(&mut stream)).collect()
}

/// All images through a freshly compiled network.
fn outputs(network: &Network, preprocessing: &Preprocessing, data: &Dataset) -> Vec<f32> {
    let inputs = preprocessing.bind(data, network.input_shape()).expect("the images fit the network");
    let (program, weights) = Program::compile(network, &[], &[]);
    logits(&program, &weights, &inputs, &|_| {})
}

/// Runs a campaign and every trial of it by brute force; returns all outcomes together.
fn check(model: &Model, data: &Dataset, spec: &CampaignSpec) -> Outcomes {
    let Model { network, preprocessing } = model;
    let campaign = bind(spec, model, data).unwrap_or_else(|error| panic!("{error}"));
    let memory = Memory::new(network, &[]).expect("nothing is stored in another format");
    let golden = campaign.golden(&Silent);
    let (expected, correct) = (campaign.golden_logits(&golden, 0), campaign.golden_correct(&golden, 0));
    assert_eq!((expected, campaign.golden_runs()), (outputs(network, preprocessing, data).as_slice(), 1));
    let softmax = matches!(network.node(network.output()).op, Op::Softmax { .. });
    assert_eq!(correct, count(expected, expected, data.labels(), softmax).correct);
    let trials: Vec<Trial> = campaign.plan().trials().collect();
    let records = run(&campaign, &golden, &trials);
    assert_eq!(records.len(), trials.len());
    let mut all = Outcomes::default();
    for (trial, record) in trials.into_iter().zip(records) {
        let sites = sites(&faults_of(spec, &campaign, trial), &memory, trial_stream(spec.seed, trial.id));
        assert_eq!(campaign.permanent_sites(trial), sites);
        let faulty = outputs(&struck(&memory, &sites), preprocessing, data);
        let brute = TrialRecord {
            campaign: campaign.identity().campaign.clone(),
            trial: trial.id,
            condition: trial.condition,
            draw: trial.draw,
            faults: sites.len() as u64,
            outcomes: count(expected, &faulty, data.labels(), softmax),
            near: None,
            predictions: None,
            masked_proven: 0,
            cpu_seconds: 0.0,
        };
        assert_eq!(record, brute);
        all += record.outcomes;
    }
    all
}

/// Campaigns over every error model, every amount and every axis.
const CAMPAIGNS: [&str; 9] = [
    "trials.count = 4\nsweep.count = [0, 1, 8, 300]\n[[fault]]\nmodel = 'bit-flip'",
    "trials.count = 4\nsweep.bit = [0, 20, 26, 30, 31]\n[[fault]]\nmodel = 'bit-flip'\nvalue_fault_rate = 0.02",
    "trials.count = 3\nsweep.bit_error_rate = [0, 1e-5, 1e-3, 0.05, 1]\n[[fault]]\nmodel = 'bit-flip'",
    "trials.count = 4\nsweep.bit_error_rate = [1e-3, 0.1]\n[[fault]]\nmodel = 'stuck-at-0'\nlayers = 'conv*'",
    "trials.count = 6\n[[fault]]\nmodel = 'stuck-at-1'\nbits = 'exponent'\ncount = 2",
    "trials.count = 3\nsweep.value_fault_rate = [0.001, 0.1, 0.5, 1.0]\n[[fault]]\nmodel = 'zeroing'",
    "trials.count = 3\nsweep.count = [1, 40, 3000]\n[[fault]]\nmodel = 'sign-reversal'",
    "trials.count = 5\n[[fault]]\nmodel = 'bit-flip'\ntarget = 'bias'\nbit_error_rate = 0.01\nbits = [22, 31, 29]",
    "trials.count = 5\nsweep.bit = [23, 30]\n[[fault]]\nmodel = 'bit-flip'\ncount = 500\nlayers = ['fc1', 'conv2']\n\
     [[fault]]\nmodel = 'stuck-at-1'\nvalue_fault_rate = 0.3\nlayers = 'fc*'",
];

#[test]
fn campaigns_on_the_digits_equal_brute_force() {
    let (model, data) = (digits_model(), digits_images(500));
    let mut all = Outcomes::default();
    for toml in CAMPAIGNS {
        all += check(&model, &data, &campaign(toml));
    }
    println!("{all:?}");
    // Every outcome must have been seen, or equality would say nothing of it.
    let Outcomes { correct, masked, masked_exact, sdc, sdc5, sdc10, sdc20, critical, due, .. } = all;
    let [masked_exact, sdc10, sdc20] = [masked_exact, sdc10, sdc20].map(|count| count.expect("recorded"));
    let counts = [correct, masked, masked_exact, sdc, sdc5, sdc10, sdc20, critical, due];
    assert!(counts.iter().all(|count| *count > 100), "{all:?}");
    assert!(masked_exact < masked && sdc5 < sdc && sdc20 < sdc10, "{all:?}");
}

#[test]
fn a_network_that_ends_in_a_softmax_has_its_own_confidence() {
    let model = digits_model();
    let mut graph = GraphDescription::from(&model.network);
    graph.nodes.push(NodeDescription {
        name: "softmax".to_owned(),
        inputs: Some(vec!["fc2".to_owned()]),
        op: Op::Softmax { axis: 0 },
    });
    graph.output = Some("softmax".to_owned());
    let network = graph.build_with(model.network.tensors().clone()).expect("a sound network");
    let model = Model { network, ..model };
    let data = digits_images(200);
    let all = check(&model, &data, &campaign(CAMPAIGNS[1]));
    assert!(all.sdc10 > Some(100) && all.due > 0, "{all:?}");
}

#[test]
fn residual_networks_with_batch_norms_equal_brute_force() {
    for (seed, shortcut) in [Shortcut::A, Shortcut::B].into_iter().enumerate() {
        let architecture = Architecture {
            input: vec![1, 8, 8],
            widths: vec![4, 6, 8],
            shortcut,
            ..Architecture::new(Family::CifarResnet(14))
        };
        let mut noise = noise(seed as u64);
        let network = with_values(architecture.build().expect("a sound architecture"), |path| {
            match path.rsplit('.').next() {
                Some("running_var") => 1.0 + 0.5 * noise(),
                _ => 0.5 * noise(),
            }
        });
        let model = Model { network, preprocessing: Preprocessing::default() };
        let data = digits_images(60);
        let flips = "trials.count = 4\nsweep.bit = [22, 28, 30]\n[[fault]]\nmodel = 'bit-flip'\nvalue_fault_rate = 0.01";
        let all = check(&model, &data, &campaign(flips));
        assert!(all.sdc > 0 && all.masked > 0 && all.due > 0, "{all:?}");
        let late =
            "trials.count = 4\n[[fault]]\nmodel = 'zeroing'\nlayers = ['layer3.1.conv2', 'fc']\ncount = 60";
        check(&model, &data, &campaign(late));
    }
}

#[test]
fn faults_behind_the_output_are_masked() {
    let model = digits_model();
    let mut graph = GraphDescription::from(&model.network);
    graph.nodes.push(NodeDescription {
        name: "side".to_owned(),
        inputs: Some(vec!["relu3".to_owned()]),
        op: Op::Linear { in_features: 64, out_features: 3, bias: false },
    });
    let mut parameters = model.network.tensors().clone();
    let blank = graph.clone().build().expect("a sound network");
    parameters.insert("side.weight".to_owned(), blank.tensors()["side.weight"].clone());
    let model = Model { network: graph.build_with(parameters).expect("a sound network"), ..model };
    let data = digits_images(100);
    let side = "trials.count = 3\n[[fault]]\nmodel = 'bit-flip'\nlayers = 'side'\ncount = 5";
    let all = check(&model, &data, &campaign(side));
    assert_eq!((all.images, all.masked_exact), (300, Some(300)));
    // A trial before it must leave no trace in it.
    check(
        &model,
        &data,
        &campaign("trials.count = 8\n[[fault]]\nmodel = 'bit-flip'\ncount = 40\nlayers = ['fc2', 'side']"),
    );
}

#[test]
fn the_digits_network_is_as_good_as_its_trainer_found() {
    let (model, data) = (digits_model(), digits_images(500));
    let bytes = std::fs::read(fixture("digits/logits.safetensors")).expect("the fixture exists");
    let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).expect("a safetensors file");
    let metadata = header.metadata().clone().expect("the fixture has metadata");
    let spec = campaign(CAMPAIGNS[0]);
    let campaign = bind(&spec, &model, &data).expect("it fits");
    let golden = campaign.golden(&Silent);
    let correct = campaign.golden_correct(&golden, 0);
    assert_eq!((metadata["images"].as_str(), campaign.images()), ("500", 500));
    assert_eq!(correct.to_string(), metadata["correct"]);
    assert_eq!((correct as f64 / 500.0).to_string(), metadata["accuracy"]);
    let file = safetensors::SafeTensors::deserialize(&bytes).expect("a safetensors file");
    let expected = file.tensor("golden").expect("the golden logits");
    assert_eq!(expected.shape(), [24, 10]);
    for (bytes, found) in expected.data().as_chunks::<4>().0.iter().zip(campaign.golden_logits(&golden, 0)) {
        let expected = f32::from_le_bytes(*bytes);
        assert!((expected - found).abs() <= 1e-5 * expected.abs().max(1.0), "{found}, expected {expected}");
    }
}
