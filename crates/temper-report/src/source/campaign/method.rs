//! How a campaign was measured.

use temper_core::analysis::Unit;

use super::{Campaign, TOLERANCE};
use crate::error::ReportError;
use crate::number::{level, percent};
use crate::report::Section;
use crate::source::methods;

/// The last section.
pub(super) fn section(campaign: &Campaign) -> Result<Section, ReportError> {
    let spec = &campaign.info.spec;
    let confidence = level(campaign.confidence);
    let draws = match campaign.conditions[0].summary.unit {
        Unit::Chip => {
            "A draw is a chip with all its faults, or where faults are transient a run over all images. Draws are independent; all share the same \
             images, so every interval rests on draws and never on single images."
        }
        Unit::Fault => "A draw is a single fault, drawn independently: a fault may be drawn twice.",
        Unit::DistinctFault => {
            "A draw is a single fault that no other draw of its condition has: a sample without replacement of all faults there are (Leveugle et al., \
             DATE 2009)."
        }
        Unit::EveryFault => {
            "A draw is a single fault, and all there are are drawn: a complete condition is known, not estimated."
        }
    };
    let mut paragraphs = vec![
        draws.to_owned(),
        "Each trial's faults are a pure function of the campaign's seed and the trial's number: the same specification gives the same records, bit for \
         bit, on any number of threads and machines. Golden is the run of the network as stored, without faults."
            .to_owned(),
        "Every inference is compared with the golden one of the same image and is exactly one of: masked (all outputs finite, the same top class), SDC \
         (silent data corruption: finite, another top class; SDC-1 of Li et al., SC 2017, §4), DUE (detectable, unrecoverable: a NaN or an infinity \
         among the outputs). Critical: the golden answer was right and the faulty one is not. An output with a NaN is never right."
            .to_owned(),
    ];
    paragraphs.push(if campaign.conditions[0].summary.unit.is_distinct() {
        format!(
            "Intervals ({confidence}) are for a finite population (Cochran, Sampling Techniques, 3rd ed., 1977); shares of critical faults have \
             Wilson's (JASA 22, 1927), joined over strata as by Zou and Donner (Statistics in Medicine 27, 2008)."
        )
    } else if spec.trials.precision.is_some() {
        format!(
            "Draws stop when the accuracy is known to the half-width that the specification names; intervals ({confidence}) are those of the rule, at \
             the level of the look at which it stopped, so that they hold although draws stop when they look good."
        )
    } else {
        format!(
            "Intervals of accuracies ({confidence}) are Student's t intervals over draws (Student, Biometrika 6, 1908). They cannot know of an outcome \
             that was not drawn: look at the worst draw and the yield too."
        )
    });
    if campaign.conditions.iter().any(|found| found.good.is_some()) {
        paragraphs.push(format!(
            "Yield is the share of draws that lose at most {} of accuracy, with Clopper and Pearson's interval (Biometrika 26, 1934).",
            percent(TOLERANCE, 0)
        ));
    }
    if campaign.measured().any(|found| found.dots.is_empty()) {
        paragraphs.push(
            "Draws ran part of the images: accuracies are estimated for all of them from two strata, images near another answer and far from one, with \
             the golden answers as control variate (Cochran, 1977, §5.3 and §7.3)."
                .to_owned(),
        );
    }
    let text = toml::to_string_pretty(spec)?;
    Ok(methods(paragraphs, "The specification", text, "temper campaign run SPEC.toml -o DIR"))
}
