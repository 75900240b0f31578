//! Many tensors against one with as many elements.

use wgpu_adam::Options;

use super::{Failure, Findings, adamw, one};
use crate::ours::Layout;
use crate::report::{Bar, Table, ms, size};
use crate::shapes::{equal, gpt2_small, resnet50, splats};

impl Findings<'_> {
    pub(super) fn tensors(&mut self) -> Result<(), Failure> {
        let mut table = Table::new(
            "Many tensors",
            "Each beside one tensor with as many elements. Host: microseconds to record a step, and with the encoder and \
             the submission too.",
            &["tensors", "lie", "elements", "dispatches", "record, µs", "submitted, µs", "ms", "against one"],
        );
        let splat_arena = "splats: 6 with rates of their own";
        let cases = [
            ("1,000 × 1,000", equal(1000, 1000, 1), Layout::Arena, Some(("one group", 1.05))),
            (
                "1,000 × 1,000, two groups in turn",
                equal(1000, 1000, 2),
                Layout::Arena,
                Some(("two groups in turn", if self.gpu.has_clock() { 1.1 } else { 1.3 })),
            ),
            ("1,000 × 1,000", equal(1000, 1000, 1), Layout::Scattered, None),
            ("ResNet-50: 161", resnet50(), Layout::Arena, None),
            ("ResNet-50: 161", resnet50(), Layout::Scattered, None),
            (splat_arena, splats(), Layout::Arena, None),
            (splat_arena, splats(), Layout::Scattered, None),
            ("GPT-2 small: 148 in two groups", gpt2_small(), Layout::Arena, None),
            ("GPT-2 small: 148 in two groups", gpt2_small(), Layout::Scattered, None),
        ];
        for (name, shapes, layout, bar) in cases {
            let elements = shapes.iter().map(|shape| shape.len).sum();
            if !self.fits(name, elements) {
                continue;
            }
            let ours = self.ours(&shapes, layout, adamw(), Options::default())?;
            let (record, all) = ours.host_micros();
            let dispatches = ours.dispatches();
            drop(ours);
            let times = self.measure_mirrored(&[
                Box::new(|| Ok(Box::new(self.ours(&one(elements), Layout::Arena, adamw(), Options::default())?))),
                Box::new(|| Ok(Box::new(self.ours(&shapes, layout, adamw(), Options::default())?))),
            ])?;
            let ratio = times[1].against(&times[0]);
            table.row([
                name.to_owned(),
                if layout == Layout::Arena { "in one arena" } else { "scattered" }.to_owned(),
                size(elements),
                dispatches.to_string(),
                format!("{record:.1}"),
                format!("{all:.0}"),
                ms(times[1].best()),
                format!("{ratio:.2}"),
            ]);
            if let Some((what, bar)) = bar {
                let text = format!("1,000 × 1,000 in an arena, {what}, against one tensor of 10⁶");
                self.bars.push(Bar::at_most(text, bar, ratio));
                let text = format!("microseconds to record a step of 1,000 tensors in an arena, {what}");
                self.bars.push(Bar::at_most(text, 25.0, record));
            }
        }
        self.add(table);
        Ok(())
    }
}
