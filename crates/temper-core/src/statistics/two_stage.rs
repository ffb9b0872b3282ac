//! Sampling in two stages: chips, and of each chip part of the images.

use serde::Serialize;

use super::error::StatisticsError;
use super::paired::mean_and_variance;
use super::sequential::StoppingRule;

/// The fewest images that are chosen for a draw. Fewer would save little: below it, what a draw costs apart from its images counts
/// more and more, and kernels run on small batches.
pub const LEAST_IMAGES: u64 = 16;

/// Where the half-width cannot be reached, the variance of the mean may be larger by this factor than with all images: the
/// half-width then by 5 %.
const NEARLY: f64 = 1.1;

/// One draw on part of the images.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SubsampledDraw {
    /// Its accuracy, estimated without bias.
    pub estimate: f64,
    /// Number of images that it ran, without replacement; at least 2.
    pub images: u64,
    /// Sample variance over these images of what an image adds to the accuracy's difference from golden (−1, 0 or 1), with n − 1 in
    /// the divisor.
    pub image_variance: f64,
}

/// Where the variance of draws comes from. A draw on n of N images has the variance `chips + images · (1/n − 1/N)` (Cochran,
/// *Sampling Techniques*, 3rd ed., 1977, theorem 10.1).
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct VarianceComponents {
    /// Variance between chips of their accuracy over all images. An unbiased estimate, so below 0 now and then.
    pub chips: f64,
    /// Mean variance of a chip's images, with N − 1 in the divisor.
    pub images: f64,
}

impl VarianceComponents {
    /// Estimates both without bias, from draws on part of `population` images each, not necessarily equally many (Cochran, 1977,
    /// §10.4): the images' from within draws; the chips' is the variance of the draws less the images' share of it.
    ///
    /// # Errors
    /// If there are fewer than two draws.
    pub fn estimate(draws: &[SubsampledDraw], population: u64) -> Result<Self, StatisticsError> {
        if draws.len() < 2 {
            return Err(StatisticsError::TooFew { name: "draws", found: draws.len() as u64, needed: 2 });
        }
        let mean =
            |of: &dyn Fn(&SubsampledDraw) -> f64| draws.iter().map(of).sum::<f64>() / draws.len() as f64;
        let (_, of_draws) = mean_and_variance(&draws.iter().map(|draw| draw.estimate).collect::<Vec<_>>());
        let of_images =
            mean(&|draw| draw.image_variance * (1.0 / draw.images as f64 - 1.0 / population as f64));
        Ok(Self { chips: of_draws - of_images, images: mean(&|draw| draw.image_variance) })
    }
}

/// The draws of a campaign's first look.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pilot {
    /// How many; at least 2.
    pub draws: usize,
    /// Images of each.
    pub images: u64,
    /// Images there are.
    pub population: u64,
    /// Their mean accuracy.
    pub mean: f64,
    /// Where their variance comes from.
    pub components: VarianceComponents,
}

/// How many images further draws run, and why.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ImageChoice {
    /// Images of each further draw.
    pub images: u64,
    /// The look, in draws, at which the half-width is expected to be reached; the last one if it is not.
    pub draws: usize,
    /// Whether it is expected to be reached.
    pub is_reachable: bool,
    /// Inferences expected until then, the pilot's included.
    pub inferences: u64,
    /// The same if further draws ran all images.
    pub inferences_with_all: u64,
    /// What the pilot says of where the variance comes from.
    pub components: VarianceComponents,
}

impl Pilot {
    /// Chooses the images of further draws for the least cost until `rule` stops. A draw of n images costs as much as n + `draw_overhead`
    /// images.
    ///
    /// With S = chips − images/N, the variance of a draw on n images is `S + images/n`, and the cost of a given variance of the mean is
    /// least at `n = √(draw_overhead · images / S)` (Cochran, 1977, §10.6). The rule stops at looks only, its guard asks for a number of
    /// draws of its own, and the pilot is paid for; so every power of two from [`LEAST_IMAGES`] to N, and N itself, is tried at
    /// every look, with the variance `(T₀ (S + images/n₀) + (T − T₀)(S + images/n)) / T²` of the mean of T draws of which T₀ are the
    /// pilot's. A power of two is at most √2 off the best number, which costs at most 6 %. If no number reaches the half-width by
    /// the last look, it is the smallest whose variance is nearly that of all images.
    ///
    /// S is taken as at least its standard error, `√(2/(T₀ − 1))` of the variance of the draws: what is smaller is noise of the pilot, and
    /// too few images cost little, too many a lot.
    pub fn choose(&self, rule: &StoppingRule, draw_overhead: f64) -> ImageChoice {
        let candidates = self.candidates();
        let variances: Vec<f64> = candidates.iter().map(|&images| self.variance(images)).collect();
        let mut stops: Vec<Option<usize>> = vec![None; candidates.len()];
        let looks = rule.looks().draws();
        for &draws in looks.iter().filter(|&&draws| draws > self.draws) {
            let errors: Vec<f64> =
                variances.iter().map(|&variance| self.standard_error(draws, variance)).collect();
            let Some(reached) = rule.expected_half_widths(draws, self.mean, &errors) else { break };
            for (stop, half_width) in stops.iter_mut().zip(reached) {
                if stop.is_none() && half_width <= rule.half_width() {
                    *stop = Some(draws);
                }
            }
        }
        let last = looks.last().copied().unwrap_or(self.draws).max(self.draws);
        let cost =
            |(images, draws): (u64, usize)| (draws - self.draws) as f64 * (images as f64 + draw_overhead);
        let reaching =
            candidates.iter().copied().zip(&stops).filter_map(|(images, stop)| Some((images, (*stop)?)));
        let cheapest = reaching.min_by(|a, b| cost(*a).total_cmp(&cost(*b)));
        let (images, draws) = cheapest.unwrap_or_else(|| (self.nearly_all(&candidates), last));
        let with_all = stops.last().copied().flatten().unwrap_or(last);
        ImageChoice {
            images,
            draws,
            is_reachable: cheapest.is_some(),
            inferences: self.inferences(draws, images),
            inferences_with_all: self.inferences(with_all, self.population),
            components: self.components,
        }
    }

    /// Numbers of images to choose from, ascending.
    fn candidates(&self) -> Vec<u64> {
        let powers = std::iter::successors(Some(LEAST_IMAGES), |images| images.checked_mul(2));
        let mut candidates: Vec<u64> = powers.take_while(|&images| images < self.population).collect();
        candidates.push(self.population);
        candidates
    }

    /// The variance of a draw on so many images.
    fn variance(&self, images: u64) -> f64 {
        let VarianceComponents { chips, images: of_images } = self.components;
        let share = |images: u64| of_images / images as f64;
        let between = chips - share(self.population);
        let of_draws = between + share(self.images);
        let noise = of_draws * f64::min(1.0, f64::sqrt(2.0 / (self.draws - 1) as f64));
        between.max(noise) + share(images)
    }

    /// The standard error of the mean of so many draws, those after the pilot with this variance.
    fn standard_error(&self, draws: usize, variance: f64) -> f64 {
        let squares = self.draws as f64 * self.variance(self.images) + (draws - self.draws) as f64 * variance;
        squares.sqrt() / draws as f64
    }

    /// The smallest number of images whose draws vary nearly as little as those on all images.
    fn nearly_all(&self, candidates: &[u64]) -> u64 {
        let enough = NEARLY * self.variance(self.population);
        candidates.iter().copied().find(|&images| self.variance(images) <= enough).unwrap_or(self.population)
    }

    fn inferences(&self, draws: usize, images: u64) -> u64 {
        let further = ((draws - self.draws) as u64).saturating_mul(images);
        (self.draws as u64).saturating_mul(self.images).saturating_add(further)
    }
}
