//! Sweeps: conditions and their order, each layer and each bit, stored formats, and errors that point at their line.

pub mod support;

use support::{Silent, campaign, chain, digits_images, digits_model, run};
use temper_core::campaign::{Campaign, CampaignError, CampaignSpec, Condition, Trial, place_of};
use temper_core::data::Dataset;
use temper_core::fault::Damage;
use temper_core::memory::TensorId;

fn bind<'a>(spec: &CampaignSpec, data: &'a Dataset) -> Result<Campaign<'a>, CampaignError> {
    let model = digits_model();
    Campaign::new(spec, &model.network, &model.preprocessing, data, Some(data))
}

fn sound<'a>(toml: &str, data: &'a Dataset) -> Campaign<'a> {
    bind(&campaign(toml), data).unwrap_or_else(|error| panic!("{toml}\n{}", chain(&error)))
}

fn labels(campaign: &Campaign<'_>) -> Vec<String> {
    campaign.plan().conditions.iter().map(Condition::label).collect()
}

#[test]
fn conditions_are_all_combinations_the_last_axis_fastest() {
    let data = digits_images(2);
    let campaign = sound(
        "trials.count = 2\n[sweep]\nlifetime = ['transient', 'permanent']\nsigma = [0.1, 1, 2e-5]\n\"fault.2.bits\" = ['sign', [3, 4]]\n\
         [[fault]]\nmodel = 'gaussian'\ncount = 3\n[[fault]]\nmodel = 'bit-flip'\nsigma = 0.3\ncount = 1"
            .replace("\"fault.2.bits\" = ['sign', [3, 4]]", "fault.2.bits = ['sign', 3]")
            .replace("sigma = [", "fault.1.sigma = [")
            .replace("sigma = 0.3\n", "")
            .as_str(),
        &data,
    );
    let mut expected = Vec::new();
    for lifetime in ["transient", "permanent"] {
        for sigma in ["0.1", "1", "2e-5"] {
            for bits in ["sign", "3"] {
                expected
                    .push(format!("lifetime = {lifetime}, fault.1.sigma = {sigma}, fault.2.bits = {bits}"));
            }
        }
    }
    assert_eq!(labels(&campaign), expected);
    // What was swept has arrived in the faults.
    for trial in campaign.plan().trials() {
        let (sites, is_transient) = match campaign.transient_sites(trial, 1) {
            Some(sites) => (sites, true),
            None => (campaign.permanent_sites(trial), false),
        };
        assert_eq!(is_transient, trial.condition < 6);
        let Damage::Flip(mask) = sites[3].damage else { panic!("{sites:?}") };
        assert_eq!((sites.len(), mask), (4, [1 << 31, 1 << 3][trial.condition % 2]));
        let largest = sites[..3].iter().map(|site| match site.damage {
            Damage::Add(noise) => noise.abs(),
            other => panic!("{other:?}"),
        });
        let sigma = [0.1, 1.0, 2e-5][trial.condition / 2 % 3];
        assert!(largest.fold(0.0, f32::max) < 5.0 * sigma);
    }
}

#[test]
fn each_layer_and_each_bit_are_those_that_the_fault_may_strike() {
    let data = digits_images(2);
    let layers =
        sound("trials.count = 1\nsweep.layer = 'each'\n[[fault]]\nmodel = 'bit-flip'\ncount = 1", &data);
    assert_eq!(labels(&layers), ["layer = conv1", "layer = conv2", "layer = fc1", "layer = fc2"]);
    assert_eq!(
        layers.plan().conditions.iter().map(|condition| condition.sites / 32).collect::<Vec<_>>(),
        [144, 4608, 8192, 640]
    );
    // Only those chosen, of all faults, once each, in the network's order.
    let some = sound(
        "trials.count = 1\nsweep.layer = 'each'\n[[fault]]\nmodel = 'zeroing'\ncount = 1\nlayers = ['fc*', 'conv2']\n\
         [[fault]]\nmodel = 'zeroing'\ntarget = 'bias'\ncount = 1\nlayers = 'fc*'",
        &data,
    );
    assert_eq!(labels(&some), ["layer = conv2", "layer = fc1", "layer = fc2"]);
    assert_eq!(some.plan().conditions[0].sites, 4608 + 32, "the axis chooses for every fault");
    let activations = sound(
        "trials.count = 1\nsweep.layer = 'each'\n[[fault]]\ntarget = 'activation'\nmodel = 'zeroing'\ncount = 1\nlayers = ['fc2', 'type:relu', 'conv1']",
        &data,
    );
    assert_eq!(
        labels(&activations),
        ["layer = conv1", "layer = relu1", "layer = relu2", "layer = relu3", "layer = fc2"]
    );

    let bits = sound(
        "trials.count = 1\n[sweep]\nformat = ['f16', 'int4', 'binary']\nbit = 'each'\n[[fault]]\nmodel = 'bit-flip'\ncount = 1",
        &data,
    );
    let expected: Vec<String> = [("f16", 16), ("int4", 4), ("binary", 1)]
        .into_iter()
        .flat_map(|(format, width)| (0..width).map(move |bit| format!("format = {format}, bit = {bit}")))
        .collect();
    assert_eq!(labels(&bits), expected);
    let exponent = sound(
        "trials.count = 1\nsweep.bit = 'each'\n[[fault]]\nmodel = 'stuck-at'\nbits = 'exponent'\ncount = 1",
        &data,
    );
    assert_eq!(labels(&exponent), (23..31).map(|bit| format!("bit = {bit}")).collect::<Vec<_>>());
    // Sites: one bit of every weight, with both polarities.
    assert!(exponent.plan().conditions.iter().all(|condition| condition.sites == 2 * 13_584));
}

#[test]
fn every_stored_format_has_its_own_golden_run() {
    let data = digits_images(50);
    let toml = "trials.count = 2\n[sweep]\nstorage.1.format = ['f32', 'int2', 'f16']\nvalue_fault_rate = [0, 0.5]\n\
        [[storage]]\ntarget = 'weight'\nformat = 'f32'\n[[fault]]\nmodel = 'zeroing'";
    let campaign = sound(toml, &data);
    assert_eq!((campaign.golden_runs(), campaign.plan().conditions.len()), (3, 6));
    let formats: Vec<String> =
        (0..6).map(|condition| campaign.memory(condition).tensor(TensorId(0)).format.to_string()).collect();
    assert_eq!(formats, ["f32", "f32", "int2", "int2", "f16", "f16"]);
    let golden = campaign.golden(&Silent);
    let correct: Vec<u64> = (0..6).map(|condition| campaign.golden_correct(&golden, condition)).collect();
    assert!(correct[0] == correct[1] && correct[2] == correct[3] && correct[2] < correct[0], "{correct:?}");
    assert_ne!(campaign.golden_logits(&golden, 0), campaign.golden_logits(&golden, 4));
    let trials: Vec<Trial> = campaign.plan().trials().collect();
    for record in run(&campaign, &golden, &trials) {
        // Against the golden run of its own format nothing changes without faults.
        assert_eq!(record.outcomes.masked_exact == Some(50), record.condition % 2 == 0, "{record:?}");
        if record.condition % 2 == 0 {
            assert_eq!(record.outcomes.correct, correct[record.condition]);
        }
    }
    // Alone, a condition is what it is in company.
    let alone = sound(
        "trials.count = 2\n[[storage]]\ntarget = 'weight'\nformat = 'int2'\n[[fault]]\nmodel = 'zeroing'\nvalue_fault_rate = 0.5",
        &data,
    );
    assert_eq!(alone.golden_logits(&alone.golden(&Silent), 0), campaign.golden_logits(&golden, 2));
    // The format of a fault is that of its whole target, and means the same as an entry of the storage.
    let by_fault = sound(
        "trials.count = 1\nsweep.format = ['int2']\n[[fault]]\nmodel = 'zeroing'\ncount = 0\nlayers = 'fc2'",
        &data,
    );
    assert_eq!(by_fault.golden_logits(&by_fault.golden(&Silent), 0), campaign.golden_logits(&golden, 2));
}

/// A fault's format means its whole target, whichever layers it strikes: one network, one golden run.
#[test]
fn conditions_that_store_alike_share_a_network() {
    let data = digits_images(4);
    for target in ["target = 'weight'\nformat = 'int8'", "target = 'activation'\nformat = 'f16'"] {
        let toml = format!(
            "trials.count = 1\nsweep.layer = 'each'\n[[fault]]\nmodel = 'bit-flip'\ncount = 1\n{target}"
        );
        let campaign = sound(&toml, &data);
        assert_eq!((campaign.plan().conditions.len(), campaign.golden_runs()), (4, 1), "{target}");
    }
}

/// Draws of activations do not depend on which other conditions struck what before.
#[test]
fn a_sweep_leaves_no_trace_in_the_order_of_activations() {
    let data = digits_images(2);
    let fault = "[[fault]]\ntarget = 'activation'\nmodel = 'bit-flip'\ncount = 40";
    let swept = sound(&format!("trials.count = 1\nsweep.layer = ['fc1', 'conv2', '*']\n{fault}"), &data);
    let alone = sound(&format!("trials.count = 3\n{fault}"), &data);
    let named = |campaign: &Campaign<'_>, trial: Trial| -> Vec<(String, usize, Damage)> {
        let memory = campaign.memory(trial.condition);
        let name = |site: &temper_core::fault::FaultSite| {
            (memory.tensor(site.tensor).layer.clone(), site.start, site.damage)
        };
        campaign.permanent_sites(trial).iter().map(name).collect()
    };
    // Trial 2 has the same stream in both.
    let [swept_trial, alone_trial] =
        [&swept, &alone].map(|campaign| campaign.plan().find(2).expect("a third trial"));
    assert_eq!(swept_trial.condition, 2);
    let sites = named(&swept, swept_trial);
    assert_eq!(sites, named(&alone, alone_trial));
    let first = |layer: &str| sites.iter().position(|(name, ..)| name == layer).expect("struck");
    assert!(first("conv1") < first("conv2") && first("conv2") < first("fc1"), "in the network's order");
}

/// Complete specifications that do not fit the network: the message, and the line it points at.
const MISFITS: [(&str, &str, &str); 18] = [
    (
        "[[fault]]\nmodel = 'bit-flip'\ncount = 1\nlayers = 'conv9'",
        "fault 1: layers: \"conv9\" matches no layer",
        "layers = 'conv9'",
    ),
    (
        "[[fault]]\nmodel = 'zeroing'\ncount = 1\n[[fault]]\ntarget = 'activation'\nmodel = 'zeroing'\ncount = 1\nlayers = 'relu9'",
        "fault 2: layers: \"relu9\" matches no layer with activation",
        "layers = 'relu9'",
    ),
    (
        "[[storage]]\ntarget = 'weight'\nformat = 'int8'\n[[storage]]\ntarget = 'bias'\nformat = 'int8'\nlayers = 'nothing'\n[[fault]]\nmodel = 'zeroing'\ncount = 1",
        "storage 2: layers: \"nothing\" matches no layer with bias",
        "layers = 'nothing'",
    ),
    (
        "[[storage]]\ntarget = 'activation'\nformat = 'int8'\n[[storage]]\ntarget = 'activation'\nformat = 'int8'\ngranularity = 'channel'\n[[fault]]\nmodel = 'zeroing'\ncount = 1",
        "storage 2: granularity: all activations at one place share a scale",
        "granularity = 'channel'",
    ),
    (
        "[[storage]]\ntarget = 'weight'\nformat = 'sint8'\nscheme = 'affine'\n[[fault]]\nmodel = 'zeroing'\ncount = 1",
        "storage 1: conv1, weight: scheme: sint8 is never affine",
        "scheme = 'affine'",
    ),
    (
        "[[storage]]\ntarget = 'weight'\nformat = 'int8'\n[[fault]]\nmodel = 'zeroing'\ncount = 1\nformat = 'int4'",
        "fault 1: format: conv1 stores its weight in int8, not in int4",
        "format = 'int4'",
    ),
    (
        "[[fault]]\nmodel = 'zeroing'\ncount = 1\nformat = 'f16'\n[[fault]]\nmodel = 'zeroing'\ncount = 1\nformat = 'int4'",
        "fault 1: format: conv1 stores its weight in int4, not in f16",
        "format = 'f16'",
    ),
    (
        "[[fault]]\nmodel = 'zeroing'\ncount = 1\ntarget = 'weight-scale'",
        "fault 1: target: conv1 stores its weight-scale in f32, which has none",
        "target = 'weight-scale'",
    ),
    (
        "[[fault]]\nmodel = 'zeroing'\ncount = 1\ntarget = 'batch-norm'\nformat = 'f16'",
        "fault 1: target: no layer of the network has batch-norm",
        "target = 'batch-norm'",
    ),
    (
        "[[fault]]\nmodel = 'zeroing'\ncount = 1\nplace = 'input'",
        "fault 1: place: only activations have a place",
        "place = 'input'",
    ),
    (
        "[[fault]]\nmodel = 'zeroing'\ncount = 1\ntarget = 'input'\nlayers = 'conv1'",
        "fault 1: layers: the network has one input",
        "layers = 'conv1'",
    ),
    (
        "[[fault]]\nmodel = 'zeroing'\nvalue_fault_rate = 2",
        "fault 1: value_fault_rate: 2 is not a probability",
        "value_fault_rate = 2",
    ),
    ("[[fault]]\nmodel = 'gaussian'\ncount = 1\nsigma = -1", "fault 1: sigma: -1 is negative", "sigma = -1"),
    (
        "sweep.bit = 'each'\n[[fault]]\nmodel = 'bit-flip'\ncount = 0\ntarget = 'weight-scale'",
        "fault 1: target: conv1 stores its weight-scale in f32, which has none",
        "target = 'weight-scale'",
    ),
    (
        "sweep.bit = 'each'\n[[fault]]\ncount = 0\nmodel = 'zeroing'",
        "fault 1: bits: zeroing strikes whole values; leave bits out",
        "[[fault]]",
    ),
    // Nothing to point at but the entry.
    ("[[fault]]\nmodel = 'zeroing'", "fault 1: expected exactly one of count, ", "[[fault]]"),
    ("[[fault]]\ncount = 1", "fault 1: model: expected one of bit-flip, ", "[[fault]]"),
    (
        "sweep.count = [1, 99999999]\n[[fault]]\nmodel = 'zeroing'",
        "fault 1, count = 99999999: count: 99999999 faults do not fit: there are only 13584 different sites",
        "[[fault]]",
    ),
];

#[test]
fn misfits_are_named_and_point_at_their_line() {
    let data = digits_images(2);
    for (toml, message, line) in MISFITS {
        let text = format!("seed = 1\nmodel.file = 'm'\ndata.set = 'digits'\ntrials.count = 1\n{toml}\n");
        let spec = CampaignSpec::parse(&text).unwrap_or_else(|error| panic!("{toml}\n{error}"));
        let error = bind(&spec, &data).expect_err(toml);
        assert!(chain(&error).starts_with(message), "{toml}: {}", chain(&error));
        let place = place_of(&text, &error.path().expect("it is in the specification")).expect("a line");
        let number = text.lines().position(|found| found == line).expect("the line is there") + 1;
        assert_eq!(place, format!("line {number}: {line}"), "{toml}");
    }
    let spec = campaign(
        "trials.count = 1\n[[fault]]\ntarget = 'activation'\nformat = 'int8'\nmodel = 'zeroing'\ncount = 1",
    );
    let model = digits_model();
    let error =
        Campaign::new(&spec, &model.network, &model.preprocessing, &data, None).expect_err("no images");
    assert!(matches!(error, CampaignError::NoCalibration), "{error}");
}

#[test]
fn too_many_conditions_are_refused_before_they_are_made() {
    let values = |n: i64| (0..n).map(|i| i.to_string()).collect::<Vec<_>>().join(", ");
    let toml = format!(
        "trials.count = 1\n[sweep]\ncount = [{0}]\nvalue = [{0}]\n[[fault]]\nmodel = 'set-value'",
        values(1100)
    );
    let error = bind(&campaign(&toml), &digits_images(1)).expect_err("1.2 million conditions").to_string();
    assert_eq!(error, "[sweep]: more than 1000000 conditions; sweep fewer values");
}
