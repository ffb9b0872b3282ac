//! Where activations lie.

use super::selector::{Candidate, Layers, select};
use super::storage::{MemoryError, Place};
use super::target::Class;
use crate::execution::Tap;
use crate::network::{Network, NodeId, Op};

/// A place of activations and how it was found.
pub(super) struct Found {
    pub(super) layer: String,
    pub(super) class: Class,
    pub(super) place: Option<Place>,
    pub(super) tap: Tap,
}

/// Where the chosen activations are.
pub(super) fn places(
    network: &Network,
    class: Class,
    layers: &Layers,
    place: Option<Place>,
) -> Result<Vec<Found>, MemoryError> {
    if class == Class::Input {
        if place.is_some() || *layers != Layers::default() {
            let field = if place.is_some() { "place" } else { "layers" };
            let reason = "the network has one input; leave this out".to_owned();
            return Err(MemoryError::Field { field, reason });
        }
        let layer = network.node(NodeId(0)).name.clone();
        return Ok(vec![Found { layer, class, place: None, tap: Tap::output(NodeId(0)) }]);
    }
    let nodes: Vec<NodeId> = (1..network.nodes().len())
        .map(NodeId)
        .filter(|&id| !matches!(network.node(id).op, Op::Constant { .. }))
        .collect();
    let candidates: Vec<Candidate<'_>> = nodes
        .iter()
        .map(|&id| {
            let node = network.node(id);
            let ordinary = matches!(node.op, Op::Conv2d { .. } | Op::Linear { .. });
            Candidate { name: &node.name, kind: node.op.kind(), ordinary }
        })
        .collect();
    let chosen = select(layers, &candidates, class.name())?;
    let place = place.unwrap_or_default();
    let found = |id: NodeId| Found {
        layer: network.node(id).name.clone(),
        class,
        place: Some(place),
        tap: match place {
            Place::Output => Tap::output(id),
            Place::Activated => Tap::output(activated(network, id)),
            Place::Input => Tap::input(id),
        },
    };
    Ok(nodes.into_iter().zip(chosen).filter(|(_, chosen)| *chosen).map(|(id, _)| found(id)).collect())
}

/// The last node of the batch norm, residual addition and activation function that follow `id`, each optional. An addition belongs
/// to its first operand: the shortcut is the second.
fn activated(network: &Network, id: NodeId) -> NodeId {
    let mut last = id;
    let mut stage = 0;
    loop {
        let mut readers = (last.0 + 1..network.nodes().len())
            .map(NodeId)
            .filter(|&id| network.node(id).inputs.contains(&last));
        let (Some(next), None) = (readers.next(), readers.next()) else { return last };
        if last == network.output() {
            return last;
        }
        let node = network.node(next);
        let next_stage = match node.op {
            Op::BatchNorm { .. } => 1,
            Op::Add if node.inputs[0] == last => 2,
            Op::Relu | Op::LeakyRelu { .. } | Op::Clip { .. } | Op::Sigmoid | Op::Tanh => 3,
            _ => return last,
        };
        if next_stage <= stage {
            return last;
        }
        (stage, last) = (next_stage, next);
    }
}
