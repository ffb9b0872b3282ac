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
use temper_report::{Width, accuracy_curve, draw};
use temper_train::device::Device;
use temper_train::recipe::RecipeSpec;
use temper_train::training::{Folder, Prepared};

use crate::cli::campaign::run::run_campaign;
use crate::cli::report::REPORT;
use crate::cli::train::train;
use crate::output::export::TrialColumns;
use crate::output::summary::CampaignReport;
use crate::output::table::grouped;

/// How a small convolutional network learns to read the digits.
const RECIPE: &str = include_str!("../assets/quickstart-recipe.toml");
/// Where its training goes, and the network after its last epoch, as the specification names it.
const TRAINING: &str = "training";
const MODEL_FILE: &str = "training/last.safetensors";
/// Folder of the records, in the results' folder.
const CAMPAIGN: &str = "campaign";
/// What is done to it.
const SPEC: &str = include_str!("../assets/quickstart.toml");

/// Trains a small network, strikes it with random bit flips, and shows what that costs; results go to `output`.
pub(crate) fn run(output: &Path, device: &Device, out: &mut dyn Write) -> Result<()> {
    let began = Instant::now();
    let model = trained(output, device)?;
    let spec = CampaignSpec::parse(SPEC).context("the built-in specification")?;
    let data = digits(Split::Test);
    let campaign = Campaign::new(&spec, &model.network, &model.preprocessing, &data, None)?;
    eprintln!(
        "Its weights lie in a memory as 32-bit floats; each stored bit is flipped with a given probability\n\
         (bit error rate), {} times over.\n",
        campaign.plan().conditions[0].draws
    );
    let dir = run_campaign(
        &campaign,
        &spec,
        &output.join(MODEL_FILE),
        Shard::WHOLE,
        &RunOptions::default(),
        &output.join(CAMPAIGN),
    )?;
    let report = CampaignReport::new(&dir, None)?;
    report.print(false, out)?;
    out.flush()?;

    let columns = TrialColumns::new(dir.info(), &dir.records()?);
    let (mut csv, mut json) = (Vec::new(), Vec::new());
    columns.csv(&mut csv)?;
    columns.json(&mut json)?;
    let curve = accuracy_curve(&report.conditions, report.confidence()).context("nothing was measured")?;
    let svg = draw(&curve, Width::Wide)?;
    let files: [(&str, &[u8]); 3] =
        [("trials.csv", &csv), ("trials.json", &json), ("accuracy.svg", svg.as_bytes())];
    for (name, content) in files {
        write_atomically(&output.join(name), content)
            .with_context(|| format!("cannot write {name} in {}", output.display()))?;
    }
    temper_report::write(&temper_report::read(&output.join(CAMPAIGN))?, &output.join(REPORT))?;
    // The same by hand, to be changed and run again; what the user has made of it stays.
    for (name, content) in [("recipe.toml", RECIPE), ("campaign.toml", SPEC)] {
        let path = output.join(name);
        if !path.exists() {
            fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))?;
        }
    }
    let shown = output.display();
    eprintln!("\n{:.1} s. In {shown}:", began.elapsed().as_secs_f64());
    eprintln!("  report/report.html        the report: open it in a browser");
    eprintln!("  accuracy.svg              its curve");
    eprintln!("  trials.csv, trials.json   every trial");
    eprintln!(
        "  recipe.toml               the training: change it, and run `temper train {shown}/recipe.toml -o DIR`"
    );
    eprintln!(
        "  campaign.toml             the faults: change it, and run `temper campaign run {shown}/campaign.toml -o DIR`"
    );
    Ok(())
}

/// The network, trained now or by an earlier run.
fn trained(output: &Path, device: &Device) -> Result<Model> {
    let recipe = RecipeSpec::parse(RECIPE).context("the built-in recipe")?;
    // The digits are part of the program: no folder of data is looked into.
    let prepared = Prepared::new(recipe, output, output).context("the built-in recipe")?;
    eprintln!(
        "A network of {} parameters learns to read handwritten digits from {} images.\n",
        grouped(prepared.network.tensors().values().map(|tensor| tensor.data().len() as u64).sum()),
        prepared.train.len()
    );
    let folder = Folder::open(&output.join(TRAINING), &prepared.recipe)?;
    let result = train(&prepared, &folder, device)?;
    if let Some(phase) = result.phases.first() {
        eprintln!(
            "\nIt {}: test accuracy {:.4}, before training {:.4}.",
            result.verdict.describe(),
            phase.last_test_accuracy,
            phase.start_accuracy
        );
    }
    Ok(Model::load(&output.join(MODEL_FILE))?)
}
