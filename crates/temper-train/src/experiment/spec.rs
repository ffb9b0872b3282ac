//! An experiment as the user writes it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::error::ExperimentError;

/// An experiment: the whole of an `experiment.toml`. What variants may change stays as it is written, until each variant is resolved.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExperimentSpec {
    /// What the report is called.
    pub title: Option<String>,
    /// A recipe: how networks are trained.
    train: Option<Table>,
    /// Which network is struck.
    model: Option<Table>,
    /// Campaigns by their names: what strikes the networks.
    #[serde(default)]
    campaign: Table,
    /// Fields that are taken through several values.
    #[serde(default)]
    grid: Table,
    /// Named changes.
    #[serde(default)]
    variant: Vec<Table>,
}

/// `[model]`: which network is struck.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StruckSpec {
    /// A model file, where nothing is trained; a relative path starts at the experiment's folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// After which epoch, where one is trained.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epoch: Option<TrainedEpoch>,
}

/// Which of a training's networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TrainedEpoch {
    /// That of the last phase's best epoch.
    #[default]
    Best,
    /// That of the last epoch.
    Last,
}

impl TrainedEpoch {
    /// Its file in the training's folder.
    pub(super) fn file(self) -> &'static str {
        match self {
            Self::Best => "model.safetensors",
            Self::Last => "last.safetensors",
        }
    }
}

/// A field that is taken through several values.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Axis {
    /// Its dotted path: `train.phase.batch_size`.
    pub(super) path: String,
    /// Its name for readers: `batch size`.
    pub(super) name: String,
    pub(super) values: Vec<Value>,
}

impl Axis {
    /// Whether it tells apart repetitions, not things to compare: other networks trained alike. (Other draws on the same network are no
    /// repetitions: they all have what that network has.)
    pub(super) fn is_seed(&self) -> bool {
        self.path == "train.seed"
    }
}

/// A named change; the only one, without a name, where none is written.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct NamedChange {
    pub(super) name: Option<String>,
    /// The name of the change that it is compared with; the first, if it does not say.
    pub(super) compare_with: Option<String>,
    pub(super) patch: Table,
}

/// What `--only` understands beside names.
pub(super) const RESERVED: [&str; 3] = ["train", "campaign", "report"];

/// The parts of an experiment that a variant may change.
const PARTS: [&str; 3] = ["train", "model", "campaign"];

impl ExperimentSpec {
    /// Reads an experiment from TOML.
    ///
    /// # Errors
    /// When the text is not an experiment. The message shows the place.
    pub fn parse(text: &str) -> Result<Self, ExperimentError> {
        Ok(toml::from_str(text).map_err(Box::new)?)
    }

    /// What variants are made from.
    pub(super) fn base(&self) -> Value {
        let given = [("train", &self.train), ("model", &self.model)];
        let given = given.into_iter().filter_map(|(part, table)| Some((part, table.clone()?)));
        let all = given.chain([("campaign", self.campaign.clone())]);
        Value::Table(all.map(|(part, table)| (part.to_owned(), Value::Table(table))).collect())
    }

    /// The named changes.
    pub(super) fn named_changes(&self) -> Result<Vec<NamedChange>, ExperimentError> {
        if self.variant.is_empty() {
            return Ok(vec![NamedChange { name: None, compare_with: None, patch: Table::new() }]);
        }
        let mut changes: Vec<NamedChange> = Vec::new();
        for (i, table) in self.variant.iter().enumerate() {
            let place = format!("variant {}", i + 1);
            let mut patch = table.clone();
            let Some(Value::String(name)) = patch.remove("name") else {
                return Err(ExperimentError::value(place, "expected a name = \"…\""));
            };
            if name.trim().is_empty() || name.chars().any(char::is_control) {
                return Err(ExperimentError::value(place, "expected a name in one line of text"));
            }
            if RESERVED.contains(&name.as_str()) {
                let reason = format!("\"{name}\" is a word of --only; choose another name");
                return Err(ExperimentError::value(place, reason));
            }
            if changes.iter().any(|other| other.name.as_ref() == Some(&name)) {
                return Err(ExperimentError::value(place, format!("a second variant is called \"{name}\"")));
            }
            let compare_with = match patch.remove("compare_with") {
                Some(Value::String(other)) if other != name => Some(other),
                None => None,
                Some(_) => {
                    let place = format!("{place}, {name}, compare_with");
                    return Err(ExperimentError::value(place, "expected the name of another variant"));
                }
            };
            let unknown = patch.keys().find(|key| !PARTS.contains(&key.as_str()));
            if let Some(key) = unknown {
                let reason = format!("expected a field of {}; found {key}", PARTS.join(", "));
                return Err(ExperimentError::value(format!("{place}, {name}"), reason));
            }
            changes.push(NamedChange { name: Some(name), compare_with, patch });
        }
        for change in &changes {
            let is_there = |name: &&String| changes.iter().any(|other| other.name.as_ref() == Some(name));
            if let (Some(other), Some(name)) = (&change.compare_with, &change.name)
                && !is_there(&other)
            {
                let reason = format!("there is no variant \"{other}\"");
                return Err(ExperimentError::value(format!("variant {name}, compare_with"), reason));
            }
        }
        Ok(changes)
    }

    /// The axes of the grid, in the order written.
    pub(super) fn axes(&self) -> Result<Vec<Axis>, ExperimentError> {
        let mut found = Vec::new();
        flatten(&self.grid, "", &mut found)?;
        for (path, _) in &found {
            let part = path.split('.').next().unwrap_or_default();
            if !PARTS.contains(&part) {
                let reason = format!("expected a field of {}", PARTS.join(", "));
                return Err(ExperimentError::value(format!("[grid] {path}"), reason));
            }
        }
        let short: Vec<String> = found.iter().map(|(path, _)| short_name(path)).collect();
        let name = |(i, path): (usize, &str)| {
            let is_taken = short.iter().filter(|other| **other == short[i]).count() > 1;
            if is_taken { path.to_owned() } else { short[i].clone() }
        };
        let axis = |(i, (path, values)): (usize, (String, Vec<Value>))| Axis {
            name: name((i, &path)),
            path,
            values,
        };
        Ok(found.into_iter().enumerate().map(axis).collect())
    }
}

/// The lists in a table of tables, with their dotted paths.
fn flatten(
    table: &Table,
    prefix: &str,
    found: &mut Vec<(String, Vec<Value>)>,
) -> Result<(), ExperimentError> {
    for (key, value) in table {
        let path = format!("{prefix}{key}");
        match value {
            Value::Table(below) => flatten(below, &format!("{path}."), found)?,
            Value::Array(values) if !values.is_empty() => {
                if let Some(i) = (1..values.len()).find(|&i| values[..i].contains(&values[i])) {
                    let reason = format!("{} occurs twice", label(&values[i]));
                    return Err(ExperimentError::value(format!("[grid] {path}"), reason));
                }
                found.push((path, values.clone()));
            }
            _ => {
                let reason = "expected a list of at least one value";
                return Err(ExperimentError::value(format!("[grid] {path}"), reason));
            }
        }
    }
    Ok(())
}

/// What a field is called: `train.phase.1.batch_size` is `batch size`, and a kind is that of what has it.
fn short_name(path: &str) -> String {
    let mut parts = path.rsplit('.').filter(|part| part.parse::<usize>().is_err());
    let last = parts.next().unwrap_or(path);
    let name = if last == "kind" { parts.next().unwrap_or(last) } else { last };
    name.replace('_', " ")
}

/// A value for readers: a table by its kind and its fields.
pub(super) fn label(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Table(table) => {
            let kind = table.get("kind").map(label);
            let fields = table.iter().filter(|(key, _)| *key != "kind");
            let fields = fields.map(|(key, value)| format!("{} {}", key.replace('_', " "), label(value)));
            kind.into_iter().chain(fields).collect::<Vec<_>>().join(" ")
        }
        Value::Array(values) => values.iter().map(label).collect::<Vec<_>>().join("-"),
        Value::Float(value) if *value != 0.0 && !(1e-3..1e6).contains(&value.abs()) => format!("{value:e}"),
        Value::Float(value) => value.to_string(),
        value => value.to_string(),
    }
}
