//! Places where activations are read and changed while a program runs.

use std::ops::Range;

use crate::network::NodeId;

/// On which side of a node a tap sits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TapSide {
    /// The node's first input as this node alone sees it: other consumers of the same value see it unchanged.
    Input,
    /// The node's output as every consumer sees it, and the network's output if the node is that.
    Output,
}

/// A place where an activation is touched: read, and perhaps changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tap {
    /// The node.
    pub node: NodeId,
    /// Before or behind it.
    pub side: TapSide,
}

impl Tap {
    /// A tap on a node's first input.
    pub fn input(node: NodeId) -> Self {
        Self { node, side: TapSide::Input }
    }

    /// A tap on a node's output.
    pub fn output(node: NodeId) -> Self {
        Self { node, side: TapSide::Output }
    }
}

/// A tap's place in the list given to [`Program::compile`](super::Program::compile).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TapId(pub usize);

/// What is done at the taps of a program: gets the tap and the batch's values there, which it may change.
///
/// **Shapes**: values `[images, …shape]`, see [`Tap::side`].
pub type Touch<'a> = dyn FnMut(TapId, &mut [f32]) + 'a;

/// A [`Touch`] for a whole data set, called from all threads: also gets which images the values belong to.
///
/// **Shapes**: values `[range.len(), …shape]`.
pub type TouchImages<'a> = dyn Fn(Range<usize>, TapId, &mut [f32]) + Sync + 'a;

/// The touch of a program without taps: never called.
pub(super) fn no_touch(_tap: TapId, _values: &mut [f32]) {
    unreachable!("a program without taps touches nothing")
}
