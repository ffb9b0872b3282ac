//! One pass over a parameter's values, its gradient and its state.

use std::mem;

/// Values that one thread updates at a time; fewer are not worth a second thread.
const CHUNK: usize = 1 << 14;

/// Values updated at a time in local copies: of them the compiler knows that they do not overlap, so it uses vector instructions.
const BLOCK: usize = 256;

/// Vectors that are read from it lie in what one vector wrote before.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Block([f32; BLOCK]);

impl Block {
    const ZERO: Self = Self([0.0; BLOCK]);
}

/// Replaces every value and its `N` numbers of state by what `update` makes of the value, its gradient and the state.
///
/// **Shapes**: all slices have the same length.
pub(super) fn pass<const N: usize>(
    values: &mut [f32],
    gradient: &[f32],
    mut state: [&mut [f32]; N],
    update: impl Fn(f32, f32, [f32; N]) -> (f32, [f32; N]) + Copy + Send + Sync,
) {
    if values.len() <= CHUNK {
        return serial(values, gradient, state, update);
    }
    let middle = (values.len() / 2).next_multiple_of(BLOCK);
    let (values, other_values) = values.split_at_mut(middle);
    let (gradient, other_gradient) = gradient.split_at(middle);
    let other_state = state.each_mut().map(|buffer| {
        let (first, second) = mem::take(buffer).split_at_mut(middle);
        *buffer = first;
        second
    });
    rayon::join(
        || pass(values, gradient, state, update),
        || pass(other_values, other_gradient, other_state, update),
    );
}

fn serial<const N: usize>(
    values: &mut [f32],
    gradient: &[f32],
    mut state: [&mut [f32]; N],
    update: impl Fn(f32, f32, [f32; N]) -> (f32, [f32; N]) + Copy,
) {
    let (mut v, mut g, mut s) = (Block::ZERO, Block::ZERO, [Block::ZERO; N]);
    for (i, (values, gradient)) in values.chunks_mut(BLOCK).zip(gradient.chunks(BLOCK)).enumerate() {
        let (start, count) = (i * BLOCK, values.len());
        v.0[..count].copy_from_slice(values);
        g.0[..count].copy_from_slice(gradient);
        for (local, buffer) in s.iter_mut().zip(&state) {
            local.0[..count].copy_from_slice(&buffer[start..][..count]);
        }
        update_block(&mut v, &g, &mut s, update);
        values.copy_from_slice(&v.0[..count]);
        for (local, buffer) in s.iter().zip(&mut state) {
            buffer[start..][..count].copy_from_slice(&local.0[..count]);
        }
    }
}

fn update_block<const N: usize>(
    values: &mut Block,
    gradient: &Block,
    state: &mut [Block; N],
    update: impl Fn(f32, f32, [f32; N]) -> (f32, [f32; N]),
) {
    for i in 0..BLOCK {
        let mut own = [0.0; N];
        for k in 0..N {
            own[k] = state[k].0[i];
        }
        let (value, own) = update(values.0[i], gradient.0[i], own);
        values.0[i] = value;
        for k in 0..N {
            state[k].0[i] = own[k];
        }
    }
}

/// The gradient `g` of a value `w` with the L2 penalty's, `g + decay·w`. Without decay `g` itself, even where `w` is not finite.
pub(super) fn decayed(g: f32, w: f32, decay: f32) -> f32 {
    if decay == 0.0 { g } else { g + decay * w }
}

/// From `start` the share `weight` of the way to `end`, rounded as `torch.lerp` does.
pub(super) fn lerp(start: f32, end: f32, weight: f32) -> f32 {
    if weight < 0.5 { start + weight * (end - start) } else { end - (end - start) * (1.0 - weight) }
}
