//! The initial splats. Half of them are spread evenly, and half where the image changes. Each has the colour of its
//! place and a size that fits the density of splats there.

use super::{
    splat::{COLOR, COLUMNS, LOG_STD, LOGIT, MEAN, Row},
    target::Target,
};
use crate::random::Random;

/// The share of the splats that are spread evenly.
const EVEN: f32 = 0.5;
/// Standard deviation of a splat in units of the distance to its neighbours.
const REACH: f32 = 0.5;

pub fn rows(target: &Target, count: usize, seed: u64) -> Vec<Row> {
    let mut random = Random::new(seed);
    let change = change(target);
    let total: f32 = change.iter().sum();
    let even = 1.0 / change.len() as f32;
    // The expected number of splats at each pixel, and its running sum.
    let density: Vec<f32> = match total > 0.0 {
        true => change.iter().map(|change| EVEN * even + (1.0 - EVEN) * change / total).collect(),
        false => vec![even; change.len()],
    };
    let mut sum = 0.0;
    let ends: Vec<f64> = density.iter().map(|share| (sum += f64::from(*share), sum).1).collect();
    (0..count)
        .map(|splat| {
            // One splat for each of `count` equal shares of the sum.
            let place = (splat as f64 + 0.5 + 0.5 * f64::from(random.uniform(1.0))) / count as f64 * sum;
            let pixel = ends.partition_point(|end| *end < place).min(ends.len() - 1);
            let (x, y) = (pixel as u32 % target.size[0], pixel as u32 / target.size[0]);
            let log_std = (REACH / (density[pixel] * count as f32).sqrt()).ln();
            let mut row = [0.0; COLUMNS];
            row[MEAN] = x as f32 + random.uniform(0.5);
            row[MEAN + 1] = y as f32 + random.uniform(0.5);
            row[LOG_STD..LOG_STD + 2].fill(log_std);
            row[COLOR..COLOR + 3].copy_from_slice(&target.pixels[pixel]);
            row[LOGIT] = 0.0;
            row
        })
        .collect()
}

/// Returns how much the image changes at each pixel: the length of the gradient, averaged over 5 x 5 pixels.
fn change(target: &Target) -> Vec<f32> {
    let [width, height] = target.size.map(i64::from);
    let steep = |x: i64, y: i64| {
        let part = |c: usize| {
            let dx = target.at(x + 1, y)[c] - target.at(x - 1, y)[c];
            let dy = target.at(x, y + 1)[c] - target.at(x, y - 1)[c];
            dx * dx + dy * dy
        };
        (part(0) + part(1) + part(2)).sqrt()
    };
    let places = || (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
    let all: Vec<f32> = places().map(|(x, y)| steep(x, y)).collect();
    let around = |x: i64, y: i64| {
        let pixels = (y - 2..=y + 2).flat_map(|y| (x - 2..=x + 2).map(move |x| (x, y)));
        pixels.map(|(x, y)| all[(y.clamp(0, height - 1) * width + x.clamp(0, width - 1)) as usize]).sum::<f32>() / 25.0
    };
    places().map(|(x, y)| around(x, y)).collect()
}
