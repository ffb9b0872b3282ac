//! Choosing layers by name, kind or number.
//!
//! | selector | chooses |
//! |---|---|
//! | `layer1.*` | layers whose dotted name the glob matches; `*` stands for any characters, dots included |
//! | `re:^layer[12]\.` | layers whose name the regular expression matches somewhere |
//! | `type:conv2d` | nodes of that kind |
//! | `name:conv[1]` | the layer of exactly that name, whatever characters it has |
//! | `index:3` | the layer of that number among those that could be chosen, from 0 |
//! | `!…` | none of those that the rest matches |

use std::fmt::Write;

use globset::{Glob, GlobMatcher};
use regex::Regex;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::network::{Network, NodeId};

/// Selectors of layers, such as `*`, `conv1` or `["layer1.*", "!*.conv2"]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a selector or a list of selectors of layers")]
pub enum Layers {
    /// One selector.
    One(String),
    /// Several; a layer is chosen if any matches and none that begins with `!` does.
    Many(Vec<String>),
}

impl Default for Layers {
    fn default() -> Self {
        Self::One("*".to_owned())
    }
}

impl Layers {
    /// The nodes of a network that these selectors choose: globs, regular expressions and numbers choose among those that `ordinary`
    /// holds for, kinds and exact names among all. `what` says in an error what the ordinary ones have.
    ///
    /// # Errors
    /// When a selector is malformed or matches nothing, or nothing is left.
    pub fn choose(
        &self,
        network: &Network,
        ordinary: impl Fn(NodeId) -> bool,
        what: &str,
    ) -> Result<Vec<NodeId>, SelectorError> {
        let nodes = || (0..network.nodes().len()).map(NodeId);
        let candidate = |id: NodeId| {
            let node = network.node(id);
            Candidate { name: &node.name, kind: node.op.kind(), ordinary: ordinary(id) }
        };
        let chosen = select(self, &nodes().map(candidate).collect::<Vec<_>>(), what)?;
        Ok(nodes().zip(chosen).filter_map(|(id, chosen)| chosen.then_some(id)).collect())
    }

    /// The selectors.
    pub fn selectors(&self) -> &[String] {
        match self {
            Self::One(selector) => std::slice::from_ref(selector),
            Self::Many(selectors) => selectors,
        }
    }
}

/// What a selector may choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Candidate<'a> {
    /// The node's name.
    pub(super) name: &'a str,
    /// The node's kind, such as `conv2d`.
    pub(super) kind: &'a str,
    /// Whether globs, regular expressions and numbers reach it; if not, only its kind or its exact name does.
    pub(super) ordinary: bool,
}

/// Why selectors choose nothing.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum SelectorError {
    /// Not a glob, regular expression or number.
    #[error("\"{selector}\" is not a {expected}: {reason}")]
    Malformed {
        /// What was written.
        selector: String,
        /// What it should be.
        expected: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A selector that matches nothing.
    #[error("\"{selector}\" matches no layer with {target}; the network has: {layers}")]
    NoMatch {
        /// What was written.
        selector: String,
        /// What was to be struck.
        target: String,
        /// The layers that have such a target, with their kinds.
        layers: String,
    },
    /// A list without selectors.
    #[error("expected at least one selector, found an empty list")]
    Empty,
    /// Everything chosen is excluded again.
    #[error("{selectors:?} leaves no layer: everything chosen is excluded")]
    Excluded {
        /// What was written.
        selectors: Vec<String>,
    },
}

/// One selector without its `!`.
enum Pattern {
    Glob(GlobMatcher),
    Regex(Regex),
    Name(String),
    Kind(String),
    Index(usize),
}

impl Pattern {
    fn parse(text: &str) -> Result<Self, SelectorError> {
        let malformed =
            |expected, reason| SelectorError::Malformed { selector: text.to_owned(), expected, reason };
        if let Some(regex) = text.strip_prefix("re:") {
            let regex =
                Regex::new(regex).map_err(|error| malformed("regular expression", error.to_string()))?;
            return Ok(Self::Regex(regex));
        }
        if let Some(kind) = text.strip_prefix("type:") {
            return Ok(Self::Kind(kind.to_owned()));
        }
        if let Some(name) = text.strip_prefix("name:") {
            return Ok(Self::Name(name.to_owned()));
        }
        if let Some(index) = text.strip_prefix("index:") {
            let index = index.parse().map_err(|error| malformed("number", format!("{error}")))?;
            return Ok(Self::Index(index));
        }
        let glob = Glob::new(text).map_err(|error| malformed("glob", error.kind().to_string()))?;
        Ok(Self::Glob(glob.compile_matcher()))
    }

    fn matches(&self, candidate: &Candidate<'_>, index: Option<usize>) -> bool {
        match self {
            Self::Name(name) => candidate.name == name,
            Self::Kind(kind) => candidate.kind == kind,
            Self::Glob(glob) => candidate.ordinary && glob.is_match(candidate.name),
            Self::Regex(regex) => candidate.ordinary && regex.is_match(candidate.name),
            Self::Index(wanted) => index == Some(*wanted),
        }
    }
}

/// Which of the candidates are chosen. `target` names, in an error, what they have.
///
/// # Errors
/// When a selector is malformed or matches nothing, or nothing is left.
pub(super) fn select(
    layers: &Layers,
    candidates: &[Candidate<'_>],
    target: &str,
) -> Result<Vec<bool>, SelectorError> {
    let mut number = 0;
    let indices: Vec<Option<usize>> = candidates
        .iter()
        .map(|candidate| {
            number += usize::from(candidate.ordinary);
            candidate.ordinary.then(|| number - 1)
        })
        .collect();
    let selectors = layers.selectors();
    let all_exclude = selectors.iter().all(|selector| selector.starts_with('!'));
    if selectors.is_empty() {
        return Err(SelectorError::Empty);
    }
    let mut chosen: Vec<bool> =
        candidates.iter().map(|candidate| all_exclude && candidate.ordinary).collect();
    let mut excluded = vec![false; candidates.len()];
    for selector in selectors {
        let (text, marks) = match selector.strip_prefix('!') {
            Some(rest) => (rest, &mut excluded),
            None => (selector.as_str(), &mut chosen),
        };
        // A name goes before a pattern: names may hold any characters.
        let is_name = candidates.iter().any(|candidate| candidate.name == text);
        let pattern = if is_name { Pattern::Name(text.to_owned()) } else { Pattern::parse(text)? };
        let mut any = false;
        for ((mark, candidate), index) in marks.iter_mut().zip(candidates).zip(&indices) {
            let matches = pattern.matches(candidate, *index);
            *mark |= matches;
            any |= matches;
        }
        if !any {
            return Err(no_match(selector, target, candidates));
        }
    }
    for (chosen, excluded) in chosen.iter_mut().zip(excluded) {
        *chosen &= !excluded;
    }
    if !chosen.contains(&true) {
        return Err(SelectorError::Excluded { selectors: selectors.to_vec() });
    }
    Ok(chosen)
}

/// Layers listed in an error; a large network has hundreds.
const LISTED: usize = 12;

fn no_match(selector: &str, target: &str, candidates: &[Candidate<'_>]) -> SelectorError {
    let ordinary = || candidates.iter().filter(|candidate| candidate.ordinary);
    let names = ordinary().take(LISTED).map(|candidate| format!("{} ({})", candidate.name, candidate.kind));
    let mut layers = names.collect::<Vec<_>>().join(", ");
    if let Some(more) = ordinary().count().checked_sub(LISTED).filter(|more| *more > 0) {
        let _ = write!(layers, " and {more} more");
    }
    SelectorError::NoMatch { selector: selector.to_owned(), target: target.to_owned(), layers }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODES: [(&str, &str, bool); 6] = [
        ("conv1", "conv2d", true),
        ("relu1", "relu", false),
        ("layer1.0.conv1", "conv2d", true),
        ("layer1.0.conv2", "conv2d", true),
        ("layer2.0.conv1", "conv2d", true),
        ("fc", "linear", true),
    ];

    fn chosen(selectors: &[&str]) -> Result<Vec<&'static str>, SelectorError> {
        let candidates = NODES.map(|(name, kind, ordinary)| Candidate { name, kind, ordinary });
        let layers = Layers::Many(selectors.iter().map(|&selector| selector.to_owned()).collect());
        let chosen = select(&layers, &candidates, "activation")?;
        Ok(NODES.iter().zip(chosen).filter(|(_, chosen)| *chosen).map(|((name, ..), _)| *name).collect())
    }

    #[test]
    fn each_kind_of_selector_chooses_what_it_says() {
        let cases: [(&[&str], &[&str]); 12] = [
            (&["*"], &["conv1", "layer1.0.conv1", "layer1.0.conv2", "layer2.0.conv1", "fc"]),
            (&["*conv1"], &["conv1", "layer1.0.conv1", "layer2.0.conv1"]),
            (&["re:^layer[12].*1$"], &["layer1.0.conv1", "layer2.0.conv1"]),
            (&["type:linear"], &["fc"]),
            (&["type:relu"], &["relu1"]),
            (&["relu1"], &["relu1"]),
            (&["name:relu1", "name:fc"], &["relu1", "fc"]),
            (&["index:0", "index:4"], &["conv1", "fc"]),
            (&["*", "!layer1.*"], &["conv1", "layer2.0.conv1", "fc"]),
            (&["!fc", "!re:layer"], &["conv1"]),
            (&["type:conv2d", "!index:1"], &["conv1", "layer1.0.conv2", "layer2.0.conv1"]),
            (&["{conv1,fc}"], &["conv1", "fc"]),
        ];
        for (selectors, expected) in cases {
            assert_eq!(chosen(selectors).as_deref(), Ok(expected), "{selectors:?}");
        }
    }

    #[test]
    fn what_chooses_nothing_is_an_error_that_says_why() {
        let cases: [(&[&str], &str); 10] = [
            (&[], "empty list"),
            (&["conv9"], "\"conv9\" matches no layer with activation; the network has: conv1 (conv2d)"),
            (&["relu*"], "matches no layer"),
            (&["type:conv"], "matches no layer"),
            (&["name:*"], "matches no layer"),
            (&["index:5"], "matches no layer"),
            (&["index:-1"], "is not a number"),
            (&["re:("], "is not a regular expression"),
            (&["conv[1"], "is not a glob"),
            (&["fc", "!*"], "leaves no layer"),
        ];
        for (selectors, part) in cases {
            let error = chosen(selectors).unwrap_err().to_string();
            assert!(error.contains(part), "{selectors:?}: {error}");
        }
    }
}
