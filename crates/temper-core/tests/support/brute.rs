//! What faults do, by brute force: whole tensors are decoded, networks copied, and every image runs alone.

use std::collections::BTreeMap;

use temper_core::Tensor;
use temper_core::campaign::{Campaign, CampaignSpec, Golden, Outcomes, Trial, TrialRecord};
use temper_core::data::Inputs;
use temper_core::execution::{IntegerLayer, Program, Workspace, top_class};
use temper_core::fault::{Damage, FaultSite};
use temper_core::memory::{Memory, Part, StoredTensor, TensorId};
use temper_core::network::{Model, Network, Op};
use temper_core::number::{Codec, NumberFormat};

use super::{Silent, run};

/// What the code words of a tensor read under faults, all of them decoded anew.
pub fn read(tensor: &StoredTensor, stored: &[f32], sites: &[&FaultSite]) -> Vec<f32> {
    let codec = tensor.codec();
    let struck = struck_codec(tensor, sites);
    let word = |index: usize, value: f32| codec.encode(index, value);
    let mut read: Vec<f32> =
        stored.iter().enumerate().map(|(i, &value)| struck.decode(i, word(i, value))).collect();
    let mut words: Vec<Option<u64>> =
        stored.iter().enumerate().map(|(i, &value)| Some(word(i, value))).collect();
    for site in sites.iter().filter(|site| site.part == Part::Values) {
        for index in members(site) {
            let value = read[index];
            let bits = |word: &Option<u64>| word.unwrap_or_else(|| struck.encode(index, value));
            let changed = match site.damage {
                Damage::Flip(mask) => Ok(bits(&words[index]) ^ mask),
                Damage::StuckAt0(mask) => Ok(bits(&words[index]) & !mask),
                Damage::StuckAt1(mask) => Ok(bits(&words[index]) | mask),
                Damage::Set(set) => Err(set),
                Damage::Negate => Err(f32::from_bits(value.to_bits() ^ 0x8000_0000)),
                Damage::Add(noise) => Err(value + noise),
                Damage::Scale(factor) => Err(value * factor),
            };
            match changed {
                Ok(word) => {
                    // A word that reads as before leaves also a value alone that no word stands for.
                    if word != bits(&words[index]) {
                        read[index] = struck.decode(index, word);
                    }
                    words[index] = Some(word);
                }
                Err(value) => (read[index], words[index]) = (value, None),
            }
        }
    }
    read
}

/// The values that a site strikes.
pub fn members(site: &FaultSite) -> impl Iterator<Item = usize> + use<> {
    let FaultSite { start, step, count, .. } = *site;
    (0..count).map(move |i| start + i * step)
}

/// A codec with its scales and zero points struck.
fn struck_codec(tensor: &StoredTensor, sites: &[&FaultSite]) -> Codec {
    let mut codec = tensor.codec().clone();
    for site in sites {
        for channel in members(site) {
            let grid = codec.grid_mut(channel);
            match site.part {
                Part::Values => {}
                Part::Scale => {
                    let grid = grid.expect("a scale that exists");
                    grid.scale = struck_float(grid.scale, site.damage);
                }
                Part::ZeroPoint => {
                    let grid = grid.expect("a zero point that exists");
                    grid.zero_point = struck_integer(grid.zero_point, site.damage, tensor.format);
                }
            }
        }
    }
    codec
}

fn struck_float(value: f32, damage: Damage) -> f32 {
    match damage {
        Damage::Flip(mask) => f32::from_bits(value.to_bits() ^ mask as u32),
        Damage::StuckAt0(mask) => f32::from_bits(value.to_bits() & !(mask as u32)),
        Damage::StuckAt1(mask) => f32::from_bits(value.to_bits() | mask as u32),
        Damage::Set(set) => set,
        Damage::Negate => -value,
        Damage::Add(noise) => value + noise,
        Damage::Scale(factor) => value * factor,
    }
}

/// An integer of the format's width under damage to its bits; under other damage the nearest integer that fits.
fn struck_integer(value: i32, damage: Damage, format: NumberFormat) -> i32 {
    let width = format.bit_width();
    let modulus = 1i64 << width;
    let word = i64::from(value).rem_euclid(modulus);
    let signed = !matches!(format, NumberFormat::Uint(_));
    let (low, high) = if signed { (-modulus / 2, modulus / 2 - 1) } else { (0, modulus - 1) };
    let number = |value: f32| (value.round_ties_even() as i64).clamp(low, high) as i32;
    let struck = match damage {
        Damage::Flip(mask) => word ^ mask as i64,
        Damage::StuckAt0(mask) => word & !(mask as i64),
        Damage::StuckAt1(mask) => word | mask as i64,
        Damage::Set(set) => return number(set),
        Damage::Negate => return number(-value as f32),
        Damage::Add(noise) => return number(value as f32 + noise),
        Damage::Scale(factor) => return number(value as f32 * factor),
    };
    if struck == word {
        return value;
    }
    (if signed && struck >= modulus / 2 { struck - modulus } else { struck }) as i32
}

/// Sites of each tensor, in their order.
fn by_tensor(sites: &[FaultSite]) -> BTreeMap<TensorId, Vec<&FaultSite>> {
    let mut tensors: BTreeMap<TensorId, Vec<&FaultSite>> = BTreeMap::new();
    for site in sites {
        tensors.entry(site.tensor).or_default().push(site);
    }
    tensors
}

/// A copy of the network with its parameters struck.
pub fn struck(memory: &Memory, sites: &[FaultSite]) -> Network {
    let network = memory.network();
    let paths: Vec<String> = network.parameters().map(|(path, _)| path).collect();
    let mut parameters = network.tensors().clone();
    for (id, sites) in by_tensor(sites) {
        let tensor = memory.tensor(id);
        if let Some(parameter) = tensor.parameter() {
            let path = &paths[parameter.0];
            let values = read(tensor, network.tensors()[path].data(), &sites);
            parameters
                .insert(path.clone(), Tensor::new(tensor.shape.clone(), values).expect("the same shape"));
        }
    }
    network.clone().with_parameters(parameters).expect("the same shapes")
}

/// The output for one image, through a freshly compiled copy of the network whose activations are stored and struck by hand.
pub fn output(
    memory: &Memory,
    integer: &[IntegerLayer],
    inputs: &Inputs<'_>,
    image: usize,
    sites: &[FaultSite],
) -> Vec<f32> {
    let (mut program, mut weights) =
        Program::compile_integer(&struck(memory, sites), &[], memory.taps(), integer);
    if !memory.rounds_activations() {
        program.use_winograd(&mut weights);
    }
    let mut workspace = Workspace::new(&program);
    inputs.fill(image..=image, workspace.input_mut(&program, 1));
    let of_tensor = by_tensor(sites);
    program.run_with(&weights, &mut workspace, &mut |tap, values| {
        let id = memory.at_tap(tap);
        let (tensor, codec) = (memory.tensor(id), memory.tensor(id).codec());
        for (index, value) in values.iter_mut().enumerate() {
            *value = codec.decode(index, codec.encode(index, *value));
        }
        if let Some(sites) = of_tensor.get(&id) {
            let struck = read(tensor, values, sites);
            values.copy_from_slice(&struck);
        }
    });
    workspace.output(&program).to_vec()
}

/// How much the network believes in a class.
fn confidence(output: &[f32], class: usize, softmax: bool) -> f64 {
    if softmax {
        return output[class].into();
    }
    let largest = output.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f64> =
        output.iter().map(|&logit| (f64::from(logit) - f64::from(largest)).exp()).collect();
    powers[class] / powers.iter().sum::<f64>()
}

/// Whether a class is among the five largest outputs, or equals the fifth.
fn in_top_5(output: &[f32], class: usize) -> bool {
    let mut sorted = output.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    output[class] >= sorted[4]
}

/// Outcomes counted from their definitions.
pub fn count(golden: &[f32], faulty: &[f32], labels: &[u8], softmax: bool) -> Outcomes {
    let mut outcomes = Outcomes { images: labels.len() as u64, ..Outcomes::new(true) };
    let classes = golden.len() / labels.len();
    for ((golden, faulty), &label) in
        golden.chunks_exact(classes).zip(faulty.chunks_exact(classes)).zip(labels)
    {
        let class = top_class(golden).expect("the golden network names a class");
        let label = usize::from(label);
        let (found, right) = (top_class(faulty), top_class(faulty) == Some(label));
        outcomes.correct += u64::from(right);
        outcomes.golden_correct += u64::from(class == label);
        outcomes.critical += u64::from(class == label && !right);
        if faulty.iter().any(|value| value.is_nan() || value.is_infinite()) {
            outcomes.due += 1;
            continue;
        }
        let top = found.expect("all outputs are finite");
        let (before, after) = (confidence(golden, class, softmax), confidence(faulty, top, softmax));
        let moved = (after / before - 1.0).abs();
        outcomes.sdc10 = outcomes.sdc10.map(|count| count + u64::from(moved > 0.1));
        outcomes.sdc20 = outcomes.sdc20.map(|count| count + u64::from(moved > 0.2));
        if top == class {
            outcomes.masked += 1;
            let bits = |output: &[f32]| output.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
            let equal = u64::from(bits(golden) == bits(faulty));
            outcomes.masked_exact = outcomes.masked_exact.map(|count| count + equal);
        } else {
            outcomes.sdc += 1;
            outcomes.sdc5 += u64::from(!in_top_5(faulty, class));
        }
    }
    outcomes
}

/// Runs every trial of a campaign and the same by brute force, image by image; returns all outcomes together.
pub fn check(campaign: &Campaign<'_>, golden: &Golden, inputs: &Inputs<'_>) -> Outcomes {
    let labels = inputs.dataset().labels();
    let trials: Vec<Trial> = campaign.plan().trials().collect();
    let records = run(campaign, golden, &trials);
    assert_eq!(records.len(), trials.len());
    let mut all = Outcomes::default();
    for (trial, record) in trials.into_iter().zip(records) {
        let memory = campaign.memory(trial.condition);
        let integer = campaign.integer_layers(trial.condition);
        let network = memory.network();
        let softmax = matches!(network.node(network.output()).op, Op::Softmax { .. });
        let expected = campaign.golden_logits(golden, trial.condition);
        let permanent = campaign.permanent_sites(trial);
        let mut faults = permanent.len() as u64;
        let images = campaign.images_of(golden, trial).unwrap_or_else(|| (0..labels.len()).collect());
        let classes = expected.len() / labels.len();
        let expected: Vec<f32> =
            images.iter().flat_map(|image| &expected[image * classes..][..classes]).copied().collect();
        let labels: Vec<u8> = images.iter().map(|&image| labels[image]).collect();
        let near: Vec<usize> =
            (0..images.len()).filter(|&i| campaign.is_near(golden, trial.condition, images[i])).collect();
        let mut faulty = Vec::with_capacity(expected.len());
        for image in images {
            let own = campaign.transient_sites(trial, image as u64);
            faults += own.as_ref().map_or(0, |own| (own.len() - permanent.len()) as u64);
            faulty.extend(output(memory, integer, inputs, image, own.as_ref().unwrap_or(&permanent)));
        }
        let brute = TrialRecord {
            campaign: campaign.identity().campaign.clone(),
            trial: trial.id,
            condition: trial.condition,
            draw: trial.draw,
            faults,
            outcomes: count(&expected, &faulty, &labels, softmax),
            near: (labels.len() < campaign.images()).then(|| {
                let part = |all: &[f32]| -> Vec<f32> {
                    near.iter().flat_map(|i| &all[i * classes..][..classes]).copied().collect()
                };
                let labels: Vec<u8> = near.iter().map(|&i| labels[i]).collect();
                count(&part(&expected), &part(&faulty), &labels, softmax)
            }),
            predictions: record.predictions.clone(),
            masked_proven: 0,
            cpu_seconds: 0.0,
        };
        assert_eq!(record, brute);
        if let Some(predictions) = &record.predictions {
            let tops = faulty.chunks_exact(classes).map(top_class);
            assert!(tops.eq(predictions.iter().map(|class| class.map(usize::from))), "trial {}", trial.id);
        }
        all += record.outcomes;
    }
    all
}

/// [`check`] of a specification on a model, whose images are also those of the calibration.
pub fn check_spec(spec: &CampaignSpec, model: &Model, data: &temper_core::data::Dataset) -> Outcomes {
    let Model { network, preprocessing } = model;
    let campaign = Campaign::new(spec, network, preprocessing, data, Some(data))
        .unwrap_or_else(|error| panic!("{}", super::chain(&error)));
    let inputs = preprocessing.bind(data, network.input_shape()).expect("the images fit");
    let golden = campaign.golden(&Silent);
    for condition in 0..campaign.plan().conditions.len() {
        let expected: Vec<f32> = (0..data.len())
            .flat_map(|image| {
                let integer = campaign.integer_layers(condition);
                output(campaign.memory(condition), integer, &inputs, image, &[])
            })
            .collect();
        assert_eq!(campaign.golden_logits(&golden, condition), expected, "the golden run");
        let softmax = false;
        let correct = count(&expected, &expected, data.labels(), softmax).correct;
        assert_eq!(campaign.golden_correct(&golden, condition), correct);
    }
    check(&campaign, &golden, &inputs)
}
