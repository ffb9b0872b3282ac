//! Columns in every form, against lines and values written by hand.

use ::parquet::file::reader::{FileReader as _, SerializedFileReader};
use ::parquet::record::Field;

use super::*;

/// Half of all images are right without faults, and half of those that trials ran.
const GOLDEN: [GoldenInfo; 2] = [GoldenInfo { images: 8, correct: 4 }; 2];

fn records(count: u64) -> Records {
    let record = |trial: u64| TrialRecord {
        campaign: "0123456789abcdef".to_owned(),
        trial,
        condition: (trial % 2) as usize,
        draw: trial / 2,
        faults: if trial == 3 { u64::MAX } else { trial },
        outcomes: Outcomes {
            images: 8,
            correct: trial,
            golden_correct: 4,
            masked: 5,
            sdc: 2,
            due: 1,
            ..Outcomes::new(true)
        },
        near: None,
        predictions: None,
        masked_proven: 0,
        cpu_seconds: 0.5,
    };
    Records { by_trial: (0..count).map(|trial| (trial, record(trial))).collect(), torn: 0 }
}

fn two_axes() -> [Axis; 2] {
    let axis = |name: &str, values: [Value; 2]| Axis { name: name.to_owned(), values: values.to_vec() };
    [
        axis("layers", [json!("layer1.*,fc"), json!("say \"fc\"")]),
        axis("bit_error_rate", [json!(0.0), json!(1e-6)]),
    ]
}

const NAMES: &str = "trial,condition,layers,bit_error_rate,draw,faults,images,correct,golden_correct,accuracy,\
                     masked,masked_exact,sdc,sdc5,sdc10,sdc20,critical,due";

#[test]
fn csv_quotes_what_needs_quotes() {
    let mut csv = Vec::new();
    TrialColumns::with_axes(&two_axes(), &GOLDEN, &records(4)).csv(&mut csv).expect("written");
    let expected = format!(
        "{NAMES}\n\
         0,0,\"layer1.*,fc\",0.0,0,0,8,0,4,0.0,5,0,2,0,0,0,0,1\n\
         1,1,\"say \"\"fc\"\"\",1e-6,0,1,8,1,4,0.125,5,0,2,0,0,0,0,1\n\
         2,0,\"layer1.*,fc\",0.0,1,2,8,2,4,0.25,5,0,2,0,0,0,0,1\n\
         3,1,\"say \"\"fc\"\"\",1e-6,1,18446744073709551615,8,3,4,0.375,5,0,2,0,0,0,0,1\n"
    );
    assert_eq!(String::from_utf8(csv).expect("text"), expected);
}

#[test]
fn json_has_the_same_fields_in_the_same_order() {
    let mut json = Vec::new();
    TrialColumns::with_axes(&two_axes(), &GOLDEN, &records(4)).json(&mut json).expect("written");
    let text = String::from_utf8(json).expect("text");
    let at: Vec<usize> =
        NAMES.split(',').map(|name| text.find(&format!("\"{name}\":")).expect(name)).collect();
    assert!(at.is_sorted(), "{text}");
    let json: Vec<Value> = serde_json::from_str(&text).expect("an array");
    assert_eq!(json.len(), 4);
    assert_eq!(json[1]["layers"], "say \"fc\"");
    assert_eq!((&json[1]["bit_error_rate"], &json[1]["accuracy"]), (&json!(1e-6), &json!(0.125)));
    assert_eq!(json[3]["faults"], u64::MAX);
}

/// The rows of a Parquet file, each a list of names and values.
fn rows(content: &[u8]) -> Vec<Vec<(String, Field)>> {
    let mut file = tempfile::tempfile().expect("a temporary file");
    file.write_all(content).expect("written");
    let reader = SerializedFileReader::new(file).expect("a Parquet file");
    let rows = reader.get_row_iter(None).expect("rows");
    let row = |row: ::parquet::record::Row| {
        row.get_column_iter().map(|(name, field)| (name.clone(), field.clone())).collect()
    };
    rows.map(|found| row(found.expect("a row"))).collect()
}

#[test]
fn parquet_has_the_same_values_with_their_types() {
    let mut file = Vec::new();
    TrialColumns::with_axes(&two_axes(), &GOLDEN, &records(4)).parquet(&mut file).expect("written");
    let rows = rows(&file);
    assert_eq!(rows.len(), 4);
    let names: Vec<&str> = rows[0].iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names.join(","), NAMES);
    let values: Vec<Field> = rows[3].iter().map(|(_, field)| field.clone()).collect();
    let mut expected = vec![Field::ULong(3), Field::ULong(1), Field::Str("say \"fc\"".to_owned())];
    expected.push(Field::Double(1e-6));
    expected.extend([1, u64::MAX, 8, 3, 4].map(Field::ULong));
    expected.push(Field::Double(0.375));
    expected.extend([5, 0, 2, 0, 0, 0, 0, 1].map(Field::ULong));
    assert_eq!(values, expected);
}

#[test]
fn parquet_keeps_more_rows_than_a_page_and_none_at_all() {
    for count in [0, 1, 50_000] {
        let mut file = Vec::new();
        TrialColumns::with_axes(&[], &GOLDEN, &records(count)).parquet(&mut file).expect("written");
        let rows = rows(&file);
        assert_eq!(rows.len() as u64, count);
        let trials = rows.iter().map(|row| row[0].1.clone());
        assert!(trials.eq((0..count).map(Field::ULong)));
    }
}

#[test]
fn a_swept_field_of_mixed_numbers_is_real_and_with_words_is_text() {
    let axis = |values: [Value; 2]| Axis { name: "swept".to_owned(), values: values.to_vec() };
    let records = records(2);
    let records: Vec<&TrialRecord> = records.by_trial.values().collect();
    assert!(matches!(axis([json!(1), json!(2)]).of(&records), Values::Integers(v) if v == [1, 2]));
    assert!(matches!(axis([json!(1), json!(0.5)]).of(&records), Values::Reals(v) if v == [1.0, 0.5]));
    assert!(matches!(axis([json!(1), json!("all")]).of(&records), Values::Texts(v) if v == ["1", "all"]));
}
