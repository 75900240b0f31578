//! Reads IDX, the file format of MNIST, plain or gzipped. An error is one line that names the file.

use flate2::read::MultiGzDecoder;
use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
};

/// Images with their labels: the training set or the held-out set of a folder.
#[derive(Debug)]
pub struct Set {
    /// The file of the images.
    pub images: PathBuf,
    pub pixels: Vec<u8>,
    pub labels: Vec<u32>,
    /// Height and width of an image.
    pub size: (usize, usize),
}

/// "28 x 28".
pub fn shape((height, width): (usize, usize)) -> String {
    format!("{height} x {width}")
}

/// Reads `<set>-images-idx3-ubyte` and `<set>-labels-idx1-ubyte`, with or without `.gz`.
pub fn read_set(folder: &Path, set: &str, classes: usize) -> Result<Set, String> {
    let (images, bytes) = read(folder, &format!("{set}-images"), "idx3-ubyte")?;
    let (dims, pixels) = parse::<3>(&bytes).map_err(|problem| format!("{}: {problem}", images.display()))?;
    let (file, bytes) = read(folder, &format!("{set}-labels"), "idx1-ubyte")?;
    let in_labels = |problem: String| format!("{}: {problem}", file.display());
    let (count, labels) = parse::<1>(&bytes).map_err(in_labels)?;
    if count[0] != dims[0] {
        return Err(in_labels(format!("{} labels, but {} holds {} images", count[0], images.display(), dims[0])));
    }
    if let Some(at) = labels.iter().position(|&label| usize::from(label) >= classes) {
        return Err(in_labels(format!(
            "label number {at} is {}, outside 0 to {} (is --classes right?)",
            labels[at],
            classes - 1
        )));
    }
    let labels = labels.iter().map(|&label| u32::from(label)).collect();
    Ok(Set { pixels: pixels.to_vec(), labels, size: (dims[1], dims[2]), images })
}

/// Returns the path and the unpacked bytes of a file. Some mirrors replace the second dash of its name with a dot.
fn read(folder: &Path, name: &str, kind: &str) -> Result<(PathBuf, Vec<u8>), String> {
    let names = ["-", "."].map(|dash| format!("{name}{dash}{kind}"));
    let mut paths = names.iter().flat_map(|name| [folder.join(name), folder.join(format!("{name}.gz"))]);
    let Some(path) = paths.find(|path| path.exists()) else {
        let missing = folder.join(&names[0]);
        return Err(format!("{}: no such file, with or without .gz", missing.display()));
    };
    let bytes = fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let bytes = unpack(bytes).map_err(|problem| format!("{}: {problem}", path.display()))?;
    Ok((path, bytes))
}

/// Unpacks bytes that start with the magic number of gzip. Returns other bytes unchanged.
fn unpack(bytes: Vec<u8>) -> Result<Vec<u8>, String> {
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return Ok(bytes);
    }
    let mut plain = Vec::new();
    MultiGzDecoder::new(&bytes[..]).read_to_end(&mut plain).map_err(|error| format!("broken gzip: {error}"))?;
    Ok(plain)
}

/// Returns the sizes in an IDX header of `N` dimensions and the bytes after it. Their number must match the sizes.
fn parse<const N: usize>(bytes: &[u8]) -> Result<([usize; N], &[u8]), String> {
    let word = |at: usize| bytes.get(4 * at..4 * at + 4).map(|word| u32::from_be_bytes(word.try_into().unwrap()));
    let want = 0x800 + N as u32;
    match word(0) {
        Some(magic) if magic == want => {}
        Some(magic) => return Err(format!("begins with {magic:#010x}, not with IDX's {want:#010x}")),
        None => return Err(format!("cut off: {} bytes", bytes.len())),
    }
    let mut dims = [0; N];
    for (at, dim) in dims.iter_mut().enumerate() {
        *dim = word(1 + at).ok_or(format!("cut off: {} bytes", bytes.len()))? as usize;
    }
    let body = &bytes[4 + 4 * N..];
    match dims.iter().try_fold(1, |product: usize, &dim| product.checked_mul(dim)) {
        Some(0) => Err(format!("empty: its header says {}", sizes(&dims))),
        Some(want) if want == body.len() => Ok((dims, body)),
        want => {
            let problem = if want.is_some_and(|want| want < body.len()) { "too long" } else { "cut off" };
            Err(format!("{problem}: its header says {}, but {} bytes follow", sizes(&dims), body.len()))
        }
    }
}

/// "60000 x 28 x 28 bytes".
fn sizes(dims: &[usize]) -> String {
    dims.iter().map(usize::to_string).collect::<Vec<_>>().join(" x ") + " bytes"
}

#[cfg(test)]
mod tests {
    use super::{parse, unpack};
    use flate2::{Compression, read::GzEncoder};
    use std::io::Read;

    fn idx(dims: &[u32], body: usize) -> Vec<u8> {
        let header = [&[0x800 + dims.len() as u32], dims].concat();
        [header.into_iter().flat_map(u32::to_be_bytes).collect(), vec![7; body]].concat()
    }

    #[test]
    fn reads_a_complete_file() {
        let bytes = idx(&[2, 3, 4], 24);
        assert_eq!(parse::<3>(&bytes).unwrap(), ([2, 3, 4], &[7; 24][..]));
    }

    #[test]
    fn reports_what_is_wrong() {
        for (bytes, want) in [
            (vec![], "cut off: 0 bytes"),
            (b"PK\x03\x04....".to_vec(), "begins with 0x504b0304, not with IDX's 0x00000803"),
            (idx(&[2], 2), "begins with 0x00000801, not with IDX's 0x00000803"),
            (idx(&[2, 3, 4], 0)[..10].to_vec(), "cut off: 10 bytes"),
            (idx(&[2, 3, 4], 23), "cut off: its header says 2 x 3 x 4 bytes, but 23 bytes follow"),
            (idx(&[2, 3, 4], 25), "too long: its header says 2 x 3 x 4 bytes, but 25 bytes follow"),
            (idx(&[0, 3, 4], 0), "empty: its header says 0 x 3 x 4 bytes"),
            (
                idx(&[u32::MAX; 3], 1),
                "cut off: its header says 4294967295 x 4294967295 x 4294967295 bytes, but 1 bytes follow",
            ),
        ] {
            assert_eq!(parse::<3>(&bytes).unwrap_err(), want);
        }
    }

    #[test]
    fn unpacks_only_complete_gzip() {
        let mut packed = Vec::new();
        GzEncoder::new(&[7u8; 100][..], Compression::fast()).read_to_end(&mut packed).unwrap();
        assert_eq!(unpack(packed.clone()).unwrap(), [7; 100]);
        packed.truncate(packed.len() - 9);
        assert!(unpack(packed).unwrap_err().starts_with("broken gzip: "));
    }
}
