//! A data set in memory: pixels, labels, and the split into training rows and held-out rows.

use crate::{idx, random::Random};
use flate2::read::GzDecoder;
use std::{io::Read, path::Path};

/// The bundled handwritten digits. `examples/data/README.md` names their authors and licence.
const DIGITS: &[u8] = include_bytes!("../data/digits.csv.gz");
/// Selects the held-out fifth of the digits, independently of the seed of the training.
const SPLIT_SEED: u64 = 1;

pub struct Data {
    pub name: String,
    /// The name and the split, for printing.
    pub title: String,
    /// One byte per pixel, image after image.
    pub pixels: Vec<u8>,
    /// The pixel value that becomes 1.0.
    pub white: u8,
    pub labels: Vec<u32>,
    /// Number of pixels in an image.
    pub features: usize,
    pub classes: usize,
    /// The training rows.
    pub train: Vec<u32>,
    /// The held-out rows.
    pub held_out: Vec<u32>,
}

impl Data {
    /// Returns the bundled digits: 8 x 8 pixels from 0 to 16. A fixed fifth of them is held out.
    pub fn digits() -> Self {
        let mut csv = String::new();
        GzDecoder::new(DIGITS).read_to_string(&mut csv).expect("the bundled file is complete");
        let (mut pixels, mut labels) = (Vec::new(), Vec::new());
        for line in csv.lines() {
            let mut values = line.split(',').map(|value| value.parse::<u8>().expect("the bundled file holds numbers"));
            pixels.extend(values.by_ref().take(64));
            labels.extend(values.map(u32::from));
        }
        let mut rows: Vec<u32> = (0..labels.len() as u32).collect();
        Random::new(SPLIT_SEED).shuffle(&mut rows);
        let held_out = rows.split_off(rows.len() - rows.len() / 5);
        let name = "the bundled digits".to_owned();
        let title = format!(
            "{name}: {} training rows, {} held-out rows (a fixed fifth, drawn with seed {SPLIT_SEED})",
            rows.len(),
            held_out.len(),
        );
        Self { name, title, pixels, white: 16, labels, features: 64, classes: 10, train: rows, held_out }
    }

    /// Reads a folder of MNIST-style files. The files define the split. Labels must be less than `classes`.
    pub fn idx(folder: &Path, classes: usize) -> Result<Self, String> {
        if !folder.is_dir() {
            return Err(format!("{}: no such folder", folder.display()));
        }
        let train = idx::read_set(folder, "train", classes)?;
        let held_out = idx::read_set(folder, "t10k", classes)?;
        if train.size != held_out.size {
            return Err(format!(
                "{}: images of {} pixels, but the training images have {}",
                held_out.images.display(),
                idx::shape(held_out.size),
                idx::shape(train.size),
            ));
        }
        let count = train.labels.len() as u32;
        let rows = count + held_out.labels.len() as u32;
        let name = folder.display().to_string();
        let title = format!("{name}: {count} training rows, {} held-out rows (split by the files)", rows - count);
        Ok(Self {
            name,
            title,
            pixels: [train.pixels, held_out.pixels].concat(),
            white: 255,
            labels: [train.labels, held_out.labels].concat(),
            features: train.size.0 * train.size.1,
            classes,
            train: (0..count).collect(),
            held_out: (count..rows).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Data;

    #[test]
    fn the_digits_are_all_there() {
        let data = Data::digits();
        assert_eq!((data.labels.len(), data.pixels.len()), (1797, 1797 * 64));
        assert_eq!((data.train.len(), data.held_out.len()), (1438, 359));
        assert!(data.pixels.iter().all(|&pixel| pixel <= data.white) && data.labels.iter().all(|&label| label < 10));
        let mut rows = [data.train, data.held_out].concat();
        rows.sort();
        assert!(rows.into_iter().eq(0..1797));
    }
}
