//! AdamW in each format, compared with `streams` moving the same bytes and with AdamW in f32.

use wgpu_adam::precision::{Master, Rounding, StateDtype};
use wgpu_adam::{Dtype, Options, Precision};

use super::{Failure, Findings, adamw, one, rate};
use crate::ours::{Layout, Ours};
use crate::report::{Table, Target, ms};
use crate::streams::{Stream, Streams};

use Dtype::{Bf16, F16, F32};

fn rounding(rounding: Rounding) -> &'static str {
    if rounding == Rounding::Nearest { "nearest" } else { "stochastic" }
}

/// Names the storage of parameters, gradients and moments.
fn name(param: Dtype, grad: Dtype, precision: &Precision) -> [String; 3] {
    let narrow = |format| if format == F16 { "f16" } else { "bf16" };
    let param = match (param, precision.master) {
        (F32, _) => "f32".to_owned(),
        (_, Master::None) => format!("{}, {}", narrow(param), rounding(precision.param_rounding)),
        (_, Master::F32) => format!("{}, f32 master", narrow(param)),
        _ => format!("{}, 16-bit remainder", narrow(param)),
    };
    let grad = match grad {
        F16 | Bf16 => narrow(grad),
        Dtype::I32 => "i32",
        _ => "f32",
    };
    let state = match precision.state {
        StateDtype::Bf16 => format!("bf16, {}", rounding(precision.state_rounding)),
        StateDtype::Block8 => format!("8 bits, {}", rounding(precision.state_rounding)),
        _ => "f32".to_owned(),
    };
    [param, grad.to_owned(), state]
}

/// Returns the streams of a step: the gradient, the parameter, its master or remainder, m and v. The scales of 8-bit
/// blocks are left out.
fn streams(param: Dtype, grad: Dtype, precision: &Precision) -> Vec<Stream> {
    let state = match precision.state {
        StateDtype::Bf16 => 2,
        StateDtype::Block8 => 1,
        _ => 4,
    };
    let mut written = vec![param.bytes()];
    match precision.master {
        _ if param == F32 => {}
        Master::F32 => written.push(4),
        Master::Remainder => written.push(2),
        _ => {}
    }
    written.extend([state, state]);
    Stream::of(grad.bytes(), &written)
}

impl Findings<'_> {
    pub(super) fn formats(&mut self) -> Result<(), Failure> {
        let elements = 1 << 24;
        if !self.fits("formats", elements) {
            return Ok(());
        }
        let mut table = Table::new(
            "Formats",
            "AdamW, 16 Mi elements in one tensor. Bytes are per element, loads and stores together; `streams` moves as many. \
             The last column divides the time predicted by the measured one. The prediction scales the time of f32 by the \
             bytes. A value of 1 means that the bytes alone determine the time.",
            &["params", "grads", "moments", "bytes", "ms", "GB/s", "time / streams", "time / f32", "predicted / time"],
        );
        let i32 = Dtype::I32;
        let plain = Precision::default();
        let state = |state, state_rounding| Precision { state, state_rounding, ..plain };
        let bf16 = state(StateDtype::Bf16, Rounding::Stochastic);
        let stochastic = Precision { param_rounding: Rounding::Stochastic, ..plain };
        let master = |master| Precision { master, ..plain.clone() };
        let cases = [
            (F32, F32, bf16.clone()),
            (F32, F32, state(StateDtype::Bf16, Rounding::Nearest)),
            (F32, F32, state(StateDtype::Block8, Rounding::Stochastic)),
            (F32, F32, state(StateDtype::Block8, Rounding::Nearest)),
            (F32, F16, plain.clone()),
            (F32, Bf16, plain.clone()),
            (F32, i32, plain.clone()),
            (F16, F16, plain.clone()),
            (F16, F16, stochastic.clone()),
            (F16, F16, master(Master::F32)),
            (Bf16, Bf16, plain.clone()),
            (Bf16, Bf16, stochastic),
            (Bf16, Bf16, master(Master::F32)),
            (Bf16, Bf16, master(Master::Remainder)),
            (Bf16, Bf16, Precision { master: Master::Remainder, ..bf16 }),
            (Bf16, Bf16, Precision { param_rounding: Rounding::Stochastic, ..bf16 }),
        ];
        let in_f32 = Stream::bytes(&Stream::of_f32(2)) as f64;
        for (param, grad, precision) in cases {
            let streams = streams(param, grad, &precision);
            let bytes = Stream::bytes(&streams);
            let options = Options { precision: precision.clone(), ..Options::default() };
            let times = self.measure_mirrored(&[
                Box::new(|| Ok(Box::new(Streams::new(self.gpu, elements, &streams)))),
                Box::new(|| Ok(Box::new(self.ours(&one(elements), Layout::Arena, adamw(), Options::default())?))),
                Box::new(|| Ok(Box::new(Ours::stored(self.gpu, elements, param, grad, adamw(), options.clone())?))),
            ])?;
            let (by_streams, by_f32) = (times[2].against(&times[0]), times[2].against(&times[1]));
            let predicted = bytes as f64 / in_f32 / by_f32;
            if self.gpu.has_clock() && precision.state != StateDtype::F32 && param == F32 {
                let [_, _, moments] = name(param, grad, &precision);
                self.targets.push(Target::at_least(
                    format!("moments in {moments}: predicted time / time"),
                    0.9,
                    predicted,
                ));
            }
            let [param, grad, moments] = name(param, grad, &precision);
            table.row([
                param,
                grad,
                moments,
                bytes.to_string(),
                ms(times[2].best()),
                format!("{:.2}", rate(bytes * elements, &times[2])),
                format!("{by_streams:.2}"),
                format!("{by_f32:.2}"),
                format!("{predicted:.2}"),
            ]);
        }
        self.add(table);
        Ok(())
    }
}
