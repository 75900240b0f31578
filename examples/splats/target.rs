//! The image to fit.

pub struct Target {
    pub size: [u32; 2],
    /// Red, green and blue from 0 to 1, row by row.
    pub pixels: Vec<[f32; 3]>,
}

impl Target {
    /// Makes a target of the bytes of its pixels, row by row.
    pub fn new(size: [u32; 2], pixels: impl Iterator<Item = [u8; 3]>) -> Self {
        Self { size, pixels: pixels.map(|pixel| pixel.map(|byte| f32::from(byte) / 255.0)).collect() }
    }

    /// Returns the colour at a place that may be outside, where the nearest pixel counts.
    pub fn at(&self, x: i64, y: i64) -> [f32; 3] {
        let [width, height] = self.size.map(i64::from);
        self.pixels[(y.clamp(0, height - 1) * width + x.clamp(0, width - 1)) as usize]
    }
}
