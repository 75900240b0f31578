//! The same training on the CPU.

use crate::{
    batch::{Batch, GROUP, Touched},
    trainer::{Result, Setup, TABLES, Trainer},
};
use wgpu_adam::{Options, cpu};

pub struct Cpu {
    dim: usize,
    tables: [Table; 2],
    adam: cpu::Adam,
    losses: f64,
}

struct Table {
    param: Vec<f32>,
    grad: Vec<f32>,
    inverse: Vec<u32>,
}

impl Cpu {
    pub fn new(setup: Setup) -> Result<Self> {
        let tensors = TABLES.iter().zip(&setup.tables).map(|(name, table)| {
            let rows = setup.rows((), (), ());
            cpu::Tensor::new(*name, table.len()).with_rows(rows)
        });
        let group = cpu::Group::new(setup.config(), tensors.collect());
        let adam = cpu::Adam::new(&[group], Options::default())?;
        let dim = setup.dim;
        let tables = setup.tables.map(|param| {
            let inverse = vec![0; param.len() / dim];
            Table { param, grad: Vec::new(), inverse }
        });
        Ok(Self { dim, tables, adam, losses: 0.0 })
    }

    /// Twin of `score.wgsl`: returns the slopes of the losses.
    fn score(&mut self, pairs: &[[u32; 2]]) -> Vec<f32> {
        let [words, contexts] = &self.tables;
        let slopes = pairs.iter().enumerate().map(|(pair, &[word, context])| {
            let score: f32 = row(&words.param, word, self.dim)
                .iter()
                .zip(row(&contexts.param, context, self.dim))
                .map(|(a, b)| a * b)
                .sum();
            let neighbours = pair % GROUP == 0;
            let wrong = if neighbours { -score } else { score };
            self.losses += f64::from(wrong.max(0.0) + (1.0 + (-wrong.abs()).exp()).ln());
            1.0 / (1.0 + (-score).exp()) - f32::from(neighbours)
        });
        slopes.collect()
    }

    /// Twin of `gradient.wgsl`.
    fn gradient_of(&mut self, table: usize, touched: &Touched, slopes: &[f32]) {
        let [words, contexts] = &mut self.tables;
        let (own, other) = if table == 0 { (words, contexts) } else { (contexts, words) };
        own.grad.clear();
        own.grad.resize(touched.rows.len() * self.dim, 0.0);
        for (k, grad) in own.grad.chunks_mut(self.dim).enumerate() {
            own.inverse[touched.rows[k] as usize] = k as u32;
            for &[pair, from] in &touched.terms[touched.starts[k] as usize..touched.starts[k + 1] as usize] {
                let slope = slopes[pair as usize];
                grad.iter_mut().zip(row(&other.param, from, self.dim)).for_each(|(grad, x)| *grad += slope * x);
            }
        }
    }

    fn backward(&mut self, batch: &Batch) {
        let slopes = self.score(&batch.pairs);
        (0..2).for_each(|table| self.gradient_of(table, &batch.touched[table], &slopes));
    }
}

impl Trainer for Cpu {
    fn step(&mut self, batch: &Batch) -> Result<()> {
        self.backward(batch);
        let mut tensors: Vec<_> = self
            .tables
            .iter_mut()
            .zip(&batch.touched)
            .map(|(Table { param, grad, inverse }, touched)| {
                let rows = cpu::RowInputs { active: &touched.rows, inverse, ..Default::default() };
                cpu::TensorMut::new(param, grad).with_rows(rows)
            })
            .collect();
        self.adam.step(&mut tensors)?;
        Ok(())
    }

    fn wait(&mut self) -> Result<()> {
        Ok(())
    }

    fn loss(&mut self) -> Result<f64> {
        Ok(std::mem::take(&mut self.losses))
    }

    fn table(&mut self, table: usize) -> Result<Vec<f32>> {
        Ok(self.tables[table].param.clone())
    }

    #[cfg(test)]
    fn gradient(&mut self, batch: &Batch) -> Result<[Vec<f32>; 2]> {
        self.backward(batch);
        Ok(self.tables.each_ref().map(|table| table.grad.clone()))
    }
}

fn row(table: &[f32], row: u32, dim: usize) -> &[f32] {
    &table[row as usize * dim..][..dim]
}
