//! Limits for a finite population, from the hypergeometric distribution.

use super::beta::binomial_probability;

/// Terms of a tail that change its sum by less than this are left out.
const NEGLIGIBLE: f64 = 1e-17;

/// A tail probability this close (relatively) to the level counts as equal to it, whichever way it was rounded.
const TIE: f64 = 1e-10;

/// Drawing `sample` of `population` units without replacement, fewer than all of them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sampling {
    /// Units there are, N.
    pub population: u64,
    /// Units drawn, n.
    pub sample: u64,
}

impl Sampling {
    /// The least number K of marked units in the population with which at least `marked` marked units are drawn with a
    /// probability of `tail` or more: the lower limit of a test inverted (the finite counterpart of Clopper and Pearson).
    ///
    /// About log₂ N tails of O(√n) terms each.
    pub(super) fn lower_limit(self, marked: u64, tail: f64) -> u64 {
        let enough = tail * (1.0 - TIE);
        let (mut low, mut high) = (marked, self.population - self.sample + marked);
        while low < high {
            let middle = u64::midpoint(low, high);
            if self.at_least(marked, middle) >= enough {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        low
    }

    /// The greatest K with which at most `marked` marked units are drawn with a probability of `tail` or more.
    pub(super) fn upper_limit(self, marked: u64, tail: f64) -> u64 {
        self.population - self.lower_limit(self.sample - marked, tail)
    }

    /// `P(X ≥ x)` for the number X of marked units drawn, if `all` in the population are marked. Of the two tails the one away
    /// from the mean is summed, from its largest term on.
    fn at_least(self, x: u64, all: u64) -> f64 {
        let mean = self.sample as f64 * (all as f64 / self.population as f64);
        if x as f64 > mean {
            self.sum(x, all, 1.0, |x, [sample, all, rest]| {
                (all - x) * (sample - x) / ((x + 1.0) * (rest + x + 1.0))
            })
        } else if x == 0 {
            1.0
        } else {
            1.0 - self.sum(x - 1, all, -1.0, |x, [sample, all, rest]| {
                x * (rest + x) / ((all - x + 1.0) * (sample - x + 1.0))
            })
        }
    }

    /// The sum of the probabilities of `from`, `from + step`, …; `ratio` gives that of each to the one before it, from x and
    /// `[n, K, N − K − n]`.
    fn sum(self, from: u64, all: u64, step: f64, ratio: impl Fn(f64, [f64; 3]) -> f64) -> f64 {
        let sizes = [
            self.sample as f64,
            all as f64,
            (i128::from(self.population) - i128::from(all) - i128::from(self.sample)) as f64,
        ];
        let (mut x, mut term) = (from as f64, self.probability(from, all));
        let mut sum = 0.0;
        while term > sum * NEGLIGIBLE {
            sum += term;
            term *= ratio(x, sizes);
            x += step;
        }
        sum.min(1.0)
    }

    /// `P(X = x) = C(K, x) C(N−K, n−x) / C(N, n)`, as three binomial probabilities with p = n/N (Loader, 2000).
    fn probability(self, x: u64, all: u64) -> f64 {
        let rest = self.population - all;
        if x > all || x > self.sample || self.sample - x > rest {
            return 0.0;
        }
        let size = self.population as f64;
        let (p, q) = (self.sample as f64 / size, (self.population - self.sample) as f64 / size);
        let binomial = |x: u64, n: u64| binomial_probability(x as f64, n as f64, p, q);
        binomial(x, all) * binomial(self.sample - x, rest) / binomial(self.sample, self.population)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(n: u64, k: u64) -> u128 {
        if k > n { 0 } else { (0..k).fold(1, |ways, i| ways * u128::from(n - i) / u128::from(i + 1)) }
    }

    /// Every population up to 24 units, every sample, every outcome, in whole numbers.
    #[test]
    fn limits_are_those_of_counting() {
        for population in 2..=24u64 {
            for sample in 1..population {
                let sampling = Sampling { population, sample };
                let ways = |x: u64, all: u64| choose(all, x) * choose(population - all, sample - x);
                let total = choose(population, sample);
                for marked in 0..=sample {
                    // A tail of 1/20 (confidence 0.9) and of 1/40 (0.95); equality counts as inside.
                    for (tail, parts) in [(0.05, 20), (0.025, 40)] {
                        let inside = |count: u128| count * parts >= total;
                        let lower = (0..=population)
                            .find(|&all| inside((marked..=sample).map(|x| ways(x, all)).sum()));
                        let upper = (0..=population)
                            .rev()
                            .find(|&all| inside((0..=marked).map(|x| ways(x, all)).sum()));
                        let found = (sampling.lower_limit(marked, tail), sampling.upper_limit(marked, tail));
                        let wanted = (lower.expect("a limit"), upper.expect("a limit"));
                        assert_eq!(found, wanted, "{marked} of {sample} of {population}, {tail}");
                    }
                }
            }
        }
    }

    #[test]
    fn probabilities_add_up_in_a_large_population() {
        let sampling = Sampling { population: 1 << 40, sample: 1_000_000 };
        let all = 1 << 30;
        let (below, above) = (1.0 - sampling.at_least(977, all), sampling.at_least(978, all));
        let between = sampling.probability(977, all);
        assert!((below + between + above - 1.0).abs() < 1e-12, "{below} {between} {above}");
    }
}
