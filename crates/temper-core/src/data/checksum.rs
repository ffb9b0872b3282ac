//! Checksums of files.

use std::fmt;
use std::io::{self, Read};

use md5::Md5;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use sha2::digest::Digest;

/// How a checksum is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Algorithm {
    /// MD5 (RFC 1321): detects damage, not malice; used where nothing better is published.
    Md5,
    /// SHA-256 (FIPS 180-4).
    Sha256,
}

/// A checksum that a file should have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Checksum {
    /// How it is computed.
    pub algorithm: Algorithm,
    /// Its value in lower-case hexadecimal digits.
    pub hex: &'static str,
}

impl Checksum {
    pub(super) const fn sha256(hex: &'static str) -> Self {
        Self { algorithm: Algorithm::Sha256, hex }
    }

    pub(super) const fn md5(hex: &'static str) -> Self {
        Self { algorithm: Algorithm::Md5, hex }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Md5 => "md5",
            Self::Sha256 => "sha256",
        })
    }
}

impl Algorithm {
    /// The checksum of all that `reader` yields, in lower-case hexadecimal digits.
    ///
    /// # Errors
    /// When reading fails.
    pub fn of(self, reader: impl Read) -> io::Result<String> {
        match self {
            Self::Md5 => digest::<Md5>(reader),
            Self::Sha256 => digest::<Sha256>(reader),
        }
    }
}

fn digest<D: Digest>(mut reader: impl Read) -> io::Result<String> {
    let mut hasher = D::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => hasher.update(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble)]);
    Ok(hasher.finalize().iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect())
}

#[cfg(test)]
mod tests {
    use super::Algorithm;

    /// Known answers of RFC 1321 and FIPS 180-4.
    #[test]
    fn checksums_of_abc() {
        let of = |algorithm: Algorithm| algorithm.of(&b"abc"[..]).unwrap();
        assert_eq!(of(Algorithm::Md5), "900150983cd24fb0d6963f7d28e17f72");
        let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(of(Algorithm::Sha256), sha256);
    }
}
