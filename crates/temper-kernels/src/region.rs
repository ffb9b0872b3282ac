//! Parts of a batch's output.

use std::ops::Range;

/// A box of one image's output: `[C, H, W]` (a linear layer: `[features, 1, 1]`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Region {
    /// Which image of the batch.
    pub image: usize,
    /// Channels (a linear layer: features).
    pub channels: Range<usize>,
    /// Rows of the output plane.
    pub rows: Range<usize>,
    /// Columns of the output plane.
    pub columns: Range<usize>,
}

impl Region {
    /// All of one image's output of shape `[C, H, W]`.
    pub fn whole(image: usize, [channels, height, width]: [usize; 3]) -> Self {
        Self { image, channels: 0..channels, rows: 0..height, columns: 0..width }
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.channels.is_empty() || self.rows.is_empty() || self.columns.is_empty()
    }

    /// Number of values in it.
    pub fn len(&self) -> usize {
        self.channels.len() * self.rows.len() * self.columns.len()
    }

    /// The places of its values in a batch `[images, C, H, W]` of images of the given `shape` `[C, H, W]`: pairs of a channel and
    /// neighbouring places, in increasing order. Element-wise operators over regions are loops over these.
    ///
    /// # Panics
    /// When a region that is not empty leaves the shape.
    pub fn spans(&self, shape: [usize; 3]) -> impl Iterator<Item = (usize, Range<usize>)> + use<> {
        self.check(self.image + 1, shape);
        let [channels, height, width] = shape;
        // Whole rows lie one behind the other.
        let (rows, length) = if self.columns.len() == width {
            (self.rows.start..self.rows.start + 1, width * self.rows.len())
        } else {
            (self.rows.clone(), self.columns.len())
        };
        let Self { image, columns, .. } = self.clone();
        let channel_range = if self.is_empty() { 0..0 } else { self.channels.clone() };
        channel_range.flat_map(move |channel| {
            rows.clone().map(move |row| {
                let start = ((image * channels + channel) * height + row) * width + columns.start;
                (channel, start..start + length)
            })
        })
    }

    /// Panics when a region that is not empty leaves a batch of `images` images of `shape` `[C, H, W]`.
    pub(crate) fn check(&self, images: usize, [channels, height, width]: [usize; 3]) {
        let inside = self.image < images
            && self.channels.end <= channels
            && self.rows.end <= height
            && self.columns.end <= width;
        assert!(
            inside || self.is_empty(),
            "{self:?} leaves a batch of {images} images of [{channels}, {height}, {width}]"
        );
    }
}
