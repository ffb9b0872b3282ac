//! What the tests of training share.

use std::path::Path;

use serde::de::DeserializeOwned;

/// A file of `fixtures/training`.
pub(crate) fn fixture<T: DeserializeOwned>(name: &str) -> T {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/training").join(name);
    let text = std::fs::read_to_string(path).expect("the fixture exists");
    serde_json::from_str(&text).expect("the fixture has these fields")
}
