//! Two campaigns, condition by condition.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::error::{AnalysisError, listed};
use super::sample::{Sample, samples};
use crate::campaign::{CampaignInfo, Condition, GoldenInfo, Swept, TrialRecord};
use crate::memory::StorageSpec;
use crate::statistics::{
    MeanDifference, SignedRank, StatisticsError, holm, known_difference, paired as compare_paired,
    unpaired as compare_unpaired,
};

/// A campaign to compare: what it is, and its records.
#[derive(Debug, Clone, Copy)]
pub struct Side<'a> {
    /// What it is.
    pub info: &'a CampaignInfo,
    /// Its records.
    pub records: &'a BTreeMap<u64, TrialRecord>,
}

/// Whether the draws of two campaigns belong together in pairs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "draws")]
pub enum Pairing {
    /// The same draw strikes the same sites and meets the same images in both, so draws are compared one by one.
    Paired,
    /// They are compared as two independent samples.
    Unpaired {
        /// What is not the same.
        reasons: Vec<String>,
    },
}

/// Two campaigns compared: always the second minus the first.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// Confidence level of every interval, each by itself.
    pub confidence: f64,
    /// The conditions that both have, in the order of the first.
    pub conditions: Vec<ComparedCondition>,
    /// Conditions that only the first has.
    pub only_first: Vec<String>,
    /// Conditions that only the second has.
    pub only_second: Vec<String>,
}

/// One condition in both campaigns.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ComparedCondition {
    /// The swept values that it has in both.
    pub swept: Vec<Swept>,
    /// Whether draws are paired, and if not, why.
    pub pairing: Pairing,
    /// Draws of the first and the second that are compared.
    pub draws: (usize, usize),
    /// Golden accuracy of the first and the second, 0..=1.
    pub golden_accuracy: (f64, f64),
    /// Mean accuracy of the first and the second over these draws, 0..=1.
    pub mean_accuracy: (f64, f64),
    /// Difference of accuracies.
    pub accuracy: Difference,
    /// Difference of accuracy drops: each campaign's golden accuracy minus its draws'.
    pub accuracy_drop: Difference,
}

/// The second mean minus the first, with tests. P-values are adjusted over all conditions of the comparison by [`holm()`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Difference {
    /// Difference, t interval and t test: Student's of pairs, Welch's otherwise; its standard error is 0 where every fault was made.
    pub mean: MeanDifference,
    /// Its p-value, adjusted; `None` where there is none.
    pub adjusted_p_value: Option<f64>,
    /// Wilcoxon's test of pairs.
    pub signed_rank: Option<SignedRank>,
    /// Its p-value, adjusted.
    pub adjusted_signed_rank_p_value: Option<f64>,
}

/// Compares two campaigns in all conditions that both have. Conditions match if they have the same swept values, in any order of axes.
///
/// Where both have every fault there is on all images, the difference is what it is: no interval about it, and no test. Otherwise it is estimated.
/// Draws are paired if both campaigns have the same faults, storage, seed, way of sampling and images and the condition has the same number
/// and as many sites in both: then the same draw strikes the same sites. Draws that only one has are left out. Of two networks, or two
/// trainings of one, it is the second that is to be better: a positive difference of accuracies speaks for it.
///
/// # Errors
/// If the campaigns have no condition in common, a condition has fewer than two draws (paired or in either), an exhaustive campaign is not
/// complete, or the confidence level does not lie between 0 and 1.
pub fn compare(first: Side<'_>, second: Side<'_>, confidence: f64) -> Result<Comparison, AnalysisError> {
    let differences = differences(first.info, second.info);
    let (samples_first, samples_second) =
        (samples(first.info, first.records)?, samples(second.info, second.records)?);
    let mut left: HashMap<String, &Sample<'_>> =
        samples_second.iter().map(|sample| (key(sample.condition), sample)).collect();
    let (mut conditions, mut only_first) = (Vec::new(), Vec::new());
    for sample in &samples_first {
        match left.remove(&key(sample.condition)) {
            Some(other) => conditions.push(compare_condition(sample, other, &differences, confidence)?),
            None => only_first.push(sample.label()),
        }
    }
    if conditions.is_empty() {
        let labels = |samples: &[Sample<'_>]| listed(samples.iter().map(Sample::label));
        let (first, second) = (labels(&samples_first), labels(&samples_second));
        return Err(AnalysisError::NothingInCommon { first, second });
    }
    let is_left = |sample: &&Sample<'_>| left.contains_key(&key(sample.condition));
    let only_second = samples_second.iter().filter(is_left).map(Sample::label).collect();
    adjust(&mut conditions);
    Ok(Comparison { confidence, conditions, only_first, only_second })
}

/// A condition's swept values, whatever the order of the axes.
fn key(condition: &Condition) -> String {
    let mut pairs: Vec<String> =
        condition.swept.iter().map(|swept| format!("{} = {}", swept.axis, swept.value)).collect();
    pairs.sort();
    pairs.join("\n")
}

/// In what two campaigns differ that makes draws of one number different draws.
fn differences(first: &CampaignInfo, second: &CampaignInfo) -> Vec<String> {
    let (a, b) = (&first.spec, &second.spec);
    let sampling = |info: &CampaignInfo| {
        let trials = &info.spec.trials;
        // How many are sampled without replacement decides which ones are.
        let sampled = trials
            .statistical
            .map(|_| info.plan.conditions.iter().map(|condition| condition.draws).collect::<Vec<_>>());
        (sampled, trials.exhaustive == Some(true))
    };
    // A trial's stream is a function of its id, and that of the number of conditions.
    let conditions = |info: &CampaignInfo| info.plan.conditions.len();
    let parts = [
        ("the faults differ", a.faults != b.faults),
        ("the hardware differs", a.hardware != b.hardware),
        ("the storage differs", formats(&a.storage) != formats(&b.storage)),
        ("the seeds differ", a.seed != b.seed),
        ("sites are sampled differently", sampling(first) != sampling(second)),
        ("the numbers of conditions differ", conditions(first) != conditions(second)),
        ("the images differ", first.identity.data != second.identity.data),
    ];
    parts.iter().filter(|(_, differs)| *differs).map(|(what, _)| (*what).to_owned()).collect()
}

/// What entries say about where bits lie: of several for the same values the last one, whatever its range.
fn formats(storage: &[StorageSpec]) -> Vec<StorageSpec> {
    let place = |entry: &StorageSpec| (entry.target, entry.layers.clone(), entry.place);
    let counts = |(i, entry): &(usize, &StorageSpec)| {
        storage[i + 1..].iter().all(|later| place(later) != place(entry))
    };
    let bare = |(_, entry): (usize, &StorageSpec)| StorageSpec { range: None, ..entry.clone() };
    storage.iter().enumerate().filter(counts).map(bare).collect()
}

fn compare_condition(
    first: &Sample<'_>,
    second: &Sample<'_>,
    differences: &[String],
    confidence: f64,
) -> Result<ComparedCondition, AnalysisError> {
    let mut reasons = differences.to_vec();
    if first.condition.id != second.condition.id {
        reasons.push("the condition stands elsewhere in the sweep".to_owned());
    }
    if first.condition.sites != second.condition.sites {
        let (a, b) = (first.condition.sites, second.condition.sites);
        reasons.push(format!("the sites differ: {a} and {b}"));
    }
    let is_paired = reasons.is_empty();
    for sample in [first, second] {
        sample.check(2)?;
    }
    let (a, b) =
        if is_paired { pairs(first, second) } else { (first.records.clone(), second.records.clone()) };
    if a.len() < 2 {
        return Err(AnalysisError::TooFewDraws { condition: first.label(), found: a.len(), needed: 2 });
    }
    let (accuracies_a, accuracies_b) = (accuracies(&a, first.golden), accuracies(&b, second.golden));
    let (drops_a, drops_b) = (drops(&a, first.golden), drops(&b, second.golden));
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let compared = |a: &[f64], b: &[f64]| {
        if first.is_census() && second.is_census() {
            let mean = known_difference(mean(b) - mean(a), confidence)?;
            return Ok(unadjusted(mean, None));
        }
        difference(a, b, is_paired, confidence)
    };
    Ok(ComparedCondition {
        swept: first.condition.swept.clone(),
        pairing: if is_paired { Pairing::Paired } else { Pairing::Unpaired { reasons } },
        draws: (a.len(), b.len()),
        golden_accuracy: (first.golden.accuracy(), second.golden.accuracy()),
        mean_accuracy: (mean(&accuracies_a), mean(&accuracies_b)),
        accuracy: compared(&accuracies_a, &accuracies_b)?,
        accuracy_drop: compared(&drops_a, &drops_b)?,
    })
}

/// The records of the draws that both have.
fn pairs<'a>(first: &Sample<'a>, second: &Sample<'a>) -> (Vec<&'a TrialRecord>, Vec<&'a TrialRecord>) {
    let other: HashMap<u64, &TrialRecord> =
        second.records.iter().map(|record| (record.draw, *record)).collect();
    let pair = |record: &&'a TrialRecord| Some((*record, *other.get(&record.draw)?));
    first.records.iter().filter_map(pair).unzip()
}

fn accuracies(records: &[&TrialRecord], golden: GoldenInfo) -> Vec<f64> {
    records.iter().map(|record| golden.accuracy_of(record)).collect()
}

/// Accuracy drops, from whole images: drops that are equal must be equal numbers, or ranks would see differences that are not there.
fn drops(records: &[&TrialRecord], golden: GoldenInfo) -> Vec<f64> {
    records.iter().map(|record| golden.accuracy_drop_of(record)).collect()
}

/// The second sample minus the first; p-values not adjusted yet.
fn difference(
    first: &[f64],
    second: &[f64],
    is_paired: bool,
    confidence: f64,
) -> Result<Difference, StatisticsError> {
    let (mean, signed_rank) = if is_paired {
        let found = compare_paired(second, first, confidence)?;
        (found.mean, Some(found.signed_rank))
    } else {
        (compare_unpaired(second, first, confidence)?, None)
    };
    Ok(unadjusted(mean, signed_rank))
}

/// A difference whose p-values are not adjusted yet.
fn unadjusted(mean: MeanDifference, signed_rank: Option<SignedRank>) -> Difference {
    Difference { mean, adjusted_p_value: None, signed_rank, adjusted_signed_rank_p_value: None }
}

/// Adjusts the p-values of all conditions, those of each kind of test among themselves.
fn adjust(conditions: &mut [ComparedCondition]) {
    let mut accuracies: Vec<&mut Difference> =
        conditions.iter_mut().map(|condition| &mut condition.accuracy).collect();
    adjust_differences(&mut accuracies);
    let mut drops: Vec<&mut Difference> =
        conditions.iter_mut().map(|condition| &mut condition.accuracy_drop).collect();
    adjust_differences(&mut drops);
}

fn adjust_differences(differences: &mut [&mut Difference]) {
    // A test that could not be made counts as one that found nothing.
    let adjusted = |p_value: fn(&Difference) -> Option<f64>, differences: &[&mut Difference]| {
        holm(&differences.iter().map(|difference| p_value(difference).unwrap_or(1.0)).collect::<Vec<_>>())
    };
    let means = adjusted(|difference| difference.mean.p_value, differences);
    let ranks = adjusted(|difference| difference.signed_rank.map(|test| test.p_value), differences);
    for ((difference, mean), rank) in differences.iter_mut().zip(means).zip(ranks) {
        difference.adjusted_p_value = difference.mean.p_value.map(|_| mean);
        difference.adjusted_signed_rank_p_value = difference.signed_rank.map(|_| rank);
    }
}
