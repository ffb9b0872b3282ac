//! Where the inputs of a layer's outputs lie.

use std::ops::Range;

use crate::conv::ConvShape;
use crate::isa::Isa;
use crate::planes::{Fill, Planes};
use crate::product::Lanes;
use crate::region::Region;

/// The inputs of every position of a layer's output, at the same distances from the position's first: windows of a convolution, over
/// images with their padding around them, or whole rows of a linear layer.
#[derive(Debug, Clone)]
pub struct Windows {
    /// `None` where images are taken as they are.
    padded: Option<Padded>,
    /// Distance of each input from the position's first, in the order of the weights' memory.
    taps: Vec<usize>,
    /// The first input of each position in its image.
    bases: Vec<usize>,
    /// The largest distance.
    reach: usize,
    /// Values of an image as it is placed.
    len: usize,
}

#[derive(Debug, Clone)]
struct Padded {
    planes: Planes,
    image: Region,
    channels: usize,
}

impl Windows {
    /// The windows of a convolution; its positions are its output's pixels.
    ///
    /// # Panics
    /// When it has several groups.
    pub fn of_convolution(shape: &ConvShape) -> Self {
        assert_eq!(shape.groups, 1, "every output must see all channels");
        let [rows, columns] = shape.output();
        let image = Region::whole(0, [shape.out_channels, rows, columns]);
        let planes = Planes::new(shape, std::slice::from_ref(&image), Lanes::Channels, 1);
        let (mut taps, mut spots) = (Vec::new(), Vec::new());
        planes.list_taps(&mut taps);
        planes.list_spots(&image, 0, &mut spots);
        let bases = spots.iter().map(|spot| spot.input).collect();
        let channels = shape.input[0];
        let (len, copied) = (channels * planes.channel(), planes.start_in_input(&image, 0).is_none());
        Self {
            padded: copied.then_some(Padded { planes, image, channels }),
            reach: reach(&taps),
            taps,
            bases,
            len,
        }
    }

    /// The inputs of a linear layer; an image has one position.
    pub fn of_rows(inputs: usize) -> Self {
        let taps: Vec<usize> = (0..inputs).collect();
        Self { padded: None, reach: reach(&taps), taps, bases: vec![0], len: inputs }
    }

    /// Positions of an image.
    pub fn positions(&self) -> usize {
        self.bases.len()
    }

    /// Inputs of a position.
    pub fn inputs(&self) -> usize {
        self.taps.len()
    }

    /// Some inputs of a position of an image, as it was placed.
    pub fn at<'a>(
        &'a self,
        placed: &'a [f32],
        position: usize,
        inputs: Range<usize>,
    ) -> impl Iterator<Item = f32> + 'a {
        let own = &placed[self.bases[position]..];
        self.taps[inputs].iter().map(move |&tap| own[tap])
    }

    /// Distance of each input from a position's first.
    pub(crate) fn taps(&self) -> &[usize] {
        &self.taps
    }

    /// The largest of these distances.
    pub(crate) fn reach(&self) -> usize {
        self.reach
    }

    /// The first input of each position in its image.
    pub(crate) fn bases(&self) -> &[usize] {
        &self.bases
    }

    /// Values of an image as it is placed.
    pub fn placed_len(&self) -> usize {
        self.len
    }

    /// Places images one after another with their padding, which is zeros.
    ///
    /// **Shapes**: `images` `[images, …]`, `placed` `[images, placed_len]`.
    pub fn place(&self, images: &[f32], placed: &mut Vec<f32>) {
        let Some(Padded { planes, image, channels }) = &self.padded else {
            placed.clear();
            placed.extend_from_slice(images);
            return;
        };
        let [_, height, width] = planes.shape().input;
        let per_image = channels * height * width;
        placed.resize(images.len() / per_image * self.len, 0.0);
        let isa = Isa::detect();
        for (input, output) in images.chunks_exact(per_image).zip(placed.chunks_exact_mut(self.len)) {
            let regions = std::slice::from_ref(image);
            isa.run(Fill { planes, regions, channels: 0..*channels, input, output });
        }
    }
}

fn reach(taps: &[usize]) -> usize {
    taps.iter().copied().max().unwrap_or(0)
}
