//! Reading an architecture's options off the shapes of its weights.

use super::{Architecture, Family, Nonlinearity, Pooling, Shortcut};

/// Options given by the user; what is absent is inferred.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ArchitectureOptions {
    /// Shape of an input image, `[C, H, W]`.
    pub input: Option<Vec<usize>>,
    /// Number of classes.
    pub classes: Option<usize>,
    /// Widths (see [`field@Architecture::widths`]).
    pub widths: Option<Vec<usize>>,
    /// Shortcut of a CIFAR ResNet.
    pub shortcut: Option<Shortcut>,
    /// Padding of LeNet-5's first convolution.
    pub padding: Option<usize>,
    /// Nonlinearity of an MLP or LeNet-5; weights do not show it: ReLU if absent.
    pub nonlinearity: Option<Nonlinearity>,
    /// Pooling of LeNet-5; weights do not show it: maximum if absent.
    pub pooling: Option<Pooling>,
}

impl ArchitectureOptions {
    /// The architecture of that family, with what is not given read off the shapes of the weights of its convolutions
    /// (`[out, in, kh, kw]`) and linear layers (`[out, in]`), in order. What cannot be read off is as usual; whether the result
    /// fits the weights is for the caller to see.
    pub fn infer(self, family: Family, weights: &[&[usize]]) -> Architecture {
        let usual = Architecture::new(family);
        let linear: Vec<[usize; 2]> = weights.iter().filter_map(|shape| (*shape).try_into().ok()).collect();
        let convs: Vec<[usize; 4]> = weights.iter().filter_map(|shape| (*shape).try_into().ok()).collect();
        let classes = self.classes.or(linear.last().map(|[out, _]| *out)).unwrap_or(usual.classes);
        let widths = self.widths.unwrap_or_else(|| infer_widths(family, &convs, &linear));
        let pointwise = convs.iter().any(|[.., kh, kw]| (kh, kw) == (&1, &1));
        let shortcut = self.shortcut.unwrap_or(if pointwise { Shortcut::B } else { Shortcut::A });
        let channels = convs.first().map_or(usual.input[0], |[_, channels, ..]| *channels);
        let (side, padding) = match family {
            Family::Lenet5 => infer_lenet(&convs, &linear, self.input.as_deref(), self.padding),
            _ => (usual.input[1], usual.padding),
        };
        Architecture {
            family,
            input: self.input.unwrap_or(vec![channels, side, side]),
            classes,
            widths,
            shortcut,
            padding,
            nonlinearity: self.nonlinearity.unwrap_or_default(),
            pooling: self.pooling.unwrap_or_default(),
        }
    }
}

fn infer_widths(family: Family, convs: &[[usize; 4]], linear: &[[usize; 2]]) -> Vec<usize> {
    let outs = |linear: &[[usize; 2]]| linear.iter().map(|[out, _]| *out).collect::<Vec<_>>();
    match family {
        Family::Mlp => outs(&linear[..linear.len().saturating_sub(1)]),
        Family::Lenet5 if convs.len() == 2 && linear.len() == 3 => {
            [vec![convs[0][0], convs[1][0]], outs(&linear[..2])].concat()
        }
        Family::Resnet(_) | Family::CifarResnet(_) => {
            let mut widths: Vec<usize> = convs.iter().map(|[out, ..]| *out).collect();
            widths.dedup();
            let stages = if matches!(family, Family::Resnet(_)) { 4 } else { 3 };
            if widths.len() == stages { widths } else { Vec::new() }
        }
        _ => Vec::new(),
    }
}

/// Side of the image and padding of the first convolution: those under which the first linear layer has as many inputs as it has.
/// The original form (28×28, padded) comes first.
fn infer_lenet(
    convs: &[[usize; 4]],
    linear: &[[usize; 2]],
    input: Option<&[usize]>,
    padding: Option<usize>,
) -> (usize, usize) {
    let sides = input.map_or(vec![28, 32], |shape| shape.last().copied().into_iter().collect());
    let paddings = padding.map_or(vec![2, 0], |padding| vec![padding]);
    let color = convs.first().is_some_and(|[_, channels, ..]| *channels == 3);
    // Colour images of this size are CIFAR-10's or SVHN's.
    let sides: Vec<usize> = if color { sides.into_iter().rev().collect() } else { sides };
    let halved = |extent: usize, padding: usize| (extent + 2 * padding).saturating_sub(4) / 2;
    let fits = |side: usize, padding: usize| match (convs.last(), linear.first()) {
        (Some([channels, ..]), Some([_, features])) => {
            let side = halved(halved(side, padding), 0);
            channels * side * side == *features
        }
        _ => false,
    };
    let candidates = sides.iter().flat_map(|&side| paddings.iter().map(move |&padding| (side, padding)));
    let fallback = (sides.first().copied().unwrap_or(28), paddings[0]);
    candidates.into_iter().find(|&(side, padding)| fits(side, padding)).unwrap_or(fallback)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The weights of an architecture, in order.
    fn shapes(architecture: &Architecture) -> Vec<Vec<usize>> {
        let network = architecture.build().expect("a sound architecture");
        let weights = network.parameters().filter(|(_, parameter)| parameter.tensor.shape().len() > 1);
        weights.map(|(_, parameter)| parameter.tensor.shape().to_vec()).collect()
    }

    #[test]
    fn options_are_read_off_the_weights() {
        let new = Architecture::new;
        for architecture in [
            Architecture { widths: vec![300, 100], classes: 7, ..new(Family::Mlp) },
            Architecture { widths: vec![6, 16, 120, 84], ..new(Family::Lenet5) },
            Architecture { widths: vec![6, 16, 120, 84], padding: 0, ..new(Family::Lenet5) },
            Architecture {
                widths: vec![6, 16, 120, 84],
                padding: 0,
                input: vec![3, 32, 32],
                ..new(Family::Lenet5)
            },
            Architecture {
                widths: vec![8, 12, 50, 40],
                padding: 2,
                input: vec![3, 32, 32],
                ..new(Family::Lenet5)
            },
            Architecture {
                widths: vec![16, 32, 64],
                classes: 100,
                padding: 2,
                ..new(Family::CifarResnet(20))
            },
            Architecture { widths: vec![8, 16, 24], shortcut: Shortcut::B, ..new(Family::CifarResnet(14)) },
            Architecture {
                widths: vec![64, 128, 256, 512],
                shortcut: Shortcut::B,
                ..new(Family::Resnet(18))
            },
        ] {
            let shapes = shapes(&architecture);
            let shapes: Vec<&[usize]> = shapes.iter().map(Vec::as_slice).collect();
            let inferred = ArchitectureOptions::default().infer(architecture.family, &shapes);
            assert_eq!(inferred, architecture);
        }
    }

    #[test]
    fn what_is_given_is_kept() {
        let options = ArchitectureOptions {
            classes: Some(3),
            shortcut: Some(Shortcut::A),
            ..ArchitectureOptions::default()
        };
        let architecture =
            options.infer(Family::CifarResnet(20), &[&[16, 3, 3, 3], &[32, 16, 1, 1], &[10, 64]]);
        assert_eq!((architecture.classes, architecture.shortcut), (3, Shortcut::A));
    }
}
