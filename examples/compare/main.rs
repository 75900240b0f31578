//! Compares GPU and CPU, for CI. Every case runs on both, and the table shows which share of its tolerance it uses.

#[path = "../adapter/mod.rs"]
mod adapter;
mod tolerance;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use serde_json::json;
use tolerance::{Tolerance, share};
use wgpu::util::{BufferInitDescriptor, DeviceExt};
use wgpu::{Buffer, BufferUsages, Device, DeviceDescriptor, DeviceType, Queue};
use wgpu_adam::{Adam, Clip, Config, Decay, Group, Options, Tensor, View, cpu};

/// Compare the results of the GPU with those of the CPU.
///
/// Exit code 0: all results are within their tolerance (on a CPU adapter: equal to the last bit). 1: a tolerance is
/// exceeded. 2: invalid arguments. 3: no adapter was found.
#[derive(Parser)]
struct Arguments {
    /// Number of steps in each case.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    steps: u64,
    /// Print one JSON object instead of the table.
    #[arg(long)]
    json: bool,
}

/// One row of the table: tensors of these lengths with one configuration.
struct Case {
    name: &'static str,
    lens: &'static [usize],
    /// Whether all tensors lie in one buffer. Otherwise they are separately allocated.
    arena: bool,
    config: Config,
    options: Options,
}

struct Row {
    param: f64,
    m: f64,
    v: f64,
}

impl Row {
    /// Not `!any(share > 1.0)`: a NaN must fail too.
    fn holds(&self) -> bool {
        [self.param, self.m, self.v].iter().all(|share| *share <= 1.0)
    }
}

fn cases() -> Vec<Case> {
    let adam = Config::default();
    let adamw = Config { decay: Decay::Decoupled(0.01), ..adam };
    let plain = Options::default();
    let clip = Options { clip: Clip::GlobalNorm(1.0), skip_nonfinite: true, zero_grad: true, ..Options::default() };
    let case = |name, lens, arena, config, options| Case { name, lens, arena, config, options };
    vec![
        case("adam", &[1], false, adam.clone(), plain.clone()),
        case("adam", &[257], false, adam.clone(), plain.clone()),
        case("adam", &[65_536], false, adam.clone(), plain.clone()),
        case("adamw", &[100_003], false, adamw.clone(), plain.clone()),
        case("l2", &[4097], false, Config { decay: Decay::L2(0.1), ..adam }, plain.clone()),
        case("maximize", &[1000], false, Config { maximize: true, ..adam }, plain.clone()),
        case("beta1 0", &[1000], false, Config { beta1: 0.0, beta2: 0.99, ..adam }, plain.clone()),
        case("eps 1e-15", &[1000], false, Config { eps: 1e-15, ..adam }, plain.clone()),
        case("clip value", &[1000], false, adam.clone(), Options { clip: Clip::Value(0.5), ..plain.clone() }),
        case("clip norm", &[1000, 3, 4096], false, adamw.clone(), clip.clone()),
        case("arena", &[640, 10, 1, 5000, 64], true, adamw, plain),
        case("arena clip", &[640, 10, 1, 5000, 64], true, adam, clip),
    ]
}

fn main() -> ExitCode {
    adapter::log();
    let arguments = Arguments::parse();
    let adapter = match adapter::choose() {
        Ok(adapter) => adapter,
        Err(problem) => {
            eprintln!("compare: {problem}");
            return ExitCode::from(3);
        }
    };
    let (device, queue) = match pollster::block_on(adapter.request_device(&DeviceDescriptor::default())) {
        Ok(device) => device,
        Err(error) => {
            eprintln!("compare: {}: {error}", adapter::describe(&adapter));
            return ExitCode::from(3);
        }
    };
    // If the reader is gone (`| head`), the exit code still tells the result.
    let say = |line: String| drop(writeln!(std::io::stdout(), "{line}"));
    let info = adapter.get_info();
    let software = info.device_type == DeviceType::Cpu;
    let bound = if software { "to the last bit" } else { "within the tolerance" };
    if !arguments.json {
        say(format!(
            "{} ({:?}, {}): GPU and CPU {bound}, {} steps",
            info.name, info.backend, info.driver_info, arguments.steps
        ));
        say(format!("{:<12} {:<24} {:>9} {:>9} {:>9}", "case", "lengths", "param", "m", "v"));
    }
    let mut rows = Vec::new();
    let mut all = true;
    for case in cases() {
        let row = match run(&device, &queue, &case, arguments.steps, software) {
            Ok(row) => row,
            Err(error) => {
                eprintln!("compare: {}: {error}", case.name);
                return ExitCode::FAILURE;
            }
        };
        all &= row.holds();
        let verdict = if row.holds() { "ok" } else { "EXCEEDED" };
        let lens = format!("{:?}{}", case.lens, if case.arena { " arena" } else { "" });
        if !arguments.json {
            say(format!("{:<12} {lens:<24} {:>9.3} {:>9.3} {:>9.3}  {verdict}", case.name, row.param, row.m, row.v));
        }
        rows.push(json!({ "case": case.name, "lens": case.lens, "arena": case.arena,
            "share": { "param": row.param, "m": row.m, "v": row.v }, "ok": row.holds() }));
    }
    if arguments.json {
        let adapter =
            json!({ "name": info.name, "backend": format!("{:?}", info.backend), "driver": info.driver_info });
        say(format!(
            "{}",
            json!({ "adapter": adapter, "steps": arguments.steps, "exact": software, "cases": rows, "ok": all })
        ));
    } else {
        say(format!(
            "Each column shows the largest share of the tolerance that an element uses. {}",
            if all { "All are within it." } else { "NOT all are within it." }
        ));
    }
    if all { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs a case on GPU and CPU with the same gradients.
fn run(
    device: &Device,
    queue: &Queue,
    case: &Case,
    steps: u64,
    software: bool,
) -> Result<Row, Box<dyn std::error::Error>> {
    let total: usize = case.lens.iter().sum();
    let mut param: Vec<f32> = (0..total).map(|i| uniform(1, i)).collect();
    let mut largest = param.iter().map(|p| (0.0, f64::from(p.abs()))).collect::<Vec<(f64, f64)>>();

    let starts: Vec<usize> = case.lens.iter().scan(0, |at, len| Some(std::mem::replace(at, *at + len))).collect();
    let buffers =
        if case.arena { vec![(0, total)] } else { starts.iter().copied().zip(case.lens.iter().copied()).collect() };
    let params: Vec<Buffer> = buffers.iter().map(|&(at, len)| buffer(device, &param[at..at + len])).collect();
    let grads: Vec<Buffer> = buffers.iter().map(|&(_, len)| buffer(device, &vec![0.0; len])).collect();
    let tensors = case.lens.iter().enumerate().map(|(i, &len)| {
        let (buffer, at) = if case.arena { (0, starts[i]) } else { (i, 0) };
        let view = |buffer: &Buffer| View::f32(buffer).slice(at as u64..(at + len) as u64);
        Tensor::new(format!("tensor {i}"), view(&params[buffer]), view(&grads[buffer]))
    });
    let group = Group::new(case.config.clone(), tensors.collect());
    let adam = Adam::new(device, queue, &[group], case.options.clone())?;
    let mut twin = adam.to_cpu();

    for t in 1..=steps {
        // Gradients over ten orders of magnitude; a tenth of them are zero.
        let grad = (0..total).map(|i| if (i + t as usize).is_multiple_of(10) { 0.0 } else { uniform(t + 1, i) });
        let mut grad: Vec<f32> = grad.enumerate().map(|(i, g)| g * 10f32.powi((i % 10) as i32 - 7)).collect();
        for (buffer, &(at, len)) in grads.iter().zip(&buffers) {
            queue.write_buffer(buffer, 0, bytemuck::cast_slice(&grad[at..at + len]));
        }
        let mut encoder = device.create_command_encoder(&Default::default());
        adam.step(&mut encoder);
        queue.submit([encoder.finish()]);

        let l2 = if let Decay::L2(decay) = case.config.decay { decay } else { 0.0 };
        for ((g, p), (largest_grad, largest_param)) in grad.iter().zip(&param).zip(&mut largest) {
            *largest_grad = largest_grad.max(f64::from(g.abs()) + l2 * f64::from(p.abs()));
            *largest_param = largest_param.max(f64::from(p.abs()));
        }
        twin.step(&mut slots(&mut param, &mut grad, case.lens))?;
    }

    let state = pollster::block_on(adam.read_state())?;
    let got: Vec<f32> =
        params.iter().map(|buffer| read(device, queue, buffer)).collect::<Result<Vec<_>, _>>()?.concat();
    let (m, v): (Vec<f32>, Vec<f32>) = state.tensors.iter().flat_map(|t| t.m().into_iter().zip(t.v())).unzip();
    let want = twin.state();
    let want = want.tensors.iter().flat_map(|t| t.m().into_iter().zip(t.v()));
    let mut row = Row { param: 0.0, m: 0.0, v: 0.0 };
    for (i, (want_m, want_v)) in want.enumerate() {
        let tolerance = Tolerance::new(&case.config, steps, largest[i].0, largest[i].1);
        row.param = row.param.max(share(got[i], param[i], tolerance.param, software));
        row.m = row.m.max(share(m[i], want_m, tolerance.m, software));
        row.v = row.v.max(share(v[i], want_v, tolerance.v, software));
    }
    Ok(row)
}

fn slots<'a>(mut param: &'a mut [f32], mut grad: &'a mut [f32], lens: &[usize]) -> Vec<cpu::TensorMut<'a>> {
    let mut slots = Vec::new();
    for &len in lens {
        let (p, p_rest) = param.split_at_mut(len);
        let (g, g_rest) = grad.split_at_mut(len);
        slots.push(cpu::TensorMut::new(p, g));
        (param, grad) = (p_rest, g_rest);
    }
    slots
}

fn buffer(device: &Device, values: &[f32]) -> Buffer {
    let usage = BufferUsages::STORAGE | BufferUsages::COPY_SRC | BufferUsages::COPY_DST;
    device.create_buffer_init(&BufferInitDescriptor { label: None, contents: bytemuck::cast_slice(values), usage })
}

fn read(device: &Device, queue: &Queue, buffer: &Buffer) -> Result<Vec<f32>, Box<dyn std::error::Error>> {
    let usage = BufferUsages::MAP_READ | BufferUsages::COPY_DST;
    let descriptor = wgpu::BufferDescriptor { label: None, size: buffer.size(), usage, mapped_at_creation: false };
    let staging = device.create_buffer(&descriptor);
    let mut encoder = device.create_command_encoder(&Default::default());
    encoder.copy_buffer_to_buffer(buffer, 0, &staging, 0, None);
    queue.submit([encoder.finish()]);
    staging.map_async(wgpu::MapMode::Read, .., |result| {
        if let Err(error) = result {
            log::error!("mapping the staging buffer: {error}");
        }
    });
    device.poll(wgpu::PollType::wait_indefinitely())?;
    Ok(bytemuck::pod_collect_to_vec(&staging.slice(..).get_mapped_range()?))
}

/// Returns a number in [-1, 1) that depends only on the arguments (the finalizer of SplitMix64).
fn uniform(seed: u64, index: usize) -> f32 {
    let x = (seed << 32 ^ index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (x >> 40) as f32 / (1u32 << 23) as f32 - 1.0
}
