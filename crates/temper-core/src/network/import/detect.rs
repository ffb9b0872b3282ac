//! Telling file formats apart by their content.

/// What a file's first bytes say it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    SafeTensors,
    /// A zip archive or a pickle.
    Torch,
    /// Something that is known not to be readable here: what it seems to be, and what to do.
    Other(&'static str),
}

/// Magic numbers of other formats: where, what, and the advice.
const OTHERS: [(usize, &[u8], &str); 9] = [
    (0, b"version https://git-lfs", "a git-lfs pointer, not the file itself; run `git lfs pull`"),
    (
        0,
        b"\x89HDF\r\n\x1a\n",
        "an HDF5 file, such as Keras writes; export the model to ONNX or its weights to safetensors",
    ),
    (0, b"GGUF", "a GGUF file, whose weights are quantised; use the original checkpoint"),
    (0, b"\x93NUMPY", "a NumPy array; save the weights as safetensors"),
    (0, b"\x1f\x8b", "gzip-compressed; decompress it first"),
    (0, b"BZh", "bzip2-compressed; decompress it first"),
    (0, b"\xfd7zXZ\0", "xz-compressed; decompress it first"),
    (4, b"TFL3", "a TensorFlow Lite model; export the original model to ONNX"),
    (257, b"ustar", "a tar archive; unpack it first"),
];

/// The format of a file that starts with `bytes` (at least its first 512, if it has so many).
pub(super) fn detect(bytes: &[u8]) -> Format {
    if bytes.is_empty() {
        return Format::Other("an empty file; fetch it again");
    }
    if bytes.starts_with(b"PK\x03\x04")
        || bytes.starts_with(b"PK\x05\x06")
        || matches!(bytes, [0x80, 2..=5, ..])
    {
        return Format::Torch;
    }
    // A header's length, below 2^40, and its first byte.
    if bytes.len() > 8 && bytes[5..8] == [0; 3] && bytes[8] == b'{' {
        return Format::SafeTensors;
    }
    let is_there = |at: usize, magic: &[u8]| bytes.get(at..).is_some_and(|rest| rest.starts_with(magic));
    if let Some((_, _, what)) = OTHERS.iter().find(|(at, magic, _)| is_there(*at, magic)) {
        return Format::Other(what);
    }
    if is_web_page(bytes) {
        return Format::Other("a web page, perhaps of a failed download; fetch the file itself");
    }
    // An ONNX ModelProto starts with field 1, a small version number, then a length-delimited or varint field.
    if matches!(bytes, [0x08, 1..=31, 0x12 | 0x1a | 0x22 | 0x28 | 0x32 | 0x3a | 0x42, ..]) {
        return Format::Other(
            "an ONNX model, which holds its own graph; import it as a model, not as weights",
        );
    }
    Format::Other("of no known format; expected a PyTorch checkpoint or a safetensors file")
}

fn is_web_page(bytes: &[u8]) -> bool {
    let start = bytes[..bytes.len().min(512)].trim_ascii_start().to_ascii_lowercase();
    [b"<!doctype".as_slice(), b"<html", b"<?xml"].iter().any(|tag| start.starts_with(tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_apart() {
        let tar = [&[b'a'; 257][..], b"ustar\0"].concat();
        let seems = |bytes: &[u8]| match detect(bytes) {
            Format::Other(what) => what,
            other => panic!("{other:?}"),
        };
        assert_eq!(detect(b"PK\x03\x04rest"), Format::Torch);
        assert_eq!(detect(b"\x80\x02\x8a"), Format::Torch);
        assert_eq!(detect(b"\x02\0\0\0\0\0\0\0{}"), Format::SafeTensors);
        assert!(seems(b"").contains("empty"));
        assert!(seems(b"version https://git-lfs.github.com/spec/v1\noid").contains("git-lfs"));
        assert!(seems(b"\x89HDF\r\n\x1a\n\0").contains("HDF5"));
        assert!(seems(b"GGUF\x03").contains("GGUF"));
        assert!(seems(b"\n <!DOCTYPE html><html>").contains("web page"));
        assert!(seems(b"\x08\x08\x12\x07tf2onnx").contains("ONNX"));
        assert!(seems(&tar).contains("tar archive"));
        assert!(seems(b"\x1f\x8b\x08").contains("gzip"));
        assert!(seems(b"\0\0\0\0TFL3").contains("Lite"));
        assert!(seems(b"hello").contains("no known format"));
    }
}
