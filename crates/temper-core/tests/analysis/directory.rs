//! Campaigns and records made by hand.

use std::collections::BTreeMap;
use std::path::PathBuf;

use temper_core::campaign::{
    CampaignInfo, CampaignSpec, Condition, DrawImages, FORMAT_VERSION, GoldenInfo, Identity, Outcomes, Plan,
    Swept, SweptValue, TrialRecord,
};

/// A campaign and its records.
pub(crate) struct Directory {
    pub(crate) info: CampaignInfo,
    pub(crate) records: BTreeMap<u64, TrialRecord>,
}

/// The value of an axis in a condition.
pub(crate) fn swept(axis: &str, value: impl Into<Value>) -> Swept {
    Swept { axis: axis.to_owned(), value: value.into().0 }
}

/// A swept value from whatever it is written as.
pub(crate) struct Value(SweptValue);

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self(SweptValue::Integer(value))
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self(SweptValue::Real(value))
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self(SweptValue::Text(value.to_owned()))
    }
}

impl Directory {
    /// A campaign without records: its faults, sweep and trials as written, the swept values and sites of its conditions, the most draws
    /// of each, and images and correct ones without faults.
    pub(crate) fn new(toml: &str, conditions: &[(Vec<Swept>, u64)], draws: u64, golden: (u64, u64)) -> Self {
        let head = "seed = 11\nmodel.file = \"digits-cnn.safetensors\"\ndata.set = \"digits\"\n";
        let spec =
            CampaignSpec::parse(&format!("{head}{toml}")).unwrap_or_else(|error| panic!("{toml}\n{error}"));
        let condition = |(id, (swept, sites)): (usize, &(Vec<Swept>, u64))| Condition {
            id,
            swept: swept.clone(),
            sites: *sites,
            draws,
        };
        let conditions: Vec<Condition> = conditions.iter().enumerate().map(condition).collect();
        let golden = vec![GoldenInfo { images: golden.0, correct: golden.1 }; conditions.len()];
        let hash = || "0123456789abcdef".to_owned();
        let info = CampaignInfo {
            format_version: FORMAT_VERSION,
            identity: Identity { campaign: hash(), spec: hash(), network: hash(), data: hash() },
            model_file: PathBuf::from("digits-cnn.safetensors"),
            plan: Plan {
                conditions,
                precision: spec.trials.precision,
                images: golden[0].images,
                draw_images: spec.trials.images.unwrap_or(DrawImages::All),
                image_macs: 1_000_000,
            },
            spec,
            golden,
        };
        Self { info, records: BTreeMap::new() }
    }

    /// One condition without a sweep whose draws have so many correct images of ten; golden has all.
    pub(crate) fn of_ten(trials: &str, correct: &[u64]) -> Self {
        let toml = format!("fault = [{{ model = \"bit-flip\", bit_error_rate = 1e-3 }}]\n{trials}");
        let mut directory = Self::new(&toml, &[(Vec::new(), 1000)], correct.len() as u64, (10, 10));
        for &correct in correct {
            directory.add(0, lost(10, 10 - correct));
        }
        directory
    }

    /// Adds the next draw of a condition.
    pub(crate) fn add(&mut self, condition: usize, outcomes: Outcomes) {
        let of_it = |record: &&TrialRecord| record.condition == condition;
        let draw = self.records.values().filter(of_it).count() as u64;
        let trial = draw * self.info.plan.conditions.len() as u64 + condition as u64;
        let campaign = self.info.identity.campaign.clone();
        let record = TrialRecord {
            campaign,
            trial,
            condition,
            draw,
            faults: 1,
            outcomes,
            near: None,
            predictions: None,
            masked_proven: 0,
            cpu_seconds: 0.0,
        };
        self.records.insert(trial, record);
    }
}

/// A draw whose golden run is right for all `images`, of which `sdc` become wrong.
pub(crate) fn lost(images: u64, sdc: u64) -> Outcomes {
    let left = images - sdc;
    Outcomes {
        images,
        correct: left,
        golden_correct: images,
        masked: left,
        sdc,
        critical: sdc,
        ..Outcomes::default()
    }
}

pub(crate) fn close(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-12, "{found}, expected {expected}");
}

pub(crate) fn close_interval(found: (f64, f64), expected: (f64, f64)) {
    close(found.0, expected.0);
    close(found.1, expected.1);
}
