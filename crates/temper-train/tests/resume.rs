//! A training that was stopped goes on as if it had not been, bit for bit; damaged and foreign checkpoints are refused.

#[path = "support/run.rs"]
pub mod run;

use std::fs;
use std::path::Path;

use run::{SMALL, StopAfter, chain, prepare, prepare_in, results, train};
use temper_train::device;
use temper_train::training::{Ended, Folder, Prepared, Training};

/// The small recipe with this in place of its phase.
fn with(phases: &str) -> String {
    let head = SMALL.split("[[phase]]").next().expect("a head");
    format!("{head}{phases}")
}

/// Trains with a stop after every `batches` batches, in a new process's place each time; how often it was stopped.
fn train_in_pieces(prepared: &Prepared, dir: &Path, batches: usize) -> usize {
    let mut stops = 0;
    while train(prepared, dir, &StopAfter::batches(batches)).expect("trains") == Ended::Stopped {
        stops += 1;
        assert!(stops < 1000, "it does not go on");
    }
    stops
}

/// Stops the training after every possible batch, once each, and after every batch in turn.
fn goes_on_bit_identically(text: &str) {
    let prepared = prepare(text).unwrap_or_else(|error| panic!("{}\n{text}", chain(&error)));
    let dir = tempfile::tempdir().expect("a folder");
    let whole = dir.path().join("whole");
    assert_eq!(train(&prepared, &whole, &StopAfter::never()).expect("trains"), Ended::Complete);
    let expected = results(&whole);
    assert!(expected.contains_key("model.safetensors") && expected.contains_key("history.jsonl"));
    let recipe = &prepared.recipe;
    let steps: usize = recipe
        .phases
        .iter()
        .map(|phase| phase.epochs * prepared.batches(phase).expect("checked").per_epoch())
        .sum();
    for stop in 1..steps {
        let run = dir.path().join(stop.to_string());
        let ended = train(&prepared, &run, &StopAfter::batches(stop)).expect("trains");
        assert_eq!(ended, Ended::Stopped, "after {stop} of {steps} batches");
        assert_eq!(train(&prepared, &run, &StopAfter::never()).expect("trains"), Ended::Complete);
        assert!(results(&run) == expected, "stopped after {stop} of {steps} batches of\n{text}");
    }
    let run = dir.path().join("pieces");
    assert!(train_in_pieces(&prepared, &run, 1) >= steps / 2);
    assert!(results(&run) == expected, "stopped after every batch of\n{text}");
}

#[test]
fn with_momentum_and_warm_up() {
    goes_on_bit_identically(&with(
        r#"
[[phase]]
epochs = 3
batch_size = 60
optimizer = { kind = "sgd", lr = 0.1, momentum = 0.9, nesterov = true, weight_decay = 1e-3 }
schedule = { kind = "step", step_size = 1, warmup_epochs = 1 }
train_layers = "fc1"
"#,
    ));
}

#[test]
fn with_adaptive_optimisers() {
    for optimizer in [
        "kind = \"adam\", amsgrad = true",
        "kind = \"adamw\"",
        "kind = \"adagrad\", lr_decay = 0.1",
        "kind = \"rmsprop\", centered = true, momentum = 0.5",
    ] {
        goes_on_bit_identically(&with(&format!(
            "[[phase]]\nepochs = 2\nbatch_size = 60\ndrop_last = true\noptimizer = {{ {optimizer} }}\n"
        )));
    }
}

#[test]
fn with_a_schedule_that_follows_the_loss_or_the_accuracy() {
    for mode in ["min", "max"] {
        goes_on_bit_identically(&with(&format!(
            "[[phase]]\nepochs = 5\nbatch_size = 100\noptimizer = {{ kind = \"sgd\", lr = 2.0 }}\n\
             schedule = {{ kind = \"reduce-on-plateau\", mode = \"{mode}\", patience = 0, factor = 0.5 }}\n"
        )));
    }
}

#[test]
fn with_one_cycle_and_augmentation() {
    goes_on_bit_identically(&with(
        r#"
[[phase]]
epochs = 2
batch_size = 60
optimizer = { kind = "adam" }
schedule = { kind = "one-cycle", max_lr = 0.05 }
augmentation = { random_crop_padding = 2, horizontal_flip = 0.5 }
loss = { label_smoothing = 0.1 }
regularizers = [{ kind = "activation-l1", strength = 1e-4 }]
"#,
    ));
}

#[test]
fn with_phases_that_start_from_the_best_network() {
    let text = with(
        r#"
[keep]
checkpoint_epochs = 2
model_epochs = 2

[[phase]]
epochs = 3
batch_size = 60
optimizer = { kind = "sgd", lr = 1.5, momentum = 0.9 }

[[phase]]
start_from = "best"
epochs = 2
batch_size = 90
optimizer = { kind = "adam" }
"#,
    );
    goes_on_bit_identically(&text.replace("test_limit", "validation = 50\ntest_limit"));
}

#[test]
fn with_quantised_weights_and_activations() {
    let text = with(
        r#"
[[phase]]
epochs = 2
batch_size = 60
optimizer = { kind = "sgd", lr = 0.05, momentum = 0.9 }
storage = [
  { target = "weight", format = "int4", granularity = "channel" },
  { target = "activation", place = "activated", format = "uint8" },
  { target = "input", format = "uint8" },
  { target = "activation", layers = "fc1", format = "f16" },
  { target = "activation", layers = "fc2", format = "int8", range = { given = 20.0 } },
]
activation_ranges = { kind = "moving-average", momentum = 0.3 }
"#,
    );
    goes_on_bit_identically(&text);
    goes_on_bit_identically(&text.replace("\"moving-average\", momentum = 0.3", "\"learned-step\""));
}

#[test]
fn with_faults_drawn_for_every_batch() {
    for gradient in ["clean", "faulty"] {
        goes_on_bit_identically(&with(&format!(
            r#"
[[phase]]
epochs = 2
batch_size = 60
optimizer = {{ kind = "sgd", lr = 0.05, momentum = 0.9 }}
fault_draws = "batch"
fault_gradient = "{gradient}"
fault = [
  {{ model = "bit-flip", format = "int8", bit_error_rate = 0.01 }},
  {{ model = "gaussian", sigma = 0.3, mode = "multiplicative", value_fault_rate = 0.5, target = "activation", place = "activated", lifetime = "transient" }},
]
"#
        )));
    }
}

#[test]
fn with_batch_norms_and_convolutions() {
    let text = with(
        "[[phase]]\nepochs = 2\nbatch_size = 30\noptimizer = { kind = \"sgd\", lr = 0.05, momentum = 0.9 }\n",
    );
    let text = text.replace("\"mlp\"", "\"resnet8\"").replace("[16]", "[2, 3, 4]").replace("200", "80");
    goes_on_bit_identically(&text);
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let text = with(
        r#"
[[phase]]
epochs = 1
batch_size = 60
optimizer = { kind = "adam" }
augmentation = { random_crop_padding = 1 }
storage = [{ target = "activation", place = "activated", format = "uint8" }]
fault = [{ model = "bit-flip", format = "int8", bit_error_rate = 0.01 }]
"#,
    );
    for text in [text.clone(), text.replace("\"mlp\"", "\"lenet5\"").replace("[16]", "[3, 4, 20, 16]")] {
        let prepared = prepare(&text).expect("sound");
        let dir = tempfile::tempdir().expect("a folder");
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
            let run = dir.path().join(threads.to_string());
            pool.install(|| train(&prepared, &run, &StopAfter::never())).expect("trains");
            results(&run)
        };
        let alone = on(1);
        assert!(on(2) == alone && on(7) == alone);
    }
}

#[test]
fn a_finished_training_stays_as_it_is() {
    // With such a learning rate the loss becomes infinite, and training ends before its last epoch.
    for text in [SMALL.to_owned(), SMALL.replace("lr = 0.1", "lr = 1e30").replace("epochs = 2", "epochs = 9")]
    {
        let prepared = prepare(&text).expect("sound");
        let dir = tempfile::tempdir().expect("a folder");
        train(&prepared, dir.path(), &StopAfter::never()).expect("trains");
        let expected = results(dir.path());
        assert_eq!(train(&prepared, dir.path(), &StopAfter::never()).expect("reads"), Ended::Complete);
        assert!(results(dir.path()) == expected, "{text}");
    }
}

#[test]
fn losses_that_are_no_numbers_do_not_spoil_a_checkpoint() {
    // The parameters become so large that outputs overflow on test images, after few steps of which none may have seen it yet.
    let text = SMALL.replace("lr = 0.1", "lr = 1e19").replace("epochs = 2", "epochs = 6");
    goes_on_bit_identically_or_ends(&text);
}

/// Stops after every batch until the end.
fn goes_on_bit_identically_or_ends(text: &str) {
    let prepared = prepare(text).expect("sound");
    let dir = tempfile::tempdir().expect("a folder");
    let (whole, pieces) = (dir.path().join("whole"), dir.path().join("pieces"));
    train(&prepared, &whole, &StopAfter::never()).expect("trains");
    train_in_pieces(&prepared, &pieces, 1);
    assert!(results(&pieces) == results(&whole));
}

/// Why a training by this recipe does not go on in a folder.
fn refusal(text: &str, base: &Path, dir: &Path) -> String {
    let prepared = prepare_in(base, text).expect("sound");
    chain(&train(&prepared, dir, &StopAfter::never()).expect_err("refused"))
}

#[test]
fn damaged_checkpoints_are_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let prepared = prepare(SMALL).expect("sound");
    train(&prepared, dir.path(), &StopAfter::batches(3)).expect("trains");
    let file = dir.path().join("checkpoint.safetensors");
    let whole = fs::read(&file).expect("readable");
    let begin = format!("{}: ", file.display());
    let end = "; remove it to begin anew";
    let mut cuts: Vec<Vec<u8>> = [0, 1, 7, 8, 9, 100, whole.len() / 2, whole.len() - 4, whole.len() - 1]
        .map(|length| whole[..length].to_vec())
        .to_vec();
    cuts.push([&whole[..], b"more"].concat());
    // Every tenth byte, changed: of the lengths, the header, the values.
    for place in (0..whole.len()).step_by(10) {
        let mut changed = whole.clone();
        changed[place] ^= 1 << (place % 8);
        cuts.push(changed);
    }
    for content in cuts {
        fs::write(&file, &content).expect("written");
        let refusal = refusal(SMALL, dir.path(), dir.path());
        let place = whole.iter().zip(&content).position(|(a, b)| a != b);
        assert!(refusal.starts_with(&begin) && refusal.ends_with(end), "{place:?}: {refusal}");
        assert!(fs::read(&file).expect("still there") == content, "a refused checkpoint stays");
    }
    fs::write(&file, &whole).expect("written");
    assert_eq!(train(&prepared, dir.path(), &StopAfter::never()).expect("trains"), Ended::Complete);
    // A network is no checkpoint.
    fs::copy(dir.path().join("model.safetensors"), &file).expect("copied");
    let refusal = refusal(SMALL, dir.path(), dir.path());
    assert_eq!(refusal, format!("{begin}not a checkpoint of a training{end}"));
}

#[test]
fn a_checkpoint_of_another_training_is_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let (one, other) = (dir.path().join("one"), dir.path().join("other"));
    train(&prepare(SMALL).expect("sound"), &one, &StopAfter::batches(3)).expect("trains");
    let text = SMALL.replace("seed = 7", "seed = 8");
    train(&prepare(&text).expect("sound"), &other, &StopAfter::batches(3)).expect("trains");
    let name = "checkpoint.safetensors";
    fs::copy(one.join(name), other.join(name)).expect("copied");
    let refused = refusal(&text, dir.path(), &other);
    assert!(refused.contains("belongs to another recipe, other data or another network"), "{refused}");

    // The same recipe, but its file holds another network by now.
    let text = SMALL.replace("architecture = \"mlp\"\nwidths = [16]", "file = \"net.safetensors\"");
    let run = dir.path().join("run");
    let finished = dir.path().join("finished");
    train(&prepare(SMALL).expect("sound"), &finished, &StopAfter::never()).expect("trains");
    fs::copy(finished.join("model.safetensors"), dir.path().join("net.safetensors")).expect("copied");
    train(&prepare_in(dir.path(), &text).expect("sound"), &run, &StopAfter::batches(3)).expect("trains");
    train(&prepare_in(dir.path(), &text).expect("sound"), &run, &StopAfter::batches(1)).expect("goes on");
    let third = SMALL.replace("seed = 7", "seed = 9");
    let elsewhere = dir.path().join("third");
    train(&prepare(&third).expect("sound"), &elsewhere, &StopAfter::never()).expect("trains");
    fs::copy(elsewhere.join("model.safetensors"), dir.path().join("net.safetensors")).expect("copied");
    let refused = refusal(&text, dir.path(), &run);
    assert!(refused.contains("belongs to another recipe, other data or another network"), "{refused}");
}

#[test]
fn there_must_be_something_to_go_on_with() {
    let dir = tempfile::tempdir().expect("a folder");
    let prepared = prepare(SMALL).expect("sound");
    let error = Folder::find(&dir.path().join("typo"), &prepared.recipe).expect_err("refused");
    let message = "typo: holds no training to go on with; begin one without --resume";
    assert!(chain(&error).ends_with(message), "{}", chain(&error));
    assert!(!dir.path().join("typo").exists());
    let mut training = Training::new(&prepared, &device::cpu()).expect("sound");
    let folder = Folder::open(dir.path(), &prepared.recipe).expect("empty");
    let error = training.resume(&folder).expect_err("refused");
    assert!(chain(&error).starts_with("cannot read the checkpoint "), "{}", chain(&error));
}
