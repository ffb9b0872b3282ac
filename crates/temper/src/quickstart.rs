//! The built-in experiment: everything needed is in the program.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use temper_core::campaign::{Campaign, CampaignSpec, RunOptions, Shard};
use temper_core::data::{Split, digits};
use temper_core::network::Model;
use temper_core::write_atomically;

use crate::cli::campaign::run::run_campaign;
use crate::output::export::TrialColumns;
use crate::output::plot;
use crate::output::summary::CampaignReport;
use crate::output::table::grouped;

/// A small convolutional network trained on the digits by `fixtures/digits/train.py`.
const MODEL: &[u8] = include_bytes!("../assets/digits-cnn.safetensors");
/// The name that the specification gives it.
const MODEL_FILE: &str = "digits-cnn.safetensors";
/// What is done to it.
const SPEC: &str = include_str!("../assets/quickstart.toml");

/// Strikes the built-in network with random bit flips and shows what that costs; results go to `output`.
pub(crate) fn run(output: &Path, out: &mut dyn Write) -> Result<()> {
    let began = Instant::now();
    let model = Model::from_bytes(MODEL).context("the built-in network")?;
    let spec = CampaignSpec::parse(SPEC).context("the built-in specification")?;
    let data = digits(Split::Test);
    let campaign = Campaign::new(&spec, &model.network, &model.preprocessing, &data, None)?;
    eprintln!(
        "A network of {} parameters reads handwritten digits. Its weights lie in a memory as 32-bit floats;\n\
         each stored bit is flipped with a given probability (bit error rate), {} times over.\n",
        grouped(model.network.tensors().values().map(|tensor| tensor.data().len() as u64).sum()),
        campaign.plan().conditions[0].draws
    );
    let dir = run_campaign(
        &campaign,
        &spec,
        &output.join(MODEL_FILE),
        Shard::WHOLE,
        &RunOptions::default(),
        &output.join("campaign"),
    )?;
    let report = CampaignReport::new(&dir, None)?;
    report.print(false, out)?;
    out.flush()?;

    let columns = TrialColumns::new(dir.info(), &dir.records()?);
    let (mut csv, mut json) = (Vec::new(), Vec::new());
    columns.csv(&mut csv)?;
    columns.json(&mut json)?;
    let golden = dir.info().golden[0].accuracy();
    let svg = plot::accuracy_over_rate("Random bit flips in stored weights", golden, &report.conditions)?;
    let files: [(&str, &[u8]); 4] =
        [("trials.csv", &csv), ("trials.json", &json), ("accuracy.svg", svg.as_bytes()), (MODEL_FILE, MODEL)];
    for (name, content) in files {
        write_atomically(&output.join(name), content)
            .with_context(|| format!("cannot write {name} in {}", output.display()))?;
    }
    // The same specification, to be changed and run by hand; what the user has made of it stays.
    let by_hand = output.join("campaign.toml");
    if !by_hand.exists() {
        fs::write(&by_hand, SPEC).with_context(|| format!("cannot write {}", by_hand.display()))?;
    }
    eprintln!("\n{:.1} s. In {}:", began.elapsed().as_secs_f64(), output.display());
    eprintln!("  accuracy.svg              the curve");
    eprintln!("  trials.csv, trials.json   every trial");
    eprintln!(
        "  campaign.toml             a specification: change it, and run `temper campaign run {} -o DIR`",
        by_hand.display()
    );
    Ok(())
}
