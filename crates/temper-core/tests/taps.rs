//! Activations touched while a program runs: against the untouched program, the plain reference evaluator, and runs that start
//! in the middle.

mod reference;
pub mod support;

use support::networks::{all_taps, bits, every_operator, inputs, randomised, zoo};
use support::{digits_images, digits_model};
use temper_core::execution::{Program, Tap, TapId, TapSide, Weights, Workspace, logits, logits_with};
use temper_core::network::zoo::{Architecture, Family, Shortcut};
use temper_core::network::{GraphDescription, Network, NodeId, Op};

const IMAGES: usize = 2;

/// The zoo and the network of all operators, with random parameters.
fn networks() -> Vec<Network> {
    let zoo = zoo().into_iter().zip(0..);
    let zoo = zoo.map(|(architecture, seed)| randomised(architecture.build().expect("sound"), seed));
    [every_operator()].into_iter().chain(zoo).collect()
}

/// Small networks in which every operator and every kind of shortcut occurs.
fn small_networks() -> [Network; 2] {
    let residual = Architecture {
        input: vec![3, 8, 8],
        widths: vec![2, 3, 4],
        shortcut: Shortcut::B,
        ..Architecture::new(Family::CifarResnet(8))
    };
    [every_operator(), randomised(residual.build().expect("sound"), 5)]
}

fn network(json: &str) -> Network {
    let graph: GraphDescription = serde_json::from_str(json).expect("valid JSON");
    graph.build().expect("a sound network")
}

/// A finished recording run.
fn run(
    program: &Program,
    weights: &Weights,
    input: &[f32],
    touch: &mut dyn FnMut(TapId, &mut [f32]),
) -> Workspace {
    let mut workspace = Workspace::recording(program);
    workspace.input_mut(program, IMAGES).copy_from_slice(input);
    program.run_with(weights, &mut workspace, touch);
    workspace
}

/// A change that shows: the middle value of every image becomes 1.5.
fn set_middle(values: &mut [f32], len: usize) {
    for image in values.chunks_exact_mut(len) {
        image[len / 2] = 1.5;
    }
}

#[test]
fn touching_without_changing_changes_no_bit() {
    for network in networks() {
        let input = inputs(&network, IMAGES);
        let (plain, weights) = Program::compile(&network, &[], &[]);
        let mut untapped = Workspace::new(&plain);
        untapped.input_mut(&plain, IMAGES).copy_from_slice(&input);
        plain.run(&weights, &mut untapped);
        let (program, weights) = Program::compile(&network, &[], &all_taps(&network));
        let tapped = run(&program, &weights, &input, &mut |_, _| {});
        assert_eq!(bits(tapped.output(&program)), bits(untapped.output(&plain)));
    }
}

#[test]
fn taps_are_touched_once_each_in_execution_order() {
    for network in networks() {
        let in_order = all_taps(&network);
        // Listed backwards and twice, so that neither the list's order nor the number of taps at a place can hide.
        let listed: Vec<Tap> = in_order.iter().rev().chain(&in_order).copied().collect();
        let (program, weights) = Program::compile(&network, &[], &listed);
        assert_eq!(program.tap_count(), listed.len());
        let mut calls = Vec::new();
        run(&program, &weights, &inputs(&network, IMAGES), &mut |tap, values| {
            calls.push(tap);
            assert_eq!(values.len(), IMAGES * program.tap_len(tap));
            let Tap { node, side } = listed[tap.0];
            let shown = if side == TapSide::Input { network.node(node).inputs[0] } else { node };
            assert_eq!(program.tap_len(tap), network.shape(shown).iter().product::<usize>());
        });
        let count = in_order.len();
        let expected: Vec<TapId> =
            (0..count).flat_map(|place| [TapId(count - 1 - place), TapId(count + place)]).collect();
        assert_eq!(calls, expected);
        assert!(calls.is_sorted_by_key(|&tap| program.step_of_tap(tap)));
    }
}

#[test]
fn a_second_tap_at_a_place_sees_what_the_first_left() {
    let network = &small_networks()[1];
    let place = Tap::output(NodeId(3));
    let (program, weights) = Program::compile(network, &[], &[place, place]);
    run(&program, &weights, &inputs(network, IMAGES), &mut |tap, values| match tap {
        TapId(0) => values.fill(7.0),
        _ => assert!(values.iter().all(|&value| value == 7.0)),
    });
}

/// At every place: the executor with one tap there, the executor with taps everywhere, and the reference agree on what a change
/// at this place does to the output.
#[test]
fn a_change_at_any_place_is_what_the_reference_makes_of_it() {
    for network in small_networks() {
        let input = inputs(&network, IMAGES);
        let taps = all_taps(&network);
        let untouched = &reference::evaluate(&network, &input, IMAGES)[network.output().0];
        let mut shown = 0;
        let (full, full_weights) = Program::compile(&network, &[], &taps);
        for (number, &tap) in taps.iter().enumerate() {
            let expected = reference::evaluate_changed(&network, &input, IMAGES, &|place, values| {
                if place == tap {
                    values[values.len() / 2] = 1.5;
                }
            });
            let expected = &expected[network.output().0];
            shown += usize::from(expected != untouched);
            let (program, weights) = Program::compile(&network, &[], &[tap]);
            let len = program.tap_len(TapId(0));
            let alone = run(&program, &weights, &input, &mut |_, values| set_middle(values, len));
            let scale = expected.iter().fold(1.0f64, |largest, x| largest.max(x.abs()));
            for (found, expected) in alone.output(&program).iter().zip(expected) {
                let name = &network.node(tap.node).name;
                let error = (f64::from(*found) - expected).abs();
                assert!(error <= 2e-5 * scale, "{name} {tap:?}: {found}, expected {expected}");
            }
            let among_all = run(&full, &full_weights, &input, &mut |tap, values| {
                if tap == TapId(number) {
                    set_middle(values, len);
                }
            });
            assert_eq!(bits(among_all.output(&full)), bits(alone.output(&program)), "{tap:?}");
        }
        assert!(shown * 10 >= taps.len() * 9, "only {shown} of {} changes reach the output", taps.len());
    }
}

/// Where nothing is stored, nodes stay fused, and strikes do what they do to nodes that are not.
#[test]
fn strikes_within_fused_steps_have_the_bits_of_strikes_between_steps() {
    for network in networks() {
        let (input, taps) = (inputs(&network, IMAGES), all_taps(&network));
        let (apart, apart_weights) = Program::compile(&network, &[], &taps);
        // With all taps, and with those alone that hinder no fusion.
        let outputs: Vec<Tap> = taps.iter().copied().filter(|tap| tap.side == TapSide::Output).collect();
        for listed in [&taps, &outputs] {
            let (within, weights) = Program::compile_to_strike(&network, &[], listed);
            let mut calls = Vec::new();
            let untouched = run(&within, &weights, &input, &mut |tap, values| {
                calls.push(tap);
                assert_eq!(values.len(), IMAGES * within.tap_len(tap));
            });
            assert!(calls.is_sorted_by_key(|&tap| within.step_of_tap(tap)));
            calls.sort_unstable();
            assert_eq!(calls, (0..listed.len()).map(TapId).collect::<Vec<_>>(), "once each");
            let golden = bits(untouched.output(&within));
            for (number, &tap) in
                listed.iter().enumerate().step_by(if network.nodes().len() > 40 { 9 } else { 1 })
            {
                let strike = |place: TapId, strikes: TapId, values: &mut [f32]| {
                    if place == strikes {
                        let len = values.len() / IMAGES;
                        set_middle(values, len);
                    }
                };
                let place = taps.iter().position(|other| *other == tap).expect("one of all");
                let expected =
                    run(&apart, &apart_weights, &input, &mut |at, values| strike(at, TapId(place), values));
                let found =
                    run(&within, &weights, &input, &mut |at, values| strike(at, TapId(number), values));
                assert_eq!(bits(found.output(&within)), bits(expected.output(&apart)), "{tap:?}");
            }
            let mut unstruck = Workspace::new(&within);
            unstruck.input_mut(&within, IMAGES).copy_from_slice(&input);
            within.run_unstruck(&weights, &mut unstruck, &mut |_, _| {});
            assert_eq!(bits(unstruck.output(&within)), golden);
        }
        let (untapped, _) = Program::compile(&network, &[], &[]);
        let products: Vec<Tap> = network
            .nodes()
            .iter()
            .zip((0..).map(NodeId))
            .filter(|(node, _)| matches!(node.op, Op::Conv2d { .. } | Op::Linear { .. }))
            .map(|(_, id)| Tap::output(id))
            .collect();
        let (within, _) = Program::compile_to_strike(&network, &[], &products);
        assert_eq!(within.step_count(), untapped.step_count());
    }
}

#[test]
fn recordings_keep_what_the_touch_leaves() {
    for network in small_networks() {
        let taps: Vec<Tap> = (0..network.nodes().len()).map(|id| Tap::output(NodeId(id))).collect();
        let (program, weights) = Program::compile(&network, &[], &taps);
        let mut left = vec![Vec::new(); taps.len()];
        let recorded = run(&program, &weights, &inputs(&network, IMAGES), &mut |tap, values| {
            values[tap.0 % values.len()] += 1.0;
            left[tap.0] = values.to_vec();
        });
        for (node, left) in left.iter().enumerate() {
            let kept = recorded.activation(&program, NodeId(node)).expect("tapped nodes stay available");
            assert_eq!(bits(kept), bits(left), "{}", network.node(NodeId(node)).name);
        }
    }
}

/// x → relu → double → sum with relu.
const RESIDUAL: &str = r#"{
  "input": [2],
  "node": [
    {"name": "relu", "op": {"kind": "relu"}},
    {"name": "double", "inputs": ["relu", "relu"], "op": {"kind": "add"}},
    {"name": "sum", "inputs": ["double", "relu"], "op": {"kind": "add"}}
  ]
}"#;

/// The output for images [1, −2] and [3, 4] with one tap that adds 10 to each image's first value.
fn add_ten(json: &str, tap: Tap) -> Vec<f32> {
    let (program, weights) = Program::compile(&network(json), &[], &[tap]);
    let workspace = run(&program, &weights, &[1.0, -2.0, 3.0, 4.0], &mut |_, values| {
        for image in values.chunks_exact_mut(2) {
            image[0] += 10.0;
        }
    });
    workspace.output(&program).to_vec()
}

#[test]
fn an_input_tap_leaves_other_consumers_alone() {
    // 3·relu(x), untouched.
    let untouched = [3.0, 0.0, 9.0, 12.0];
    let with = |first: f32| [untouched[0] + first, 0.0, untouched[2] + first, 12.0];
    assert_eq!(add_ten(RESIDUAL, Tap::output(NodeId(0))), with(30.0));
    assert_eq!(add_ten(RESIDUAL, Tap::input(NodeId(1))), with(30.0), "the only consumer of the input");
    assert_eq!(add_ten(RESIDUAL, Tap::output(NodeId(1))), with(30.0));
    assert_eq!(add_ten(RESIDUAL, Tap::input(NodeId(2))), with(10.0), "only the first of two equal operands");
    assert_eq!(add_ten(RESIDUAL, Tap::output(NodeId(2))), with(10.0));
    assert_eq!(add_ten(RESIDUAL, Tap::input(NodeId(3))), with(10.0));
    assert_eq!(add_ten(RESIDUAL, Tap::output(NodeId(3))), with(10.0), "the network's output");
}

/// A view of the input and the input itself, summed; the sum is shown in another shape.
const VIEWS: &str = r#"{
  "input": [2],
  "node": [
    {"name": "dropout", "op": {"kind": "dropout"}},
    {"name": "again", "op": {"kind": "dropout"}},
    {"name": "sum", "inputs": ["again", "input"], "op": {"kind": "add"}},
    {"name": "column", "op": {"kind": "reshape", "shape": [2, 1]}}
  ]
}"#;

#[test]
fn a_tap_on_a_view_touches_only_the_views_consumers() {
    let with = |first: f32| [2.0 + first, -4.0, 6.0 + first, 8.0];
    assert_eq!(add_ten(VIEWS, Tap::output(NodeId(0))), with(20.0));
    for view in [1, 2] {
        assert_eq!(add_ten(VIEWS, Tap::input(NodeId(view))), with(10.0));
        assert_eq!(add_ten(VIEWS, Tap::output(NodeId(view))), with(10.0));
    }
    for last in [3, 4] {
        assert_eq!(add_ten(VIEWS, Tap::output(NodeId(last))), with(10.0));
    }
    assert_eq!(add_ten(VIEWS, Tap::input(NodeId(4))), with(10.0));
}

#[test]
fn a_network_that_is_only_a_view_of_its_input_can_be_tapped() {
    let json = r#"{"input": [2], "node": [{"name": "dropout", "op": {"kind": "dropout"}}]}"#;
    for tap in [Tap::output(NodeId(0)), Tap::input(NodeId(1)), Tap::output(NodeId(1))] {
        assert_eq!(add_ten(json, tap), [11.0, -2.0, 13.0, 4.0]);
    }
}

#[test]
fn whole_data_sets_are_touched_image_by_image() {
    let (model, data) = (digits_model(), digits_images(300));
    let inputs = model.preprocessing.bind(&data, model.network.input_shape()).expect("digits fit");
    let (plain, plain_weights) = Program::compile(&model.network, &[], &[]);
    let untouched = logits(&plain, &plain_weights, &inputs, &|_| {});
    let (program, weights) = Program::compile(&model.network, &[], &[Tap::output(model.network.output())]);
    let classes = program.output_len();
    let touched = logits_with(
        &program,
        &weights,
        &inputs,
        &|images, tap, values| {
            assert_eq!((tap, values.len()), (TapId(0), images.len() * classes));
            for (image, values) in images.zip(values.chunks_exact_mut(classes)) {
                values[image % classes] = image as f32;
            }
        },
        &|_| {},
    );
    for (image, (touched, untouched)) in
        touched.chunks_exact(classes).zip(untouched.chunks_exact(classes)).enumerate()
    {
        let mut expected = untouched.to_vec();
        expected[image % classes] = image as f32;
        assert_eq!(bits(touched), bits(&expected), "image {image}");
    }
}

#[test]
#[should_panic(expected = "a program with taps must be told what to do at them")]
fn taps_are_never_skipped_in_silence() {
    let (program, weights) = Program::compile(&network(RESIDUAL), &[], &[Tap::output(NodeId(1))]);
    program.run(&weights, &mut Workspace::new(&program));
}

#[test]
#[should_panic(expected = "node input has no input to tap")]
fn the_networks_input_has_no_input() {
    Program::compile(&network(RESIDUAL), &[], &[Tap::input(NodeId(0))]);
}
