//! Campaigns on activations, stored formats and transient faults against brute force: every image alone through a network of its
//! own, whose activations are stored and struck by hand.

pub mod support;

use support::brute::check_spec;
use support::{Silent, campaign, digits_images, digits_model, run};
use temper_core::campaign::{Campaign, Outcomes, Trial, TrialRecord};
use temper_core::fault::FaultSite;
use temper_core::memory::StoredTensor;
use temper_core::network::Model;
use temper_core::network::zoo::{Architecture, Family, Shortcut};

/// Every target, place, lifetime and kind of format.
const CAMPAIGNS: [&str; 12] = [
    "trials.count = 2\nsweep.bit = [22, 30, 31]\n[[fault]]\ntarget = 'activation'\nmodel = 'bit-flip'\nvalue_fault_rate = 0.01",
    "trials.count = 3\nrecord.predictions = true\n[[fault]]\ntarget = 'activation'\nplace = 'activated'\nlifetime = 'transient'\nmodel = 'bit-flip'\nbit_error_rate = 1e-3",
    "trials.count = 3\n[[fault]]\ntarget = 'activation'\nplace = 'input'\nlayers = ['conv2', 'fc2']\nmodel = 'zeroing'\nshape = 'channel'\nshape_fault_rate = 0.3",
    "trials.count = 2\nsweep.lifetime = ['permanent', 'transient']\n[[fault]]\ntarget = 'input'\nmodel = 'set-value'\nvalue = 2\nshape = 'row'\ncount = 3",
    "trials.count = 3\nrecord.predictions = true\n[[fault]]\nmodel = 'bit-flip'\nlifetime = 'transient'\nbits = 'exponent'\ncount = 8",
    // Permanent and transient together, on the same weights and on activations.
    "trials.count = 3\n[[fault]]\nmodel = 'stuck-at-1'\nbits = [30]\ncount = 3\nlayers = 'fc2'\n\
     [[fault]]\nmodel = 'bit-flip'\nlifetime = 'transient'\nvalue_fault_rate = 0.05\nbits = [30]\nlayers = 'fc2'\n\
     [[fault]]\ntarget = 'activation'\nlayers = 'fc1'\nmodel = 'gaussian'\nsigma = 3\nlifetime = 'transient'\nvalue_fault_rate = 0.2\n\
     [[fault]]\ntarget = 'bias'\nmodel = 'gaussian'\nsigma = 1\nvalue_fault_rate = 0.2",
    "trials.count = 3\nsweep.format = ['int8', 'uint4', 'f8e5m2', 'binary']\n[[fault]]\ntarget = 'activation'\nmodel = 'random-word'\nvalue_fault_rate = 0.02",
    "trials.count = 3\nsweep.count = [1, 30]\n[[storage]]\ntarget = 'weight'\nformat = 'int8'\ngranularity = 'channel'\n\
     [[storage]]\ntarget = 'activation'\nplace = 'activated'\nformat = 'uint8'\n[[fault]]\nmodel = 'bit-flip'\n\
     [[fault]]\ntarget = 'activation'\nplace = 'activated'\nmodel = 'stuck-at'\nlifetime = 'transient'",
    "trials.count = 4\n[[storage]]\ntarget = 'weight'\nformat = 'int8'\ngranularity = 'channel'\n\
     [[fault]]\ntarget = 'weight-scale'\nmodel = 'bit-flip'\ncount = 2\n[[fault]]\nmodel = 'stuck-at-0'\nvalue_fault_rate = 0.1",
    "trials.count = 4\n[[storage]]\ntarget = 'activation'\nformat = 'uint8'\n\
     [[fault]]\ntarget = 'activation-scale'\nmodel = 'bit-flip'\nbits = 'exponent'\nlifetime = 'transient'\nvalue_fault_rate = 0.2\n\
     [[fault]]\ntarget = 'activation-zero-point'\nmodel = 'bit-flip'\nvalue_fault_rate = 0.3\n\
     [[fault]]\ntarget = 'activation'\nmodel = 'bit-flip'\nvalue_fault_rate = 0.01",
    // A node of its own, and what reads it.
    "trials.count = 3\n[[fault]]\ntarget = 'activation'\nlayers = ['type:max-pool2d', 'relu3']\nmodel = 'sign-reversal'\nvalue_fault_rate = 0.4",
    "trials.count = 2\nsweep.sigma = [0.05, 0.5]\n[[storage]]\ntarget = 'weight'\nformat = 'f16'\n[[fault]]\nmodel = 'lognormal'\nvalue_fault_rate = 1\nlifetime = 'transient'\nlayers = 'conv*'",
];

#[test]
fn campaigns_equal_brute_force_image_by_image() {
    let (model, data) = (digits_model(), digits_images(23));
    let mut all = Outcomes::default();
    for toml in CAMPAIGNS {
        let found = check_spec(&campaign(toml), &model, &data);
        println!("{toml}\n{found:?}");
        assert!(found.masked_exact < Some(found.images), "something was struck: {toml}");
        all += found;
    }
    let Outcomes { masked, masked_exact, sdc, sdc5, sdc20, critical, due, .. } = all;
    assert!(
        [masked, masked_exact.unwrap_or(0), sdc, sdc5, sdc20.unwrap_or(0), critical, due]
            .iter()
            .all(|count| *count > 20),
        "{all:?}"
    );
}

#[test]
fn residual_networks_equal_brute_force() {
    let architecture = Architecture {
        input: vec![1, 8, 8],
        widths: vec![3, 4, 5],
        shortcut: Shortcut::B,
        ..Architecture::new(Family::CifarResnet(8))
    };
    let network = support::networks::randomised(architecture.build().expect("a sound architecture"), 6);
    let model = Model { network, preprocessing: digits_model().preprocessing };
    let data = digits_images(9);
    for toml in [
        "trials.count = 3\n[[fault]]\ntarget = 'activation'\nplace = 'activated'\nmodel = 'bit-flip'\nbits = 'exponent'\nvalue_fault_rate = 0.002",
        "trials.count = 3\n[[fault]]\ntarget = 'activation'\nplace = 'input'\nformat = 'int8'\nmodel = 'bit-flip'\nlifetime = 'transient'\nvalue_fault_rate = 0.01",
        "trials.count = 3\n[[fault]]\ntarget = 'batch-norm'\nmodel = 'bit-flip'\nlifetime = 'transient'\ncount = 3",
        "trials.count = 3\n[[fault]]\ntarget = 'batch-norm-var'\nformat = 'bf16'\nmodel = 'set-value'\nvalue = 0\ncount = 2",
    ] {
        let found = check_spec(&campaign(toml), &model, &data);
        assert!(found.masked_exact < Some(found.images), "{toml}");
    }
}

/// Everything that is drawn anew, in two formats.
const MIXED: &str = "trials.count = 7\nsweep.format = ['f32', 'int8']\nrecord.predictions = true\n\
    [[fault]]\ntarget = 'activation'\nmodel = 'random-word'\nvalue_fault_rate = 0.01\nlifetime = 'transient'\n\
    [[fault]]\ntarget = 'weight'\nmodel = 'bit-flip'\ncount = 5\n\
    [[fault]]\ntarget = 'activation'\nmodel = 'gaussian'\nsigma = 1\ncount = 5";

#[test]
fn records_do_not_depend_on_threads_order_or_company() {
    let (model, data) = (digits_model(), digits_images(37));
    for toml in [MIXED.to_owned(), MIXED.replace("count = 5\n", "count = 5\nlifetime = 'transient'\n")] {
        let spec = campaign(&toml);
        let campaign =
            Campaign::new(&spec, &model.network, &model.preprocessing, &data, Some(&data)).expect("it fits");
        assert_eq!(campaign.golden_runs(), 2);
        let trials: Vec<Trial> = campaign.plan().trials().collect();
        let run_on = |threads: usize, trials: &[Trial]| -> Vec<TrialRecord> {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
            pool.install(|| run(&campaign, &campaign.golden(&Silent), trials))
        };
        let expected = run_on(1, &trials);
        for threads in [2, 3, 5] {
            assert!(run_on(threads, &trials) == expected, "{threads} threads");
        }
        let backwards: Vec<Trial> = trials.iter().rev().copied().collect();
        assert!(run_on(3, &backwards).iter().rev().eq(&expected), "backwards");
        for at in [0, 3, 13] {
            assert_eq!(run_on(2, &trials[at..=at]), expected[at..=at], "trial {at} alone");
        }
    }
}

/// The images before the `limit` are struck alike, however many follow: an image's faults depend on its place alone.
#[test]
fn an_images_faults_depend_on_its_place_alone() {
    let model = digits_model();
    let spec = campaign(&MIXED.replace("['f32', 'int8']", "['f32', 'f16']"));
    let (few, many) = (digits_images(5), digits_images(30));
    let sites = |data| -> Vec<Vec<FaultSite>> {
        let campaign = support::bind(&spec, &model, data).expect("it fits");
        let of = |trial| (0..5).map(move |image| (trial, image));
        let pairs = campaign.plan().trials().flat_map(of).collect::<Vec<_>>();
        pairs
            .into_iter()
            .map(|(trial, image)| campaign.transient_sites(trial, image).expect("drawn anew"))
            .collect()
    };
    assert_eq!(sites(&few), sites(&many));
}

#[test]
fn no_faults_leave_every_format_golden() {
    let (model, data) = (digits_model(), digits_images(30));
    let toml = "trials.count = 1\nsweep.format = ['f32', 'f64', 'f16', 'int8', 'uint5', 'binary', 'q3.4']\n";
    for rate in ["count = 0", "value_fault_rate = 0", "value_fault_rate = 1\nbits = [0]"] {
        for lifetime in ["permanent", "transient"] {
            let fault = |target: &str| {
                format!(
                    "[[fault]]\ntarget = '{target}'\nmodel = 'bit-flip'\nlifetime = '{lifetime}'\n{rate}\n"
                )
            };
            let spec = campaign(&format!("{toml}{}{}", fault("weight"), fault("activation")));
            let campaign = Campaign::new(&spec, &model.network, &model.preprocessing, &data, Some(&data))
                .expect("it fits");
            assert_eq!(campaign.golden_runs(), 7);
            let trials: Vec<Trial> = campaign.plan().trials().collect();
            for record in run(&campaign, &campaign.golden(&Silent), &trials) {
                let all = record.outcomes.masked_exact == Some(30);
                if rate.ends_with("= 0") {
                    assert!(all && record.faults == 0, "{record:?}");
                } else {
                    // Every weight and, of every image, every activation is struck: 13 584 and 16·64 + 32·16 + 64 + 10 or so.
                    let activations: usize = campaign
                        .memory(record.condition)
                        .tensors()
                        .iter()
                        .filter(|tensor| tensor.tap().is_some())
                        .map(StoredTensor::values)
                        .sum();
                    let per_chip = if lifetime == "transient" { 30 } else { 1 };
                    assert_eq!(record.faults, per_chip * (13_584 + activations as u64));
                    assert!(!all || record.condition == 1, "{record:?}");
                }
            }
        }
    }
}
