//! A step compared with its memory traffic, by size.

use wgpu_adam::Options;

use super::{Failure, Findings, adamw, one, rate};
use crate::ours::Layout;
use crate::plot::Line;
use crate::report::{Table, Target, ms, size};
use crate::streams::{Copy, Stream, Streams};

impl Findings<'_> {
    pub(super) fn roofline(&mut self) -> Result<(), Failure> {
        let mut table = Table::new(
            "Roofline",
            "AdamW moves 28 bytes per element. `streams` is a kernel with the same loads and stores and one addition.",
            &["elements", "copy, GB/s", "streams, GB/s", "AdamW, GB/s", "AdamW, ms", "time / streams", "spread"],
        );
        let names = ["copy", "streams", "AdamW"];
        let mut lines: Vec<Line> =
            names.into_iter().map(|name| Line { name: name.to_owned(), points: Vec::new() }).collect();
        for elements in (10..=26).step_by(2).map(|log| 1_u64 << log) {
            if !self.fits(&size(elements), elements) {
                continue;
            }
            let times = self.measure_mirrored(&[
                Box::new(|| Ok(Box::new(Copy::new(self.gpu, elements)))),
                Box::new(|| Ok(Box::new(Streams::new(self.gpu, elements, &Stream::of_f32(2))))),
                Box::new(|| Ok(Box::new(self.ours(&one(elements), Layout::Arena, adamw(), Options::default())?))),
            ])?;
            let rates = [rate(8 * elements, &times[0]), rate(28 * elements, &times[1]), rate(28 * elements, &times[2])];
            let ratio = times[2].against(&times[1]);
            let [copy, streams, own] = rates.map(|rate| format!("{rate:.2}"));
            let spread = format!("{:.0} %", 100.0 * times[2].spread);
            table.row([size(elements), copy, streams, own, ms(times[2].best()), format!("{ratio:.2}"), spread]);
            for (line, rate) in lines.iter_mut().zip(rates) {
                line.points.push((elements as f64, rate));
            }
            if elements == 1 << 24 {
                let target = if self.gpu.has_clock() { 1.03 } else { 1.05 };
                self.targets.push(Target::at_most("f32 update, 16 Mi: time / streams", target, ratio));
            }
        }
        self.lines = lines;
        self.add(table);
        Ok(())
    }
}
