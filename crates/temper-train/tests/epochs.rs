//! What is drawn anew in every epoch: the order of the images and what is done to them.

use std::collections::BTreeMap;

use proptest::prelude::*;
use temper_core::data::{Crop, Dataset, Preprocessing, Split};
use temper_train::{AugmentationSpec, Batches, EpochSeed, epoch_order};

fn at(seed: u64, phase: usize, epoch: usize) -> EpochSeed {
    EpochSeed { seed, phase, epoch }
}

/// Pearson's statistic of `observed` counts against one `expected` for all.
fn chi_square(observed: impl IntoIterator<Item = usize>, expected: f64) -> f64 {
    observed.into_iter().map(|count| (count as f64 - expected).powi(2) / expected).sum()
}

#[test]
fn every_order_is_equally_likely() {
    // 24 orders of 4 images, each expected 1 000 times.
    let mut counts = BTreeMap::new();
    for epoch in 0..24_000 {
        *counts.entry(epoch_order(4, at(7, 0, epoch))).or_insert(0) += 1;
    }
    assert_eq!(counts.len(), 24);
    let statistic = chi_square(counts.into_values(), 1000.0);
    // Quantiles 0.0005 and 0.9995 of χ² with 23 degrees of freedom, by SciPy.
    assert!((6.924..52.000).contains(&statistic), "{statistic}");
}

proptest! {
    #[test]
    fn an_order_names_every_image_once(images in 0usize..3000, seed: u64, phase: usize, epoch: usize) {
        let mut order = epoch_order(images, at(seed, phase, epoch));
        prop_assert_eq!(&order, &epoch_order(images, at(seed, phase, epoch)));
        order.sort_unstable();
        prop_assert!(order.into_iter().eq(0..images));
    }

    #[test]
    fn batches_hold_every_image_once(images in 1usize..200, size in 1usize..200) {
        prop_assume!(size <= images);
        let order = epoch_order(images, at(1, 0, 0));
        for drop_last in [false, true] {
            let batches = Batches::new(images, size, drop_last).expect("in range");
            let all: Vec<&[usize]> = batches.of(&order).collect();
            prop_assert_eq!(all.len(), batches.per_epoch());
            let kept = if drop_last { images - images % size } else { images };
            prop_assert_eq!(all.concat(), &order[..kept]);
            let (last, full) = all.split_last().expect("at least one batch");
            prop_assert!(full.iter().all(|batch| batch.len() == size));
            prop_assert!(last.len() == size || !drop_last && last.len() < size);
        }
    }
}

#[test]
fn orders_differ_between_seeds_phases_and_epochs() {
    let moments = [at(0, 0, 0), at(1, 0, 0), at(0, 1, 0), at(0, 0, 1), at(0, 1, 1)];
    let orders = moments.map(|at| epoch_order(100, at));
    for (i, order) in orders.iter().enumerate() {
        assert!(orders[..i].iter().all(|other| other != order), "{:?}", moments[i]);
    }
}

#[test]
fn batches_out_of_range_are_errors() {
    let error = Batches::new(10, 11, false).expect_err("too large");
    assert_eq!(error.to_string(), "batch_size is 11; expected at most the number of images, 10");
    assert_eq!(Batches::new(10, 0, true).expect_err("none").field, "batch_size");
    assert_eq!(Batches::new(10, 10, true).expect("one batch").per_epoch(), 1);
}

#[test]
fn crops_and_flips_have_their_distribution() {
    let (padding, flip, draws) = (4, 0.3, 20_000);
    let spec = AugmentationSpec { random_crop_padding: padding, horizontal_flip: flip };
    let crops: Vec<Crop> = (0..draws).map(|i| spec.draw(at(3, 1, i / 100), i % 100)).collect();
    let mut counts = [[0usize; 9]; 9];
    for crop in &crops {
        counts[(crop.top + 4) as usize][(crop.left + 4) as usize] += 1;
    }
    let statistic = chi_square(counts.into_iter().flatten(), draws as f64 / 81.0);
    // Quantiles 0.0005 and 0.9995 of χ² with 80 degrees of freedom, by SciPy.
    assert!((44.791..128.261).contains(&statistic), "{statistic}");
    // Each epoch's flips are binomial of 100: mean and variance over 200 epochs within five standard errors.
    let flips: Vec<f64> =
        crops.chunks(100).map(|epoch| epoch.iter().filter(|crop| crop.flipped).count() as f64).collect();
    let mean = flips.iter().sum::<f64>() / 200.0;
    let variance = flips.iter().map(|n| (n - mean).powi(2)).sum::<f64>() / 199.0;
    let expected = 100.0 * flip * (1.0 - flip);
    assert!((mean - 100.0 * flip).abs() < 5.0 * (expected / 200.0).sqrt(), "{mean}");
    assert!((variance - expected).abs() < 5.0 * expected * f64::sqrt(2.0 / 199.0), "{variance}");
}

#[test]
fn nothing_asked_is_nothing_done_and_certainty_is_kept() {
    for image in 0..200 {
        assert_eq!(AugmentationSpec::default().draw(at(1, 0, 0), image), Crop::default());
        let always = AugmentationSpec { random_crop_padding: 0, horizontal_flip: 1.0 };
        assert_eq!(always.draw(at(1, 0, 0), image), Crop { flipped: true, ..Crop::default() });
    }
}

#[test]
fn inputs_depend_neither_on_the_batch_nor_on_threads() {
    let (images, shape) = (90, [3, 6, 5]);
    let pixels = (0..images * 90).map(|i| (i * 37 % 251) as u8).collect();
    let data =
        Dataset::new("noise", Split::Train, shape, 2, u8::MAX, pixels, vec![1; images]).expect("a data set");
    let inputs = Preprocessing::default().bind(&data, &shape).expect("the same shape");
    let spec = AugmentationSpec { random_crop_padding: 2, horizontal_flip: 0.5 };
    let fill = |order: &[usize], threads| {
        let mut out = vec![f32::NAN; order.len() * 90];
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
        pool.install(|| spec.fill(&inputs, order, at(5, 0, 2), &mut out));
        out
    };
    let order = epoch_order(images, at(5, 0, 2));
    let whole = fill(&order, 1);
    assert_eq!(whole, fill(&order, 4));
    let parts: Vec<f32> = order.chunks(7).flat_map(|batch| fill(batch, 2)).collect();
    assert_eq!(whole, parts);
    let mut one = vec![0.0; 90];
    inputs.fill_cropped(order[3], spec.draw(at(5, 0, 2), order[3]), &mut one);
    assert_eq!(whole[3 * 90..][..90], one);
    assert_ne!(whole, { fill(&(0..images).collect::<Vec<_>>(), 1) });
}

#[test]
fn augmentation_out_of_range_is_an_error() {
    let check = |random_crop_padding, horizontal_flip| {
        AugmentationSpec { random_crop_padding, horizontal_flip }.check([3, 8, 6])
    };
    check(5, 1.0).expect("in range");
    let error = check(6, 0.0).expect_err("too large");
    assert_eq!(
        error.to_string(),
        "random_crop_padding is 6; expected less than height and width of the images, 8 and 6"
    );
    for bad in [-0.1, 1.1, f64::NAN] {
        assert_eq!(check(0, bad).expect_err("no probability").field, "horizontal_flip");
    }
    toml::from_str::<AugmentationSpec>("vertical_flip = 0.5").expect_err("no such field");
}

#[test]
fn draws_never_change() {
    // Whoever resumes or repeats a run relies on these: other values here mean that a library draws otherwise than before.
    assert_eq!(epoch_order(10, at(1, 2, 3)), [2, 3, 4, 1, 0, 6, 9, 5, 8, 7]);
    let spec = AugmentationSpec { random_crop_padding: 4, horizontal_flip: 0.5 };
    let crops = [0, 1, 2].map(|image| spec.draw(at(1, 2, 3), image));
    assert_eq!(
        crops.map(|crop| (crop.top, crop.left, crop.flipped)),
        [(0, 3, true), (-3, -3, false), (2, -2, true)]
    );
}
