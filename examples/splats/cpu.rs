//! The same fit on the CPU. Bands of the image are rendered in parallel, and the gradients of the splats.

use crate::{
    optimizer::{NAME, Settings},
    refine::{self, Candidate, FRESH, Plan},
    setup::{Score, Setup},
    splat::{ANGLE, Area, COLOR, COLUMNS, EMPTY, LOG_STD, LOGIT, MEAN, Row, Splat},
    target::Target,
    trainer::{Result, Trainer},
};
use rayon::prelude::*;
use wgpu_adam::cpu::{Adam, Group, RowInputs, Tensor, TensorMut};

/// Rows of pixels that a task renders.
const BAND: usize = 8;

pub struct Cpu<'a> {
    target: &'a Target,
    most: usize,
    live: usize,
    pub param: Vec<Row>,
    pub grad: Vec<Row>,
    splats: Vec<(Splat, Area)>,
    pub image: Vec<[f32; 3]>,
    /// For each pixel dL/dC / W, then its product with C, where W is the divisor of C.
    slope: Vec<[f32; 4]>,
    pub stress: Vec<f32>,
    adam: Adam,
    steps: u32,
    scores: std::collections::VecDeque<Score>,
}

/// Creates the optimizer on the CPU.
fn adam(capacity: usize, settings: &Settings) -> Result<Adam> {
    let splats = Tensor::new(NAME, COLUMNS * capacity).with_rows(settings.rows(()));
    let group = Group::new(settings.config(), vec![splats]).with_schedule(settings.schedule());
    Ok(Adam::new(&[group], settings.options())?)
}

impl<'a> Cpu<'a> {
    pub fn new(setup: &Setup<'a>) -> Result<Self> {
        let Setup { target, capacity, most, ref rows, ref settings } = *setup;
        let mut param = vec![[0.0; COLUMNS]; capacity];
        param[..rows.len()].copy_from_slice(rows);
        Ok(Self {
            target,
            most,
            live: rows.len(),
            param,
            grad: vec![[0.0; COLUMNS]; capacity],
            splats: Vec::new(),
            image: vec![[0.0; 3]; target.pixels.len()],
            slope: vec![[0.0; 4]; target.pixels.len()],
            stress: vec![0.0; capacity],
            adam: adam(capacity, settings)?,
            steps: 0,
            scores: Default::default(),
        })
    }

    fn render(&mut self) {
        let size = self.target.size;
        let splat = |row| {
            let splat = Splat::new(row);
            (splat, splat.area(size))
        };
        self.splats = self.param[..self.live].iter().map(splat).collect();
        let width = size[0] as usize;
        let scale = 2.0 / (3 * self.target.pixels.len()) as f32;
        let bands = self.image.par_chunks_mut(width * BAND).zip(self.slope.par_chunks_mut(width * BAND));
        let bands = bands.zip(self.target.pixels.par_chunks(width * BAND)).enumerate();
        bands.for_each(|(band, ((image, slope), target))| {
            let first = (band * BAND) as u32;
            let mut sums = vec![[0f32; 4]; image.len()];
            for (splat, area) in &self.splats {
                for y in area.y[0].max(first)..area.y[1].min(first + BAND as u32) {
                    let sums = &mut sums[(y - first) as usize * width..][..width];
                    for x in area.x[0]..area.x[1] {
                        let w = splat.opacity * splat.seen_from(x, y).k;
                        let [red, green, blue] = splat.color;
                        for (sum, part) in sums[x as usize].iter_mut().zip([red, green, blue, 1.0]) {
                            *sum += w * part;
                        }
                    }
                }
            }
            for (((image, slope), target), sum) in image.iter_mut().zip(slope).zip(target).zip(sums) {
                let inverse = 1.0 / (EMPTY + sum[3]);
                *slope = [0.0; 4];
                for c in 0..3 {
                    image[c] = sum[c] * inverse;
                    slope[c] = scale * (image[c] - target[c]) * inverse;
                    slope[3] += slope[c] * image[c];
                }
            }
        });
    }

    /// Decides what becomes of each row. Uses the areas of the last image.
    pub fn plan(&self) -> Plan {
        let judged = self.splats.iter().zip(&self.stress);
        let candidate = |(&row, ((_, area), &stress)): (&Row, (&(Splat, Area), &f32))| {
            let touches = !area.is_empty();
            Candidate { row, touches, stress }
        };
        refine::decide(&self.param.iter().zip(judged).map(candidate).collect::<Vec<_>>(), self.most)
    }

    /// Renders, and leaves the gradient in `grad`.
    pub fn gradient(&mut self) {
        self.render();
        let width = self.target.size[0];
        let rows: Vec<(Row, f32)> = self
            .splats
            .par_iter()
            .map(|(splat, area)| {
                // Sums of h a, of h u a, of the turn and of the opacity, where -h/2 is the derivative by q.
                let (mut shift, mut stretch, mut turn, mut opacity) = ([0.0; 2], [0.0; 2], 0.0, 0.0);
                let (mut color, mut stress) = ([0.0; 3], 0.0);
                for y in area.y[0]..area.y[1] {
                    for x in area.x[0]..area.x[1] {
                        let seen = splat.seen_from(x, y);
                        let slope = &self.slope[(y * width + x) as usize];
                        let by_w = (0..3).map(|c| slope[c] * splat.color[c]).sum::<f32>() - slope[3];
                        let h = by_w * splat.opacity * seen.gaussian;
                        for axis in 0..2 {
                            shift[axis] += h * seen.a[axis];
                            stretch[axis] += h * seen.u[axis] * seen.a[axis];
                        }
                        turn += h * (seen.u[0] * seen.a[1] - seen.u[1] * seen.a[0]);
                        opacity += by_w * seen.k;
                        for c in 0..3 {
                            color[c] += slope[c] * splat.opacity * seen.k;
                        }
                        stress += h.abs() * (seen.a[0] * seen.a[0] + seen.a[1] * seen.a[1]).sqrt();
                    }
                }
                let mut grad = [0.0; COLUMNS];
                grad[MEAN] = splat.turn[0] * shift[0] - splat.turn[1] * shift[1];
                grad[MEAN + 1] = splat.turn[1] * shift[0] + splat.turn[0] * shift[1];
                grad[LOG_STD..LOG_STD + 2].copy_from_slice(&stretch);
                grad[ANGLE] = turn;
                grad[COLOR..COLOR + 3].copy_from_slice(&color);
                grad[LOGIT] = splat.opacity * (1.0 - splat.opacity) * opacity;
                (grad, stress)
            })
            .collect();
        for (row, (grad, stress)) in rows.iter().enumerate() {
            self.grad[row] = *grad;
            self.stress[row] += stress;
        }
    }
}

impl Trainer for Cpu<'_> {
    fn advance(&mut self, steps: u32) -> Result<()> {
        for _ in 0..steps {
            self.gradient();
            let mut active = vec![0; self.param.len()];
            for (active, (_, area)) in active.iter_mut().zip(&self.splats) {
                *active = u32::from(!area.is_empty());
            }
            let rows = RowInputs { active: &active, ..RowInputs::default() };
            let splats = TensorMut::new(self.param.as_flattened_mut(), self.grad.as_flattened_mut()).with_rows(rows);
            self.adam.step(&mut [splats])?;
            self.steps += 1;
        }
        Ok(())
    }

    fn refine(&mut self) -> Result<()> {
        let plan = self.plan();
        let rows = self.param.clone();
        for (new, &origin) in plan.origin.iter().enumerate() {
            self.param[new] = refine::moved(rows[refine::old(origin)], origin);
        }
        self.live = plan.origin.len();
        let mut source = plan.source;
        source.resize(self.param.len(), FRESH);
        self.adam.gather(NAME, &source)?;
        self.stress.fill(0.0);
        Ok(())
    }

    fn measure(&mut self) -> Result<()> {
        self.render();
        let square = |(got, want): (&[f32; 3], &[f32; 3])| {
            (0..3).map(|c| f64::from(got[c].clamp(0.0, 1.0) - want[c]).powi(2)).sum::<f64>()
        };
        let error = self.image.iter().zip(&self.target.pixels).map(square).sum::<f64>() / (3 * self.image.len()) as f64;
        self.scores.push_back(Score { step: self.steps, error, splats: self.live as u32 });
        Ok(())
    }

    fn score(&mut self, _wait: bool) -> Result<Option<Score>> {
        Ok(self.scores.pop_front())
    }

    fn picture(&mut self) -> Result<Vec<[f32; 3]>> {
        Ok(self.image.clone())
    }

    fn state_bytes(&self) -> Option<u64> {
        None
    }
}
