//! Bad recipes: each error names the place, what was found and what was expected, before anything is written.

#[path = "support/run.rs"]
pub mod run;

use std::fs;
use std::path::Path;

use run::{SMALL, StopAfter, chain, prepare, prepare_in, train};
use temper_core::data::Preprocessing;
use temper_core::network::Model;
use temper_core::network::zoo::{Architecture, Family};

/// The recipe with a piece of it replaced, which must be there.
fn edited(from: &str, to: &str) -> String {
    assert_eq!(SMALL.matches(from).count(), 1, "{from}");
    SMALL.replace(from, to)
}

/// Why the recipe is refused.
fn refusal(text: &str) -> String {
    chain(&prepare(text).err().unwrap_or_else(|| panic!("accepted:\n{text}")))
}

/// The recipe with lines added to its phase.
fn with_phase(lines: &str) -> String {
    format!("{SMALL}{lines}\n")
}

#[test]
fn values_out_of_range_are_named_with_their_place() {
    let sgd = "kind = \"sgd\", lr = 0.1";
    let phase = "epochs = 2\n";
    for (text, message) in [
        (
            edited("lr = 0.1", "lr = -1"),
            "phase 1, optimizer.lr: expected a finite number of at least 0, found -1",
        ),
        (
            edited("lr = 0.1", "lr = nan"),
            "phase 1, optimizer.lr: expected a finite number of at least 0, found NaN",
        ),
        (
            edited("lr = 0.1", "lr = inf"),
            "phase 1, optimizer.lr: expected a finite number of at least 0, found inf",
        ),
        (
            edited(sgd, "kind = \"adam\", betas = [0.9, 1.0]"),
            "phase 1, optimizer.betas[1]: expected a number of at least 0 and below 1, found 1",
        ),
        (
            edited(sgd, "kind = \"sgd\", nesterov = true"),
            "phase 1, optimizer.momentum: expected a number above 0 with nesterov, found 0",
        ),
        (edited(phase, "epochs = 0\n"), "phase 1, epochs: expected 1 to 1000000, found 0"),
        (
            edited(phase, "epochs = 9223372036854775807\n"),
            "phase 1, epochs: expected 1 to 1000000, found 9223372036854775807",
        ),
        (edited("batch_size = 50", "batch_size = 0"), "phase 1, batch_size: expected at least 1, found 0"),
        (
            edited("batch_size = 50", "batch_size = 201"),
            "phase 1, batch_size: expected at most the number of images, 200, found 201",
        ),
        (
            with_phase("schedule = { kind = \"constant\", warmup_epochs = 2 }"),
            "phase 1, schedule.warmup_epochs: expected fewer than the phase's 2 epochs, found 2",
        ),
        (
            with_phase("schedule = { kind = \"step\", step_size = 0 }"),
            "phase 1, schedule.step_size: expected at least 1, found 0",
        ),
        (
            with_phase("schedule = { kind = \"one-cycle\", max_lr = 1.0, warmup_epochs = 1 }"),
            "phase 1, schedule.warmup_epochs: expected 0 with one-cycle, which warms up by itself, found 1",
        ),
        (
            with_phase("loss = { label_smoothing = 1.5 }"),
            "phase 1, loss.label_smoothing: expected a number from 0 to 1, found 1.5",
        ),
        (
            with_phase("augmentation = { random_crop_padding = 8 }"),
            "phase 1, augmentation.random_crop_padding: expected less than height and width of the images, 8 and 8, found 8",
        ),
        (
            with_phase("augmentation = { horizontal_flip = nan }"),
            "phase 1, augmentation.horizontal_flip: expected a number from 0 to 1, found NaN",
        ),
        (
            with_phase("regularizers = [{ kind = \"activation-l1\", strength = -0.1 }]"),
            "phase 1, regularizers, strength: expected a finite number of at least 0, found -0.1",
        ),
        (
            with_phase("activation_ranges = { kind = \"moving-average\", momentum = 0.0 }"),
            "phase 1, activation_ranges.momentum: expected a number above 0 and up to 1, found 0",
        ),
        (with_phase("start_from = \"best\""), "phase 1, start_from: there is no phase before the first"),
        (edited("train_limit = 200", "train_limit = 0"), "[data] train_limit: expected at least 1, found 0"),
        (
            edited("train_limit = 200", "train_limit = 1298"),
            "limit: 1298 images are wanted, but digits (train) has 1297; expected 1 to 1297",
        ),
        (
            edited("train_limit = 200", "validation = 1297"),
            "[data] validation: expected less than the number of training images, 1297; found 1297",
        ),
        (
            with_phase("[keep]\ncheckpoint_epochs = 0"),
            "[keep] checkpoint_epochs: expected at least 1, found 0",
        ),
        (
            with_phase("[preprocessing]\nmean = [nan]\nstd = [1.0]"),
            "[preprocessing]: mean holds NaN; means must be finite, standard deviations finite and positive",
        ),
        (
            with_phase("[preprocessing]\nmean = [0.5, 0.5]\nstd = [1.0]"),
            "[preprocessing]: mean has 2 values; expected 1 or one for each of the 1 channels",
        ),
    ] {
        assert_eq!(refusal(&text), message);
    }
}

#[test]
fn keys_and_kinds_that_do_not_exist_are_shown_where_they_stand() {
    for (text, messages) in [
        (edited("seed = 7", "seed = 7\nsede = 7"), &["line 3", "unknown field `sede`", "`seed`"][..]),
        (with_phase("epoch = 3"), &["line 17", "unknown field `epoch`", "`epochs`"]),
        (edited("lr = 0.1", "learning_rate = 0.1"), &["line 16", "unknown field `learning_rate`", "`lr`"]),
        (edited("\"sgd\"", "\"sdg\""), &["line 16", "unknown variant `sdg`", "`sgd`", "`rmsprop`"]),
        (
            with_phase("schedule = { kind = \"cosine\", tmax = 3 }"),
            &["line 17", "unknown field `tmax`", "`t_max`"],
        ),
        (with_phase("schedule = { kind = \"cosin\" }"), &["line 17", "unknown variant `cosin`", "`cosine`"]),
        (with_phase("schedule = { warmup_epochs = 1 }"), &["line 17", "missing field `kind`"]),
        (edited("seed = 7", ""), &["missing field `seed`"]),
        (edited("epochs = 2", ""), &["line 13", "missing field `epochs`"]),
        (edited("seed = 7", "seed = -1"), &["line 2", "-1", "u64"]),
        (
            with_phase("train_layers = 3"),
            &["line 17", "expected a selector or a list of selectors of layers"],
        ),
        (
            "phase = []\n".to_owned() + SMALL.split("[[phase]]").next().expect("a head"),
            &["[[phase]]: expected at least one, found none"],
        ),
        (SMALL.split("[[phase]]").next().expect("a head").to_owned(), &["missing field `phase`"]),
        (
            with_phase("fault = [{ list = \"faults.csv\" }]"),
            &["phase 1, fault: lists of faults do not train"],
        ),
    ] {
        let refusal = refusal(&text);
        for message in messages {
            assert!(refusal.contains(message), "{message} is not in:\n{refusal}");
        }
    }
}

#[test]
fn layers_that_do_not_exist_are_named_with_those_that_do() {
    let known = "the network has: fc1 (linear), fc2 (linear)";
    for (lines, start) in [
        ("train_layers = \"fc9\"", "phase 1, train_layers: \"fc9\" matches no layer with parameters; "),
        (
            "[[phase.storage]]\ntarget = \"weight\"\nformat = \"int8\"\nlayers = \"fc9\"",
            "phase 1: storage 1: layers: \"fc9\" matches no layer with weight; ",
        ),
        (
            "[[phase.fault]]\nmodel = \"zeroing\"\ncount = 1\nlayers = \"fc9\"",
            "phase 1: fault 1: layers: \"fc9\" matches no layer with weight; ",
        ),
        (
            "[[phase.fault]]\ntarget = \"activation\"\nmodel = \"zeroing\"\ncount = 1\nlayers = \"fc9\"",
            "phase 1: fault 1: layers: \"fc9\" matches no layer with activation; ",
        ),
    ] {
        assert_eq!(refusal(&with_phase(lines)), format!("{start}{known}"));
    }
    let regularised =
        with_phase("regularizers = [{ kind = \"activation-l1\", strength = 1.0, layers = \"r\" }]");
    let refusal = refusal(&regularised);
    assert!(refusal.starts_with("phase 1, regularizers, layers: \"r\" matches no layer"), "{refusal}");
}

#[test]
fn storage_and_faults_that_make_no_sense_are_refused() {
    for (lines, messages) in [
        ("[[phase.storage]]\ntarget = \"weight\"\nformat = \"int99\"", &["line 19", "int99"][..]),
        (
            "[[phase.storage]]\ntarget = \"bias\"\nformat = \"int8\"\nrange = \"mean-abs\"",
            &["phase 1: storage 1", "mean-abs"],
        ),
        ("[[phase.fault]]\nmodel = \"bit-flip\"", &["phase 1: fault 1", "count"]),
        (
            "[[phase.fault]]\nmodel = \"bit-flip\"\nbit_error_rate = 1.5",
            &["phase 1: fault 1", "bit_error_rate", "1.5"],
        ),
        (
            "[[phase.fault]]\nmodel = \"bit-flip\"\nbit_error_rate = nan",
            &["phase 1: fault 1", "bit_error_rate", "NaN"],
        ),
        (
            "[[phase.fault]]\nmodel = \"bit-flip\"\ncount = 999999999",
            &["phase 1: fault 1", "count", "999999999"],
        ),
        ("[[phase.fault]]\nmodel = \"gaussian\"\ncount = 1", &["phase 1: fault 1", "sigma"]),
    ] {
        let refusal = refusal(&with_phase(lines));
        for message in messages {
            assert!(refusal.contains(message), "{message} is not in:\n{refusal}");
        }
    }
}

#[test]
fn networks_that_come_from_nowhere_or_do_not_fit_are_refused() {
    let network = "architecture = \"mlp\"\nwidths = [16]";
    for (to, message) in [
        ("", "[network]: expected one of architecture, file and description; found none"),
        (
            "architecture = \"mlp\"\nfile = \"a\"",
            "[network]: expected one of architecture, file and description; found architecture and file",
        ),
        (
            "file = \"a\"\nwidths = [16]",
            "[network] widths: it belongs to an architecture, but the network comes from a file",
        ),
        ("architecture = \"mlp\"\npooling = \"avg\"", "[network] pooling: mlp has none; leave it out"),
        ("architecture = \"resnet20\"\nwidths = [16]", "[network]: resnet20 takes 3 widths, found 1"),
    ] {
        assert_eq!(refusal(&edited(network, to)), message);
    }
    for (to, messages) in [
        (
            "architecture = \"lenet6\"",
            &["[network] architecture: unknown architecture \"lenet6\"; known are mlp, lenet5"][..],
        ),
        ("architecture = \"mlp\"\nwidths = [0]", &["[network]: ", "fc1"]),
        ("architecture = \"mlp\"\nwidths = [9223372036854775807]", &["[network]: ", "fc1"]),
        ("file = \"missing.safetensors\"", &["nowhere/missing.safetensors", "No such file"]),
        (
            "[network.description]\ninput = [1, 8, 8]\nnode = [{ name = \"flat\", op = { kind = \"flatten\" } }, { name = \"fc\", op = { kind = \"linear\", in_features = 9, out_features = 10 } }]",
            &["[network] description: ", "fc", "9"],
        ),
        (
            "[network.description]\ninput = [1, 8, 8]\nnode = [{ name = \"flat\", op = { kind = \"flatten\" } }]",
            &["[network]: ", "64", "10"],
        ),
    ] {
        let refusal = refusal(&edited(network, to));
        for message in messages {
            assert!(refusal.contains(message), "{message} is not in:\n{refusal}");
        }
    }
}

#[test]
fn layers_without_anything_that_trains_are_refused() {
    let nodes = "[network.description]\ninput = [1, 8, 8]\nnode = [\
        { name = \"shift\", inputs = [], op = { kind = \"constant\", shape = [1, 8, 8] } }, \
        { name = \"sum\", inputs = [\"input\", \"shift\"], op = { kind = \"add\" } }, \
        { name = \"flat\", op = { kind = \"flatten\" } }, \
        { name = \"fc\", op = { kind = \"linear\", in_features = 64, out_features = 10 } }]";
    let text = edited("architecture = \"mlp\"\nwidths = [16]", nodes);
    assert!(prepare(&text).is_ok());
    assert_eq!(
        refusal(&format!("{text}train_layers = \"shift\"\n")),
        "phase 1, train_layers: the chosen layers have no parameters that train"
    );
}

fn save(path: &Path, input: &[usize], classes: usize) {
    let architecture = Architecture { input: input.to_vec(), classes, ..Architecture::new(Family::Mlp) };
    let network = architecture.build().expect("sound");
    Model { network, preprocessing: Preprocessing::default() }.save(path).expect("written");
}

#[test]
fn a_network_of_other_images_or_classes_is_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let text = edited("architecture = \"mlp\"\nwidths = [16]", "file = \"net.safetensors\"");
    let refusal = || chain(&prepare_in(dir.path(), &text).expect_err("refused"));
    let file = dir.path().join("net.safetensors");
    save(&file, &[1, 8, 8], 7);
    assert_eq!(refusal(), "[network]: the network has 7 outputs, but digits has 10 classes");
    save(&file, &[1, 28, 28], 10);
    assert!(
        refusal().contains("takes inputs of shape [1, 28, 28], but digits has images of shape [1, 8, 8]"),
        "{}",
        refusal()
    );
    fs::write(&file, "no model").expect("written");
    assert!(refusal().contains("net.safetensors"), "{}", refusal());
}

#[test]
fn a_folder_of_something_else_is_refused_and_left_as_it_is() {
    let dir = tempfile::tempdir().expect("a folder");
    let run = dir.path().join("run");
    let train = |text: &str| train(&prepare(text).expect("sound"), &run, &StopAfter::never());
    train(SMALL).expect("trained");
    let before = files(&run);
    let error = train(&edited("seed = 7", "seed = 8")).expect_err("refused");
    assert_eq!(
        chain(&error),
        format!("{}: holds a training by another recipe; give another folder with -o", run.display())
    );
    assert_eq!(files(&run), before);

    fs::remove_dir_all(&run).expect("removed");
    fs::create_dir(&run).expect("made");
    fs::write(run.join("thesis.tex"), "years of work").expect("written");
    let error = train(SMALL).expect_err("refused");
    assert_eq!(
        chain(&error),
        format!("{}: holds files, but no training; give a new or an empty folder with -o", run.display())
    );
    assert_eq!(files(&run).len(), 1);

    let file = run.join("thesis.tex");
    let error = run::train(&prepare(SMALL).expect("sound"), &file, &StopAfter::never()).expect_err("refused");
    assert!(chain(&error).contains("thesis.tex"), "{}", chain(&error));
    assert_eq!(fs::read_to_string(file).expect("still there"), "years of work");
}

/// Every file below a folder with its content.
fn files(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push((path.display().to_string(), fs::read(&path).expect("readable")));
        }
    }
    found.sort();
    found
}
