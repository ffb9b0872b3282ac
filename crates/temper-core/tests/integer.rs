//! Networks computed in integers: against plain sums in 64 bits, against brute force, and against floats.

pub mod support;

use std::collections::BTreeMap;

use support::brute::check_spec;
use support::{Silent, campaign, chain, digits_images, digits_model};
use temper_core::Tensor;
use temper_core::campaign::{Campaign, CampaignSpec};
use temper_core::data::{Dataset, Inputs};
use temper_core::execution::{Program, Tap, TapId};
use temper_core::fault::{Damage, FaultSite, changes, strike, undo};
use temper_core::memory::{Class, Memory, Part, StoredTensor, TensorId};
use temper_core::network::zoo::{Architecture, Family, Shortcut};
use temper_core::network::{Model, Network, NodeId, Op};
use temper_core::number::{Codec, NumberFormat};

/// Weights in 8 bits, and every layer's inputs.
const STORED: &str = "arithmetic = 'integer'\ntrials.count = 3\n[[storage]]\ntarget = 'weight'\nformat = 'int8'\ngranularity = 'channel'\n\
    [[storage]]\ntarget = 'activation'\nplace = 'input'\nformat = 'uint8'\n";

fn bind<'a>(spec: &CampaignSpec, model: &Model, data: &'a Dataset) -> Campaign<'a> {
    Campaign::new(spec, &model.network, &model.preprocessing, data, Some(data))
        .unwrap_or_else(|error| panic!("{}", chain(&error)))
}

/// A residual network with batch norms and convolutions as shortcuts.
fn residual() -> Model {
    let architecture = Architecture {
        input: vec![1, 8, 8],
        widths: vec![3, 4, 5],
        shortcut: Shortcut::B,
        ..Architecture::new(Family::CifarResnet(8))
    };
    let network = support::networks::randomised(architecture.build().expect("a sound architecture"), 6);
    Model { network, preprocessing: digits_model().preprocessing }
}

/// What a network computes from one image, node by node: sums of stored codes in 64 bits, all else in `f64` but rounded to `f32` where the
/// program rounds.
struct Reference<'a> {
    memory: &'a Memory,
    network: &'a Network,
    values: BTreeMap<NodeId, Vec<f32>>,
}

impl Reference<'_> {
    fn run(memory: &Memory, image: Vec<f32>) -> Vec<f32> {
        let network = memory.network();
        let mut reference = Reference { memory, network, values: BTreeMap::new() };
        reference.keep(NodeId(0), image);
        for id in (1..network.nodes().len()).map(NodeId) {
            let value = reference.value(id);
            reference.keep(id, value);
        }
        reference.values.remove(&network.output()).expect("every node has a value")
    }

    /// The tensor at a tap.
    fn stored(&self, tap: Tap) -> Option<&StoredTensor> {
        let number = self.memory.taps().iter().position(|known| *known == tap)?;
        Some(self.memory.tensor(self.memory.at_tap(TapId(number))))
    }

    fn keep(&mut self, id: NodeId, mut value: Vec<f32>) {
        if let Some(tensor) = self.stored(Tap::output(id)) {
            tensor.codec().store(&mut value);
        }
        self.values.insert(id, value);
    }

    fn input(&self, id: NodeId, number: usize) -> Vec<f32> {
        let mut value = self.values[&self.network.node(id).inputs[number]].clone();
        if let Some(tensor) = self.stored(Tap::input(id)).filter(|_| number == 0) {
            tensor.codec().store(&mut value);
        }
        value
    }

    fn parameter(&self, id: NodeId, suffix: &str) -> Option<&[f32]> {
        let path = format!("{}.{suffix}", self.network.node(id).name);
        self.network.tensors().get(&path).map(Tensor::data)
    }

    fn value(&self, id: NodeId) -> Vec<f32> {
        let node = self.network.node(id);
        let plane = |id: NodeId| self.network.shape(id)[1..].iter().product::<usize>();
        match &node.op {
            Op::Conv2d { .. } | Op::Linear { .. } => self.product(id),
            Op::BatchNorm { eps, .. } => {
                let vector = |name| self.parameter(id, name).expect("all four");
                let [weight, bias, mean, var] = ["weight", "bias", "running_mean", "running_var"].map(vector);
                let plane = plane(id);
                let norm = |(i, x): (usize, &f32)| {
                    let channel = i / plane;
                    let scale = weight[channel] * (1.0 / (var[channel] + eps).sqrt());
                    x.mul_add(scale, bias[channel] - mean[channel] * scale)
                };
                self.input(id, 0).iter().enumerate().map(norm).collect()
            }
            Op::Relu => self.input(id, 0).into_iter().map(|x| x.max(0.0)).collect(),
            Op::Add => self.input(id, 0).iter().zip(self.input(id, 1)).map(|(a, b)| a + b).collect(),
            Op::Flatten | Op::Dropout => self.input(id, 0),
            Op::GlobalAvgPool => {
                let plane = plane(node.inputs[0]);
                let mean = |values: &[f32]| values.iter().sum::<f32>() / plane as f32;
                self.input(id, 0).chunks_exact(plane).map(mean).collect()
            }
            Op::MaxPool2d { kernel, .. } if kernel.height == 2 => {
                let input = self.input(id, 0);
                let &[channels, h, w] = self.network.shape(node.inputs[0]) else { panic!("an image") };
                let mut output = Vec::new();
                for (c, y, x) in (0..channels)
                    .flat_map(|c| (0..h / 2).flat_map(move |y| (0..w / 2).map(move |x| (c, y, x))))
                {
                    let at = |dy, dx| input[(c * h + 2 * y + dy) * w + 2 * x + dx];
                    output.push(at(0, 0).max(at(0, 1)).max(at(1, 0)).max(at(1, 1)));
                }
                output
            }
            op => panic!("the reference knows no {}", op.kind()),
        }
    }

    /// Whole numbers of a codec's steps, and the step.
    fn steps(codec: &Codec, values: &[f32]) -> Vec<(i64, f32)> {
        let steps = |(index, &value): (usize, &f32)| {
            let word = codec.encode(index, value);
            assert_eq!(codec.decode(index, word), value, "a value that is stored");
            match codec.format() {
                NumberFormat::Binary => {
                    (if word == 1 { -1 } else { 1 }, codec.scale(codec.channel_of(index)))
                }
                NumberFormat::Fixed { fraction, .. } => {
                    let step = (-f64::from(fraction)).exp2();
                    ((f64::from(value) / step) as i64, step as f32)
                }
                NumberFormat::Sint(width) => {
                    let magnitude = (word & ((1 << (width - 1)) - 1)) as i64;
                    let steps = if word >> (width - 1) == 1 { -magnitude } else { magnitude };
                    (steps, codec.scale(codec.channel_of(index)))
                }
                format => {
                    let channel = codec.channel_of(index);
                    let width = format.bit_width();
                    let signed = (word << (64 - width)) as i64 >> (64 - width);
                    let code = if matches!(format, NumberFormat::Uint(_)) { word as i64 } else { signed };
                    (code - i64::from(codec.zero_point(channel)), codec.scale(channel))
                }
            }
        };
        values.iter().enumerate().map(steps).collect()
    }

    /// `Σ (w − z_w)(x − z_x)` in 64 bits, times both scales, plus the bias.
    fn product(&self, id: NodeId) -> Vec<f32> {
        let node = self.network.node(id);
        let of_weights = |tensor: &&StoredTensor| tensor.layer == node.name && tensor.class == Class::Weight;
        let weights = self.memory.tensors().iter().find(of_weights).expect("it has weights");
        let weights = Self::steps(weights.codec(), self.parameter(id, "weight").expect("it has weights"));
        let mut from = id;
        let inputs = loop {
            let source = self.network.node(from).inputs[0];
            if let Some(tensor) = self.stored(Tap::input(from)).or_else(|| self.stored(Tap::output(source))) {
                break Self::steps(tensor.codec(), &self.input(id, 0));
            }
            from = source;
        };
        let bias = self.parameter(id, "bias");
        let mut output = Vec::new();
        let mut push = |channel: usize, sum: i64, scale: f32| {
            output.push(sum as f32 * scale + bias.map_or(0.0, |bias| bias[channel]));
        };
        if let Op::Linear { in_features, .. } = node.op {
            for (channel, row) in weights.chunks_exact(in_features).enumerate() {
                let sum = row.iter().zip(&inputs).map(|(w, x)| w.0 * x.0).sum();
                push(channel, sum, row[0].1 * inputs[0].1);
            }
            return output;
        }
        let Op::Conv2d { kernel, stride, padding, groups: 1, .. } = node.op else { panic!("one group") };
        let (&[channels, h, w], &[out, oh, ow]) =
            (self.network.shape(node.inputs[0]), self.network.shape(id))
        else {
            panic!("images")
        };
        let [top, left, ..]: [usize; 4] = padding.into();
        let taps = channels * kernel.height * kernel.width;
        for (channel, y, x) in
            (0..out).flat_map(|c| (0..oh).flat_map(move |y| (0..ow).map(move |x| (c, y, x))))
        {
            let row = &weights[channel * taps..][..taps];
            let mut sum = 0;
            for (tap, weight) in row.iter().enumerate() {
                let (c, k) = (tap / (kernel.height * kernel.width), tap % (kernel.height * kernel.width));
                let (ky, kx) = (k / kernel.width, k % kernel.width);
                let row = (y * stride.height + ky).checked_sub(top).filter(|row| *row < h);
                let column = (x * stride.width + kx).checked_sub(left).filter(|column| *column < w);
                if let (Some(row), Some(column)) = (row, column) {
                    sum += weight.0 * inputs[(c * h + row) * w + column].0;
                }
            }
            push(channel, sum, row[0].1 * inputs[0].1);
        }
        output
    }
}

/// Storage of every kind that integers allow.
const STORAGES: [&str; 6] = [
    STORED,
    // Where accelerators write; ReLU, max-pooling and views lie between there and the next layer.
    "arithmetic = 'integer'\ntrials.count = 1\n[[storage]]\ntarget = 'input'\nformat = 'int8'\n[[storage]]\ntarget = 'weight'\nformat = 'uint8'\n\
     [[storage]]\ntarget = 'activation'\nplace = 'activated'\nformat = 'uint8'\n[[storage]]\ntarget = 'activation'\nlayers = 'fc*'\nplace = 'input'\nformat = 'int8'\n",
    "arithmetic = 'integer'\ntrials.count = 1\n[[storage]]\ntarget = 'weight'\nformat = 'int8'\nscheme = 'affine'\ngranularity = 'channel'\n\
     [[storage]]\ntarget = 'activation'\nplace = 'input'\nformat = 'int8'\nscheme = 'affine'\n",
    "arithmetic = 'integer'\ntrials.count = 1\n[[storage]]\ntarget = 'weight'\nformat = 'binary'\n[[storage]]\ntarget = 'activation'\nplace = 'input'\nformat = 'uint4'\n",
    "arithmetic = 'integer'\ntrials.count = 1\n[[storage]]\ntarget = 'weight'\nformat = 'sint5'\n[[storage]]\ntarget = 'activation'\nplace = 'input'\nformat = 'q3.4'\n",
    "arithmetic = 'integer'\ntrials.count = 1\n[[storage]]\ntarget = 'weight'\nformat = 'q1.6'\n[[storage]]\ntarget = 'activation'\nplace = 'input'\nformat = 'binary'\n",
];

#[test]
fn every_image_equals_plain_sums_of_stored_codes() {
    let data = digits_images(12);
    for model in [digits_model(), residual()] {
        for toml in STORAGES {
            let spec = campaign(&format!("{toml}[[fault]]\nmodel = 'bit-flip'\ncount = 1\n"));
            let campaign = bind(&spec, &model, &data);
            let layers = model.network.nodes().iter();
            let layers =
                layers.filter(|node| matches!(node.op, Op::Conv2d { .. } | Op::Linear { .. })).count();
            assert_eq!(campaign.integer_layers(0).len(), layers, "all of them");
            let golden = campaign.golden(&Silent);
            let inputs =
                model.preprocessing.bind(&data, model.network.input_shape()).expect("the images fit");
            let expected: Vec<f32> =
                (0..data.len()).flat_map(|i| Reference::run(campaign.memory(0), image(&inputs, i))).collect();
            assert_eq!(campaign.golden_logits(&golden, 0), expected, "{toml}");
        }
    }
}

fn image(inputs: &Inputs<'_>, number: usize) -> Vec<f32> {
    let mut image = vec![0.0; inputs.dataset().shape().iter().product()];
    inputs.fill(number..=number, &mut image);
    image
}

/// Bit flips and all else that leaves codes codes, of both lifetimes.
const FAULTS: [&str; 6] = [
    "sweep.count = [1, 40]\nrecord.predictions = true\n[[fault]]\nmodel = 'bit-flip'\n",
    "[[fault]]\ntarget = 'activation'\nplace = 'input'\nmodel = 'bit-flip'\nvalue_fault_rate = 0.02\nlifetime = 'transient'\n",
    "[[fault]]\nmodel = 'stuck-at'\nvalue_fault_rate = 0.05\n[[fault]]\ntarget = 'activation'\nplace = 'input'\nmodel = 'random-word'\nvalue_fault_rate = 0.03\n\
     [[fault]]\ntarget = 'bias'\nmodel = 'gaussian'\nsigma = 0.3\nvalue_fault_rate = 0.5\n",
    "[[fault]]\nmodel = 'zeroing'\nshape = 'row'\ncount = 5\n[[fault]]\ntarget = 'activation'\nplace = 'input'\nmodel = 'zeroing'\nshape = 'channel'\nshape_fault_rate = 0.2\n",
    "[[fault]]\nmodel = 'bit-flip'\nlifetime = 'transient'\ncount = 30\n",
    "[[fault]]\nmodel = 'sign-reversal'\nvalue_fault_rate = 0.1\n[[fault]]\ntarget = 'activation'\nlayers = 'type:relu'\nmodel = 'zeroing'\nvalue_fault_rate = 0.1\n",
];

#[test]
fn campaigns_in_integers_equal_brute_force_image_by_image() {
    let data = digits_images(17);
    for model in [digits_model(), residual()] {
        for fault in FAULTS {
            let (first, rest) = fault.split_at(fault.find("[[").expect("a fault"));
            let toml = STORED.replacen("trials.count = 3\n", &format!("trials.count = 3\n{first}"), 1) + rest;
            let found = check_spec(&campaign(&toml), &model, &data);
            println!("{fault}{found:?}");
            assert!(found.masked_exact < Some(found.images), "something was struck: {fault}");
        }
    }
}

#[test]
fn replays_compute_in_integers_too() {
    let (model, data) = (digits_model(), digits_images(20));
    let spec = campaign(&format!("{STORED}[[fault]]\nmodel = 'bit-flip'\ncount = 40\n"));
    let campaign = bind(&spec, &model, &data);
    let golden = campaign.golden(&Silent);
    let trials: Vec<_> = campaign.plan().trials().collect();
    for (trial, record) in trials.iter().zip(support::run(&campaign, &golden, &trials)) {
        assert_eq!(campaign.replay(&golden, *trial, &Silent).outcomes, record.outcomes);
    }
}

/// A struck weight is the struck code, also the one that is never stored, and undoing gives back every bit.
#[test]
fn weights_are_struck_and_restored_as_codes() {
    let (model, data) = (digits_model(), digits_images(4));
    let spec = campaign(&format!("{STORED}[[fault]]\nmodel = 'bit-flip'\ncount = 1\n"));
    let campaign = bind(&spec, &model, &data);
    let memory = campaign.memory(0);
    let (_, pristine) =
        Program::compile_integer(memory.network(), &[], memory.taps(), campaign.integer_layers(0));
    let before = support::all_bits(memory.network(), &pristine);
    let weight = |tensor: &StoredTensor| tensor.class == Class::Weight;
    let id = TensorId(memory.tensors().iter().position(weight).expect("there are weights"));
    let parameter = memory.tensor(id).parameter().expect("a parameter");
    let codec = memory.tensor(id).codec();
    for (index, word) in (0..3).flat_map(|index| (0..=255).map(move |word| (index, word))) {
        let stored = codec.encode(index, memory.stored_values(id).expect("a parameter")[index]);
        let damage = Damage::Flip(word ^ stored);
        let site = FaultSite { tensor: id, part: Part::Values, start: index, step: 1, count: 1, damage };
        let mut weights = pristine.clone();
        let changed = changes(memory, &[site]);
        strike(&changed, &mut weights);
        assert_eq!(weights.get(parameter, index), codec.decode(index, word));
        undo(&changed, &pristine, &mut weights);
        if word == 128 {
            assert_eq!(support::all_bits(memory.network(), &weights), before);
        }
    }
}

fn error(toml: &str) -> String {
    let (model, data) = (digits_model(), digits_images(4));
    let spec = campaign(toml);
    chain(&Campaign::new(&spec, &model.network, &model.preprocessing, &data, Some(&data)).expect_err(toml))
}

#[test]
fn storage_that_leaves_a_layer_half_stored_is_an_error() {
    let flip = "[[fault]]\nmodel = 'bit-flip'\ncount = 1\n";
    let stored = |rest: &str| error(&format!("arithmetic = 'integer'\ntrials.count = 1\n{rest}{flip}"));
    let weights = "[[storage]]\ntarget = 'weight'\nformat = 'int8'\n";
    let found = stored("");
    assert!(found.contains("no layer has its weights and its inputs"), "{found}");
    let found = stored(weights);
    assert!(
        found.contains("the weights of conv1 are stored in int8, but the network's input is not"),
        "{found}"
    );
    let found =
        stored(&format!("{weights}[[storage]]\ntarget = 'activation'\nplace = 'input'\nformat = 'uint9'\n"));
    assert!(found.contains("conv1") && found.contains("its inputs are stored in uint9"), "{found}");
    let found = stored("[[storage]]\ntarget = 'activation'\nplace = 'input'\nformat = 'uint8'\n");
    assert!(
        found.contains("conv1 reads inputs stored in uint8, but its weights are stored in f32"),
        "{found}"
    );
    // Only one layer of several: the others stay in floats.
    let one = "[[storage]]\ntarget = 'weight'\nlayers = 'conv2'\nformat = 'int8'\n\
        [[storage]]\ntarget = 'activation'\nlayers = 'conv2'\nplace = 'input'\nformat = 'uint8'\n";
    let (model, data) = (digits_model(), digits_images(4));
    let spec = campaign(&format!("arithmetic = 'integer'\ntrials.count = 1\n{one}{flip}"));
    assert_eq!(bind(&spec, &model, &data).integer_layers(0).len(), 1);
}

#[test]
fn faults_that_leave_the_codes_are_errors() {
    let words = "expected a model of bits";
    for fault in [
        "model = 'gaussian'\nsigma = 0.1\nvalue_fault_rate = 0.1",
        "model = 'lognormal'\nsigma = 0.1\nvalue_fault_rate = 0.1",
        "model = 'set-value'\nvalue = 0.5\ncount = 1",
        "model = 'random-value'\nlow = -1\nhigh = 1\ncount = 1",
        "target = 'weight-scale'\nmodel = 'bit-flip'\ncount = 1",
        "target = 'activation-scale'\nplace = 'input'\nmodel = 'bit-flip'\ncount = 1",
        "target = 'activation-zero-point'\nplace = 'input'\nmodel = 'bit-flip'\ncount = 1",
        "target = 'activation'\nplace = 'input'\nmodel = 'sign-reversal'\ncount = 1",
        "target = 'activation'\nlayers = 'type:relu'\nplace = 'output'\nmodel = 'bit-flip'\nbits = 'sign'\ncount = 1\n[[storage]]\ntarget = 'activation'\nlayers = ['conv2', 'fc*']\nplace = 'input'\nformat = 'f32'\n[[storage]]\ntarget = 'activation'\nlayers = ['conv1', 'conv2', 'fc1']\nplace = 'output'\nformat = 'int8'\n[[storage]]\ntarget = 'activation'\nlayers = 'fc2'\nplace = 'input'\nformat = 'int8'",
        "model = 'bit-flip'\ncount = 1\n[[fault]]\nmodel = 'sign-reversal'\ncount = 1",
        "listed = [{ layer = 'conv1', index = 0, model = 'add', value = 0.25 }]",
    ] {
        let found = error(&format!("{STORED}[[fault]]\n{fault}\n"));
        assert!(found.contains(words) && found.starts_with("fault "), "{fault}: {found}");
    }
}

/// What is not stored in integers may be struck in any way: biases, and the outputs of layers before they are stored.
#[test]
fn faults_outside_the_codes_are_as_ever() {
    let (model, data) = (digits_model(), digits_images(9));
    for fault in [
        "[[fault]]\ntarget = 'bias'\nmodel = 'set-value'\nvalue = 3e38\ncount = 2\n",
        "[[fault]]\ntarget = 'activation'\nmodel = 'gaussian'\nsigma = 2\nvalue_fault_rate = 0.3\n",
        "[[fault]]\ntarget = 'activation'\nmodel = 'bit-flip'\nbits = [30]\nvalue_fault_rate = 0.1\nlifetime = 'transient'\n",
    ] {
        check_spec(&campaign(&format!("{STORED}{fault}")), &model, &data);
    }
}

#[test]
fn the_arithmetic_is_part_of_a_campaigns_identity() {
    let (model, data) = (digits_model(), digits_images(4));
    let toml = format!("{STORED}[[fault]]\nmodel = 'bit-flip'\ncount = 1\n");
    let integer = bind(&campaign(&toml), &model, &data);
    let float = bind(&campaign(&toml.replace("'integer'", "'float'")), &model, &data);
    assert_eq!(integer.identity().differences(float.identity()), ["the specification"]);
    assert!(float.integer_layers(0).is_empty());
    let absent = bind(&campaign(&toml.replace("arithmetic = 'integer'\n", "")), &model, &data);
    assert_eq!(absent.identity(), float.identity());
}
