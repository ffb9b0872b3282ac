//! The concrete faults of one trial.

use rand::{Rng, RngExt, SeedableRng, seq};
use rand_chacha::ChaCha12Rng;

use super::error_model::Damage;
use super::resolve::Fault;
use super::spec::Amount;
use crate::execution::{ParameterId, Weights};
use crate::number::NumberFormat;

/// The random stream of a trial: a pure function of the campaign's seed and the trial's id, the same on every machine.
///
/// ChaCha with 12 rounds, keyed by the seed; the trial's id selects one of its 2⁶⁴ independent streams (Bernstein, 2008).
pub fn trial_stream(campaign_seed: u64, trial: u64) -> impl Rng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&campaign_seed.to_le_bytes());
    let mut rng = ChaCha12Rng::from_seed(key);
    rng.set_stream(trial);
    rng
}

/// One struck value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FaultSite {
    /// The parameter.
    pub parameter: ParameterId,
    /// Which of its values, row-major.
    pub index: usize,
    /// The memory image in which it is struck.
    pub format: NumberFormat,
    /// What is done to it.
    pub damage: Damage,
}

/// The concrete sites of one trial: fault after fault, those of one fault all different and in the order of the parameters.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FaultDraw {
    /// The sites, to be struck in this order.
    pub sites: Vec<FaultSite>,
}

impl Fault {
    /// Draws sites from a random stream, in time proportional to their number.
    pub fn draw(&self, rng: &mut impl Rng) -> FaultDraw {
        let bits = self.bits.len() as u64;
        let sites = match self.amount {
            Amount::Count(count) => {
                let mut units = seq::index::sample(rng, self.sites() as usize, count as usize).into_vec();
                units.sort_unstable();
                units.iter().map(|&unit| self.site(unit as u64 / bits, unit as u64 % bits)).collect()
            }
            Amount::BitErrorRate(rate) => bernoulli(self.sites(), rate, rng)
                .iter()
                .map(|unit| self.site(unit / bits, unit % bits))
                .collect(),
            Amount::ValueFaultRate(rate) => bernoulli(self.values(), rate, rng)
                .into_iter()
                .map(|value| self.site(value, if bits == 1 { 0 } else { rng.random_range(0..bits) }))
                .collect(),
        };
        FaultDraw { sites }
    }

    /// The site at the `value`-th value and the `bit`-th of the bits that may be struck.
    fn site(&self, value: u64, bit: u64) -> FaultSite {
        let at = self.parameters.partition_point(|(_, end)| *end <= value);
        let start = if at == 0 { 0 } else { self.parameters[at - 1].1 };
        FaultSite {
            parameter: self.parameters[at].0,
            index: (value - start) as usize,
            format: self.format,
            damage: Damage::new(self.model, self.bits[bit as usize]),
        }
    }
}

/// Which of `trials` independent trials of probability `rate` succeed, ascending: the gaps between successes are geometrically
/// distributed, so the time taken is proportional to the number of successes (Devroye, 1986, ch. X.2: ⌊ln U / ln(1 − p)⌋).
fn bernoulli(trials: u64, rate: f64, rng: &mut impl Rng) -> Vec<u64> {
    if rate <= 0.0 {
        return Vec::new();
    }
    if rate >= 1.0 {
        return (0..trials).collect();
    }
    // One library's logarithm on every machine, so that draws are the same everywhere.
    let log_failure = libm::log1p(-rate);
    let mut successes = Vec::new();
    let mut next = 0u64;
    loop {
        // Uniform in (0, 1]: 53 bits, zero excluded.
        let uniform = ((rng.next_u64() >> 11) + 1) as f64 / (1u64 << 53) as f64;
        let gap = libm::floor(libm::log(uniform) / log_failure);
        // A float beyond the range of u64 becomes its largest value, which ends the loop.
        next = next.saturating_add(gap as u64);
        if next >= trials {
            return successes;
        }
        successes.push(next);
        next += 1;
    }
}

/// What is needed to take a strike back.
#[derive(Debug, Clone, Default)]
pub struct Undo {
    before: Vec<(ParameterId, usize, f32)>,
}

impl FaultDraw {
    /// Strikes `weights`, in time proportional to the number of faults.
    pub fn strike(&self, weights: &mut Weights) -> Undo {
        let mut undo = Undo { before: Vec::with_capacity(self.sites.len()) };
        for site in &self.sites {
            let before = weights.get(site.parameter, site.index);
            let after = site.damage.apply(site.format, before);
            if after.to_bits() != before.to_bits() {
                weights.set(site.parameter, site.index, after);
                undo.before.push((site.parameter, site.index, before));
            }
        }
        undo
    }
}

impl Undo {
    /// The parameters that hold another value than before, possibly several times.
    pub fn parameters(&self) -> impl Iterator<Item = ParameterId> {
        self.before.iter().map(|(parameter, ..)| *parameter)
    }

    /// Puts every struck value back.
    pub fn undo(self, weights: &mut Weights) {
        for (parameter, index, before) in self.before.into_iter().rev() {
            weights.set(parameter, index, before);
        }
    }
}
