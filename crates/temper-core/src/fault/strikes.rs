//! What faults can make of stored words, whatever is drawn.

use super::list::ListedSite;
use super::resolve::Fault;
use super::spec::Lifetime;
use crate::memory::{Departure, IntegerSource, Memory, Part, Target, TensorId};

/// What one fault does to one tensor.
#[derive(Clone, Copy)]
pub(crate) struct Strike {
    /// The fault's number, from 0.
    pub(crate) fault: usize,
    pub(crate) tensor: TensorId,
    part: Part,
    pub(crate) departure: Departure,
    /// Whether it is another one in every image.
    pub(crate) anew: bool,
}

impl Strike {
    /// What a drawn fault does, whatever is drawn.
    pub(crate) fn of_fault(number: usize, fault: &Fault) -> impl Iterator<Item = Self> {
        let (part, departure) = fault.departure();
        let anew = fault.lifetime() == Lifetime::Transient;
        fault.tensors().map(move |tensor| Self { fault: number, tensor, part, departure, anew })
    }

    /// What a listed fault does.
    pub(crate) fn of_listed(number: usize, listed: &ListedSite) -> Self {
        Self {
            fault: number,
            tensor: listed.site.tensor,
            part: listed.site.part,
            departure: listed.site.damage.departure(),
            anew: listed.image.is_some(),
        }
    }

    /// Which layer it strikes, and what there.
    pub(crate) fn struck(&self, memory: &Memory) -> (String, Target) {
        let struck = memory.tensor(self.tensor);
        (struck.layer.clone(), Target { class: struck.class, part: self.part })
    }
}

/// The first strike that makes of the codes of these layers what no code stands for.
pub(crate) fn off_codes<'a>(
    memory: &Memory,
    sources: &[IntegerSource],
    strikes: &'a [Strike],
) -> Option<&'a Strike> {
    let mut words: Vec<TensorId> =
        strikes.iter().filter(|s| s.departure == Departure::Word).map(|s| s.tensor).collect();
    words.sort_unstable();
    strikes.iter().find(|strike| {
        let Strike { tensor, part, departure, .. } = **strike;
        let words = words.binary_search(&tensor).is_ok();
        !sources.iter().all(|source| source.holds(memory, tensor, part, departure, words))
    })
}
