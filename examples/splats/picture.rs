//! Pictures: reading the target, and writing target, result and error side by side.

use image::{Rgb, RgbImage, imageops::FilterType};
use std::path::Path;

/// The image to fit.
pub struct Target {
    pub size: [u32; 2],
    /// Red, green and blue from 0 to 1, row by row.
    pub pixels: Vec<[f32; 3]>,
}

impl Target {
    /// Returns the bundled picture.
    pub fn astronaut() -> Self {
        let bytes = include_bytes!("../data/astronaut-256.png");
        Self::of(image::load_from_memory(bytes).expect("the bundled picture is valid").to_rgb8())
    }

    /// Reads a PNG or JPEG and scales it down so that no side is longer than `most` pixels.
    pub fn read(path: &Path, most: u32) -> Result<Self, String> {
        let picture = image::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let picture = match picture.width().max(picture.height()) > most {
            true => picture.resize(most, most, FilterType::CatmullRom),
            false => picture,
        };
        Ok(Self::of(picture.to_rgb8()))
    }

    fn of(picture: RgbImage) -> Self {
        let pixels = picture.pixels().map(|pixel| pixel.0.map(|byte| f32::from(byte) / 255.0)).collect();
        Self { size: [picture.width(), picture.height()], pixels }
    }

    /// Returns the colour at a place that may be outside, where the nearest pixel counts.
    pub fn at(&self, x: i64, y: i64) -> [f32; 3] {
        let [width, height] = self.size.map(i64::from);
        self.pixels[(y.clamp(0, height - 1) * width + x.clamp(0, width - 1)) as usize]
    }
}

/// Factor of the error in a comparison.
pub const MAGNIFIED: f32 = 10.0;

/// Writes the target, the result and their magnified difference, from left to right.
pub fn write_comparison(path: &Path, target: &Target, result: &[[f32; 3]]) -> Result<(), String> {
    let [width, height] = target.size;
    let mut picture = RgbImage::new(3 * width, height);
    for (at, (want, got)) in (0..).zip(target.pixels.iter().zip(result)) {
        let error: [f32; 3] = std::array::from_fn(|c| MAGNIFIED * (want[c] - got[c].clamp(0.0, 1.0)).abs());
        for (part, color) in (0..).zip([want, got, &error]) {
            picture.put_pixel(at % width + part * width, at / width, rgb(color));
        }
    }
    save(path, &picture)
}

/// Writes the result alone.
pub fn write(path: &Path, size: [u32; 2], result: &[[f32; 3]]) -> Result<(), String> {
    save(path, &RgbImage::from_fn(size[0], size[1], |x, y| rgb(&result[(y * size[0] + x) as usize])))
}

fn rgb(color: &[f32; 3]) -> Rgb<u8> {
    Rgb(color.map(|part| (255.0 * part.clamp(0.0, 1.0)).round() as u8))
}

fn save(path: &Path, picture: &RgbImage) -> Result<(), String> {
    picture.save(path).map_err(|error| format!("{}: {error}", path.display()))
}
