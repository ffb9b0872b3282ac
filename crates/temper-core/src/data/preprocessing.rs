//! From stored pixels to a network's input.

use std::fmt;

use serde::{Deserialize, Serialize};
use temper_kernels::ByteScale;
use thiserror::Error;

use super::dataset::Dataset;

/// The order of an image's dimensions in a network's input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// `[C, H, W]` for each image, as in PyTorch.
    #[default]
    Nchw,
    /// `[H, W, C]` for each image, as in TensorFlow.
    Nhwc,
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nchw => "[C, H, W]",
            Self::Nhwc => "[H, W, C]",
        })
    }
}

/// How pixels become a network's input: `(pixel / pixel_max − mean) / std` for each channel, in `f32`, rounded as PyTorch's
/// `ToTensor` and `Normalize` round. It is part of a model: a network fed otherwise is another network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preprocessing {
    /// Mean of each channel (or one for all), of pixels scaled to 0..=1.
    pub mean: Vec<f32>,
    /// Standard deviation of each channel (or one for all), of pixels scaled to 0..=1.
    pub std: Vec<f32>,
    /// Order of the dimensions.
    #[serde(default)]
    pub layout: Layout,
}

/// Why a preprocessing does not fit.
#[derive(Debug, Error, PartialEq)]
pub enum PreprocessingError {
    /// Neither one value nor one a channel.
    #[error("{field} has {found} values; expected 1 or one for each of the {channels} channels")]
    Channels {
        /// `mean` or `std`.
        field: &'static str,
        /// Number of values found.
        found: usize,
        /// Channels of the images.
        channels: usize,
    },
    /// A mean that is not finite, or a standard deviation that is not finite and positive.
    #[error("{field} holds {value}; means must be finite, standard deviations finite and positive")]
    Value {
        /// `mean` or `std`.
        field: &'static str,
        /// The value.
        value: f32,
    },
    /// The network takes another shape than the images have.
    #[error(
        "the network takes inputs of shape {expected:?}, but {data} has images of shape {found:?} in this layout"
    )]
    Shape {
        /// The network's input shape.
        expected: Vec<usize>,
        /// Name of the data set.
        data: String,
        /// Shape of its images after preprocessing.
        found: Vec<usize>,
    },
}

impl Default for Preprocessing {
    /// Pixels scaled to 0..=1 and nothing else.
    fn default() -> Self {
        Self { mean: vec![0.0], std: vec![1.0], layout: Layout::Nchw }
    }
}

impl Preprocessing {
    /// Checks that the values make sense by themselves.
    ///
    /// # Errors
    /// When a mean is not finite or a standard deviation not finite and positive.
    pub fn check_values(&self) -> Result<(), PreprocessingError> {
        let bad = |field, value| Err(PreprocessingError::Value { field, value });
        if let Some(&value) = self.mean.iter().find(|v| !v.is_finite()) {
            return bad("mean", value);
        }
        match self.std.iter().find(|v| !v.is_finite() || **v <= 0.0) {
            Some(&value) => bad("std", value),
            None => Ok(()),
        }
    }

    /// The shape one image of `data` has after preprocessing.
    pub fn input_shape(&self, data: &Dataset) -> Vec<usize> {
        let [c, h, w] = data.shape();
        match self.layout {
            Layout::Nchw => vec![c, h, w],
            Layout::Nhwc => vec![h, w, c],
        }
    }

    /// What this preprocessing makes of `data`, ready to be read image by image.
    ///
    /// # Errors
    /// When the values do not fit the channels, or the images do not fit `input_shape`.
    pub fn bind<'a>(
        &self,
        data: &'a Dataset,
        input_shape: &[usize],
    ) -> Result<Inputs<'a>, PreprocessingError> {
        self.check_values()?;
        let channels = data.shape()[0];
        for (field, values) in [("mean", &self.mean), ("std", &self.std)] {
            if values.len() != 1 && values.len() != channels {
                return Err(PreprocessingError::Channels { field, found: values.len(), channels });
            }
        }
        let found = self.input_shape(data);
        if found != input_shape {
            let (expected, data) = (input_shape.to_vec(), data.name().to_owned());
            return Err(PreprocessingError::Shape { expected, data, found });
        }
        let per_channel = |values: &[f32], c: usize| if values.len() == 1 { values[0] } else { values[c] };
        let scales = (0..channels).map(|c| {
            let (mean, std) = (per_channel(&self.mean, c), per_channel(&self.std, c));
            ByteScale::new(data.pixel_max().into(), mean, std)
        });
        Ok(Inputs { data, scales: scales.collect(), layout: self.layout })
    }
}

/// A window of an image's size, cut from the image with black around it, and perhaps mirrored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Crop {
    /// The image's row at the upper edge of the window; negative above the image.
    pub top: isize,
    /// The image's column at the left edge of the window; negative left of the image.
    pub left: isize,
    /// Whether left and right of the window are then exchanged.
    pub flipped: bool,
}

/// A data set seen through a preprocessing: a network's inputs.
#[derive(Debug, Clone)]
pub struct Inputs<'a> {
    data: &'a Dataset,
    /// For each channel, what each pixel value becomes.
    scales: Vec<ByteScale>,
    layout: Layout,
}

impl<'a> Inputs<'a> {
    /// The data set behind.
    pub fn dataset(&self) -> &'a Dataset {
        self.data
    }

    /// Number of inputs.
    pub fn len(&self) -> usize {
        self.data.len()
    }

    /// Whether there is none; never so.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// Writes the inputs of `images` one after another into `out`.
    ///
    /// **Shapes**: `out` holds as many inputs of the layout's shape.
    pub fn fill(&self, images: impl IntoIterator<Item = usize>, out: &mut [f32]) {
        let [c, h, w] = self.data.shape();
        let plane = h * w;
        for (index, out) in images.into_iter().zip(out.chunks_exact_mut(c * plane)) {
            let image = self.data.image(index);
            for (channel, (pixels, scale)) in image.chunks_exact(plane).zip(&self.scales).enumerate() {
                match self.layout {
                    Layout::Nchw => scale.apply(pixels, &mut out[channel * plane..][..plane]),
                    Layout::Nhwc => {
                        let places = out[channel..].iter_mut().step_by(c);
                        places.zip(pixels).for_each(|(out, &pixel)| *out = scale.value(pixel));
                    }
                }
            }
        }
    }

    /// Writes the input that a window of one image makes into `out`. Outside of the image pixels are 0 before the preprocessing.
    ///
    /// **Shapes**: `out` holds one input of the layout's shape.
    ///
    /// # Panics
    /// When the image is not there or `out` has another length.
    pub fn fill_cropped(&self, image: usize, crop: Crop, out: &mut [f32]) {
        let [c, h, w] = self.data.shape();
        assert_eq!(out.len(), c * h * w, "the output holds one input");
        let inside = |at: usize, offset, extent| at.checked_add_signed(offset).filter(|&at| at < extent);
        let image = self.data.image(image);
        for (channel, (pixels, scale)) in image.chunks_exact(h * w).zip(&self.scales).enumerate() {
            let (start, step) = match self.layout {
                Layout::Nchw => (channel * h * w, 1),
                Layout::Nhwc => (channel, c),
            };
            for y in 0..h {
                let row = inside(y, crop.top, h).map(|row| &pixels[row * w..][..w]);
                for x in 0..w {
                    let column = inside(if crop.flipped { w - 1 - x } else { x }, crop.left, w);
                    let pixel = row.zip(column).map_or(0, |(row, column)| row[column]);
                    out[start + (y * w + x) * step] = scale.value(pixel);
                }
            }
        }
    }
}
