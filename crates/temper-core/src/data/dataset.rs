//! Labelled images as stored: one byte a pixel.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::hash::ContentHash;

/// Which part of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Split {
    /// For training.
    Train,
    /// For testing.
    Test,
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Train => "train",
            Self::Test => "test",
        })
    }
}

/// Labelled images `[N, C, H, W]` of one byte a pixel, and labels `[N]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dataset {
    name: String,
    split: Split,
    shape: [usize; 3],
    classes: usize,
    pixel_max: u8,
    images: Vec<u8>,
    labels: Vec<u8>,
}

/// Why images and labels do not make a data set.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum DatasetError {
    /// The bytes do not fill the images.
    #[error("{found} pixel bytes do not make {labels} images of shape {shape:?}")]
    Size {
        /// Bytes found.
        found: usize,
        /// Number of labels.
        labels: usize,
        /// Shape of one image, `[C, H, W]`.
        shape: [usize; 3],
    },
    /// A label is out of range.
    #[error("image {index} has label {label}; there are only {classes} classes")]
    Label {
        /// Place of the image.
        index: usize,
        /// Its label.
        label: u8,
        /// Number of classes.
        classes: usize,
    },
    /// A pixel is out of range.
    #[error("a pixel of image {index} is {pixel}; the largest possible value is {pixel_max}")]
    Pixel {
        /// Place of the image.
        index: usize,
        /// Its value.
        pixel: u8,
        /// The largest value.
        pixel_max: u8,
    },
    /// No image at all.
    #[error("the data set holds no image")]
    Empty,
    /// An image is asked for that is not there.
    #[error("there is no image {index}; expected less than the number of images, {images}")]
    Index {
        /// The image's place.
        index: usize,
        /// Number of images.
        images: usize,
    },
    /// More different images are asked for than there are.
    #[error("{wanted} different images are wanted, but there are only {images}")]
    Sample {
        /// Images wanted.
        wanted: usize,
        /// Number of images.
        images: usize,
    },
}

impl Dataset {
    /// A data set of images of `shape` `[C, H, W]`, `classes` classes and pixels in `0..=pixel_max`.
    ///
    /// # Errors
    /// When there is no image, bytes do not fill the images, or a label or a pixel is out of range.
    pub fn new(
        name: &str,
        split: Split,
        shape: [usize; 3],
        classes: usize,
        pixel_max: u8,
        images: Vec<u8>,
        labels: Vec<u8>,
    ) -> Result<Self, DatasetError> {
        let size = crate::tensor::element_count(&shape).unwrap_or(0);
        if labels.is_empty() || size == 0 {
            return Err(DatasetError::Empty);
        }
        if size.checked_mul(labels.len()) != Some(images.len()) {
            return Err(DatasetError::Size { found: images.len(), labels: labels.len(), shape });
        }
        if let Some(index) = labels.iter().position(|&label| usize::from(label) >= classes) {
            return Err(DatasetError::Label { index, label: labels[index], classes });
        }
        if let Some(at) = images.iter().position(|&pixel| pixel > pixel_max) {
            return Err(DatasetError::Pixel { index: at / size, pixel: images[at], pixel_max });
        }
        Ok(Self { name: name.to_owned(), split, shape, classes, pixel_max, images, labels })
    }

    /// The data set's name, such as `cifar-10`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Which part of the data set this is.
    pub fn split(&self) -> Split {
        self.split
    }

    /// Shape of one image, `[C, H, W]`.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// The largest possible pixel value; pixels divided by it lie in 0..=1.
    pub fn pixel_max(&self) -> u8 {
        self.pixel_max
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no image; never so.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The pixels of image `index`, `[C, H, W]`.
    pub fn image(&self, index: usize) -> &[u8] {
        let size = self.images.len() / self.labels.len();
        &self.images[index * size..][..size]
    }

    /// A hash of what it holds: images, labels and the pixels' largest value. Names and splits do not matter.
    pub fn content_hash(&self) -> String {
        let mut hash = ContentHash::default();
        let header =
            serde_json::to_vec(&(self.shape(), self.pixel_max())).expect("plain data is always JSON");
        hash.add(&header);
        hash.add(self.labels());
        for index in 0..self.len() {
            hash.add_bytes(self.image(index));
        }
        hash.finish()
    }

    /// All labels.
    pub fn labels(&self) -> &[u8] {
        &self.labels
    }

    /// The same data set cut to its first `count` images, or all of them if there are fewer.
    ///
    /// # Errors
    /// When `count` is zero.
    pub fn take(mut self, count: usize) -> Result<Self, DatasetError> {
        if count == 0 {
            return Err(DatasetError::Empty);
        }
        let size = self.images.len() / self.labels.len();
        self.labels.truncate(count);
        self.images.truncate(self.labels.len() * size);
        Ok(self)
    }

    /// The images at `indices`, in this order; one named twice is there twice.
    ///
    /// # Errors
    /// When no image is named, or one that is not there.
    pub fn select(&self, indices: &[usize]) -> Result<Self, DatasetError> {
        if indices.is_empty() {
            return Err(DatasetError::Empty);
        }
        if let Some(&index) = indices.iter().find(|&&index| index >= self.len()) {
            return Err(DatasetError::Index { index, images: self.len() });
        }
        let images = indices.iter().flat_map(|&index| self.image(index)).copied().collect();
        let labels = indices.iter().map(|&index| self.labels[index]).collect();
        Ok(Self { name: self.name.clone(), images, labels, ..*self })
    }
}
