//! Pictures: reading the target, and writing target, result and error side by side.

use crate::target::Target;
use image::{Rgb, RgbImage, imageops::FilterType};
use std::path::Path;

/// Returns the bundled picture.
pub fn astronaut() -> Target {
    let bytes = include_bytes!("../data/astronaut-256.png");
    target(image::load_from_memory(bytes).expect("the bundled picture is valid").to_rgb8())
}

/// Reads a PNG or JPEG and scales it down so that no side is longer than `most` pixels.
pub fn read(path: &Path, most: u32) -> Result<Target, String> {
    let picture = image::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let picture = match picture.width().max(picture.height()) > most {
        true => picture.resize(most, most, FilterType::CatmullRom),
        false => picture,
    };
    Ok(target(picture.to_rgb8()))
}

fn target(picture: RgbImage) -> Target {
    Target::new([picture.width(), picture.height()], picture.pixels().map(|pixel| pixel.0))
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
