//! Subsets of images.

use std::collections::BTreeMap;
use std::fs;

use rand::Rng;
use serde::Deserialize;

use crate::data::selection::selection_stream;
use crate::data::{Dataset, DatasetError, Split, digits};
use crate::fault::trial_stream;

/// Images of two pixels that tell their place, up to 65 536 of them.
fn numbered(count: usize) -> Dataset {
    let images = (0..count).flat_map(|i| (i as u16).to_be_bytes()).collect();
    let labels = (0..count).map(|i| (i % 3) as u8).collect();
    Dataset::new("numbered", Split::Test, [1, 1, 2], 3, u8::MAX, images, labels).unwrap()
}

fn places(data: &Dataset) -> Vec<usize> {
    (0..data.len()).map(|i| usize::from(data.image(i)[0]) << 8 | usize::from(data.image(i)[1])).collect()
}

#[test]
fn selected_images_keep_their_labels_and_all_else() {
    let all = digits(Split::Test);
    let some = all.select(&[499, 0, 7, 0]).unwrap();
    for (at, from) in [499, 0, 7, 0].into_iter().enumerate() {
        assert_eq!((some.image(at), some.labels()[at]), (all.image(from), all.labels()[from]));
    }
    assert_eq!(some.len(), 4);
    assert_eq!((some.name(), some.split(), some.shape()), (all.name(), all.split(), all.shape()));
    assert_eq!((some.classes(), some.pixel_max()), (all.classes(), all.pixel_max()));
    assert_eq!(all.select(&(0..500).collect::<Vec<_>>()).unwrap(), all);
}

#[test]
fn what_cannot_be_selected_is_an_error() {
    let data = numbered(5);
    assert_eq!(data.select(&[]), Err(DatasetError::Empty));
    assert_eq!(data.select(&[4, 5, 6]), Err(DatasetError::Index { index: 5, images: 5 }));
    assert_eq!(data.select(&[usize::MAX]).unwrap_err(), DatasetError::Index { index: usize::MAX, images: 5 });
    assert_eq!(data.sample(0, 1), Err(DatasetError::Empty));
    assert_eq!(data.sample(6, 1), Err(DatasetError::Sample { wanted: 6, images: 5 }));
    let error = data.sample(7, 1).unwrap_err().to_string();
    assert_eq!(error, "7 different images are wanted, but there are only 5");
}

#[test]
fn a_sample_is_distinct_ascending_and_reproducible() {
    let data = numbered(1000);
    for count in [1, 2, 11, 12, 100, 162, 163, 999, 1000] {
        for seed in [0, 1, u64::MAX] {
            let sample = data.sample(count, seed).unwrap();
            let places = places(&sample);
            assert_eq!(places.len(), count);
            assert!(places.is_sorted_by(|a, b| a < b), "{places:?}");
            assert_eq!(data.sample(count, seed).unwrap(), sample);
        }
    }
    assert_eq!(data.sample(1000, 3).unwrap(), data);
    assert_ne!(data.sample(100, 3).unwrap(), data.sample(100, 4).unwrap());
}

#[derive(Deserialize)]
struct Golden {
    seed: u64,
    count: usize,
    images: usize,
    selected: Vec<usize>,
}

#[test]
fn samples_are_those_of_an_independent_program() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/selection/golden.json");
    let rows: Vec<Golden> = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(rows.len(), 6);
    for Golden { seed, count, images, selected } in rows {
        let sample = numbered(images).sample(count, seed).unwrap();
        assert_eq!(places(&sample), selected, "{count} of {images}, seed {seed}");
    }
}

#[test]
fn the_stream_is_not_that_of_a_trial() {
    for seed in [0, 7] {
        let of_trial = |trial| {
            let mut stream = trial_stream(seed, trial);
            (0..16).map(|_| stream.next_u64()).collect::<Vec<_>>()
        };
        let mut selection = selection_stream(seed);
        let selection: Vec<u64> = (0..16).map(|_| selection.next_u64()).collect();
        assert!((0..1000).all(|trial| of_trial(trial) != selection));
    }
}

/// Pearson's statistic of `observed` counts against one `expected` for all.
fn chi_square(observed: impl IntoIterator<Item = usize>, expected: f64) -> f64 {
    observed.into_iter().map(|count| (count as f64 - expected).powi(2) / expected).sum()
}

#[test]
fn every_subset_is_equally_likely() {
    // 20 subsets of 3 of 6 images, each expected 1 000 times.
    let data = numbered(6);
    let mut counts = BTreeMap::new();
    for seed in 0..20_000 {
        *counts.entry(places(&data.sample(3, seed).unwrap())).or_insert(0) += 1;
    }
    assert_eq!(counts.len(), 20);
    let statistic = chi_square(counts.into_values(), 1000.0);
    // Quantiles 0.0005 and 0.9995 of χ² with 19 degrees of freedom, by SciPy.
    assert!((4.912..45.973).contains(&statistic), "{statistic}");
}

#[test]
fn every_image_is_equally_likely() {
    // 20 of 50, often enough that the algorithm for larger samples is at work.
    let (images, count, draws) = (50, 20, 4000);
    let data = numbered(images);
    let mut counts = vec![0; images];
    for seed in 0..draws {
        for place in places(&data.sample(count, seed).unwrap()) {
            counts[place] += 1;
        }
    }
    let share = count as f64 / images as f64;
    // Counts of one image are binomial, those of two images correlate by −1/(n − 1): scaled so, the sum is χ² with n − 1 degrees.
    let scale = (images as f64 - 1.0) / (images as f64 * (1.0 - share));
    let statistic = chi_square(counts, draws as f64 * share) * scale;
    // Quantiles 0.0005 and 0.9995 of χ² with 49 degrees of freedom, by SciPy.
    assert!((22.789..88.231).contains(&statistic), "{statistic}");
}
