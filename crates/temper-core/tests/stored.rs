//! Networks in memory: struck scales and zero points, quantised activations, calibrated ranges.

mod reference;
pub mod support;

use support::brute::{read, struck};
use support::{campaign, digits_images, digits_model, noise, with_values};
use temper_core::campaign::Campaign;
use temper_core::data::{Dataset, Inputs};
use temper_core::execution::TapSide;
use temper_core::fault::{Damage, FaultSite, FaultSpec, Number, changes, strike_activations, trial_stream};
use temper_core::memory::{Calibration, Class, Layers, Memory, Part, Place, StorageSpec, Target, TensorId};
use temper_core::network::{GraphDescription, Model, Network};

/// One linear layer of 7 inputs and 6 outputs.
fn layer() -> Network {
    let graph = r#"{"input": [7], "node": [{"name": "fc", "op": {"kind": "linear", "in_features": 7, "out_features": 6}}]}"#;
    let graph: GraphDescription = serde_json::from_str(graph).expect("valid JSON");
    let mut noise = noise(23);
    with_values(graph.build().expect("a sound network"), |_| noise())
}

fn entry(toml: &str) -> StorageSpec {
    toml::from_str(toml).unwrap_or_else(|error| panic!("{toml}\n{error}"))
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

const STORAGE: [&str; 6] = [
    "target = 'weight'\nformat = 'int8'",
    "target = 'weight'\nformat = 'int8'\nscheme = 'affine'\ngranularity = 'channel'",
    "target = 'weight'\nformat = 'uint4'",
    "target = 'weight'\nformat = 'uint8'\ngranularity = 'channel'",
    "target = 'weight'\nformat = 'sint6'\ngranularity = 'channel'",
    "target = 'weight'\nformat = 'binary'\ngranularity = 'channel'",
];

/// Every site of a fault.
fn sites(memory: &Memory, toml: &str) -> Vec<FaultSite> {
    let fault: FaultSpec = support::fault(&format!("count = 0\n{toml}"));
    let fault = fault.resolve(memory, Number::Specified).unwrap_or_else(|error| panic!("{toml}: {error}"));
    (0..fault.sites()).map(|site| fault.site(site, &mut trial_stream(2, site))).collect()
}

fn check(memory: &Memory, sites: &[FaultSite]) -> Vec<f32> {
    let tensor = memory.tensor(TensorId(0));
    let pristine = memory.stored_values(TensorId(0)).expect("a parameter");
    let mut found = pristine.to_vec();
    for change in changes(memory, sites) {
        found[change.index] = change.value;
    }
    let expected = read(tensor, pristine, &sites.iter().collect::<Vec<_>>());
    assert_eq!(bits(&found), bits(&expected), "{}: {sites:?}", tensor.format);
    found
}

#[test]
fn a_struck_scale_or_zero_point_changes_all_that_share_it() {
    let network = layer();
    for storage in STORAGE {
        let memory = Memory::new(&network, &[entry(storage)]).expect("a sound entry");
        let tensor = memory.tensor(TensorId(0));
        let channels = if storage.contains("channel") { 6 } else { 1 };
        let flips = sites(&memory, "model = 'bit-flip'\ntarget = 'weight-scale'");
        assert_eq!(flips.len(), channels * 32, "{storage}");
        let stored = memory.stored_values(TensorId(0)).expect("a parameter");
        for site in &flips {
            let found = check(&memory, &[*site]);
            // What belongs to other scales stays; a scale is f32, of which bit 31 is the sign.
            let own = |index: usize| channels == 1 || index / 7 == site.start;
            for (index, (found, stored)) in found.iter().zip(stored).enumerate() {
                if !own(index) {
                    assert_eq!(found.to_bits(), stored.to_bits());
                } else if site.damage == Damage::Flip(1 << 31) {
                    assert_eq!(*found, -stored);
                }
            }
        }
        let zero_points = FaultSpec {
            target: "weight-zero-point".parse().expect("a target"),
            ..support::fault("model = 'bit-flip'\ncount = 1")
        };
        let is_affine = storage.contains("affine") || storage.contains("uint");
        assert_eq!(tensor.codec().stores_zero_point(), is_affine);
        match zero_points.resolve(&memory, Number::Specified) {
            Ok(fault) => {
                assert!(is_affine);
                assert_eq!(fault.sites(), channels as u64 * u64::from(tensor.format.bit_width()));
                for site in 0..fault.sites() {
                    check(&memory, &[fault.site(site, &mut trial_stream(0, 0))]);
                }
            }
            Err(error) => assert!(!is_affine && error.to_string().contains("which has none"), "{error}"),
        }
    }
}

#[test]
fn struck_metadata_and_values_act_together() {
    for storage in STORAGE {
        let memory = Memory::new(&layer(), &[entry(storage)]).expect("a sound entry");
        let scales = sites(&memory, "model = 'bit-flip'\ntarget = 'weight-scale'");
        let values = sites(&memory, "model = 'bit-flip'");
        let noise = sites(&memory, "model = 'gaussian'\nsigma = 0.3");
        let stuck = sites(&memory, "model = 'stuck-at-1'");
        for (i, scale) in scales.iter().enumerate() {
            let pick = |sites: &[FaultSite]| sites[i * 7 % sites.len()];
            check(&memory, &[*scale, pick(&values), pick(&noise)]);
            check(&memory, &[pick(&values), *scale]);
            check(&memory, &[pick(&noise), pick(&stuck), *scale, pick(&values)]);
            // The same scale twice is nothing.
            assert_eq!(changes(&memory, &[*scale, *scale]), []);
        }
    }
}

#[test]
fn scales_that_are_zero_infinite_or_not_a_number_are_read_as_they_are() {
    for storage in STORAGE {
        let memory = Memory::new(&layer(), &[entry(storage)]).expect("a sound entry");
        let flip = sites(&memory, "model = 'bit-flip'")[0];
        for value in ["0.0", "inf", "-inf", "nan", "1e-45"] {
            let sites =
                sites(&memory, &format!("model = 'set-value'\nvalue = {value}\ntarget = 'weight-scale'"));
            let read = check(&memory, &sites);
            check(&memory, &[sites[0], flip]);
            match value {
                "nan" => assert!(read.iter().all(|value| value.is_nan())),
                "0.0" => assert!(read.iter().all(|value| *value == 0.0)),
                _ => assert!(read.iter().all(|value| !value.is_normal() || value.abs() < 1.0)),
            }
        }
    }
}

#[test]
fn a_zero_point_that_is_set_or_disturbed_is_the_nearest_integer() {
    let entry = entry("target = 'weight'\nformat = 'int8'\nscheme = 'affine'");
    let memory = Memory::new(&layer(), &[entry]).expect("a sound entry");
    let grid = memory.tensor(TensorId(0)).codec().grids()[0];
    let target = "target = 'weight-zero-point'";
    let set = |value: f32| {
        let site = sites(&memory, &format!("{target}\nmodel = 'set-value'\nvalue = {value}"));
        check(&memory, &site)[0] - memory.stored_values(TensorId(0)).expect("a parameter")[0]
    };
    // What does not fit the width is the outermost integer that does.
    for (value, integer) in [(3.0, 3), (2.6, 3), (-2.6, -3), (0.5, 0), (1e6, 127), (-129.0, -128)] {
        let moved = (grid.zero_point - integer) as f32 * grid.scale;
        assert!((set(value) - moved).abs() < 1e-5, "{value}");
    }
    for model in [
        "model = 'gaussian'\nsigma = 3",
        "model = 'sign-reversal'",
        "model = 'lognormal'\nsigma = 1",
        "model = 'set-value'\nvalue = 1e30",
    ] {
        check(&memory, &sites(&memory, &format!("{target}\n{model}")));
    }
}

#[test]
fn the_last_entry_that_chooses_a_tensor_counts() {
    let model = digits_model();
    let spec = |target: &str, layers: &str, format: &str| {
        entry(&format!("target = '{target}'\nlayers = {layers}\nformat = '{format}'"))
    };
    let memory = Memory::new(
        &model.network,
        &[
            spec("weight", "'*'", "int8"),
            spec("weight", "'re:^fc'", "f16"),
            spec("weight", "['type:conv2d', '!index:0']", "bf16"),
            spec("bias", "'index:3'", "q3.4"),
        ],
    )
    .expect("sound entries");
    let formats = |class: Class| -> Vec<String> {
        let mine = memory.tensors().iter().filter(|tensor| tensor.class == class);
        mine.map(|tensor| format!("{} {}", tensor.layer, tensor.format)).collect()
    };
    assert_eq!(formats(Class::Weight), ["conv1 int8", "conv2 bf16", "fc1 f16", "fc2 f16"]);
    assert_eq!(formats(Class::Bias), ["conv1 f32", "conv2 f32", "fc1 f32", "fc2 q3.4"]);
    for (toml, number, message) in [
        (
            "target = 'weight'\nformat = 'f16'\nscheme = 'affine'",
            2,
            "conv1, weight: quantisation: f16 has no scale to choose",
        ),
        (
            "target = 'weight'\nformat = 'int8'\nlayers = 'conv9'",
            2,
            "layers: \"conv9\" matches no layer with weight",
        ),
        (
            "target = 'weight-scale'\nformat = 'f16'",
            2,
            "target: weight-scale is stored with its tensor; expected weight",
        ),
        (
            "target = 'activation'\nformat = 'int8'\ngranularity = 'channel'",
            2,
            "granularity: all activations",
        ),
        ("target = 'weight'\nformat = 'int8'\nplace = 'input'", 2, "place: only activations have a place"),
        (
            "target = 'input'\nformat = 'int8'\nlayers = 'conv1'",
            2,
            "layers: the network has one input; leave this out",
        ),
        ("target = 'batch-norm'\nformat = 'int8'", 2, "target: no layer of the network has batch-norm"),
    ] {
        let error =
            Memory::new(&model.network, &[spec("weight", "'*'", "int8"), entry(toml)]).expect_err(toml);
        assert_eq!((error.number, error.to_string()), (number, "storage 2".to_owned()));
        let found = support::chain(&error.source);
        assert!(found.starts_with(message), "{found}");
    }
}

/// A campaign that strikes nothing, to see how the network is stored.
fn stored<'a>(model: &Model, data: &'a Dataset, storage: &str) -> Campaign<'a> {
    let spec = campaign(&format!("trials.count = 1\n{storage}\n[[fault]]\nmodel = 'zeroing'\ncount = 0"));
    assert_eq!(spec.needs_calibration(), storage.contains("int"));
    Campaign::new(&spec, &model.network, &model.preprocessing, data, Some(data)).expect("it fits")
}

fn pixels(inputs: &Inputs<'_>) -> Vec<f32> {
    let mut pixels = vec![0.0; inputs.len() * 64];
    inputs.fill(0..inputs.len(), &mut pixels);
    pixels
}

/// The golden run equals the reference evaluator that quantises at the same places, as far as `f64` and `f32` round alike.
#[test]
fn quantised_activations_are_those_of_the_reference() {
    let (model, data) = (digits_model(), digits_images(24));
    let inputs = model.preprocessing.bind(&data, model.network.input_shape()).expect("the images fit");
    let input = pixels(&inputs);
    for place in ["output", "activated", "input"] {
        for format in ["int8", "uint8", "f16", "f8e4m3", "q3.4", "sint6"] {
            // What leaves an activation function is rounded twice where one place is another's input.
            let toml = format!("[[storage]]\ntarget = 'activation'\nplace = '{place}'\nformat = '{format}'");
            let campaign = stored(&model, &data, &toml);
            let memory = campaign.memory(0);
            assert_eq!(memory.taps().len(), 4, "one at each layer");
            let sides = memory.taps().iter().map(|tap| (tap.side, model.network.node(tap.node).op.kind()));
            let expected: &[(TapSide, &str)] = match place {
                "output" => &[
                    (TapSide::Output, "conv2d"),
                    (TapSide::Output, "conv2d"),
                    (TapSide::Output, "linear"),
                    (TapSide::Output, "linear"),
                ],
                "activated" => &[
                    (TapSide::Output, "relu"),
                    (TapSide::Output, "relu"),
                    (TapSide::Output, "relu"),
                    (TapSide::Output, "linear"),
                ],
                _ => &[
                    (TapSide::Input, "conv2d"),
                    (TapSide::Input, "conv2d"),
                    (TapSide::Input, "linear"),
                    (TapSide::Input, "linear"),
                ],
            };
            assert_eq!(sides.collect::<Vec<_>>(), expected);
            let outputs = reference::evaluate_changed(memory.network(), &input, 24, &|tap, values| {
                if let Some(at) = memory.taps().iter().position(|known| *known == tap) {
                    let codec = memory.tensor(memory.at_tap(temper_core::execution::TapId(at))).codec();
                    for (index, value) in values.iter_mut().enumerate() {
                        *value = codec.decode(index, codec.encode(index, *value as f32)).into();
                    }
                }
            });
            let golden = campaign.golden(&support::Silent);
            let found = campaign.golden_logits(&golden, 0);
            let expected = &outputs[model.network.output().0];
            let largest = expected.iter().fold(0.0f64, |most, value| most.max(value.abs()));
            let close = |(images, expected): (&[f32], &[f64])| {
                images
                    .iter()
                    .zip(expected)
                    .all(|(found, expected)| (f64::from(*found) - expected).abs() < 1e-4 * largest)
            };
            // A value next to a tie may round the other way in f32, which shows in the logits of its image.
            let same =
                found.chunks_exact(10).zip(expected.chunks_exact(10)).filter(|pair| close(*pair)).count();
            println!("{place}, {format}: {same} of 24 images");
            assert!(same >= 16, "{place}, {format}: {same} of 24 images");
        }
    }
}

#[test]
fn ranges_of_activations_are_those_of_the_calibration_images() {
    let (model, data) = (digits_model(), digits_images(40));
    let inputs = model.preprocessing.bind(&data, model.network.input_shape()).expect("the images fit");
    let outputs = reference::evaluate(&model.network, &pixels(&inputs), 40);
    let of = |name: &str| &outputs[model.network.find(name).expect("a node").0];
    let largest = |values: &[f64]| values.iter().fold(0.0f64, |most, value| most.max(value.abs()));
    let scale = |toml: &str| {
        let campaign = stored(&model, &data, &format!("[[storage]]\ntarget = 'activation'\n{toml}"));
        let [id] = campaign
            .memory(0)
            .select(Class::Activation.into(), &Layers::One("conv2".to_owned()), Some(Place::Activated))
            .expect("stored")[..]
        else {
            panic!("one tensor")
        };
        campaign.memory(0).tensor(id).codec().grids()[0]
    };
    let near = |found: f32, expected: f64| {
        assert!((f64::from(found) / expected - 1.0).abs() < 1e-5, "{found}, expected {expected}");
    };
    let activated = of("relu2");
    let grid = scale("layers = 'conv2'\nplace = 'activated'\nformat = 'int8'");
    near(grid.scale, largest(activated) / 127.0);
    assert_eq!(grid.zero_point, 0);
    let grid = scale("layers = 'conv2'\nplace = 'activated'\nformat = 'uint8'");
    near(grid.scale, largest(activated) / 255.0);
    assert_eq!(grid.zero_point, 0, "nothing lies below zero");
    let grid = scale("layers = 'conv2'\nplace = 'activated'\nformat = 'int8'\nrange = { given = 2.54 }");
    near(grid.scale, 0.02);
    let mut sorted = activated.clone();
    sorted.sort_by(f64::total_cmp);
    let place = (sorted.len() - 1) as f64 * 0.9;
    let (below, above) = (sorted[place as usize], sorted[place as usize + 1]);
    let grid = scale("layers = 'conv2'\nplace = 'activated'\nformat = 'sint8'\nrange = { percentile = 90 }");
    near(grid.scale, (below + (above - below) * place.fract()) / 127.0);
}

#[test]
fn struck_activations_are_those_of_brute_force() {
    let network = layer();
    let mut values = noise(4);
    let values: Vec<f32> = (0..6).map(|_| values()).collect();
    for format in ["int8", "uint8", "f16", "binary", "f32"] {
        let entry = entry(&format!("target = 'activation'\nformat = '{format}'"));
        let mut memory = Memory::new(&network, &[entry]).expect("a sound entry");
        let mut seen = Calibration::new(values.len(), 1, values.len());
        seen.add(0, &values);
        memory.calibrate(vec![seen]);
        let id = memory.at_tap(temper_core::execution::TapId(0));
        let mut stored = values.clone();
        memory.tensor(id).codec().store(&mut stored);
        let mut all = Vec::new();
        for target in ["activation", "activation-scale", "activation-zero-point"] {
            let target: Target = target.parse().expect("a target");
            if memory.tensor(id).word_format(target.part).is_none() {
                continue;
            }
            for model in ["bit-flip", "stuck-at-1", "zeroing"] {
                if !(target.part == Part::ZeroPoint && model == "zeroing") {
                    all.extend(sites(&memory, &format!("target = '{target}'\nmodel = '{model}'")));
                }
            }
        }
        for (i, site) in all.iter().enumerate() {
            let several = [*site, all[i * 5 % all.len()], all[i * 11 % all.len()]];
            for sites in [&several[..1], &several] {
                let sites: Vec<&FaultSite> = sites.iter().collect();
                let mut found = stored.clone();
                strike_activations(&memory, id, &sites, &mut found);
                assert_eq!(
                    bits(&found),
                    bits(&read(memory.tensor(id), &stored, &sites)),
                    "{format}: {sites:?}"
                );
            }
        }
        // Sites in activations are no concern of the parameters.
        assert_eq!(changes(&memory, &all), []);
        assert_eq!(struck(&memory, &all), *memory.network());
    }
}
