//! Which images a trial runs.

use std::collections::HashMap;
use std::fmt;

use rand::RngExt;
use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::fault::subset_stream;

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

/// The places of `count` of `population` images that a draw runs, ascending: a sample without replacement, every set of so many
/// equally probable. It is the same under every condition, so that differences between conditions are not those of images, and a
/// larger sample of the same draw holds the smaller ones.
///
/// The first steps of Fisher and Yates's shuffle (Knuth, *The Art of Computer Programming*, vol. 2, 3.4.2, algorithm P), with only the
/// exchanged places kept: time and memory are proportional to `count`.
pub(super) fn subset(campaign_seed: u64, draw: u64, count: usize, population: usize) -> Vec<usize> {
    let mut stream = subset_stream(campaign_seed, draw);
    let mut exchanged: HashMap<usize, usize> = HashMap::with_capacity(count);
    let mut chosen = Vec::with_capacity(count);
    for next in 0..count.min(population) {
        let place = stream.random_range(next as u64..population as u64) as usize;
        let image_of = |place: usize| exchanged.get(&place).copied().unwrap_or(place);
        let (here, there) = (image_of(next), image_of(place));
        exchanged.insert(place, here);
        chosen.push(there);
    }
    chosen.sort_unstable();
    chosen
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_larger_sample_of_a_draw_holds_the_smaller_and_all_is_all() {
        for draw in 0..20 {
            let mut before = BTreeSet::new();
            for count in [1, 2, 7, 40, 99, 100] {
                let chosen = subset(5, draw, count, 100);
                assert!(chosen.is_sorted_by(|a, b| a < b) && chosen.len() == count);
                let chosen: BTreeSet<usize> = chosen.into_iter().collect();
                assert!(before.is_subset(&chosen));
                before = chosen;
            }
            assert_eq!(before, (0..100).collect());
        }
        assert_ne!(subset(5, 0, 7, 100), subset(5, 1, 7, 100));
        assert_ne!(subset(5, 0, 7, 100), subset(6, 0, 7, 100));
    }

    /// Of 5 images the 10 pairs, over 20 000 draws: χ² with 9 degrees of freedom, whose mean is 9 and 99.9 % quantile 27.9.
    #[test]
    fn every_set_is_equally_probable() {
        let mut counts = std::collections::BTreeMap::new();
        for draw in 0..20_000 {
            *counts.entry(subset(1, draw, 2, 5)).or_insert(0u32) += 1;
        }
        assert_eq!(counts.len(), 10);
        let chi_square: f64 =
            counts.values().map(|&count| (f64::from(count) - 2000.0).powi(2) / 2000.0).sum();
        assert!((1.0..27.9).contains(&chi_square), "{chi_square}");
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
