//! Campaigns on chips: records against the same chips mounted by hand, whatever the threads, shards and memory; sweeps; what is refused.

pub mod support;

use std::ops::{ControlFlow, Range};

use support::{Silent, brute, campaign, chain, digits_images, digits_model, run};
use temper_core::campaign::{
    Campaign, CampaignError, CampaignSpec, Condition, Golden, RunOptions, Shard, Trial, TrialRecord, place_of,
};
use temper_core::data::Dataset;
use temper_core::execution::{Program, TapId, logits_with};
use temper_core::fault::FaultSite;
use temper_core::hardware::{ChipLayer, CrossbarSpec, Hardware, HardwareModel, HardwareSpec, Mounted, Noise};
use temper_core::memory::Layers;

const CROSSBAR: &str = "[[hardware]]\nmodel = { kind = 'crossbar', programming = { model = 'lognormal', sigma = 0.6 }, rows = 64 }\n";
const SANDWICH: &str = "[[storage]]\ntarget = 'weight'\nformat = 'binary'\ngranularity = 'channel'\n\
    [[storage]]\ntarget = 'activation'\nplace = 'input'\nformat = 'uint8'\n\
    [[hardware]]\nmodel = { kind = 'sandwich-ram' }\n";

/// The crossbar under some of the layers.
fn crossbar_under(layers: &str) -> String {
    CROSSBAR.replacen("]]\n", &format!("]]\nlayers = {layers}\n"), 1)
}

/// The seed of [`campaign`].
const SEED: u64 = 11;

fn bind<'a>(spec: &CampaignSpec, data: &'a Dataset) -> Result<Campaign<'a>, CampaignError> {
    let model = digits_model();
    Campaign::new(spec, &model.network, &model.preprocessing, data, Some(data))
}

fn sound<'a>(spec: &CampaignSpec, data: &'a Dataset) -> Campaign<'a> {
    bind(spec, data).unwrap_or_else(|error| panic!("{}", chain(&error)))
}

fn all_trials(campaign: &Campaign<'_>) -> Vec<Trial> {
    campaign.plan().trials().collect()
}

/// The logits of all images under a trial, its chip drawn, mounted and compiled by hand.
fn by_hand(campaign: &Campaign<'_>, hardware: &[HardwareSpec], data: &Dataset, trial: Trial) -> Vec<f32> {
    let memory = campaign.memory(trial.condition);
    let permanent = campaign.permanent_sites(trial);
    let network = brute::struck(memory, &permanent);
    let hardware = Hardware::new(&network, hardware).expect("it lies on hardware");
    let chip = hardware.draw(campaign.chip_seed(trial).expect("a chip"));
    let mount = |layer: &ChipLayer| {
        Mounted::new(layer, memory, network.tensors()[&format!("{}.weight", layer.layer)].data())
    };
    let (mounted, noise) = (chip.layers.iter().map(mount).collect(), Noise::of_trial(SEED, trial.id));
    let (program, weights) = Program::compile_on_chip(&network, &[], memory.taps(), mounted, Some(noise));
    let touch = |images: Range<usize>, tap: TapId, values: &mut [f32]| {
        let id = memory.at_tap(tap);
        let tensor = memory.tensor(id);
        for (image, values) in images.zip(values.chunks_exact_mut(tensor.values())) {
            tensor.codec().store(values);
            let sites = campaign.transient_sites(trial, image as u64).unwrap_or_else(|| permanent.clone());
            let sites: Vec<&FaultSite> = sites.iter().filter(|site| site.tensor == id).collect();
            if !sites.is_empty() {
                let struck = brute::read(tensor, values, &sites);
                values.copy_from_slice(&struck);
            }
        }
    };
    let preprocessing = digits_model().preprocessing;
    let inputs = preprocessing.bind(data, network.input_shape()).expect("it fits");
    logits_with(&program, &weights, &inputs, &touch, &|_| {})
}

/// Every record of a campaign is what its chips give by hand; returns the records.
fn check(toml: &str, images: usize) -> Vec<TrialRecord> {
    let (spec, data) = (campaign(toml), digits_images(images));
    let campaign = sound(&spec, &data);
    let golden = campaign.golden(&Silent);
    let trials = all_trials(&campaign);
    let records = run(&campaign, &golden, &trials);
    for (trial, record) in trials.into_iter().zip(&records) {
        let logits = by_hand(&campaign, &spec.hardware, &data, trial);
        let chosen = campaign.images_of(&golden, trial).unwrap_or_else(|| (0..images).collect());
        let expected = campaign.golden_logits(&golden, trial.condition);
        let part = |logits: &[f32]| -> Vec<f32> {
            chosen.iter().flat_map(|image| &logits[image * 10..][..10]).copied().collect()
        };
        let labels: Vec<u8> = chosen.iter().map(|&image| data.labels()[image]).collect();
        let counted = brute::count(&part(expected), &part(&logits), &labels, false);
        assert_eq!(record.outcomes, counted, "{toml}\ntrial {}", trial.id);
        assert_eq!(
            campaign.replay(&golden, trial, &Silent).outcomes,
            counted,
            "replay of trial {}",
            trial.id
        );
    }
    records
}

#[test]
fn records_are_what_chips_give_by_hand() {
    for toml in [CROSSBAR, SANDWICH] {
        let records = check(&format!("trials.count = 3\n{toml}"), 150);
        assert!(records.iter().all(|record| record.faults == 0 && record.outcomes.images == 150));
        // Something is lost, and each chip is another one.
        assert!(records.iter().all(|record| record.outcomes.masked_exact == Some(0)));
        assert!(records[0].outcomes != records[1].outcomes && records[1].outcomes != records[2].outcomes);
    }
    // Images far apart keep their noise.
    check(&format!("trials.count = 2\ntrials.images = 40\n{CROSSBAR}"), 150);
    // The other layers stay digital.
    check(&format!("trials.count = 2\n{}", crossbar_under("['conv2', 'fc1']")), 60);
}

#[test]
fn faults_strike_what_is_mounted_and_what_stays_digital() {
    let weights = "[[fault]]\nmodel = 'bit-flip'\ncount = 900\n[[fault]]\nmodel = 'sign-reversal'\nlayers = 'conv1'\ncount = 30\n";
    let digital = "[[fault]]\ntarget = 'bias'\nmodel = 'random-value'\nlow = -2\nhigh = 2\ncount = 9\n\
        [[fault]]\ntarget = 'activation'\nmodel = 'bit-flip'\ncount = 4\n";
    let transient = "[[fault]]\ntarget = 'activation'\nplace = 'input'\nmodel = 'bit-flip'\nlifetime = 'transient'\ncount = 20\n";
    for hardware in [CROSSBAR, SANDWICH] {
        let without = check(&format!("trials.count = 2\n{hardware}"), 60);
        for (faults, sites) in [(weights, 930), (digital, 13), (transient, 20 * 60)] {
            let records = check(&format!("trials.count = 2\n{hardware}{faults}"), 60);
            assert!(records.iter().all(|record| record.faults == sites), "{records:?}");
            let changed = |(a, b): (&TrialRecord, &TrialRecord)| a.outcomes != b.outcomes;
            assert!(records.iter().zip(&without).any(changed), "{hardware}{faults}");
        }
    }
    // On layers on hardware scales may be struck where weights are conductances.
    check(
        &format!(
            "trials.count = 2\n[[storage]]\ntarget = 'weight'\nformat = 'int4'\n{CROSSBAR}\
             [[fault]]\ntarget = 'weight-scale'\nmodel = 'lognormal'\nsigma = 0.5\ncount = 1"
        ),
        40,
    );
}

/// Biases on a chip's layers are digital, and may be others in every image; brute force agrees.
#[test]
fn parameters_beside_the_chip_are_struck_anew() {
    let data = digits_images(40);
    let fault =
        "[[fault]]\ntarget = 'bias'\nmodel = 'gaussian'\nsigma = 3\nlifetime = 'transient'\ncount = 9\n";
    let [with, without] = [fault, ""].map(|fault| {
        let campaign = sound(&campaign(&format!("trials.count = 2\n{CROSSBAR}{fault}")), &data);
        let golden = campaign.golden(&Silent);
        let trials = all_trials(&campaign);
        for &trial in &trials {
            let replay = campaign.replay(&golden, trial, &Silent);
            assert_eq!(replay.outcomes, run(&campaign, &golden, &[trial])[0].outcomes);
        }
        run(&campaign, &golden, &trials)
    });
    assert!(with.iter().all(|record| record.faults == 9 * 40));
    assert_ne!(with[0].outcomes, without[0].outcomes);
}

#[test]
fn an_ideal_chip_loses_nothing() {
    let data = digits_images(200);
    let mut spec = campaign("trials.count = 1\n[[fault]]\nmodel = 'zeroing'\ncount = 0");
    spec.faults.clear();
    let model = HardwareModel::Crossbar(CrossbarSpec::default().ideal());
    spec.hardware = vec![HardwareSpec { layers: Layers::default(), model }];
    let analog = sound(&spec, &data);
    let golden = analog.golden(&Silent);
    let record = &run(&analog, &golden, &all_trials(&analog))[0];
    assert_eq!((record.outcomes.masked, record.outcomes.correct), (200, analog.golden_correct(&golden, 0)));

    // Beside exact integers, bit for bit.
    let none = "{ sigma = 0 }";
    let ideal = format!(
        "kind = 'sandwich-ram', reserve = 1e6, generator = {none}, modulator = {none}, quantiser = {none}, noise = {none}"
    );
    let toml = SANDWICH.replace("kind = 'sandwich-ram'", &ideal);
    let exact = campaign(&format!("arithmetic = 'integer'\ntrials.count = 1\n{toml}"));
    let campaign = sound(&exact, &data);
    let record = &run(&campaign, &campaign.golden(&Silent), &all_trials(&campaign))[0];
    assert_eq!(record.outcomes.masked_exact, Some(200));
}

/// The records of some trials under a limit of memory, on so many threads.
fn records_of(
    campaign: &Campaign<'_>,
    golden: &Golden,
    trials: &[Trial],
    threads: usize,
    memory: u64,
) -> Vec<TrialRecord> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
    let options = RunOptions { memory, verify: 0.5, ..RunOptions::default() };
    let mut records = Vec::new();
    let stopped = pool.install(|| {
        campaign.run(golden, trials.iter().copied(), &options, &Silent, |block| {
            records.extend(block.into_iter().map(|record| TrialRecord { cpu_seconds: 0.0, ..record }));
            ControlFlow::<()>::Continue(())
        })
    });
    assert_eq!(stopped, Ok(None));
    records
}

#[test]
fn records_do_not_depend_on_threads_shards_and_memory() {
    let data = digits_images(130);
    let fault = "[[fault]]\ntarget = 'activation'\nmodel = 'bit-flip'\nlifetime = 'transient'\ncount = 2\n";
    for images in ["", "trials.images = 50\n"] {
        let spec = campaign(&format!(
            "trials.count = 5\n{images}record.predictions = true\nsweep.hardware.1.model.rows = [32, 512]\n{CROSSBAR}{fault}"
        ));
        let campaign = sound(&spec, &data);
        let golden = campaign.golden(&Silent);
        let trials = all_trials(&campaign);
        let expected = records_of(&campaign, &golden, &trials, 1, 1 << 30);
        assert_eq!(expected.len(), 10);
        for (threads, memory) in [(2, 1 << 30), (3, 1 << 30), (1, 1 << 17), (2, 1 << 20)] {
            let found = records_of(&campaign, &golden, &trials, threads, memory);
            assert_eq!(found, expected, "{threads} threads, {memory} bytes");
        }
        // Shards one after another, the last of them resumed trial by trial.
        let shard = |index| Shard::new(index, 3).expect("a shard").trials(campaign.plan());
        let mut found = Vec::new();
        for index in 1..=2 {
            let trials: Vec<Trial> = shard(index).collect();
            found.extend(records_of(&campaign, &golden, &trials, 2, 1 << 30));
        }
        found.extend(shard(3).flat_map(|trial| records_of(&campaign, &golden, &[trial], 2, 1 << 30)));
        found.sort_by_key(|record| record.trial);
        assert_eq!(found, expected);
    }
}

#[test]
fn conditions_meet_the_same_chips() {
    let data = digits_images(100);
    // Without converters their range has no meaning; without noise the records of a chip are equal.
    let model = CROSSBAR.replace("rows = 64", "rows = 64, read_noise = { model = 'absolute', sigma = 0 }");
    let spec = campaign(&format!("trials.count = 4\nsweep.hardware.1.model.adc_range = [5, 12]\n{model}"));
    let swept = sound(&spec, &data);
    let golden = swept.golden(&Silent);
    let trials = all_trials(&swept);
    let records = run(&swept, &golden, &trials);
    let mut seeds = Vec::new();
    for (pair, records) in trials.chunks(2).zip(records.chunks(2)) {
        assert_eq!(swept.chip_seed(pair[0]), swept.chip_seed(pair[1]));
        assert_eq!(records[0].outcomes, records[1].outcomes);
        seeds.push(swept.chip_seed(pair[0]).expect("a chip"));
    }
    seeds.sort_unstable();
    seeds.dedup();
    assert!(seeds.len() == 4 && seeds.iter().all(|seed| *seed < 1 << 63));
    assert!(records.iter().step_by(2).any(|record| record.outcomes != records[0].outcomes));
    // Noise is a trial's own.
    let spec = campaign(&format!("trials.count = 4\nsweep.hardware.1.model.adc_range = [5, 12]\n{CROSSBAR}"));
    let noisy = sound(&spec, &data);
    let records = run(&noisy, &noisy.golden(&Silent), &trials);
    assert!(records.chunks(2).any(|pair| pair[0].outcomes != pair[1].outcomes));
    // Another number of conditions leaves the chips as they are; there are none without hardware.
    let alone = sound(&campaign(&format!("trials.count = 4\n{CROSSBAR}")), &data);
    assert_eq!(alone.chip_seed(all_trials(&alone)[3]), swept.chip_seed(trials[6]));
    let digital = sound(&campaign("trials.count = 1\n[[fault]]\nmodel = 'zeroing'\ncount = 1"), &data);
    assert_eq!(digital.chip_seed(all_trials(&digital)[0]), None);
}

#[test]
fn sweeps_reach_every_field_of_a_model_and_each_layer() {
    let data = digits_images(80);
    let labels = |campaign: &Campaign<'_>| -> Vec<String> {
        campaign.plan().conditions.iter().map(Condition::label).collect()
    };
    let sigmas = "trials.count = 2\nsweep.\"hardware.1.model.programming.sigma\" = [0.0, 2.5]\n";
    let swept = sound(&campaign(&format!("{sigmas}{CROSSBAR}")), &data);
    assert_eq!(
        labels(&swept),
        ["hardware.1.model.programming.sigma = 0", "hardware.1.model.programming.sigma = 2.5"]
    );
    let records = run(&swept, &swept.golden(&Silent), &all_trials(&swept));
    assert!(records[0].outcomes.correct > records[1].outcomes.correct + 20, "{records:?}");

    // One layer at a time is what that layer gives alone.
    let each =
        sound(&campaign(&format!("trials.count = 1\nsweep.hardware.1.layers = 'each'\n{CROSSBAR}")), &data);
    let layers = ["conv1", "conv2", "fc1", "fc2"];
    assert_eq!(labels(&each), layers.map(|layer| format!("hardware.1.layers = {layer}")));
    let records = run(&each, &each.golden(&Silent), &all_trials(&each));
    let listed = "trials.count = 1\nsweep.hardware.1.layers = ['conv1', 'conv2', 'fc1', 'fc2']\n";
    let listed = sound(&campaign(&format!("{listed}{}", crossbar_under("'*'"))), &data);
    let same = run(&listed, &listed.golden(&Silent), &all_trials(&listed));
    assert_eq!(records.len(), 4);
    assert!(records.iter().zip(&same).all(|(each, listed)| each.outcomes == listed.outcomes));
    // Of those that the entry chooses, with another entry beside it.
    let two = crossbar_under("'fc*'") + &crossbar_under("'conv1'");
    let some = sound(&campaign(&format!("trials.count = 1\nsweep.hardware.1.layers = 'each'\n{two}")), &data);
    assert_eq!(labels(&some), ["hardware.1.layers = fc1", "hardware.1.layers = fc2"]);
}

/// What is refused once the network is known: the message, and where it points.
#[test]
fn what_does_not_fit_is_refused_by_name_and_place() {
    let data = digits_images(4);
    let storage = &SANDWICH[..SANDWICH.find("[[hardware]]").expect("an entry")];
    let sandwich = &SANDWICH[storage.len()..];
    let on_conv1 = crossbar_under("'conv1'");
    let refused = |toml: &str, expected: &str, place: &str| {
        let spec = campaign(&format!("trials.count = 1\n{toml}"));
        let error = bind(&spec, &data).expect_err(toml);
        assert_eq!(chain(&error), expected, "{toml}");
        let found = error.path().and_then(|path| place_of(toml, &path));
        assert_eq!(found.as_deref(), Some(place), "{toml}");
    };
    refused(
        "[[hardware]]\nlayers = 'conv9'\nmodel.kind = 'crossbar'",
        "hardware 1: \"conv9\" matches no layer with weights; the network has: conv1 (conv2d), conv2 (conv2d), fc1 (linear), fc2 (linear)",
        "line 2: layers = 'conv9'",
    );
    refused(
        &format!("{on_conv1}[[hardware]]\nmodel.kind = 'crossbar'"),
        "hardware 2: conv1 lies on the hardware of an earlier entry already",
        "line 4: [[hardware]]",
    );
    refused(
        sandwich,
        "hardware 1: the weights of conv1 are stored in f32; the device holds binary",
        "line 2: model = { kind = 'sandwich-ram' }",
    );
    refused(
        &format!("sweep.storage.1.format = ['binary', 'int2']\n{SANDWICH}"),
        "hardware 1, storage.1.format = int2: the weights of conv1 are stored in int2; the device holds binary",
        "line 11: model = { kind = 'sandwich-ram' }",
    );
    refused(
        &format!("sweep.hardware.1.model.rows = [64, 0]\n{CROSSBAR}"),
        "hardware 1, hardware.1.model.rows = 0: model: rows: expected at least 1, found 0",
        "line 3: model = { kind = 'crossbar', programming = { model = 'lognormal', sigma = 0.6 }, rows = 64 }",
    );
    let fault = |hardware: &str, fault: &str| format!("{hardware}[[fault]]\n{fault}\n");
    refused(
        &fault(&on_conv1, "model = 'bit-flip'\nlayers = 'conv*'\nlifetime = 'transient'\ncount = 1"),
        "fault 1: lifetime: the weights of conv1 lie on a chip, which is programmed once and not for every image; expected \"permanent\"",
        "line 7: lifetime = 'transient'",
    );
    for (fields, target) in [
        ("model = 'zeroing'\ncount = 1", "weight"),
        ("target = 'weight-scale'\nmodel = 'bit-flip'\ncount = 1", "weight-scale"),
        ("target = 'activation'\nplace = 'input'\nmodel = 'gaussian'\nsigma = 1\ncount = 1", "activation"),
    ] {
        let toml = fault(SANDWICH, fields);
        let line = toml.lines().position(|line| line.starts_with("model = '")).expect("a model");
        refused(
            &toml,
            &format!(
                "fault 1: model: conv1 lies on a device that computes with the codes of its {target}, which this fault can make values that are no codes; expected a model of bits or random-word, of the values as stored"
            ),
            &format!("line {}: {}", line + 1, toml.lines().nth(line).expect("that line")),
        );
    }
}

/// What is refused without a network.
#[test]
fn senseless_specifications_are_refused() {
    let head = "seed = 1\nmodel.file = 'm'\ndata.set = 'digits'\n";
    let refused = |toml: &str| CampaignSpec::parse(&format!("{head}{toml}")).expect_err(toml).to_string();
    let swept = |axis: &str| refused(&format!("trials.count = 1\nsweep.{axis}\n{CROSSBAR}"));
    let fields = "expected a field of the faults, fault.N.FIELD, storage.N.FIELD or hardware.N.FIELD";
    for (axis, expected) in [
        (
            "hardware.1.model.pitch = [1]",
            "[sweep] hardware.1.model.pitch: unknown field `pitch`, expected one of `g_min`",
        ),
        ("hardware.1.model.rows.first = [1]", "[sweep] hardware.1.model.rows.first: rows has no fields"),
        (
            "hardware.1.size = [1]",
            "[sweep] hardware.1.size: unknown field `size`, expected `layers` or `model`",
        ),
        (
            "hardware.1.model.rows = [1.5]",
            "[sweep] hardware.1.model.rows: invalid type: floating point `1.5`",
        ),
        (
            "hardware.1.model.rows = 'each'",
            "[sweep] hardware.1.model.rows: only layer, bit and hardware.N.layers have an \"each\"",
        ),
        (
            "hardware.2.model.rows = [1]",
            "[sweep] hardware.2.model.rows: there is no entry 2; expected 1 to 1",
        ),
        ("sigma = [1]", &format!("[sweep] sigma: there is no [[fault]] with sigma; {fields}")),
        ("hardware.model = ['crossbar']", &format!("[sweep] hardware.model: {fields}")),
    ] {
        let found = swept(axis);
        assert!(found.starts_with(expected), "{axis}: {found}");
    }
    let faults = "[[fault]]\nmodel = 'bit-flip'\n";
    for trials in ["statistical = { margin = 0.05, confidence = 0.95 }", "exhaustive = true"] {
        assert_eq!(
            refused(&format!("trials.{trials}\n{CROSSBAR}{faults}")),
            "[trials]: a statistical or exhaustive campaign counts faults, but every draw is another chip; with [[hardware]] give count or precision"
        );
    }
    let unknown = refused("trials.count = 1\n[[hardware]]\nmodel.kind = 'memristor'");
    assert!(
        unknown.contains("unknown variant `memristor`, expected `sandwich-ram` or `crossbar`"),
        "{unknown}"
    );
}
