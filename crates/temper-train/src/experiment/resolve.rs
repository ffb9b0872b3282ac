//! One variant, from TOML to a recipe and campaigns.

use std::fmt::Display;
use std::path::PathBuf;

use temper_core::campaign::CampaignSpec;
use toml::{Table, Value};

use super::spec::{RESERVED, StruckSpec, TrainedEpoch};
use crate::recipe::RecipeSpec;

/// What a variant does.
pub(super) struct Resolved {
    pub(super) recipe: Option<RecipeSpec>,
    /// The variant whose network the training starts from.
    pub(super) start: Option<String>,
    pub(super) struck: StruckSpec,
    pub(super) campaigns: Vec<(String, CampaignSpec)>,
}

/// Why nothing can be struck.
pub(super) const NOTHING_STRUCK: &str =
    "expected [train], which trains the network, or [model] file, which names it; found neither";

impl Resolved {
    pub(super) fn new(table: Value) -> Result<Self, String> {
        let Value::Table(mut table) = table else { return Err("expected a table".to_owned()) };
        let struck = match table.remove("model") {
            Some(model) => model.try_into::<StruckSpec>().map_err(|error| placed("[model]", &error))?,
            None => StruckSpec::default(),
        };
        let (recipe, start) = match table.remove("train") {
            Some(Value::Table(train)) => recipe(train)?,
            // A variant that trains nothing, of a base that does.
            Some(Value::Boolean(false)) | None => (None, None),
            Some(_) => return Err("train: expected a table, or false".to_owned()),
        };
        match (&recipe, &struck) {
            (Some(_), StruckSpec { file: Some(_), .. }) => {
                return Err("[model] file: [train] trains the network; leave one of both out".to_owned());
            }
            (None, StruckSpec { epoch: Some(TrainedEpoch::Best | TrainedEpoch::Last), .. }) => {
                return Err("[model] epoch: there is no [train], and so no epoch".to_owned());
            }
            (None, StruckSpec { file: None, .. }) => return Err(NOTHING_STRUCK.to_owned()),
            _ => {}
        }
        let Some(Value::Table(campaigns)) = table.remove("campaign") else {
            return Err("campaign: expected tables, as [campaign.NAME]".to_owned());
        };
        let campaigns = campaigns.into_iter().map(|(name, spec)| campaign(name, spec, recipe.as_ref()));
        Ok(Self { campaigns: campaigns.collect::<Result<_, _>>()?, recipe, start, struck })
    }
}

/// An error with the part of the experiment that it is about.
fn placed(part: &str, error: &impl Display) -> String {
    let reason = error.to_string();
    let lines: Vec<&str> = reason.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    format!("{part}: {}", lines.join(", "))
}

fn recipe(mut train: Table) -> Result<(Option<RecipeSpec>, Option<String>), String> {
    let network = train.get_mut("network").and_then(Value::as_table_mut);
    let start = match network {
        Some(network) => match network.remove("variant") {
            Some(Value::String(name)) => {
                // Its file is known when it is planned.
                network.insert("file".to_owned(), Value::String(String::new()));
                Some(name)
            }
            Some(_) => return Err("[train.network] variant: expected the name of a variant".to_owned()),
            None => None,
        },
        None => None,
    };
    let recipe: RecipeSpec = train.try_into().map_err(|error: toml::de::Error| placed("[train]", &error))?;
    recipe.check().map_err(|error| placed("[train]", &error))?;
    Ok((Some(recipe), start))
}

/// A campaign's name may be part of a folder's and of a link.
fn is_sound(name: &str) -> bool {
    !name.is_empty()
        && !RESERVED.contains(&name)
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

fn campaign(
    name: String,
    spec: Value,
    recipe: Option<&RecipeSpec>,
) -> Result<(String, CampaignSpec), String> {
    let part = format!("[campaign.{name}]");
    if !is_sound(&name) {
        return Err(format!(
            "{part}: expected a name of letters, digits, - and _, and none of the words of --only"
        ));
    }
    let Value::Table(mut table) = spec else { return Err(format!("{part}: expected a table")) };
    if table.contains_key("model") {
        return Err(format!(
            "{part} model: is the experiment's [model] or what [train] trains; leave it out"
        ));
    }
    let nowhere = Table::from_iter([("file".to_owned(), Value::String(String::new()))]);
    table.insert("model".to_owned(), Value::Table(nowhere));
    if let (None, Some(recipe)) = (table.get("data"), recipe) {
        let set = Value::String(recipe.data.set.clone());
        let mut data = Table::from_iter([("set".to_owned(), set)]);
        if let Some(limit) = recipe.data.test_limit {
            data.insert("limit".to_owned(), Value::Integer(limit as i64));
        }
        table.insert("data".to_owned(), Value::Table(data));
    }
    let mut spec = CampaignSpec::from_table(table).map_err(|error| placed(&part, &error))?;
    spec.model.file = PathBuf::new();
    Ok((name, spec))
}
