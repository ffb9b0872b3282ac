//! Reading the reference pages, and the keys and words that types take.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::de::DeserializeOwned;

/// A set of keys or words.
pub type Words = BTreeSet<String>;

/// A page of the documentation.
pub fn page_of(name: &str) -> String {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "..", "..", "docs", name].iter().collect();
    std::fs::read_to_string(path).expect("the page is part of the repository")
}

/// What an error message says was expected.
pub fn listed(error: &str) -> Words {
    let listed = error.split("expected").nth(1).unwrap_or_default();
    listed.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The keys of a table that begins with `head`, as its own error message lists them.
pub fn keys_after<T: DeserializeOwned>(head: &str) -> Words {
    let text = format!("{head}\nno-such-key = 1");
    let error = toml::from_str::<T>(&text).err().expect("no table has this key").to_string();
    assert!(error.contains("no-such-key"), "{error}");
    listed(error.lines().last().expect("a message"))
}

/// The keys of a table.
pub fn keys<T: DeserializeOwned>() -> Words {
    keys_after::<T>("")
}

/// The kinds of a tagged table.
pub fn kinds<T: DeserializeOwned>() -> Words {
    let error = toml::from_str::<T>("kind = \"no-such-kind\"").err().expect("there is no such kind");
    listed(error.message())
}

/// The words that a value may be.
pub fn words<T: DeserializeOwned>() -> Words {
    let error = T::deserialize(toml::Value::from("no-such-word")).err().expect("there is no such word");
    listed(error.message())
}

/// The part of the page under a heading.
pub fn section<'a>(page: &'a str, heading: &str) -> &'a str {
    let rest = page.split(&format!("\n{heading}\n")).nth(1).unwrap_or_else(|| panic!("no {heading}"));
    rest.split("\n#").next().expect("split gives one part")
}

/// The words in code in the first column of a section's first table.
pub fn documented(page: &str, heading: &str) -> Words {
    let rows = section(page, heading).lines().skip_while(|line| !line.starts_with("|---")).skip(1);
    let cells = rows.take_while(|line| line.starts_with('|')).filter_map(|line| line.split('|').nth(1));
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
}

/// The examples in TOML.
pub fn examples(page: &str) -> Vec<&str> {
    page.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect()
}
