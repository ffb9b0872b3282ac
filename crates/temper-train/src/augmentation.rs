//! Random changes to the images that are learnt from.

use rand::RngExt;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use temper_core::data::{Crop, Inputs};

use crate::field::{FieldError, fraction, require};
use crate::stream::EpochSeed;

/// Images that one thread fills at a time.
const IMAGES_PER_TASK: usize = 16;

/// Changes to stored pixels before they are normalised, as torchvision's `RandomCrop(size, padding)` and then
/// `RandomHorizontalFlip(p)` make them before `ToTensor` and `Normalize`. Each image of each epoch has draws of its own.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AugmentationSpec {
    /// Black pixels laid around the image, of which a window of the image's size is cut at random; less than height and width,
    /// default 0.
    pub random_crop_padding: usize,
    /// Probability that left and right are exchanged, from 0 to 1; default 0.
    pub horizontal_flip: f64,
}

impl AugmentationSpec {
    /// Checks the settings for images of `shape` `[C, H, W]`.
    ///
    /// # Errors
    /// When the padding is as large as the image or the probability is none.
    pub fn check(&self, shape: [usize; 3]) -> Result<(), FieldError> {
        let [_, height, width] = shape;
        require(
            self.random_crop_padding < height.min(width),
            "random_crop_padding",
            self.random_crop_padding,
            format!("less than height and width of the images, {height} and {width}"),
        )?;
        fraction("horizontal_flip", self.horizontal_flip)
    }

    /// What is done to an image in an epoch; it depends on nothing but these settings, `at` and the image's place in the data set.
    /// The settings have passed [`check`](Self::check).
    pub fn draw(&self, at: EpochSeed, image: usize) -> Crop {
        let mut rng = at.stream(*b"augment\0", image);
        let padding = self.random_crop_padding as i64;
        let mut shift = || rng.random_range(-padding..=padding) as isize;
        let (top, left) = (shift(), shift());
        Crop { top, left, flipped: rng.random_bool(self.horizontal_flip) }
    }

    /// Writes the changed inputs of `images` one after another into `out`, on all threads.
    ///
    /// **Shapes**: `out` holds as many inputs of the layout's shape.
    ///
    /// # Panics
    /// When an image is not there.
    pub fn fill(&self, inputs: &Inputs, images: &[usize], at: EpochSeed, out: &mut [f32]) {
        let size = inputs.dataset().shape().iter().product();
        let tasks = out.par_chunks_exact_mut(size).zip(images).with_min_len(IMAGES_PER_TASK);
        tasks.for_each(|(out, &image)| inputs.fill_cropped(image, self.draw(at, image), out));
    }
}
