//! How many images were chosen for draws, and why, in words.

use temper_core::campaign::Condition;
use temper_core::statistics::ImageChoice;

use super::table::grouped;

/// What a line on a condition begins with; nothing if there is only one.
pub(crate) fn prefix(condition: &Condition) -> String {
    let label = condition.label();
    if label.is_empty() { label } else { format!("{label}: ") }
}

/// A choice of images and its reason, in one line.
pub(crate) fn reason(choice: &ImageChoice, population: u64) -> String {
    let std = |variance: f64| format!("{:.4}", variance.max(0.0).sqrt());
    let (chips, near, far) =
        (std(choice.components.chips), std(choice.components.images.near), std(choice.components.images.far));
    let [draws, inferences, with_all] =
        [choice.draws as u64, choice.inferences, choice.inferences_with_all].map(grouped);
    let expected = if choice.is_reachable {
        format!("precise after about {draws} draws, {inferences} inferences")
    } else {
        format!("not precise by the last of {draws} draws, {inferences} inferences")
    };
    let images = choice.images.total();
    let comparison = if images < population {
        format!(" ({with_all} with all {} images)", grouped(population))
    } else {
        String::new()
    };
    format!(
        "{} images a draw, {} of them near another answer: accuracy varies by {chips} between chips, by {near} between near \
         and {far} between other images; {expected}{comparison}",
        grouped(images),
        grouped(choice.images.near)
    )
}

#[cfg(test)]
mod tests {
    use temper_core::statistics::{ByMargin, VarianceComponents};

    use super::*;

    #[test]
    fn a_choice_says_why() {
        let choice = ImageChoice {
            images: ByMargin { near: 24, far: 8 },
            draws: 167,
            is_reachable: true,
            inferences: 5664,
            inferences_with_all: 100_000,
            components: VarianceComponents { chips: 1e-4, images: ByMargin { near: 0.0484, far: 0.0004 } },
        };
        assert_eq!(
            reason(&choice, 10_000),
            "32 images a draw, 24 of them near another answer: accuracy varies by 0.0100 between chips, by 0.2200 between near \
             and 0.0200 between other images; precise after about 167 draws, 5 664 inferences (100 000 with all 10 000 images)"
        );
        // An estimate of a variance may be below 0.
        let components = VarianceComponents { chips: -1e-6, ..choice.components };
        let images = ByMargin { near: 50, far: 450 };
        let choice = ImageChoice { is_reachable: false, images, components, ..choice };
        assert_eq!(
            reason(&choice, 500),
            "500 images a draw, 50 of them near another answer: accuracy varies by 0.0000 between chips, by 0.2200 between near \
             and 0.0200 between other images; not precise by the last of 167 draws, 5 664 inferences"
        );
    }
}
