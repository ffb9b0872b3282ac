//! Faults listed one by one: what is read, what is refused with which words, and that a drawn trial written down strikes the same.

pub mod support;

use support::brute::check_spec;
use support::{Silent, campaign, chain, digits_images, digits_model, run};
use temper_core::campaign::{Campaign, CampaignError, CampaignSpec, Trial, TrialRecord, place_of};
use temper_core::data::Dataset;
use temper_core::fault::{
    Damage, FaultList, FaultSite, FaultSpec, ListError, ListedFault, ListedModel, changes, read_list,
    resolve_list, tap_list,
};
use temper_core::memory::{Class, Memory, Part, Target};

fn listed(text: &str) -> FaultList {
    read_list(text.as_bytes()).unwrap_or_else(|error| panic!("{text}\n{}", chain(&error)))
}

/// A campaign of listed faults alone.
fn of_list(list: FaultList, rest: &str) -> CampaignSpec {
    let mut spec = campaign(&format!("{rest}\n[[fault]]\nlist = 'faults.csv'"));
    spec.faults[0].listed = Some(list);
    spec
}

fn bind<'a>(spec: &CampaignSpec, data: &'a Dataset) -> Result<Campaign<'a>, CampaignError> {
    let model = digits_model();
    Campaign::new(spec, &model.network, &model.preprocessing, data, Some(data))
}

const CSV: &str = "\
draw, image, layer, target, place, index, count, step, model, bits, value
0, , conv1, weight, , 7, , , bit-flip, 30,
0, 2, fc2, weight, , 3, 2, 64, stuck-at-1, 30 31 0,
, , conv2, activation, input, 5, 4, 1, set-value, , -1.5
1, , input, input, , 63, , , add, , inf
, 4, fc1, bias, , 0, 64, , scale, , 1e-3
1, , relu1, activation, activated, 0, , , zeroing, ,
, , fc1, activation, , 9, , , sign-reversal, ,
";

#[test]
fn csv_and_json_say_the_same() {
    let csv = listed(CSV);
    assert_eq!(csv.len(), 7);
    assert_eq!(
        csv[1],
        ListedFault {
            draw: Some(0),
            image: Some(2),
            layer: "fc2".to_owned(),
            target: Class::Weight.into(),
            place: None,
            index: 3,
            count: Some(2),
            step: Some(64),
            model: ListedModel::StuckAt1,
            bits: Some("30 31 0".to_owned()),
            value: None,
        }
    );
    assert_eq!(
        (csv[3].value, csv[4].value, csv[0].bits.as_deref()),
        (Some(f64::INFINITY), Some(1e-3), Some("30"))
    );
    let json = serde_json::to_string_pretty(&csv).expect("plain data");
    assert_eq!(listed(&json), csv);
    let mut written = csv::Writer::from_writer(Vec::new());
    for fault in &csv {
        written.serialize(fault).expect("written");
    }
    assert_eq!(listed(&String::from_utf8(written.into_inner().expect("flushed")).expect("text")), csv);
    // Only what is needed; a bit as a number; any order of columns.
    let least = listed("model,bit,index,layer\nbit-flip,3,1,fc1\n");
    assert_eq!(least, listed(r#"  [{"layer": "fc1", "index": 1, "model": "bit-flip", "bit": 3}]"#));
    assert_eq!((least[0].target, least[0].bits.as_deref()), (Target::default(), Some("3")));
}

#[test]
fn what_is_no_list_is_refused() {
    for (text, expected) in [
        ("", "the list has no fault"),
        ("layer,index,model\n", "the list has no fault"),
        ("[]", "the list has no fault"),
        ("layer,index\nfc1,0\n", "missing field `model`"),
        ("layer,model\nfc1,zeroing\n", "missing field `index`"),
        ("layer,index,model,color\nfc1,0,zeroing,red\n", "unknown field `color`"),
        ("layer,index,model\nfc1,-1,zeroing\n", "line: 2"),
        ("layer,index,model\nfc1,0,zeroing\nfc1,1.5,zeroing\n", "line: 3"),
        ("layer,index,model\nfc1,0\n", "found record with 2 fields, but the previous record has 3 fields"),
        ("layer,index,model\nfc1,0,bitflip\n", "unknown variant `bitflip`"),
        ("layer,index,model,target\nfc1,0,zeroing,weights\n", "\"weights\" is no target"),
        (
            "layer,index,model,value\nfc1,0,set-value,much\n",
            "expected a number, \"inf\", \"-inf\" or \"nan\"",
        ),
        ("layer,index,model,bits\nfc1,0,bit-flip,3.5\n", "expected a bit, or several separated by spaces"),
        ("[{\"layer\": \"fc1\", \"index\": 0}]", "missing field `model`"),
        ("[{\"layer\": \"fc1\", \"index\": 0, \"model\": \"zeroing\"}", "EOF"),
        ("[{\"layer\": \"fc1\", \"index\": 0, \"model\": \"zeroing\", \"x\": 1}]", "unknown field `x`"),
        ("[3]", "invalid type: integer `3`"),
        ("{\"layer\": \"fc1\"}", "invalid type: map, expected a sequence"),
    ] {
        let error = read_list(text.as_bytes()).expect_err(text);
        let message = chain(&error);
        assert!(message.contains(expected), "{text}: {message}");
        assert!(
            message.starts_with("not a list of faults: ") || matches!(error, ListError::Empty),
            "{message}"
        );
    }
    assert!(read_list(&[b'[', 0xff]).is_err() && read_list(b"layer,index,model\n\xff,0,zeroing").is_err());
}

#[test]
fn what_does_not_fit_the_network_is_refused_by_row_and_column() {
    let data = digits_images(3);
    let good = r#"{"layer": "fc1", "index": 0, "model": "zeroing"}"#;
    for (fault, expected) in [
        (
            r#""layer": "fc9", "index": 0, "model": "zeroing""#,
            "layer: \"name:fc9\" matches no layer with weight; the network has: conv1 (conv2d)",
        ),
        (r#""layer": "fc*", "index": 0, "model": "zeroing""#, "layer: \"name:fc*\" matches no layer"),
        (r#""layer": "!fc1", "index": 0, "model": "zeroing""#, "layer: \"name:!fc1\" matches no layer"),
        (
            r#""layer": "relu9", "target": "activation", "index": 0, "model": "zeroing""#,
            "layer: \"name:relu9\" matches no layer with activation",
        ),
        (
            r#""layer": "conv1", "target": "input", "index": 0, "model": "zeroing""#,
            "layer: the network's input is called \"input\", not \"conv1\"",
        ),
        (
            r#""layer": "fc1", "target": "batch-norm-var", "index": 0, "model": "zeroing""#,
            "target: target: no layer of the network has batch-norm-var",
        ),
        (
            r#""layer": "fc1", "target": "weight-scale", "index": 0, "model": "zeroing""#,
            "target: fc1 in f32 has no weight-scale",
        ),
        (
            r#""layer": "fc1", "place": "input", "index": 0, "model": "zeroing""#,
            "place: only activations have a place",
        ),
        (
            r#""layer": "fc2", "index": 640, "model": "zeroing""#,
            "index: 640 (with 1 values at distance 1) lies outside the 640 there are",
        ),
        (
            r#""layer": "fc2", "index": 600, "count": 3, "step": 20, "model": "zeroing""#,
            "index: 600 (with 3 values at distance 20) lies outside",
        ),
        (
            r#""layer": "fc2", "index": 1, "count": 18446744073709551615, "step": 2, "model": "zeroing""#,
            "index: 1 (with",
        ),
        (
            r#""layer": "fc2", "index": 0, "count": 0, "model": "zeroing""#,
            "count: expected at least 1, found 0",
        ),
        (
            r#""layer": "fc2", "index": 0, "count": 2, "step": 0, "model": "zeroing""#,
            "step: expected at least 1, found 0",
        ),
        (
            r#""layer": "fc2", "index": 0, "model": "bit-flip", "bits": "3 32""#,
            "bits: expected bits 0 to 31, found \"32\"",
        ),
        (
            r#""layer": "fc2", "index": 0, "model": "bit-flip", "bits": "-1""#,
            "bits: expected bits 0 to 31, found \"-1\"",
        ),
        (
            r#""layer": "fc2", "index": 0, "model": "stuck-at-0""#,
            "bits: expected at least one bit, found none",
        ),
        (
            r#""layer": "fc2", "index": 0, "model": "stuck-at-0", "bits": """#,
            "bits: expected at least one bit, found none",
        ),
        (
            r#""layer": "fc2", "index": 0, "model": "zeroing", "bits": 3"#,
            "bits: only models of bits have them; leave this out",
        ),
        (r#""layer": "fc2", "index": 0, "model": "add""#, "value: expected a number, found none"),
        (
            r#""layer": "fc2", "index": 0, "model": "zeroing", "value": 3"#,
            "value: only set-value, add and scale have one; leave this out",
        ),
    ] {
        let list = listed(&format!("[{good}, {{{fault}}}]"));
        let spec = of_list(list, "trials.count = 1");
        let error = bind(&spec, &data).expect_err(fault);
        let message = chain(&error);
        assert!(
            message.starts_with(&format!("fault 1: fault 2 of the list, {expected}")),
            "{fault}: {message}"
        );
        let text = "[[fault]]\nlist = 'faults.csv'";
        assert_eq!(
            error.path().and_then(|path| place_of(text, &path)).as_deref(),
            Some("line 2: list = 'faults.csv'")
        );
    }
    // In a format of fewer bits.
    let list = listed("layer,index,model,bits\nfc1,0,bit-flip,8\n");
    let spec = of_list(list, "trials.count = 1\n[[storage]]\ntarget = 'weight'\nformat = 'int8'");
    assert!(chain(&bind(&spec, &data).expect_err("8 bits")).contains("expected bits 0 to 7, found \"8\""));
    // A batch norm is four tensors.
    let network = support::networks::every_operator();
    let memory = Memory::new(&network, &[]).expect("nothing is stored in another format");
    let list = listed("layer,target,index,model\nbn1,batch-norm,0,zeroing\n");
    let error = resolve_list(&list, &memory).expect_err("four vectors").to_string();
    assert!(error.contains("is not one tensor; name one vector, such as batch-norm-weight"), "{error}");
    let list = listed("layer,target,index,model\nbn1,batch-norm-var,0,zeroing\n");
    assert_eq!(resolve_list(&list, &memory).expect("one vector").len(), 1);
}

#[test]
fn draw_and_image_columns_choose_whom_a_fault_strikes() {
    let data = digits_images(6);
    let spec = of_list(listed(CSV), "trials.count = 3");
    let bound = bind(&spec, &data).expect("it fits");
    assert_eq!(bound.plan().conditions[0].sites, 0, "nothing is drawn");
    let trials: Vec<Trial> = bound.plan().trials().collect();
    let layers = |trial: usize, image: u64| -> Vec<String> {
        let memory = bound.memory(0);
        let sites = bound.transient_sites(trials[trial], image).expect("some strike one image");
        sites
            .iter()
            .map(|site| {
                format!("{} {}", memory.tensor(site.tensor).layer, memory.tensor(site.tensor).class.name())
            })
            .collect()
    };
    let always = ["conv2 activation", "fc1 activation"];
    assert_eq!(layers(2, 0), always);
    assert_eq!(layers(2, 4), ["conv2 activation", "fc1 bias", "fc1 activation"]);
    assert_eq!(layers(0, 0), ["conv1 weight", "conv2 activation", "fc1 activation"]);
    assert_eq!(layers(0, 2), ["conv1 weight", "fc2 weight", "conv2 activation", "fc1 activation"]);
    assert_eq!(layers(1, 1), ["conv2 activation", "input input", "relu1 activation", "fc1 activation"]);
    check_spec(&spec, &digits_model(), &data);
    // Draws and images that are not there.
    for (column, rest, expected) in [
        ("draw", "trials.count = 1", "fault 1 of the list, draw: expected 0 to 0, found 1"),
        ("image", "trials.count = 3", "fault 1 of the list, image: expected 0 to 5, found 6"),
    ] {
        let only = format!(
            "model,bit,index,layer,{column}\nbit-flip,3,1,fc1,{}\n",
            if column == "draw" { 1 } else { 6 }
        );
        let error = chain(&bind(&of_list(listed(&only), rest), &data).expect_err("not there"));
        assert!(error.ends_with(expected), "{error}");
    }
    // Without the column of images all strike every image.
    let list = listed(CSV).into_iter().map(|fault| ListedFault { image: None, ..fault }).collect();
    let spec = of_list(list, "trials.count = 3");
    let bound = bind(&spec, &data).expect("it fits");
    assert_eq!(bound.transient_sites(trials[0], 2), None);
    assert_eq!(trials.iter().map(|trial| bound.permanent_sites(*trial).len()).collect::<Vec<_>>(), [5, 5, 3]);
    check_spec(&spec, &digits_model(), &data);
}

/// All that a trial strikes, as a list.
fn exported(campaign: &Campaign<'_>, trials: &[Trial]) -> FaultList {
    let mut list = FaultList::new();
    for &trial in trials {
        let memory = campaign.memory(trial.condition);
        let row = |image, site: &FaultSite| ListedFault::of_site(memory, Some(trial.draw), image, site);
        let images = 0..campaign.images() as u64;
        let anew: Vec<_> =
            images.filter_map(|image| Some((image, campaign.transient_sites(trial, image)?))).collect();
        if anew.is_empty() {
            list.extend(campaign.permanent_sites(trial).iter().map(|site| row(None, site)));
        }
        for (image, sites) in anew {
            list.extend(sites.iter().map(|site| row(Some(image), site)));
        }
    }
    list
}

const STORED: &str = "[[storage]]\ntarget = 'weight'\nformat = 'int8'\nscheme = 'affine'\ngranularity = 'channel'\n\
    [[storage]]\ntarget = 'activation'\nplace = 'activated'\nformat = 'uint8'\n\
    [[storage]]\ntarget = 'bias'\nformat = 'binary'\n";

#[test]
fn a_drawn_trial_written_down_strikes_the_same() {
    let data = digits_images(7);
    let faults = "[[fault]]\nmodel = 'bit-flip'\nburst_bits = 3\ncount = 9\n\
        [[fault]]\nmodel = 'gaussian'\nsigma = 0.3\nvalue_fault_rate = 0.003\n\
        [[fault]]\nmodel = 'lognormal'\nsigma = 2\nlayers = 'fc2'\nshape = 'column'\ncount = 3\n\
        [[fault]]\nmodel = 'random-word'\ntarget = 'bias'\nvalue_fault_rate = 0.5\n\
        [[fault]]\nmodel = 'stuck-at'\ntarget = 'weight-scale'\ncount = 2\n\
        [[fault]]\nmodel = 'bit-flip'\ntarget = 'weight-zero-point'\ncount = 2\n\
        [[fault]]\nmodel = 'set-value'\nvalue = -inf\nlayers = 'conv1'\ncount = 1\n\
        [[fault]]\nmodel = 'sign-reversal'\ntarget = 'activation'\nplace = 'activated'\nshape = 'row'\ncount = 2\n\
        [[fault]]\nmodel = 'random-value'\nlow = -1\nhigh = 1\ntarget = 'input'\ncount = 3\n\
        [[fault]]\nmodel = 'zeroing'\ntarget = 'activation'\nplace = 'input'\nlayers = 'fc1'\nburst_words = 5\ncount = 1\n";
    for faults in [
        faults.to_owned(),
        faults
            .replace("sigma = 0.3", "sigma = 0.3\nlifetime = 'transient'")
            .replace("low =", "lifetime = 'transient'\nlow ="),
    ] {
        let spec = campaign(&format!("trials.count = 4\nrecord.predictions = true\n{STORED}{faults}"));
        let drawn = bind(&spec, &data).unwrap_or_else(|error| panic!("{}", chain(&error)));
        let trials: Vec<Trial> = drawn.plan().trials().collect();
        let list = exported(&drawn, &trials);
        assert!(list.iter().any(|fault| fault.bits.as_deref() == Some("none")), "a word drawn as it was");
        let json = serde_json::to_string(&list).expect("plain data");
        let mut csv = csv::Writer::from_writer(Vec::new());
        for fault in &list {
            csv.serialize(fault).expect("written");
        }
        for bytes in [json.into_bytes(), csv.into_inner().expect("flushed")] {
            let read = read_list(&bytes).unwrap_or_else(|error| panic!("{}", chain(&error)));
            assert_eq!(read, list);
            let again = of_list(read, &format!("trials.count = 4\nrecord.predictions = true\n{STORED}"));
            let again = bind(&again, &data).unwrap_or_else(|error| panic!("{}", chain(&error)));
            for &trial in &trials {
                // The tensors may be numbered otherwise: what they are and what is done must be the same.
                assert_eq!(exported(&again, &[trial]), exported(&drawn, &[trial]));
                let parameters =
                    |campaign: &Campaign<'_>| changes(campaign.memory(0), &campaign.permanent_sites(trial));
                if drawn.transient_sites(trial, 0).is_none() {
                    assert_eq!(parameters(&again), parameters(&drawn));
                }
            }
            let records = |campaign: &Campaign<'_>| -> Vec<TrialRecord> {
                let nameless = |record| TrialRecord { campaign: String::new(), faults: 0, ..record };
                run(campaign, &campaign.golden(&Silent), &trials).into_iter().map(nameless).collect()
            };
            assert_eq!(records(&again), records(&drawn));
        }
    }
}

#[test]
fn every_number_survives_being_written_down() {
    let memory = Memory::new(&digits_model().network, &[]).expect("nothing is stored in another format");
    let patterns = [
        0u32,
        1,
        0x8000_0000,
        0x7f80_0000,
        0xff80_0000,
        0x7fc0_0000,
        0xffc0_0000,
        0x7f7f_ffff,
        0x15ae_43fd,
        0x15ae_43fe,
        0x3dcc_cccd,
    ];
    let mut noise = support::noise(2);
    let values = patterns
        .map(f32::from_bits)
        .into_iter()
        .chain((0..300).map(|_| noise() * f32::powi(10.0, (noise() * 30.0) as i32)));
    let mut site = support::resolve(&digits_model().network, "model = 'zeroing'\ncount = 1")
        .expect("sound")
        .draw(&mut temper_core::fault::trial_stream(1, 1))[0];
    assert_eq!(site.part, Part::Values);
    for value in values {
        for damage in [Damage::Set(value), Damage::Add(value), Damage::Scale(value)] {
            site.damage = damage;
            let row = ListedFault::of_site(&memory, None, Some(3), &site);
            let mut csv = csv::Writer::from_writer(Vec::new());
            csv.serialize(&row).expect("written");
            for bytes in
                [serde_json::to_vec(&[&row]).expect("plain data"), csv.into_inner().expect("flushed")]
            {
                let list = read_list(&bytes).unwrap_or_else(|error| panic!("{value}: {}", chain(&error)));
                let found = &resolve_list(&list, &memory).expect("it fits")[0];
                let same = match (found.site.damage, damage) {
                    (Damage::Set(a), Damage::Set(b))
                    | (Damage::Add(a), Damage::Add(b))
                    | (Damage::Scale(a), Damage::Scale(b)) => a.to_bits() == b.to_bits(),
                    _ => false,
                };
                assert!(same && found.image == Some(3), "{value}: {found:?}");
            }
        }
    }
}

#[test]
fn names_are_exact_whatever_characters_they_have() {
    let graph = r#"{"input": [4], "node": [
        {"name": "/fc[0]/*", "op": {"kind": "linear", "in_features": 4, "out_features": 3}},
        {"name": "relu{1", "op": {"kind": "relu"}}]}"#;
    let graph: temper_core::network::GraphDescription = serde_json::from_str(graph).expect("valid JSON");
    let mut memory =
        Memory::new(&graph.build().expect("a sound network"), &[]).expect("nothing is stored otherwise");
    let list = listed(
        "layer,target,index,model\n/fc[0]/*,weight,0,zeroing\nrelu{1,activation,2,zeroing\n/fc[0]/*,activation,2,zeroing\n",
    );
    tap_list(&list, &mut memory).expect("all are there");
    assert_eq!(resolve_list(&list, &memory).expect("all are there").len(), 3);
}

#[test]
fn lists_are_alone_and_not_swept() {
    let list = listed(CSV);
    let toml = "trials.count = 3\n[[fault]]\nlist = 'a.csv'\n[[fault]]\nmodel = 'zeroing'\n";
    let mut spec = campaign(&format!("sweep.count = [1, 2]\n{toml}"));
    spec.faults[0].listed = Some(list.clone());
    let data = digits_images(6);
    let bound = bind(&spec, &data).expect("the other fault is swept");
    assert_eq!(
        bound.plan().conditions.iter().map(|condition| condition.sites).collect::<Vec<_>>(),
        [13_584; 2]
    );
    for (sweep, expected) in [
        ("sweep.layer = 'each'", "[sweep] layer: the faults of a list cannot be swept"),
        ("sweep.\"fault.1.count\" = [1]", "[sweep] fault.1.count: the faults of a list cannot be swept"),
        ("sweep.list = ['b.csv']", "[sweep] list: the faults of a list cannot be swept"),
    ] {
        let head = "seed = 1\nmodel.file = 'm'\ndata.set = 'digits'\ntrials.count = 1";
        let only = if sweep.contains("layer") {
            "[[fault]]\nlist = 'a.csv'"
        } else {
            "[[fault]]\nlist = 'a.csv'\n[[fault]]\nmodel = 'zeroing'"
        };
        let error = CampaignSpec::parse(&format!("{head}\n{sweep}\n{only}")).expect_err(sweep).to_string();
        assert!(error.starts_with(expected), "{error}");
    }
    for trials in ["trials.exhaustive = true", "trials.statistical = { margin = 0.1, confidence = 0.9 }"] {
        let error = chain(&bind(&of_list(list.clone(), trials), &data).expect_err("nothing to go through"));
        assert!(
            error.starts_with("[trials]: a statistical or exhaustive campaign strikes one site"),
            "{error}"
        );
    }
    let spec = FaultSpec { listed: Some(list), ..FaultSpec::default() };
    let json = serde_json::to_string(&spec).expect("plain data");
    assert!(json.contains("stuck-at-1"), "what a list holds is part of the campaign's identity");
}
