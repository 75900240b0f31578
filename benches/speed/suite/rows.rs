//! Tensors of rows, as Gaussian splats have them.

use wgpu_adam::Options;
use wgpu_adam::rows::SecondMoment::{Elementwise, RowMean};

use super::{Failure, Findings, adamw, one, rate};
use crate::ours::Layout;
use crate::report::{Table, Target, ms};
use crate::rows::{CopyKernel, GatherScatter, Listed, Moves, RowSteps, WIDTHS};
use crate::streams::{Stream, Streams};

impl Findings<'_> {
    pub(super) fn rows(&mut self) -> Result<(), Failure> {
        let columns = u64::from(WIDTHS.iter().sum::<u32>());
        let rows = (self.arguments.elements / columns).min(1_000_000);
        let elements = rows * columns;
        let streams = Stream::of_f32(2);
        let times = self.measure_mirrored(&[
            Box::new(|| Ok(Box::new(Streams::new(self.gpu, elements / 4 * 4, &streams)))),
            Box::new(|| Ok(Box::new(self.ours(&one(elements), Layout::Arena, adamw(), Options::default())?))),
            Box::new(|| Ok(Box::new(RowSteps::new(self.gpu, &WIDTHS, rows, Elementwise, Listed::None)?))),
            Box::new(|| Ok(Box::new(RowSteps::new(self.gpu, &WIDTHS, rows, Elementwise, Listed::Every(10))?))),
            Box::new(|| Ok(Box::new(GatherScatter::new(self.gpu, rows, 10)?))),
        ])?;
        let harmonics = self.measure_mirrored(&[
            Box::new(|| Ok(Box::new(RowSteps::new(self.gpu, &WIDTHS[1..2], rows, Elementwise, Listed::None)?))),
            Box::new(|| Ok(Box::new(RowSteps::new(self.gpu, &WIDTHS[1..2], rows, RowMean, Listed::None)?))),
        ])?;
        let moves = self.measure_mirrored(&[
            Box::new(|| Ok(Box::new(CopyKernel::new(self.gpu, 2 * elements)))),
            Box::new(|| Ok(Box::new(Moves::new(self.gpu, rows)?))),
        ])?;
        let mut table = Table::new(
            "Rows",
            format!(
                "{rows} splats of 59 columns in f32, in three tensors of 10, 48 and 1 columns, each column with a rate of its \
                 own. `streams` moves the bytes of a step of all rows."
            ),
            &["what", "ms", "GB/s", "compared with", "ratio"],
        );
        let step = Stream::bytes(&streams) * elements;
        // Params, gradients, m and v, of which v has one number per row.
        let row_mean = (4 * 5 * 48 + 8) * rows;
        let cases = [
            ("a plain tensor", step, &times[1], "streams", &times[0]),
            ("all rows", step, &times[2], "streams", &times[0]),
            ("a tenth of the rows, by a list", step / 10, &times[3], "all rows", &times[2]),
            ("the same, gathered, stepped and scattered", step / 10, &times[4], "a list", &times[3]),
            ("48 columns, one second moment per row", row_mean, &harmonics[1], "one per element", &harmonics[0]),
            ("a tenth pruned and cloned", 4 * 4 * elements, &moves[1], "a copy kernel", &moves[0]),
        ];
        for (what, bytes, time, other, reference) in cases {
            let ratio = format!("{:.2}", time.against(reference));
            table.row([what.to_owned(), ms(time.best()), format!("{:.2}", rate(bytes, time)), other.to_owned(), ratio]);
        }
        self.targets.extend([
            Target::at_most("all rows: time / streams", 1.1, times[2].against(&times[0])),
            Target::at_most("a tenth of the rows by a list: time / all rows", 0.15, times[3].against(&times[2])),
            Target::at_least("one moment per element: time / one per row", 1.3, harmonics[0].against(&harmonics[1])),
            Target::at_most("a tenth pruned and cloned: time / copy kernel", 1.2, moves[1].against(&moves[0])),
        ]);
        self.add(table);
        Ok(())
    }
}
