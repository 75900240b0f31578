//! A splat: a Gaussian in the plane with a colour. This file has its equations; `splat.wgsl` is its twin.
//!
//! ```text
//! u     = R' (p - mean)                         the pixel in the axes of the splat
//! a     = u / std^2
//! q     = u . a
//! k     = max(0, exp(-q/2) - exp(-9/2))         a Gaussian, lowered so that it ends at 3 standard deviations
//! w     = opacity k
//! C     = sum w color / (EMPTY + sum w)         the image, black where there is no splat
//! loss  = mean (C - target)^2                   over all pixels and channels
//! ```
//!
//! No order of the splats is needed, as in GaussianImage (Zhang et al. 2024, arXiv:2403.08551), which sums w color. The
//! division by the sum of the weights is as in Image-GS (Zhang et al. 2024, arXiv:2407.01866): an image is then right
//! from the start where each splat has the colour of its place.

/// A row of the parameters: the numbers of one splat.
pub const COLUMNS: usize = 9;

// The first column of each attribute.
pub const MEAN: usize = 0;
pub const LOG_STD: usize = 2;
pub const ANGLE: usize = 4;
pub const COLOR: usize = 5;
pub const LOGIT: usize = 8;

/// exp(-9/2): the Gaussian at 3 standard deviations, where a splat ends.
pub const CUT: f32 = 0.011_108_997;
/// The weight of the black background.
pub const EMPTY: f32 = 1e-3;

pub type Row = [f32; COLUMNS];

/// A row as the renderer uses it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Splat {
    pub mean: [f32; 2],
    /// Cosine and sine of the angle of the first axis.
    pub turn: [f32; 2],
    /// 1 / std^2.
    pub inverse: [f32; 2],
    pub opacity: f32,
    pub color: [f32; 3],
}

/// The pixels that a splat may touch: from the first to before the last, in x and y.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Area {
    pub x: [u32; 2],
    pub y: [u32; 2],
}

/// A splat seen from a pixel.
pub struct Seen {
    pub u: [f32; 2],
    pub a: [f32; 2],
    /// exp(-q/2) where the splat touches the pixel, otherwise 0.
    pub gaussian: f32,
    pub k: f32,
}

impl Splat {
    pub fn new(row: &Row) -> Self {
        Self {
            mean: [row[MEAN], row[MEAN + 1]],
            turn: [row[ANGLE].cos(), row[ANGLE].sin()],
            inverse: [(-2.0 * row[LOG_STD]).exp(), (-2.0 * row[LOG_STD + 1]).exp()],
            opacity: 1.0 / (1.0 + (-row[LOGIT]).exp()),
            color: [row[COLOR], row[COLOR + 1], row[COLOR + 2]],
        }
    }

    pub fn seen_from(&self, x: u32, y: u32) -> Seen {
        let d = [x as f32 - self.mean[0], y as f32 - self.mean[1]];
        let u = [self.turn[0] * d[0] + self.turn[1] * d[1], self.turn[0] * d[1] - self.turn[1] * d[0]];
        let a = [u[0] * self.inverse[0], u[1] * self.inverse[1]];
        let gaussian = (-0.5 * (u[0] * a[0] + u[1] * a[1])).exp();
        let touches = gaussian > CUT;
        Seen { u, a, gaussian: if touches { gaussian } else { 0.0 }, k: if touches { gaussian - CUT } else { 0.0 } }
    }

    /// Returns the box around the ellipse of 3 standard deviations, within an image of that size.
    pub fn area(&self, size: [u32; 2]) -> Area {
        let variance = [1.0 / self.inverse[0], 1.0 / self.inverse[1]];
        let square = [self.turn[0] * self.turn[0], self.turn[1] * self.turn[1]];
        let side = |axis: usize| {
            let reach = 3.0 * (square[axis] * variance[0] + square[1 - axis] * variance[1]).sqrt();
            let first = (self.mean[axis] - reach).ceil().clamp(0.0, size[axis] as f32);
            let end = (self.mean[axis] + reach + 1.0).floor().clamp(0.0, size[axis] as f32);
            [first as u32, (end as u32).max(first as u32)]
        };
        Area { x: side(0), y: side(1) }
    }
}

impl Area {
    pub fn is_empty(&self) -> bool {
        self.x[0] == self.x[1] || self.y[0] == self.y[1]
    }
}
