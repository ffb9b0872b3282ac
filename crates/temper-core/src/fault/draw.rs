//! The concrete faults of one trial.

use rand::{Rng, RngExt, SeedableRng, seq};
use rand_chacha::ChaCha12Rng;

use super::error_model::Damage;
use super::resolve::{Fault, Span};
use super::spec::Amount;
use crate::memory::{Part, TensorId};

/// The random stream of a trial: a pure function of the campaign's seed and the trial's id, the same on every machine.
///
/// ChaCha with 12 rounds, keyed by the seed; the trial's id selects one of its 2⁶⁴ independent streams (Bernstein, 2008).
pub fn trial_stream(campaign_seed: u64, trial: u64) -> impl Rng {
    stream([campaign_seed, 0], trial)
}

/// The random stream of what is drawn anew for one image of a trial; `image` is its place among the campaign's images.
pub fn image_stream(campaign_seed: u64, trial: u64, image: u64) -> impl Rng {
    stream([campaign_seed, image + 1], trial)
}

/// The random stream of what is chosen once for a condition of a campaign.
pub fn condition_stream(campaign_seed: u64, condition: u64) -> impl Rng {
    stream([campaign_seed, u64::MAX], condition)
}

/// The random stream by which a draw chooses its images of one of several strata, numbered from 0; the same under every condition.
pub fn subset_stream(campaign_seed: u64, stratum: u64, draw: u64) -> impl Rng {
    stream([campaign_seed, u64::MAX - 1 - stratum], draw)
}

fn stream(words: [u64; 2], number: u64) -> impl Rng {
    let mut key = [0; 32];
    for (bytes, word) in key.chunks_exact_mut(8).zip(words) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    let mut rng = ChaCha12Rng::from_seed(key);
    rng.set_stream(number);
    rng
}

/// One struck place: a value, or several at equal distances that share one damage.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FaultSite {
    /// The tensor.
    pub tensor: TensorId,
    /// Which of its words.
    pub part: Part,
    /// The first value (or scale, or zero point) that is struck, row-major.
    pub start: usize,
    /// Distance to the next.
    pub step: usize,
    /// How many are struck.
    pub count: usize,
    /// What is done to each.
    pub damage: Damage,
}

impl Fault {
    /// Draws the sites of one trial from a random stream, in time proportional to their number: all different, and in the order of the
    /// tensors.
    pub fn draw(&self, rng: &mut impl Rng) -> Vec<FaultSite> {
        match self.amount {
            Amount::Count(count) => {
                let mut sites = seq::index::sample(rng, self.sites() as usize, count as usize).into_vec();
                sites.sort_unstable();
                sites.into_iter().map(|site| self.site(site as u64, rng)).collect()
            }
            Amount::BitErrorRate(rate) => {
                let polarities = self.effect.polarities();
                let bits = bernoulli(self.sites() / polarities, rate, rng);
                let site = |bit| {
                    let polarity = if polarities == 1 { 0 } else { rng.random_range(0..polarities) };
                    self.site(bit * polarities + polarity, rng)
                };
                bits.into_iter().map(site).collect()
            }
            Amount::UnitFaultRate(rate) => {
                let units = bernoulli(self.units(), rate, rng);
                let site = |unit| {
                    let span = self.span_of(unit, |span| span.units_before);
                    let own = self.sites_of_unit(span);
                    let within = if own == 1 { 0 } else { rng.random_range(0..own) };
                    self.site(span.sites_before + (unit - span.units_before) * own + within, rng)
                };
                units.into_iter().map(site).collect()
            }
        }
    }

    /// The site of that number, `0..sites()`; what is random about its damage is drawn from `rng`.
    pub fn site(&self, number: u64, rng: &mut impl Rng) -> FaultSite {
        let span = self.span_of(number, |span| span.sites_before);
        let polarities = self.effect.polarities();
        let (rest, polarity) =
            ((number - span.sites_before) / polarities, (number - span.sites_before) % polarities);
        let masks = span.masks.len() as u64;
        let (unit, mask) = (rest / masks, span.masks[(rest % masks) as usize]);
        let (start, step, count) = span.layout.members(unit as usize);
        let damage = self.effect.damage(mask, polarity, span.unit_of_noise, rng);
        FaultSite { tensor: span.tensor, part: self.part, start, step, count, damage }
    }

    /// The last span that begins at or before `number`.
    fn span_of(&self, number: u64, begin: impl Fn(&Span) -> u64) -> &Span {
        &self.spans[self.spans.partition_point(|span| begin(span) <= number) - 1]
    }

    fn sites_of_unit(&self, span: &Span) -> u64 {
        span.masks.len() as u64 * self.effect.polarities()
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
