//! Any campaign on a small network: it runs or is refused, never panics; its counts add up; and nothing is left of it.

pub mod support;

use proptest::prelude::*;
use support::brute::{check_spec, read};
use support::{Silent, all_bits, campaign, chain, networks, run};
use temper_core::campaign::{Campaign, CampaignError, CampaignSpec, Outcomes, Trial};
use temper_core::data::{Dataset, Preprocessing, Split};
use temper_core::execution::Program;
use temper_core::fault::{changes, strike, undo};
use temper_core::memory::TensorId;
use temper_core::network::{GraphDescription, Model};

/// A convolution with a batch norm, a pooling and a linear layer on images of 4 × 3.
fn model() -> Model {
    let graph = r#"{"input": [1, 4, 3], "node": [
        {"name": "conv", "op": {"kind": "conv2d", "in_channels": 1, "out_channels": 3, "kernel": 2}},
        {"name": "bn", "op": {"kind": "batch-norm", "num_features": 3}},
        {"name": "relu", "op": {"kind": "relu"}},
        {"name": "pool", "op": {"kind": "max-pool2d", "kernel": [2, 1], "stride": 1}},
        {"name": "flat", "op": {"kind": "flatten"}},
        {"name": "fc", "op": {"kind": "linear", "in_features": 12, "out_features": 6}}]}"#;
    let graph: GraphDescription = serde_json::from_str(graph).expect("valid JSON");
    let network = networks::randomised(graph.build().expect("a sound network"), 9);
    Model { network, preprocessing: Preprocessing::default() }
}

fn images() -> Dataset {
    let pixels = (0..8 * 12u32).map(|i| (i * i * 31 % 251) as u8).collect();
    Dataset::new("pixels", Split::Test, [1, 4, 3], 6, 255, pixels, (0..8).map(|i| i % 6).collect())
        .expect("sound")
}

fn one_of(words: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::sample::select(words).prop_map(str::to_owned)
}

/// A line that may be absent.
fn line(words: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::option::weighted(0.15, one_of(words))
        .prop_map(|line| line.map_or_else(String::new, |line| format!("{line}\n")))
}

fn fault() -> impl Strategy<Value = String> {
    let model = one_of(&[
        "model = 'bit-flip'",
        "model = 'bit-flip'",
        "model = 'stuck-at'",
        "model = 'stuck-at-0'",
        "model = 'stuck-at-1'",
        "model = 'random-word'",
        "model = 'zeroing'",
        "model = 'set-value'\nvalue = nan",
        "model = 'set-value'\nvalue = -2.5",
        "model = 'sign-reversal'",
        "model = 'random-value'\nlow = -1\nhigh = 1e30",
        "model = 'gaussian'\nsigma = 0.5",
        "model = 'gaussian'\nsigma = 0.5\nmode = 'multiplicative'",
        "model = 'gaussian'\nsigma = 0.5\nrelative_to = 'std'",
        "model = 'lognormal'\nsigma = 300",
        "model = 'uniform'\nlow = -0.5\nhigh = 0.5",
    ]);
    let target = one_of(&[
        "",
        "",
        "target = 'bias'\n",
        "target = 'activation'\n",
        "target = 'activation'\nplace = 'activated'\n",
        "target = 'activation'\nplace = 'input'\n",
        "target = 'activation'\nlayers = ['pool', 'relu']\n",
        "target = 'input'\n",
        "target = 'batch-norm'\n",
        "target = 'batch-norm-var'\n",
        "target = 'weight-scale'\n",
        "target = 'weight-zero-point'\n",
        "target = 'activation-scale'\n",
    ]);
    let amount = one_of(&[
        "count = 0",
        "count = 3",
        "count = 500",
        "bit_error_rate = 0.01",
        "bit_error_rate = 1",
        "value_fault_rate = 0.2",
        "value_fault_rate = 1.0",
        "shape = 'channel'\nshape_fault_rate = 0.4",
        "shape = 'column'\ncount = 2",
        "burst_words = 3\nshape_fault_rate = 0.1",
    ]);
    let bits =
        line(&["bits = 'sign'", "bits = 'exponent'", "bits = [0]", "burst_bits = 2", "bits = [7, 31]"]);
    let format = line(&[
        "format = 'int8'",
        "format = 'f16'",
        "format = 'f8e5m2'",
        "format = 'binary'",
        "format = 'uint3'",
    ]);
    let lifetime = line(&["lifetime = 'transient'"]);
    (model, target, amount, bits, format, lifetime).prop_map(
        |(model, target, amount, bits, format, lifetime)| {
            format!("[[fault]]\n{model}\n{target}{bits}{format}{lifetime}{amount}\n")
        },
    )
}

fn specification() -> impl Strategy<Value = String> {
    let storage = line(&[
        "[[storage]]\ntarget = 'weight'\nformat = 'int8'\nscheme = 'affine'\ngranularity = 'channel'",
        "[[storage]]\ntarget = 'weight'\nformat = 'q2.5'\n[[storage]]\ntarget = 'activation'\nformat = 'uint8'",
        "[[storage]]\ntarget = 'activation'\nplace = 'activated'\nformat = 'int5'\n[[storage]]\ntarget = 'input'\nformat = 'uint8'",
        "[[storage]]\ntarget = 'batch-norm'\nformat = 'bf16'",
    ]);
    let sweep = line(&[
        "sweep.layer = 'each'",
        "sweep.bit = 'each'",
        "sweep.lifetime = ['permanent', 'transient']",
        "sweep.format = ['int4', 'f16']",
    ]);
    let trials = prop_oneof![
        3 => Just("trials.count = 2\n".to_owned()),
        1 => Just("trials = { count = 2, images = 5 }\n".to_owned()),
        1 => Just("trials.exhaustive = true\n".to_owned()),
        1 => Just("trials.statistical = { margin = 0.3, confidence = 0.9 }\n".to_owned()),
    ];
    (trials, sweep, storage, prop::collection::vec(fault(), 1..3)).prop_map(
        |(trials, sweep, storage, faults)| {
            format!("{trials}{sweep}record.predictions = true\n{storage}{}", faults.concat())
        },
    )
}

fn bind<'a>(spec: &CampaignSpec, model: &Model, data: &'a Dataset) -> Result<Campaign<'a>, CampaignError> {
    Campaign::new(spec, &model.network, &model.preprocessing, data, Some(data))
}

/// Everything that must hold of any campaign.
fn check(toml: &str) -> Result<(), TestCaseError> {
    let (model, data, spec) = (model(), images(), campaign(toml));
    let bound = match bind(&spec, &model, &data) {
        Ok(bound) => bound,
        Err(error) => {
            prop_assert!(error.path().is_some() && !chain(&error).is_empty(), "{}", chain(&error));
            return Ok(());
        }
    };
    let trials: Vec<Trial> = bound.plan().trials().take(40).collect();
    prop_assert!(!trials.is_empty());
    let golden = bound.golden(&Silent);
    let records = run(&bound, &golden, &trials);
    prop_assert_eq!(records.len(), trials.len());
    for (record, trial) in records.iter().zip(&trials) {
        let Outcomes {
            images,
            correct,
            golden_correct,
            masked,
            masked_exact,
            sdc,
            sdc5,
            sdc10,
            sdc20,
            critical,
            due,
        } = record.outcomes;
        let wanted = trial.images.total();
        prop_assert_eq!((images, masked + sdc + due, record.trial), (wanted, wanted, trial.id));
        prop_assert!(
            masked_exact <= Some(masked) && sdc5 <= sdc && sdc20 <= sdc10 && sdc10 <= Some(masked + sdc)
        );
        let golden_on_all = bound.golden_correct(&golden, trial.condition);
        prop_assert!(golden_correct <= golden_on_all && (images < 8 || golden_correct == golden_on_all));
        prop_assert!(critical <= golden_correct && correct + critical >= golden_correct);
        prop_assert_eq!(record.predictions.as_ref().map(|tops| tops.len() as u64), Some(wanted));
    }
    // Whatever ran before: the same again.
    let last = trials.len() - 1;
    prop_assert_eq!(&run(&bound, &golden, &trials[last..])[0], &records[last]);
    for trial in trials.iter().step_by(7) {
        check_strike(&bound, *trial)?;
    }
    Ok(())
}

/// A strike is what brute force reads, and leaves nothing behind.
fn check_strike(campaign: &Campaign<'_>, trial: Trial) -> Result<(), TestCaseError> {
    let memory = campaign.memory(trial.condition);
    let sites = campaign.transient_sites(trial, 3).unwrap_or_else(|| campaign.permanent_sites(trial));
    let (_, mut weights) = Program::compile(memory.network(), &[], memory.taps());
    let (pristine, before) = (weights.clone(), all_bits(memory.network(), &weights));
    let noted = changes(memory, &sites);
    strike(&noted, &mut weights);
    let after = all_bits(memory.network(), &weights);
    for (id, tensor) in memory.tensors().iter().enumerate() {
        let Some(parameter) = tensor.parameter() else { continue };
        let mine: Vec<_> = sites.iter().filter(|site| site.tensor == TensorId(id)).collect();
        let stored = memory.stored_values(TensorId(id)).expect("a parameter");
        let expected: Vec<u32> = if mine.is_empty() {
            before[parameter.0].clone()
        } else {
            read(tensor, stored, &mine).iter().map(|value| value.to_bits()).collect()
        };
        // Which NaN a computation gives is the processor's choice.
        let is_same =
            |(a, b): (&u32, &u32)| a == b || f32::from_bits(*a).is_nan() && f32::from_bits(*b).is_nan();
        prop_assert!(after[parameter.0].iter().zip(&expected).all(is_same), "{} {:?}", tensor.layer, mine);
    }
    undo(&noted, &pristine, &mut weights);
    prop_assert_eq!(all_bits(memory.network(), &weights), before);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn campaigns_run_or_are_refused_and_leave_nothing_behind(toml in specification()) {
        check(&toml)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn campaigns_that_run_equal_brute_force(toml in specification().prop_filter("it runs, and not for long", |toml| {
        let (model, data) = (model(), images());
        bind(&campaign(toml), &model, &data).is_ok_and(|bound| bound.plan().len() < 12)
    })) {
        check_spec(&campaign(&toml), &model(), &images());
    }
}
