//! Campaign directories.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use temper_core::campaign::{Campaign, CampaignDir, CampaignInfo, CampaignSpec, Shard, Trial, TrialRecord};
use temper_core::data::Dataset;
use temper_core::network::Model;

use super::{Silent, campaign, digits_images, digits_model, run};

/// Four draws under two conditions.
pub const SPEC: &str = "trials.count = 4\nsweep.count = [1, 30]\n[[fault]]\nmodel = 'bit-flip'";

/// What the program writes down of a campaign, and all its records.
pub fn complete(model: &Model, data: &Dataset, spec: &CampaignSpec) -> (CampaignInfo, Vec<TrialRecord>) {
    let campaign = Campaign::new(spec, &model.network, &model.preprocessing, data, None).expect("it fits");
    let golden = campaign.golden(&Silent);
    let trials: Vec<Trial> = campaign.plan().trials().collect();
    let records = run(&campaign, &golden, &trials);
    let info = CampaignInfo::new(&campaign, spec, &spec.model.file, &golden);
    (info, records)
}

/// The campaign of [`SPEC`] on 20 images.
pub fn usual() -> (CampaignInfo, Vec<TrialRecord>) {
    static USUAL: LazyLock<(CampaignInfo, Vec<TrialRecord>)> =
        LazyLock::new(|| complete(&digits_model(), &digits_images(20), &campaign(SPEC)));
    USUAL.clone()
}

/// The text of a log.
pub fn lines(records: &[TrialRecord]) -> String {
    records.iter().map(TrialRecord::to_line).collect()
}

/// A campaign's directory with logs of these texts in the shard 1/1; the logs are named `0`, `1` and so on.
pub fn with_logs(path: &Path, info: &CampaignInfo, logs: &[&str]) -> (CampaignDir, Vec<PathBuf>) {
    let dir = CampaignDir::open_or_create(path, info).expect("a new directory");
    let log = |(i, text): (usize, &&str)| {
        dir.begin_attempt(Shard::WHOLE, &i.to_string()).expect("a new log");
        let log = path.join(format!("shards/0001-of-1/{i}.jsonl"));
        fs::write(&log, text).expect("the log can be written");
        log
    };
    let logs = logs.iter().enumerate().map(log).collect();
    (dir, logs)
}
