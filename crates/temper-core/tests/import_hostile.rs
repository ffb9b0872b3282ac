//! Damaged and hostile checkpoints: typed errors, no panic, no memory beyond the file's own order of size, no endless work.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

use std::io::{Cursor, Write};
use std::path::Path;
use std::time::Instant;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use temper_core::network::import::{PickleError, TorchError, safetensors, torch};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

const MAGIC: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.\x80\x02}.";
const TENSOR: &[u8] = b"ctorch._utils\n_rebuild_tensor\n";

fn fixtures() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/import");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files
        .filter(|path| {
            path.extension().is_some_and(|extension| extension == "pt" || extension == "safetensors")
        })
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(path).unwrap()))
        .collect();
    files.sort();
    files
}

/// Reads bytes of any kind; the number of values, or the error's message.
fn read(name: &str, bytes: &[u8]) -> Result<usize, String> {
    let dict = if name.ends_with(".safetensors") {
        safetensors::read(bytes).map_err(|error| error.to_string())
    } else {
        torch::read(bytes, None).map_err(|error| error.to_string())
    }?;
    Ok(dict.entries().iter().map(|(_, tensor)| tensor.data().len()).sum())
}

/// A checkpoint in the older form: one object pickle (without its stop), and one float storage "s" of three values.
fn legacy(object: &[u8]) -> Vec<u8> {
    let storages = b".\x80\x02]X\x01\0\0\0sa.\x03\0\0\0\0\0\0\0\0\0\x80?\0\0\0@\0\0\x40@";
    [MAGIC, b"\x80\x02", object, storages].concat()
}

/// A checkpoint in the older form without storages: one object pickle (without its stop).
fn bare(object: &[u8]) -> Vec<u8> {
    [MAGIC, b"\x80\x02", object, b".\x80\x02]."].concat()
}

/// A tensor of storage "s" with the given offset, shape and stride, each as instructions.
fn tensor(offset: &[u8], shape: &[u8], stride: &[u8]) -> Vec<u8> {
    let storage = b"((X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\0sX\x03\0\0\0cpuK\x03NtQ";
    [TENSOR, storage, offset, shape, stride, b"tR"].concat()
}

/// A state dict with one tensor "w".
fn with_tensor(offset: &[u8], shape: &[u8], stride: &[u8]) -> Vec<u8> {
    legacy(&[b"}X\x01\0\0\0w", tensor(offset, shape, stride).as_slice(), b"s"].concat())
}

fn error(bytes: &[u8]) -> TorchError {
    torch::read(bytes, None).unwrap_err()
}

#[test]
fn views_are_kept_inside_their_storage() {
    let good = torch::read(&with_tensor(b"K\x01", b"K\x02\x85", b"K\x01\x85"), None).unwrap();
    assert_eq!(good.get("w").unwrap().data(), [2.0, 3.0]);
    let huge = b"\x8a\x08\0\0\0\0\0\0\0\x10";
    let beyond = b"\x8a\x09\0\0\0\0\0\0\0\0\x10";
    let one = |number: &[u8]| [number, b"\x85"].concat();
    let cases: [(&[u8], Vec<u8>, Vec<u8>); 8] = [
        (b"K\x02", one(b"K\x02"), one(b"K\x01")),
        (b"K\x00", one(b"K\x03"), one(b"K\x02")),
        (huge, one(b"K\x01"), one(b"K\x01")),
        (b"K\x00", one(huge), one(b"K\x00")),
        (b"K\x00", one(b"K\x02"), one(huge)),
        (beyond, one(b"K\x01"), one(b"K\x01")),
        (b"J\xff\xff\xff\xff", one(b"K\x01"), one(b"K\x01")),
        (b"K\x00", one(b"K\x01"), b"K\x01K\x01\x86".to_vec()),
    ];
    for (offset, shape, stride) in cases {
        let error = error(&with_tensor(offset, &shape, &stride));
        assert!(matches!(error, TorchError::Tensor { .. } | TorchError::TooLarge { .. }), "{error:?}");
    }
}

#[test]
fn a_tensor_expanded_beyond_the_file_is_refused() {
    let bytes = with_tensor(b"K\x00", b"J\0\0\0\x10J\0\0\0\x10\x86", b"K\0K\0\x86");
    assert!(matches!(error(&bytes), TorchError::TooLarge { .. }));
    // The same small tensor under very many names.
    let mut object =
        [b"}(X\x01\0\0\0w", tensor(b"K\0", b"J\0\0\x01\0\x85", b"K\0\x85").as_slice(), b"q\x01"].concat();
    for i in 0..1000u32 {
        object.extend([b"X\x04\0\0\0".as_slice(), format!("{i:04}").as_bytes(), b"h\x01"].concat());
    }
    object.push(b'u');
    assert!(matches!(error(&legacy(&object)), TorchError::TooLarge { .. }));
}

#[test]
fn bombs_are_cheap() {
    let start = Instant::now();
    // Lists of lists, doubling 200 times.
    let doubling =
        b"]q\0".iter().copied().chain((0..200).flat_map(|_| *b"]q\x01(h\0h\0eq\0")).collect::<Vec<u8>>();
    assert!(matches!(error(&bare(&doubling)), TorchError::NoStateDict { .. }));
    // Tuples a million deep.
    let deep = [b")".as_slice(), &vec![0x85; 1 << 20]].concat();
    assert!(matches!(error(&bare(&deep)), TorchError::NoStateDict { .. }));
    // Marks, duplicates and memo entries without end.
    for filler in [b"(".as_slice(), b"N2222", b"Nr\xff\xff\xff\xff0"] {
        let bytes = [MAGIC, b"\x80\x02", &filler.repeat(200_000)].concat();
        assert!(matches!(error(&bytes), TorchError::Pickle(_)));
    }
    // A dict under very many keys, all to be searched.
    let mut many = b"}q\0(".to_vec();
    many.extend((0..100_000u32).flat_map(|_| *b"K\x01N"));
    many.extend(b"u}(");
    many.extend(
        (0..100_000u32)
            .flat_map(|i| [b"X\x04\0\0\0".as_slice(), &(i.to_le_bytes().map(|b| b & 0x7f)), b"h\0"].concat()),
    );
    many.push(b'u');
    assert!(matches!(error(&bare(&many)), TorchError::TooLarge { .. }));
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
}

/// An archive with these two entries, deflated.
fn deflated(pickle: &[u8], storage: &[u8]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in [("a/data.pkl", pickle), ("a/data/s", storage)] {
        zip.start_file(name, SimpleFileOptions::default()).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[test]
fn zip_bombs_are_refused() {
    // Five million zeros, in some 20 kB.
    let mut object = tensor(b"K\0", b"J\x40\x4b\x4c\0\x85", b"K\x01\x85");
    let count = object.windows(2).position(|window| window == b"K\x03").unwrap();
    object.splice(count..count + 3, *b"J\x40\x4b\x4c\0");
    let object = [b"\x80\x02}X\x01\0\0\0w", object.as_slice(), b"s."].concat();
    let small = deflated(&object, &[0; 12]);
    assert!(matches!(error(&small), TorchError::Tensor { reason, .. } if reason.contains("has 12 bytes")));
    let bomb = deflated(&object, &vec![0; 20_000_000]);
    assert!(bomb.len() < 100_000);
    assert!(matches!(error(&bomb), TorchError::TooLarge { .. }));
    let bomb = deflated(&vec![b']'; 20_000_000], &[]);
    assert!(matches!(error(&bomb), TorchError::TooLarge { .. }));
}

#[test]
fn modules_that_contain_themselves_come_to_an_end() {
    let module = |inside: &[u8]| {
        let modules = [b"X\x08\0\0\0_modules}(".as_slice(), inside, b"u"].concat();
        let parameters = b"X\x0b\0\0\0_parameters}X\x08\0\0\0_buffers}";
        [b"cmine\nNet\n)\x81q\x01}(".as_slice(), parameters, &modules, b"ub"].concat()
    };
    let itself = bare(&module(b"X\x01\0\0\0ah\x01X\x01\0\0\0bh\x01"));
    assert!(matches!(error(&itself), TorchError::NoStateDict { .. } | TorchError::TooLarge { .. }));
}

#[test]
fn nothing_is_called_and_unknown_globals_are_only_names() {
    let object = [
        b"}(X\x04\0\0\0evilcposix\nsystem\nX\x04\0\0\0true\x85RX\x01\0\0\0w".as_slice(),
        &tensor(b"K\0", b"K\x03\x85", b"K\x01\x85"),
        b"u",
    ]
    .concat();
    let dict = torch::read(&legacy(&object), None).unwrap();
    assert_eq!(dict.get("w").unwrap().data(), [1.0, 2.0, 3.0]);
    assert_eq!(dict.ignored()[0].reason, "posix.system(…)");
    let as_tensor = bare(b"}X\x01\0\0\0wctorch._utils\n_rebuild_anything\n)Rs");
    assert!(
        matches!(error(&as_tensor), TorchError::Tensor { reason, .. } if reason.contains("_rebuild_anything"))
    );
}

#[test]
fn names_must_be_unique_text() {
    let w = tensor(b"K\0", b"K\x03\x85", b"K\x01\x85");
    let twice = [b"}(X\x01\0\0\0w".as_slice(), &w, b"X\x01\0\0\0w", &w, b"u"].concat();
    assert!(matches!(error(&legacy(&twice)), TorchError::Name { name } if name == "w"));
    let bytes = [b"}X\x02\0\0\0w\xff".as_slice(), &w, b"s"].concat();
    assert!(matches!(error(&legacy(&bytes)), TorchError::Name { .. }));
}

#[test]
fn malformed_pickles_are_typed_errors() {
    use PickleError as P;
    let pickle = |object: &[u8]| match error(&[MAGIC, object].concat()) {
        TorchError::Pickle(error) => error,
        other => panic!("{other:?}"),
    };
    assert_eq!(pickle(b"\x80\x02"), P::Truncated { offset: 2 });
    assert_eq!(pickle(b"\x80\x01."), P::Protocol { found: 1 });
    assert_eq!(pickle(b"\x80\x02\x97."), P::Opcode { opcode: 0x97, offset: 2 });
    assert_eq!(pickle(b"\x80\x02S'text'\n."), P::Opcode { opcode: b'S', offset: 2 });
    assert_eq!(pickle(b"\x80\x04\x8e\0\0\0\0\0\0\0\x10"), P::Truncated { offset: 11 });
    assert_eq!(pickle(b"\x80\x02\x8b\xff\xff\xff\x7f"), P::Truncated { offset: 7 });
    for operands in [
        b".".as_slice(),
        b"0",
        b"2",
        b"Q",
        b"R",
        b"(N(\x85",
        b"a",
        b"N(Ne",
        b"}(Nu",
        b"Ns",
        b"h\x01",
        b"t",
        b"u",
        b"b",
        b"NNb",
        b"\x93",
        b"NN\x93",
        b"(o",
        b"\x8b\xff\xff\xff\xff",
        b"Ix\n",
        b"c\xff\nname\n",
        b"(q\0",
        b"N(.",
    ] {
        let found = pickle(&[b"\x80\x02", operands].concat());
        assert!(matches!(found, P::Operands { .. }), "{operands:?}: {found:?}");
    }
}

#[test]
fn python_2_forms_are_understood() {
    let w = tensor(b"I0\n", b"K\x03\x85", b"K\x01\x85");
    let old =
        [b"ccollections\nOrderedDict\n](](U\x01w".as_slice(), &w, b"e]U\x01n\x61]K\x01\x61e\x85R"].concat();
    assert_eq!(torch::read(&legacy(&old), None).unwrap().get("w").unwrap().data(), [1.0, 2.0, 3.0]);
}

#[test]
fn every_truncation_of_every_fixture_is_an_error() {
    for (name, bytes) in fixtures() {
        for length in 0..bytes.len() {
            assert!(read(&name, &bytes[..length]).is_err(), "{name} cut to {length}");
        }
    }
}

/// Reads `cases` mutations of the fixtures, chosen by `seed`, and checks that what is read stays in proportion.
fn fuzz(seed: u64, cases: usize) -> usize {
    let fixtures = fixtures();
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut readable = 0;
    for _ in 0..cases {
        let (name, original) = &fixtures[random.next_u32() as usize % fixtures.len()];
        let mut bytes = original.clone();
        for _ in 0..=random.next_u32() % 4 {
            mutate(&mut bytes, &mut random);
        }
        if let Ok(values) = read(name, &bytes) {
            assert!(
                values * 4 <= bytes.len() * 16 + (1 << 20),
                "{name}: {values} values from {} bytes",
                bytes.len()
            );
            readable += 1;
        }
    }
    readable
}

fn mutate(bytes: &mut Vec<u8>, random: &mut ChaCha8Rng) {
    if bytes.is_empty() {
        return;
    }
    let at = random.next_u32() as usize % bytes.len();
    let end = (at + 1 + random.next_u32() as usize % 16).min(bytes.len());
    match random.next_u32() % 7 {
        0 => bytes[at] ^= 1 << (random.next_u32() % 8),
        1 => bytes[at] = random.next_u32() as u8,
        2 => bytes[at..end].fill(if random.next_u32().is_multiple_of(2) { 0xff } else { 0 }),
        3 => drop(bytes.drain(at..end)),
        4 => {
            let copy = bytes[at..end].to_vec();
            let to = random.next_u32() as usize % bytes.len();
            bytes.splice(to..to, copy);
        }
        5 => {
            // An instruction that pickles know, somewhere.
            const OPCODES: &[u8] = b".(012NKMJIGXTUBC)t]lae}dsuqrhjcRobQ\x80\x81\x85\x86\x87\x88\x8a\x8b\x8c\x8d\x8e\x8f\x90\x91\x92\x93\x94\x95\x96";
            bytes[at] = OPCODES[random.next_u32() as usize % OPCODES.len()];
        }
        _ => bytes.truncate(at),
    }
}

#[test]
fn mutated_checkpoints_never_panic() {
    let readable = fuzz(1, 20_000);
    // Some mutations hit padding or values, so that the rest of the reader is exercised as well.
    assert!(readable > 200, "{readable}");
}

#[test]
#[ignore = "minutes long: run by hand"]
fn mutated_checkpoints_never_panic_for_minutes() {
    let start = Instant::now();
    for seed in 1000.. {
        fuzz(seed, 20_000);
        if start.elapsed().as_secs() > 300 {
            println!("last seed {seed}");
            return;
        }
    }
}
