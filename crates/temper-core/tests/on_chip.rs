//! Networks on chips: an ideal chip against exact integers, noise by image, and what does not fit.

pub mod support;

use support::{chain, digits_images, digits_model};
use temper_core::data::Inputs;
use temper_core::execution::{Program, TapId, Weights, Workspace, logits_with};
use temper_core::hardware::{Chip, Hardware, HardwareModel, HardwareSpec, Mounted, Noise, SandwichRamSpec};
use temper_core::memory::{Calibration, Layers, Memory, StorageSpec};
use temper_core::network::zoo::{Architecture, Family};
use temper_core::network::{Model, Network};

/// Binary weights, and every layer's inputs in 8 bits without a sign.
fn storage() -> Vec<StorageSpec> {
    #[derive(serde::Deserialize)]
    struct Spec {
        storage: Vec<StorageSpec>,
    }
    let text = "[[storage]]\ntarget = 'weight'\nformat = 'binary'\ngranularity = 'channel'\n\
        [[storage]]\ntarget = 'activation'\nplace = 'input'\nformat = 'uint8'\n";
    toml::from_str::<Spec>(text).expect("sound storage").storage
}

/// A convolutional network with padding, strides, batch norms and residuals, or one of linear layers with biases.
fn models() -> [Model; 2] {
    let preprocessing = digits_model().preprocessing;
    let residual = Architecture {
        input: vec![1, 8, 8],
        widths: vec![3, 4, 5],
        ..Architecture::new(Family::CifarResnet(8))
    };
    let linear =
        Architecture { input: vec![1, 8, 8], widths: vec![40, 20], ..Architecture::new(Family::Mlp) };
    [(residual, 6), (linear, 7)].map(|(architecture, seed)| Model {
        network: support::networks::randomised(architecture.build().expect("a sound architecture"), seed),
        preprocessing: preprocessing.clone(),
    })
}

/// The network as stored, its activations calibrated on the inputs.
fn stored(network: &Network, inputs: &Inputs<'_>) -> Memory {
    let mut memory = Memory::new(network, &storage()).expect("it can be stored");
    let (program, weights) = Program::compile(memory.network(), &[], memory.taps());
    let lens: Vec<usize> = (0..program.tap_count()).map(|tap| program.tap_len(TapId(tap))).collect();
    let mut seen: Vec<Calibration> =
        lens.iter().map(|&len| Calibration::new(len, inputs.len(), 1 << 20)).collect();
    let mut workspace = Workspace::new(&program);
    inputs.fill(0..inputs.len(), workspace.input_mut(&program, inputs.len()));
    program.run_with(&weights, &mut workspace, &mut |tap, values| seen[tap.0].add(0, values));
    memory.calibrate(seen);
    memory
}

fn hardware(network: &Network, spec: SandwichRamSpec) -> Hardware {
    let entry = HardwareSpec { layers: Layers::default(), model: HardwareModel::SandwichRam(spec) };
    Hardware::new(network, &[entry]).unwrap_or_else(|(_, error)| panic!("{}", chain(&error)))
}

fn on_chip(memory: &Memory, chip: &Chip, noise: Option<Noise>) -> (Program, Weights) {
    let network = memory.network();
    let mounted = chip.layers.iter().map(|layer| {
        let weights = &network.tensors()[&format!("{}.weight", layer.layer)];
        Mounted::new(layer, memory, weights.data())
    });
    Program::compile_on_chip(network, &[], memory.taps(), mounted.collect(), noise)
}

fn logits((program, weights): &(Program, Weights), memory: &Memory, inputs: &Inputs<'_>) -> Vec<f32> {
    let store = |_: std::ops::Range<usize>, tap: TapId, values: &mut [f32]| {
        let tensor = memory.tensor(memory.at_tap(tap));
        values.chunks_exact_mut(tensor.values()).for_each(|image| tensor.codec().store(image));
    };
    logits_with(program, weights, inputs, &store, &|_| {})
}

#[test]
fn an_ideal_chip_computes_what_exact_integers_do() {
    let data = digits_images(40);
    for model in models() {
        let inputs = model.preprocessing.bind(&data, model.network.input_shape()).expect("it fits");
        let memory = stored(&model.network, &inputs);
        let layers = memory.integer_layers().expect("all layers are stored in integers");
        let integer = Program::compile_integer(memory.network(), &[], memory.taps(), &layers);
        let expected = logits(&integer, &memory, &inputs);
        let hardware =
            hardware(&model.network, SandwichRamSpec { reserve: 1e6, ..Default::default() }.ideal());
        hardware.check_storage(&memory).expect("stored as the device wants it");
        assert_eq!(hardware.nodes().len(), layers.len());
        let found = logits(&on_chip(&memory, &hardware.draw(1), None), &memory, &inputs);
        assert_eq!(found, expected, "{}", model.network.node(model.network.output()).name);
    }
}

#[test]
fn noise_belongs_to_the_image_and_the_inference() {
    let data = digits_images(40);
    for model in models() {
        let inputs = model.preprocessing.bind(&data, model.network.input_shape()).expect("it fits");
        let memory = stored(&model.network, &inputs);
        let hardware = hardware(&model.network, SandwichRamSpec::default());
        let chip = hardware.draw(3);
        let program = on_chip(&memory, &chip, Some(Noise(5)));
        let all = logits(&program, &memory, &inputs);
        // One image at a time, in reverse.
        let classes = program.0.output_len();
        let mut workspace = Workspace::new(&program.0);
        for image in (0..inputs.len()).rev().step_by(7) {
            inputs.fill(image..=image, workspace.input_mut(&program.0, 1));
            workspace.number([image]);
            program.0.run_with(&program.1, &mut workspace, &mut |tap, values| {
                memory.tensor(memory.at_tap(tap)).codec().store(values);
            });
            assert_eq!(workspace.output(&program.0), &all[image * classes..][..classes]);
        }
        let other = logits(&on_chip(&memory, &chip, Some(Noise(6))), &memory, &inputs);
        let quiet = logits(&on_chip(&memory, &chip, None), &memory, &inputs);
        assert!(all != other && all != quiet);
        let another_chip = logits(&on_chip(&memory, &hardware.draw(4), Some(Noise(5))), &memory, &inputs);
        assert_ne!(all, another_chip);
    }
}

#[test]
fn users_are_told_when_pulses_can_vanish() {
    let [_, linear] = models();
    let with =
        |reserve| hardware(&linear.network, SandwichRamSpec { reserve, ..Default::default() }).warnings();
    assert!(with(7140.0).is_empty(), "the published reserve is enough for 28 cells");
    let warned = with(7139.0);
    assert_eq!(warned.len(), 3, "every layer");
    let expected =
        "pulses can vanish: they begin with a reserve of 7139, and the 28 cells of a row can take 7140 away";
    assert!(warned[0].starts_with("fc1: ") && warned[0].ends_with(expected), "{}", warned[0]);
}

#[test]
fn a_chip_is_its_seed_and_survives_being_written() {
    let [model, _] = models();
    let hardware = hardware(&model.network, SandwichRamSpec::default());
    let chip = hardware.draw(9);
    assert_eq!(hardware.draw(9), chip);
    assert_ne!(hardware.draw(10).layers, chip.layers);
    assert_ne!(chip.layers[0].array, chip.layers[1].array);
    let written = serde_json::to_string(&chip).expect("chips can be written");
    assert_eq!(serde_json::from_str::<Chip>(&written).expect("and read"), chip);
}

#[test]
fn what_does_not_lie_on_the_device_is_refused() {
    let [residual, linear] = models();
    let entry = |layers: &str, spec: SandwichRamSpec| HardwareSpec {
        layers: Layers::One(layers.to_owned()),
        model: HardwareModel::SandwichRam(spec),
    };
    let default = SandwichRamSpec::default;
    let refused = |network: &Network, entries: &[HardwareSpec]| {
        let (number, error) = Hardware::new(network, entries).expect_err("refused");
        format!("{number}: {}", chain(&error))
    };
    let network = &residual.network;
    assert_eq!(
        refused(network, &[entry("*", SandwichRamSpec { cells: 0, ..default() })]),
        "1: model: cells: expected at least 1, found 0"
    );
    assert_eq!(
        refused(network, &[entry("type:relu", default())]),
        "1: relu is of kind relu; only convolutions and linear layers lie on hardware"
    );
    assert_eq!(
        refused(network, &[entry("conv1", default()), entry("*", default())]),
        "2: conv1 lies on the hardware of an earlier entry already"
    );
    let hardware = Hardware::new(&linear.network, &[entry("fc2", default())]).expect("it fits");
    let unfit = |storage: &[StorageSpec]| {
        let memory = Memory::new(&linear.network, storage).expect("it can be stored");
        chain(&hardware.check_storage(&memory).expect_err("refused").1)
    };
    assert_eq!(unfit(&[]), "the weights of fc2 are stored in f32; the device holds binary");
    assert_eq!(
        unfit(&storage()[..1]),
        "fc2 on the device reads unsigned integers of at most 8 bits, but its inputs, from fc1 (linear), are not; store its inputs so \
         (target = \"activation\", place = \"input\", layers = \"fc2\")"
    );
}
