//! Windows of images.

use crate::data::{Crop, Dataset, Inputs, Layout, Preprocessing, Split, digits};

/// One image of two channels, 2 rows and 3 columns: 11 12 13 / 21 22 23, and 100 more in the second channel.
fn image() -> Dataset {
    let first = [11, 12, 13, 21, 22, 23];
    let images = first.into_iter().chain(first.map(|pixel| pixel + 100)).collect();
    Dataset::new("one", Split::Train, [2, 2, 3], 1, u8::MAX, images, vec![0]).unwrap()
}

/// The window's pixels, channel by channel.
fn pixels(data: &Dataset, layout: Layout, crop: Crop) -> Vec<u8> {
    let preprocessing = Preprocessing { layout, mean: vec![0.5, 0.25], std: vec![2.0, 4.0] };
    let inputs = preprocessing.bind(data, &preprocessing.input_shape(data)).unwrap();
    let mut out = vec![f32::NAN; 12];
    inputs.fill_cropped(0, crop, &mut out);
    let place = |channel: usize, at: usize| match layout {
        Layout::Nchw => channel * 6 + at,
        Layout::Nhwc => at * 2 + channel,
    };
    let value =
        |channel: usize, at| (out[place(channel, at)] * [2.0, 4.0][channel] + [0.5, 0.25][channel]) * 255.0;
    (0..12).map(|i| value(i / 6, i % 6).round() as u8).collect()
}

#[test]
fn windows_are_those_drawn_by_hand() {
    let crop = |top, left, flipped| Crop { top, left, flipped };
    for (crop, expected) in [
        (crop(0, 0, false), [11, 12, 13, 21, 22, 23]),
        (crop(0, 0, true), [13, 12, 11, 23, 22, 21]),
        (crop(1, 0, false), [21, 22, 23, 0, 0, 0]),
        (crop(-1, 0, false), [0, 0, 0, 11, 12, 13]),
        (crop(0, 1, false), [12, 13, 0, 22, 23, 0]),
        (crop(0, -2, false), [0, 0, 11, 0, 0, 21]),
        // The window is cut first and mirrored then.
        (crop(0, 1, true), [0, 13, 12, 0, 23, 22]),
        (crop(1, -1, true), [22, 21, 0, 0, 0, 0]),
        (crop(2, 0, false), [0; 6]),
        (crop(0, -3, true), [0; 6]),
        (crop(isize::MIN, isize::MAX, true), [0; 6]),
    ] {
        let second = expected.map(|pixel| if pixel == 0 { 0 } else { pixel + 100 });
        for layout in [Layout::Nchw, Layout::Nhwc] {
            assert_eq!(pixels(&image(), layout, crop), [expected, second].concat(), "{crop:?} {layout}");
        }
    }
}

#[test]
fn the_whole_window_is_the_plain_input() {
    let data = digits(Split::Test);
    let preprocessing = Preprocessing { mean: vec![0.3], std: vec![0.7], layout: Layout::Nchw };
    let inputs: Inputs<'_> = preprocessing.bind(&data, &preprocessing.input_shape(&data)).unwrap();
    let size = data.shape().iter().product();
    let (mut plain, mut cropped) = (vec![0.0; size], vec![0.0; size]);
    for image in [0, 7, 499] {
        inputs.fill([image], &mut plain);
        inputs.fill_cropped(image, Crop::default(), &mut cropped);
        assert_eq!(plain, cropped);
    }
}
