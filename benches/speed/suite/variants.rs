//! Each variant and option, compared with `streams` on as many buffers and with AdamW.

use wgpu_adam::{Clip, Config, Options, Variant};

use super::{Failure, Findings, adamw, one, rate};
use crate::ours::Layout;
use crate::report::{Table, Target, ms};
use crate::streams::{Stream, Streams};

impl Findings<'_> {
    pub(super) fn variants(&mut self) -> Result<(), Failure> {
        let elements = 1 << 24;
        if !self.fits("variants", elements) {
            return Ok(());
        }
        let mut table = Table::new(
            "Variants and options",
            "16 Mi elements in one tensor, all f32. Bytes are per element, loads and stores together; `streams` moves those of \
             the plain step.",
            &["variant", "options", "bytes", "ms", "GB/s", "time / streams", "time / AdamW"],
        );
        let plain = Options::default();
        let norm = Options { clip: Clip::GlobalNorm(1.0), skip_nonfinite: true, ..plain.clone() };
        let variant = |variant| Config { variant, ..Config::default() };
        let sgd = |momentum| variant(Variant::Sgd { momentum, dampening: 0.0, nesterov: false });
        let cases = [
            ("AdamW", "", adamw(), plain.clone(), 2),
            ("AdamW", "clip by norm, skip non-finite", adamw(), norm, 2),
            ("AdamW", "skip non-finite", adamw(), Options { skip_nonfinite: true, ..plain.clone() }, 2),
            ("AdamW", "clip by value", adamw(), Options { clip: Clip::Value(1.0), ..plain.clone() }, 2),
            ("AdamW", "zero gradients", adamw(), Options { zero_grad: true, ..plain.clone() }, 2),
            ("AMSGrad", "", variant(Variant::AmsGrad { of_corrected: false }), plain.clone(), 3),
            ("AdaMax", "", variant(Variant::AdaMax), plain.clone(), 2),
            ("NAdam", "", variant(Variant::NAdam { momentum_decay: Some(0.004) }), plain.clone(), 2),
            ("AdaBelief", "", variant(Variant::AdaBelief), plain.clone(), 2),
            ("Lion", "", variant(Variant::Lion), plain.clone(), 1),
            ("SGD, momentum", "", sgd(0.9), plain.clone(), 1),
            ("SGD", "", sgd(0.0), plain.clone(), 0),
            ("Schedule-Free", "", variant(Variant::ScheduleFree), plain.clone(), 2),
            ("Cautious AdamW", "", variant(Variant::Cautious), plain.clone(), 2),
            ("StableAdamW", "", variant(Variant::Stable), plain.clone(), 2),
            ("LAMB", "", variant(Variant::Lamb), plain.clone(), 2),
        ];
        for (name, what, config, options, state_tensors) in cases {
            // The step reads param, grad and the state tensors. It writes all but grad, which is written only to zero
            // it.
            let streams = Stream::of_f32(state_tensors);
            let mut bytes = Stream::bytes(&streams);
            if options.skip_nonfinite || matches!(options.clip, Clip::GlobalNorm(_)) {
                bytes += 4;
            }
            if options.zero_grad {
                bytes += 4;
            }
            // The factor of a step comes from one more reading of param, grad and state.
            if matches!(config.variant, Variant::Cautious | Variant::Stable | Variant::Lamb) {
                bytes += 16;
            }
            let times = self.measure_mirrored(&[
                Box::new(|| Ok(Box::new(Streams::new(self.gpu, elements, &streams)))),
                Box::new(|| Ok(Box::new(self.ours(&one(elements), Layout::Arena, adamw(), plain.clone())?))),
                Box::new(|| Ok(Box::new(self.ours(&one(elements), Layout::Arena, config.clone(), options.clone())?))),
            ])?;
            let (by_streams, by_adamw) = (times[2].against(&times[0]), times[2].against(&times[1]));
            table.row([
                name.to_owned(),
                what.to_owned(),
                bytes.to_string(),
                ms(times[2].best()),
                format!("{:.2}", rate(bytes * elements, &times[2])),
                format!("{by_streams:.2}"),
                format!("{by_adamw:.2}"),
            ]);
            if what == "clip by norm, skip non-finite" {
                self.targets.push(Target::at_most("clip by norm, skip non-finite: time / plain step", 1.25, by_adamw));
            }
        }
        self.add(table);
        Ok(())
    }
}
