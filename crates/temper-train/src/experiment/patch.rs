//! How a variant changes what it is a variant of.

use toml::{Table, Value};

/// Keys that say what a table is about: with another one, or another value of it, it is about something else.
const NAMES: [&str; 5] = ["kind", "architecture", "file", "description", "variant"];

/// Changes `base` by `patch`: tables key by key, everything else as a whole.
///
/// - A table that says what it is about ([`NAMES`]) otherwise than `base` does takes its place.
/// - Beside an array, a table's numbers are the array's places, from 1; one more than there are adds a place. Any other key is one of all of
///   the array's tables.
pub(super) fn apply(base: &mut Value, patch: &Value) -> Result<(), String> {
    match (base, patch) {
        (Value::Table(base), Value::Table(patch)) if !is_about_another(base, patch) => {
            for (key, value) in patch {
                match base.get_mut(key) {
                    Some(place) => apply(place, value).map_err(|reason| below(key, &reason))?,
                    None => {
                        base.insert(key.clone(), value.clone());
                    }
                }
            }
        }
        (Value::Array(base), Value::Table(patch)) => {
            for (key, value) in patch {
                apply_to_array(base, key, value).map_err(|reason| below(key, &reason))?;
            }
        }
        (base, patch) => *base = patch.clone(),
    }
    Ok(())
}

fn is_about_another(base: &Table, patch: &Table) -> bool {
    NAMES.iter().any(|&name| patch.get(name).is_some_and(|value| base.get(name) != Some(value)))
}

fn apply_to_array(base: &mut Vec<Value>, key: &str, value: &Value) -> Result<(), String> {
    let Ok(number) = key.parse::<usize>() else {
        let of_each = Value::Table(Table::from_iter([(key.to_owned(), value.clone())]));
        if base.is_empty() {
            return Err(": there is no entry that could have it".to_owned());
        }
        return base.iter_mut().try_for_each(|entry| match entry {
            Value::Table(_) => apply(entry, &of_each),
            _ => Err(": the entries are no tables".to_owned()),
        });
    };
    match number.checked_sub(1) {
        Some(place) if place < base.len() => apply(&mut base[place], value),
        Some(place) if place == base.len() => {
            base.push(value.clone());
            Ok(())
        }
        _ => Err(format!(": there are {}, and places count from 1", base.len())),
    }
}

/// A reason with one more key before it.
fn below(key: &str, reason: &str) -> String {
    let dot = if reason.starts_with(':') { "" } else { "." };
    format!("{key}{dot}{reason}")
}

/// The patch that gives the field at a dotted path this value.
pub(super) fn at(path: &str, value: &Value) -> Value {
    path.rsplit('.')
        .fold(value.clone(), |value, key| Value::Table(Table::from_iter([(key.to_owned(), value)])))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Value {
        Value::Table(text.parse().expect("TOML"))
    }

    fn patched(base: &str, patch: &str) -> Result<Value, String> {
        let mut base = table(base);
        apply(&mut base, &table(patch)).map(|()| base)
    }

    const PHASES: &str = "phase = [
        { epochs = 1, optimizer = { kind = \"sgd\", lr = 0.1, momentum = 0.9 } },
        { epochs = 2, optimizer = { kind = \"adam\" } },
    ]";

    #[test]
    fn fields_of_one_entry_and_of_all() {
        let one = patched(PHASES, "phase.2.epochs = 7").expect("a place");
        assert_eq!(
            (one["phase"][0]["epochs"].as_integer(), one["phase"][1]["epochs"].as_integer()),
            (Some(1), Some(7))
        );
        let all = patched(PHASES, "phase.batch_size = 32").expect("tables");
        for phase in all["phase"].as_array().expect("an array") {
            assert_eq!(phase["batch_size"].as_integer(), Some(32));
        }
    }

    #[test]
    fn one_more_place_is_added_and_none_beyond() {
        let more = patched(PHASES, "phase.3 = { epochs = 9 }").expect("the next place");
        assert_eq!(more["phase"].as_array().map(Vec::len), Some(3));
        for place in ["0", "4"] {
            let reason =
                patched(PHASES, &format!("phase.{place} = {{ epochs = 9 }}")).expect_err("no such place");
            assert_eq!(reason, format!("phase.{place}: there are 2, and places count from 1"));
        }
    }

    #[test]
    fn the_same_kind_is_changed_and_another_takes_its_place() {
        let same = patched(PHASES, "phase.1.optimizer = { kind = \"sgd\", lr = 0.5 }").expect("a place");
        assert_eq!(same["phase"][0]["optimizer"], table("kind = \"sgd\"\nlr = 0.5\nmomentum = 0.9"));
        let other = patched(PHASES, "phase.optimizer.kind = \"adagrad\"").expect("a place");
        for phase in other["phase"].as_array().expect("an array") {
            assert_eq!(phase["optimizer"], table("kind = \"adagrad\""));
        }
    }

    #[test]
    fn lists_and_values_are_replaced() {
        let changed =
            patched("widths = [1, 2]\na.b = 1", "widths = [3]\na.b = \"x\"\nc = true").expect("values");
        assert_eq!(changed, table("widths = [3]\na.b = \"x\"\nc = true"));
        assert!(patched("widths = [1, 2]", "widths.x = 3").is_err());
        assert!(patched("phase = []", "phase.x = 3").is_err());
    }

    #[test]
    fn a_path_is_a_patch() {
        assert_eq!(at("a.b.c", &Value::Integer(1)), table("a.b.c = 1"));
    }
}
