//! Sampling in two stages: chips, and of each chip part of the images, in two strata.

use serde::{Deserialize, Serialize};

use super::error::StatisticsError;
use super::paired::mean_and_variance;
use super::sequential::StoppingRule;

/// The fewest images that are chosen for a draw. Fewer would save little: below it, what a draw costs apart from its images counts
/// more and more, and kernels run on small batches.
pub const LEAST_IMAGES: u64 = 16;

/// Shares of a draw's images that may be near ones.
const NEAR_SHARES: [f64; 4] = [0.25, 0.5, 0.75, 0.875];

/// The fewest images of either stratum in a draw: the variance within it takes two.
const LEAST_OF_STRATUM: u64 = 2;

/// Where the half-width cannot be reached, the variance of the mean may be larger by this factor than with all images: the
/// half-width then by 5 %.
const NEARLY: f64 = 1.1;

/// Something of the two strata of images: those *near* to another answer, whose golden outputs have the smallest margins, and those
/// *far* from it. Small damage changes hardly any but near ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct ByMargin<T> {
    /// Of the near images.
    pub near: T,
    /// Of the far images.
    pub far: T,
}

impl<T: Copy> ByMargin<T> {
    /// Both as something else.
    pub fn map<U>(self, mut of: impl FnMut(T) -> U) -> ByMargin<U> {
        ByMargin { near: of(self.near), far: of(self.far) }
    }

    /// Both, each with its counterpart.
    pub fn zip<U>(self, other: ByMargin<U>) -> ByMargin<(T, U)> {
        ByMargin { near: (self.near, other.near), far: (self.far, other.far) }
    }
}

impl ByMargin<u64> {
    /// Both together.
    pub fn total(self) -> u64 {
        self.near.saturating_add(self.far)
    }

    /// Each as a fraction of both.
    pub fn shares(self) -> ByMargin<f64> {
        self.map(|images| images as f64 / self.total() as f64)
    }

    /// `total` of these images, `share` of them near ones as far as there are so many, and at least two of either where there are.
    #[must_use]
    pub fn part(self, total: u64, share: f64) -> Self {
        let wanted = ((total as f64 * share).round() as u64).max(LEAST_OF_STRATUM);
        // As many as the far ones leave, and no more than leave two to the far ones.
        let (least, most) =
            (total.saturating_sub(self.far), self.near.min(total.saturating_sub(LEAST_OF_STRATUM)));
        let near = wanted.min(most).max(least);
        Self { near, far: total - near }
    }
}

/// One draw on part of the images.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SubsampledDraw {
    /// Its accuracy, estimated without bias.
    pub estimate: f64,
    /// Number of images that it ran of each stratum, without replacement; at least 2, or all.
    pub images: ByMargin<u64>,
    /// Sample variance over these images of what an image adds to the accuracy's difference from golden (−1, 0 or 1), with n − 1 in
    /// the divisor.
    pub image_variances: ByMargin<f64>,
}

/// Where the variance of draws comes from. A draw on `nₕ` of the `Nₕ` images of each stratum has the variance `chips + Σ Wₕ² · imagesₕ ·
/// (1/nₕ − 1/Nₕ)` with `Wₕ = Nₕ/N` (Cochran, *Sampling Techniques*, 3rd ed., 1977, theorems 5.3 and 10.1).
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct VarianceComponents {
    /// Variance between chips of their accuracy over all images. An unbiased estimate, so below 0 now and then.
    pub chips: f64,
    /// Mean variance of a chip's images in each stratum, with Nₕ − 1 in the divisor.
    pub images: ByMargin<f64>,
}

/// `Σ Wₕ² · variancesₕ / imagesₕ`.
fn of_images(population: ByMargin<u64>, variances: ByMargin<f64>, images: ByMargin<u64>) -> f64 {
    let terms = population.shares().zip(variances).zip(images).map(|((weight, variance), images)| {
        if images == 0 { 0.0 } else { weight * weight * variance / images as f64 }
    });
    terms.near + terms.far
}

impl VarianceComponents {
    /// Estimates both without bias, from draws on part of the images each, not necessarily equally many (Cochran, 1977, §10.4): the
    /// images' from within draws; the chips' is the variance of the draws less the images' share of it.
    ///
    /// # Errors
    /// If there are fewer than two draws.
    pub fn estimate(draws: &[SubsampledDraw], population: ByMargin<u64>) -> Result<Self, StatisticsError> {
        if draws.len() < 2 {
            return Err(StatisticsError::TooFew { name: "draws", found: draws.len() as u64, needed: 2 });
        }
        let mean =
            |of: &dyn Fn(&SubsampledDraw) -> f64| draws.iter().map(of).sum::<f64>() / draws.len() as f64;
        let (_, of_draws) = mean_and_variance(&draws.iter().map(|draw| draw.estimate).collect::<Vec<_>>());
        let by_images = mean(&|draw| {
            of_images(population, draw.image_variances, draw.images)
                - of_images(population, draw.image_variances, population)
        });
        let images = ByMargin {
            near: mean(&|draw| draw.image_variances.near),
            far: mean(&|draw| draw.image_variances.far),
        };
        Ok(Self { chips: of_draws - by_images, images })
    }
}

/// The draws of a campaign's first look.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pilot {
    /// How many; at least 2.
    pub draws: usize,
    /// Images of each.
    pub images: ByMargin<u64>,
    /// Images there are.
    pub population: ByMargin<u64>,
    /// Their mean accuracy.
    pub mean: f64,
    /// Where their variance comes from.
    pub components: VarianceComponents,
}

/// How many images further draws run, and why.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ImageChoice {
    /// Images of each further draw.
    pub images: ByMargin<u64>,
    /// The draws at which the half-width is expected to be reached, and the second look should be; the last look's if it is not.
    pub draws: usize,
    /// Whether it is expected to be reached.
    pub is_reachable: bool,
    /// Inferences expected until then, the pilot's included.
    pub inferences: u64,
    /// The same of a campaign all of whose draws run all images, by what the pilot says of the chips' variance alone.
    pub inferences_with_all: u64,
    /// What the pilot says of where the variance comes from.
    pub components: VarianceComponents,
}

impl Pilot {
    /// Chooses the images of further draws for the least cost until `rule` stops. A draw of n images costs as much as n + `draw_overhead`
    /// images.
    ///
    /// With `S = chips − Σ Wₕ² imagesₕ/Nₕ`, the variance of a draw is `S + Σ Wₕ² imagesₕ/nₕ`. For n images in all it is least with `nₕ` in
    /// proportion to `Wₕ √imagesₕ` (Neyman, *JRSS* 97, 1934; Cochran, 1977, §5.5), and the cost of a given variance of the mean is least
    /// at `n = Σ Wₕ √imagesₕ · √(draw_overhead / S)` (§10.6). But the rule's guard asks for a number of draws of its own, and the pilot is
    /// paid for. So every power of two from [`LEAST_IMAGES`] to N, with a quarter, half, three quarters or
    /// seven eighths of near ones, and N itself, is tried at every look possible, with the variance `(T₀ V₀ + (T − T₀) V) / T²` of the mean of T draws
    /// of which T₀ are the pilot's. A power of two is at most √2 off the best number, which costs at most 6 %. If no number reaches the
    /// half-width by the last look, it is the smallest whose variance is nearly that of all images.
    ///
    /// S is taken as at least its standard error, `√(2/(T₀ − 1))` of the variance of the draws, and `imagesₕ` as at least what half a changed
    /// image in the whole pilot would give: what is smaller is noise of the pilot.
    pub fn choose(&self, rule: &StoppingRule, draw_overhead: f64) -> ImageChoice {
        let candidates = self.candidates();
        let variances: Vec<f64> = candidates.iter().map(|&images| self.variance(images)).collect();
        let error = |choice: usize, draws: usize| self.standard_error(draws, variances[choice]);
        let stops = rule.expected_stops(self.mean, candidates.len(), error);
        let last = rule.looks().draws().last().copied().unwrap_or(self.draws).max(self.draws);
        let cost = |(images, draws): (ByMargin<u64>, usize)| {
            (draws - self.draws) as f64 * (images.total() as f64 + draw_overhead)
        };
        let with_stop = candidates.iter().copied().zip(&stops);
        let reaching = with_stop.filter_map(|(images, stop)| Some((images, (*stop)?)));
        let cheapest = self.least_varying(reaching, cost);
        let (images, draws) = cheapest.unwrap_or_else(|| (self.nearly_all(&candidates), last));
        ImageChoice {
            images,
            draws,
            is_reachable: cheapest.is_some(),
            inferences: self.inferences(draws, images),
            inferences_with_all: self.inferences_with_all(rule),
            components: self.components,
        }
    }

    /// The cheapest of several; of those that cost the same the one whose draws vary least.
    fn least_varying(
        &self,
        choices: impl Iterator<Item = (ByMargin<u64>, usize)>,
        cost: impl Fn((ByMargin<u64>, usize)) -> f64,
    ) -> Option<(ByMargin<u64>, usize)> {
        choices.min_by(|a, b| {
            let by_variance = || self.variance(a.0).total_cmp(&self.variance(b.0));
            cost(*a).total_cmp(&cost(*b)).then_with(by_variance)
        })
    }

    /// Numbers of images to choose from, ascending in all.
    fn candidates(&self) -> Vec<ByMargin<u64>> {
        let all = self.population.total();
        let powers = std::iter::successors(Some(LEAST_IMAGES), |images| images.checked_mul(2));
        let totals = powers.take_while(|&images| images < all);
        let of_total = |total| NEAR_SHARES.map(|share| self.population.part(total, share));
        let mut candidates: Vec<ByMargin<u64>> = totals.flat_map(of_total).collect();
        candidates.dedup();
        candidates.push(self.population);
        candidates
    }

    /// The variance of a draw on so many images.
    fn variance(&self, images: ByMargin<u64>) -> f64 {
        let VarianceComponents { chips, images: of_strata } = self.components;
        let share = |variances, images| of_images(self.population, variances, images);
        let between = chips - share(of_strata, self.population);
        let of_draws = between + share(of_strata, self.images);
        let noise = of_draws * f64::min(1.0, f64::sqrt(2.0 / (self.draws - 1) as f64));
        between.max(noise) + share(self.least_variances(), images)
    }

    /// The variances within strata, at least what half a changed image would give; 0 if nothing changed at all.
    fn least_variances(&self) -> ByMargin<f64> {
        let variances = self.components.images;
        if variances.near + variances.far == 0.0 {
            return variances;
        }
        let half = self.images.map(|images| 0.5 / (self.draws as f64 * images.max(1) as f64));
        variances.zip(half).map(|(variance, half)| variance.max(half))
    }

    /// The standard error of the mean of so many draws, those after the pilot with this variance; infinite for the pilot's alone, which
    /// were not enough.
    fn standard_error(&self, draws: usize, variance: f64) -> f64 {
        if draws <= self.draws {
            return f64::INFINITY;
        }
        let squares = self.draws as f64 * self.variance(self.images) + (draws - self.draws) as f64 * variance;
        squares.sqrt() / draws as f64
    }

    /// The smallest number of images whose draws vary nearly as little as those on all images.
    fn nearly_all(&self, candidates: &[ByMargin<u64>]) -> ByMargin<u64> {
        let enough = NEARLY * self.variance(self.population);
        let near_enough = candidates.iter().copied().filter(|&images| self.variance(images) <= enough);
        let smallest =
            self.least_varying(near_enough.map(|images| (images, 0)), |(images, _)| images.total() as f64);
        smallest.map_or(self.population, |(images, _)| images)
    }

    /// Inferences of a campaign on all images from its first draw to the look at which it is expected to stop.
    fn inferences_with_all(&self, rule: &StoppingRule) -> u64 {
        let VarianceComponents { chips, images } = self.components;
        // Chips that hardly differ are not all equal, unless no image changed.
        let least = if images.near + images.far > 0.0 { f64::MIN_POSITIVE } else { 0.0 };
        let chips = chips.max(least);
        let error = |_, draws: usize| (chips / draws as f64).sqrt();
        let looks = rule.looks().draws();
        let draws = rule.expected_stops(self.mean, 1, error)[0].or(looks.last().copied());
        (draws.unwrap_or(self.draws) as u64).saturating_mul(self.population.total())
    }

    fn inferences(&self, draws: usize, images: ByMargin<u64>) -> u64 {
        let further = ((draws - self.draws) as u64).saturating_mul(images.total());
        (self.draws as u64).saturating_mul(self.images.total()).saturating_add(further)
    }
}
