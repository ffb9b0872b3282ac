//! Networks stored in few bits, and how they are timed.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use temper_core::execution::{Program, TapId, Weights, Workspace};
use temper_core::memory::{Layers, Memory, Place, StorageSpec};
use temper_core::network::Network;
use temper_core::number::{Granularity, NumberFormat, RangeRule};

/// The network with its weights in a format, and every layer's input in `uint8`.
pub(crate) fn stored(network: &Network, weights: NumberFormat) -> Memory {
    let weights = StorageSpec {
        granularity: Some(Granularity::Channel),
        ..StorageSpec::new("weight".parse().expect("a target"), Layers::default(), None, weights)
    };
    let inputs = StorageSpec {
        range: Some(RangeRule::Interval { low: -1.0, high: 4.0 }),
        ..StorageSpec::new(
            "activation".parse().expect("a target"),
            Layers::default(),
            Some(Place::Input),
            NumberFormat::Uint(8),
        )
    };
    let mut memory = Memory::new(network, &[weights, inputs]).expect("every layer has both");
    memory.calibrate(Vec::new());
    memory
}

/// Times a batch of images as evaluations run it, through a program whose activations are stored as `memory` says.
pub(crate) fn measure(
    bencher: Bencher<'_, '_>,
    images: usize,
    (program, weights): &(Program, Weights),
    memory: &Memory,
) {
    let mut workspace = Workspace::new(program);
    let value = |i: usize| (i * 48_271 % 1000) as f32 / 500.0 - 1.0;
    let inputs: Vec<f32> = (0..images * program.input_len()).map(value).collect();
    bencher.counter(ItemsCount::new(images)).bench_local(|| {
        // Later values of the run take the inputs' place.
        workspace.input_mut(program, images).copy_from_slice(&inputs);
        program.run_with(weights, &mut workspace, &mut |tap: TapId, values: &mut [f32]| {
            let tensor = memory.tensor(memory.at_tap(tap));
            values.chunks_exact_mut(tensor.values()).for_each(|image| tensor.codec().store(image));
        });
        black_box(workspace.output(program)[0])
    });
}
