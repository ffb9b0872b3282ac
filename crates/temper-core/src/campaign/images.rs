//! Which images a trial runs.

use std::collections::HashMap;
use std::fmt;

use rand::{Rng, RngExt};
use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::fault::subset_stream;
use crate::statistics::ByMargin;

/// Images of each draw of a pilot.
pub(super) const PILOT_IMAGES: u64 = 64;

/// `[trials] images`: how many images a draw runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DrawImages {
    /// All of them.
    All,
    /// So many, chosen at random for each draw.
    Count(u64),
    /// As many as give the wanted precision for the least cost, as the first draws show.
    Auto,
}

impl Serialize for DrawImages {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::All => serializer.serialize_str("all"),
            Self::Count(images) => serializer.serialize_u64(*images),
            Self::Auto => serializer.serialize_str("auto"),
        }
    }
}

impl<'de> Deserialize<'de> for DrawImages {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl Visitor<'_> for Either {
            type Value = DrawImages;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"auto\", \"all\" or a number of images")
            }

            fn visit_str<E: Error>(self, word: &str) -> Result<DrawImages, E> {
                match word {
                    "all" => Ok(DrawImages::All),
                    "auto" => Ok(DrawImages::Auto),
                    _ => Err(E::invalid_value(Unexpected::Str(word), &self)),
                }
            }

            fn visit_u64<E: Error>(self, images: u64) -> Result<DrawImages, E> {
                Ok(DrawImages::Count(images))
            }

            fn visit_i64<E: Error>(self, images: i64) -> Result<DrawImages, E> {
                let count = u64::try_from(images).map(DrawImages::Count);
                count.map_err(|_| E::invalid_value(Unexpected::Signed(images), &self))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// How many of all images are near ones: a tenth, and two at least.
pub(super) fn strata(all: u64) -> ByMargin<u64> {
    let near = all.div_ceil(10).max(2).min(all);
    ByMargin { near, far: all - near }
}

/// The images of a draw of so many in all, where no pilot chose: half of them near ones.
pub(super) fn halves(all: u64, images: u64) -> ByMargin<u64> {
    strata(all).part(images, 0.5)
}

/// The places of near and far images, ascending, by the margin of their golden outputs: the difference of the two largest. An output with a
/// NaN has none and is near; of equal margins the first are.
///
/// **Shapes**: `logits` `[images, classes]`.
pub(super) fn by_margin(logits: &[f32], images: usize) -> ByMargin<Vec<usize>> {
    let classes = logits.len() / images.max(1);
    let margins: Vec<f32> = logits.chunks_exact(classes.max(1)).map(margin).collect();
    let mut places: Vec<usize> = (0..images).collect();
    places.sort_by(|&a, &b| margins[a].total_cmp(&margins[b]));
    let mut far = places.split_off(strata(images as u64).near as usize);
    far.sort_unstable();
    places.sort_unstable();
    ByMargin { near: places, far }
}

/// The difference of the two largest; −∞ if there is a NaN, or none between two infinities.
fn margin(logits: &[f32]) -> f32 {
    if logits.iter().any(|logit| logit.is_nan()) {
        return f32::NEG_INFINITY;
    }
    let (mut first, mut second) = (f32::NEG_INFINITY, f32::NEG_INFINITY);
    for &logit in logits {
        if logit > first {
            (first, second) = (logit, first);
        } else if logit > second {
            second = logit;
        }
    }
    let margin = first - second;
    if margin.is_nan() { f32::NEG_INFINITY } else { margin }
}

/// The images that a draw runs, so many of each stratum: their places, ascending. In each stratum a sample without replacement, every set
/// of so many equally probable; the same under every condition that stores the network alike, so that differences between conditions are
/// not those of images. A larger sample of the same draw holds the smaller ones.
pub(super) fn sample(
    campaign_seed: u64,
    draw: u64,
    count: ByMargin<u64>,
    strata: &ByMargin<Vec<usize>>,
) -> Vec<usize> {
    let of_stratum = |number, count: u64, places: &Vec<usize>| {
        let chosen = subset(&mut subset_stream(campaign_seed, number, draw), count as usize, places.len());
        chosen.into_iter().map(|place| places[place]).collect::<Vec<_>>()
    };
    let mut images = of_stratum(0, count.near, &strata.near);
    images.extend(of_stratum(1, count.far, &strata.far));
    images.sort_unstable();
    images
}

/// `count` of the numbers below `population`: the first steps of Fisher and Yates's shuffle (Knuth, *The Art of Computer Programming*,
/// vol. 2, 3.4.2, algorithm P), with only the exchanged places kept, so that time and memory are proportional to `count`.
fn subset(stream: &mut impl Rng, count: usize, population: usize) -> Vec<usize> {
    let mut exchanged: HashMap<usize, usize> = HashMap::with_capacity(count);
    let mut chosen = Vec::with_capacity(count);
    for next in 0..count.min(population) {
        let place = stream.random_range(next as u64..population as u64) as usize;
        let image_of = |place: usize| exchanged.get(&place).copied().unwrap_or(place);
        let (here, there) = (image_of(next), image_of(place));
        exchanged.insert(place, here);
        chosen.push(there);
    }
    chosen
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_larger_sample_of_a_draw_holds_the_smaller_and_all_is_all() {
        let strata =
            ByMargin { near: (0..100).step_by(5).collect(), far: (0..100).filter(|i| i % 5 > 0).collect() };
        let images = |seed, draw, near, far| sample(seed, draw, ByMargin { near, far }, &strata);
        for draw in 0..20 {
            let mut before = BTreeSet::new();
            for (near, far) in [(2, 2), (2, 7), (11, 40), (19, 79), (20, 80)] {
                let chosen = images(5, draw, near, far);
                assert!(chosen.is_sorted_by(|a, b| a < b));
                assert_eq!(chosen.iter().filter(|&&image| image % 5 == 0).count() as u64, near);
                assert_eq!(chosen.len() as u64, near + far);
                let chosen: BTreeSet<usize> = chosen.into_iter().collect();
                assert!(before.is_subset(&chosen));
                before = chosen;
            }
            assert_eq!(before, (0..100).collect());
        }
        assert_ne!(images(5, 0, 3, 7), images(5, 1, 3, 7));
        assert_ne!(images(5, 0, 3, 7), images(6, 0, 3, 7));
    }

    /// Of 5 images the 10 pairs, over 20 000 draws: χ² with 9 degrees of freedom, whose mean is 9 and 99.9 % quantile 27.9.
    #[test]
    fn every_set_is_equally_probable() {
        let strata = ByMargin { near: Vec::new(), far: (0..5).collect() };
        let mut counts = std::collections::BTreeMap::new();
        for draw in 0..20_000 {
            *counts.entry(sample(1, draw, ByMargin { near: 0, far: 2 }, &strata)).or_insert(0u32) += 1;
        }
        assert_eq!(counts.len(), 10);
        let chi_square: f64 =
            counts.values().map(|&count| (f64::from(count) - 2000.0).powi(2) / 2000.0).sum();
        assert!((1.0..27.9).contains(&chi_square), "{chi_square}");
    }

    #[test]
    fn near_images_have_the_smallest_margins() {
        // Margins 0.5, 2, −∞ (NaN), ∞, 0, then 1 and more.
        let mut logits = vec![1.0, 0.5, 3.0, 1.0, 1.0, f32::NAN, f32::INFINITY, 0.0, 2.0, 2.0];
        logits.extend((1..=25).flat_map(|i| [0.0, i as f32]));
        assert_eq!(by_margin(&logits, 30).near, [0, 2, 4]);
        assert_eq!(by_margin(&logits, 30).far.len(), 27);
        // Two infinities, or a NaN first, leave no margin either.
        let odd = [f32::INFINITY, f32::INFINITY, f32::NAN, 1.0, 5.0, 1.0, 6.0, 1.0];
        assert_eq!(by_margin(&odd, 4), ByMargin { near: vec![0, 1], far: vec![2, 3] });
        for (all, near) in [(1, 1), (2, 2), (3, 2), (20, 2), (21, 3), (10_000, 1_000)] {
            assert_eq!(strata(all), ByMargin { near, far: all - near });
        }
        // Half and half, but at least two of each, and no more than there are.
        for (all, images, near) in
            [(10_000, 16, 8), (10_000, 9_999, 1_000), (100, 4, 2), (10, 9, 2), (5, 4, 2)]
        {
            assert_eq!(halves(all, images), ByMargin { near, far: images - near }, "{images} of {all}");
        }
    }

    #[test]
    fn words_and_numbers_are_read_and_anything_else_is_refused() {
        for (json, expected) in
            [("\"all\"", DrawImages::All), ("\"auto\"", DrawImages::Auto), ("64", DrawImages::Count(64))]
        {
            assert_eq!(serde_json::from_str::<DrawImages>(json).expect("valid"), expected);
            assert_eq!(serde_json::to_string(&expected).expect("plain data"), json);
        }
        for json in ["\"some\"", "-3", "1.5", "[]", "null"] {
            let error = serde_json::from_str::<DrawImages>(json).expect_err(json).to_string();
            assert!(error.contains("expected \"auto\", \"all\" or a number of images"), "{error}");
        }
    }
}
