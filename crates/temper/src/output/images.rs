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
    let (chips, images) = (std(choice.components.chips), std(choice.components.images));
    let [draws, inferences, with_all] =
        [choice.draws as u64, choice.inferences, choice.inferences_with_all].map(grouped);
    let expected = if choice.is_reachable {
        format!("precise after about {draws} draws, {inferences} inferences")
    } else {
        format!("not precise by the last of {draws} draws, {inferences} inferences")
    };
    let comparison = if choice.images < population {
        format!(" ({with_all} with all {} images)", grouped(population))
    } else {
        String::new()
    };
    format!(
        "{} images a draw: accuracy varies by {chips} between chips and {images} between images; {expected}{comparison}",
        grouped(choice.images)
    )
}

#[cfg(test)]
mod tests {
    use temper_core::statistics::VarianceComponents;

    use super::*;

    #[test]
    fn a_choice_says_why() {
        let choice = ImageChoice {
            images: 32,
            draws: 167,
            is_reachable: true,
            inferences: 5664,
            inferences_with_all: 100_000,
            components: VarianceComponents { chips: 1e-4, images: 0.0484 },
        };
        assert_eq!(
            reason(&choice, 10_000),
            "32 images a draw: accuracy varies by 0.0100 between chips and 0.2200 between images; \
             precise after about 167 draws, 5 664 inferences (100 000 with all 10 000 images)"
        );
        // An estimate of a variance may be below 0.
        let components = VarianceComponents { chips: -1e-6, images: 0.01 };
        let choice = ImageChoice { is_reachable: false, images: 500, components, ..choice };
        assert_eq!(
            reason(&choice, 500),
            "500 images a draw: accuracy varies by 0.0000 between chips and 0.1000 between images; \
             not precise by the last of 167 draws, 5 664 inferences"
        );
    }
}
