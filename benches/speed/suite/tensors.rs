//! Many tensors compared with one tensor of as many elements.

use wgpu_adam::Options;

use super::{Failure, Findings, adamw, one};
use crate::ours::Layout;
use crate::report::{Table, Target, ms, size};
use crate::shapes::{equal, gpt2_small, resnet50, splats};

impl Findings<'_> {
    pub(super) fn tensors(&mut self) -> Result<(), Failure> {
        let mut table = Table::new(
            "Many tensors",
            "Each row is compared with one tensor of as many elements. Host times are microseconds per step: `record` is the \
             recording alone, `submit` includes the encoder and the submission.",
            &["tensors", "allocation", "elements", "dispatches", "record, µs", "submit, µs", "ms", "time / one tensor"],
        );
        let splat_arena = "splats: 6, each with its own rate";
        let cases = [
            ("1,000 × 1,000", equal(1000, 1000, 1), Layout::Arena, Some(("one group", 1.05))),
            (
                "1,000 × 1,000, two interleaved groups",
                equal(1000, 1000, 2),
                Layout::Arena,
                Some(("two interleaved groups", if self.gpu.has_clock() { 1.1 } else { 1.3 })),
            ),
            ("1,000 × 1,000", equal(1000, 1000, 1), Layout::Scattered, None),
            ("ResNet-50: 161", resnet50(), Layout::Arena, None),
            ("ResNet-50: 161", resnet50(), Layout::Scattered, None),
            (splat_arena, splats(), Layout::Arena, None),
            (splat_arena, splats(), Layout::Scattered, None),
            ("GPT-2 small: 148, two groups", gpt2_small(), Layout::Arena, None),
            ("GPT-2 small: 148, two groups", gpt2_small(), Layout::Scattered, None),
        ];
        for (name, shapes, layout, target) in cases {
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
                if layout == Layout::Arena { "arena" } else { "separate" }.to_owned(),
                size(elements),
                dispatches.to_string(),
                format!("{record:.1}"),
                format!("{all:.0}"),
                ms(times[1].best()),
                format!("{ratio:.2}"),
            ]);
            if let Some((what, target)) = target {
                let text = format!("1,000 × 1,000 in an arena, {what}: time / one tensor of 10⁶");
                self.targets.push(Target::at_most(text, target, ratio));
                let text = format!("1,000 × 1,000 in an arena, {what}: µs to record a step");
                self.targets.push(Target::at_most(text, 25.0, record));
            }
        }
        self.add(table);
        Ok(())
    }
}
