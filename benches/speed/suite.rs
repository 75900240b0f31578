//! The suites: which subjects are measured side by side, and what is made of it.

use std::error::Error;
use std::fs;
use std::path::Path;

use clap::ValueEnum;
use wgpu_adam::{Clip, Config, Decay, Options, Variant};

use crate::Arguments;
use crate::cpu::Twin;
use crate::device::Gpu;
use crate::naive::Naive;
use crate::ours::{Layout, Ours};
use crate::peer::Peer;
use crate::plot::{Line, plot};
use crate::report::{Bar, Table, ms, size};
use crate::shapes::{Shape, equal, gpt2_small, resnet50, splats};
use crate::stopwatch::counts_processor_time;
use crate::streams::{Copy, Streams};
use crate::subject::{Median, Subject, side_by_side};

/// What to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Suite {
    /// A step against the memory it moves, from 1 Ki to 64 Mi elements.
    Roofline,
    /// Variants, formats and options, at 16 Mi elements.
    Variants,
    /// Many tensors: launches, time a step, host time to record.
    Tensors,
    /// Beside other optimizers.
    Peers,
}

type Failure = Box<dyn Error>;

/// All that a run has found.
struct Findings<'a> {
    gpu: &'a Gpu,
    arguments: &'a Arguments,
    peers: Vec<Peer>,
    tables: Vec<Table>,
    bars: Vec<Bar>,
    lines: Vec<Line>,
}

pub fn run(gpu: &Gpu, arguments: &Arguments) -> Result<(), Failure> {
    let peers = arguments.peers.iter().map(Peer::start).collect::<Result<_, _>>()?;
    let (tables, bars, lines) = Default::default();
    let mut findings = Findings { gpu, arguments, peers, tables, bars, lines };
    for suite in &arguments.suites {
        match suite {
            Suite::Roofline => findings.roofline()?,
            Suite::Variants => findings.variants()?,
            Suite::Tensors => findings.tensors()?,
            Suite::Peers => findings.peers()?,
        }
    }
    findings.finish()
}

fn adamw() -> Config {
    Config { decay: Decay::Decoupled(0.01), ..Config::default() }
}

fn one(len: u64) -> Vec<Shape> {
    equal(1, len, 1)
}

/// Gigabytes a second, of so many bytes a step.
fn rate(bytes: u64, time: &Median) -> f64 {
    bytes as f64 / time.best() / 1e6
}

impl Findings<'_> {
    fn measure(&self, subjects: &mut [Box<dyn Subject + '_>]) -> Result<Vec<Median>, Failure> {
        side_by_side(subjects, self.arguments.rounds, self.arguments.sample)
    }

    /// Leaves out what is too large for `--elements`, and says so.
    fn fits(&self, name: &str, elements: u64) -> bool {
        let fits = elements <= self.arguments.elements;
        if !fits {
            eprintln!("speed: {name} is left out, by --elements");
        }
        fits
    }

    fn ours(
        &self,
        shapes: &[Shape],
        layout: Layout,
        config: Config,
        options: Options,
    ) -> Result<Ours<'_>, wgpu_adam::Error> {
        Ours::new(self.gpu, shapes, layout, config, options)
    }

    fn add(&mut self, table: Table) {
        println!("{}", table.markdown());
        self.tables.push(table);
    }

    fn roofline(&mut self) -> Result<(), Failure> {
        let mut table = Table::new(
            "Roofline",
            "AdamW moves 28 bytes an element. `streams` is a kernel with the same loads and stores and one addition.",
            &["elements", "copy, GB/s", "streams, GB/s", "AdamW, GB/s", "AdamW, ms", "against streams", "spread"],
        );
        let names = ["copy", "streams", "AdamW"];
        let mut lines: Vec<Line> =
            names.into_iter().map(|name| Line { name: name.to_owned(), points: Vec::new() }).collect();
        for elements in (10..=26).step_by(2).map(|log| 1_u64 << log) {
            if !self.fits(&size(elements), elements) {
                continue;
            }
            let ours = self.ours(&one(elements), Layout::Arena, adamw(), Options::default())?;
            let times = self.measure(&mut [
                Box::new(Copy::new(self.gpu, elements)),
                Box::new(Streams::new(self.gpu, elements, 2)),
                Box::new(ours),
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
                let bar = if self.gpu.has_clock() { 1.03 } else { 1.05 };
                self.bars.push(Bar::at_most("update, f32, 16 Mi, against streams", bar, ratio));
            }
        }
        self.lines = lines;
        self.add(table);
        Ok(())
    }

    fn variants(&mut self) -> Result<(), Failure> {
        let elements = 1 << 24;
        if !self.fits("variants", elements) {
            return Ok(());
        }
        let mut table = Table::new(
            "Variants, formats, options",
            "16 Mi elements in one tensor. Bytes an element, all loads and stores together; `streams` has the same.",
            &["variant", "format", "options", "bytes", "ms", "GB/s", "against streams", "against AdamW"],
        );
        let plain = Options::default();
        let norm = Options { clip: Clip::GlobalNorm(1.0), guard: true, ..plain };
        let variant = |variant| Config { variant, ..Config::default() };
        let sgd = |momentum| variant(Variant::Sgd { momentum, dampening: 0.0, nesterov: false });
        let cases = [
            ("AdamW", "", adamw(), plain, 2),
            ("AdamW", "clip by norm, guard", adamw(), norm, 2),
            ("AdamW", "guard", adamw(), Options { guard: true, ..plain }, 2),
            ("AdamW", "clip by value", adamw(), Options { clip: Clip::Value(1.0), ..plain }, 2),
            ("AdamW", "zero gradients", adamw(), Options { zero_grad: true, ..plain }, 2),
            ("AMSGrad", "", variant(Variant::AmsGrad { of_corrected: false }), plain, 3),
            ("AdaMax", "", variant(Variant::AdaMax), plain, 2),
            ("NAdam", "", variant(Variant::NAdam { momentum_decay: Some(0.004) }), plain, 2),
            ("AdaBelief", "", variant(Variant::AdaBelief), plain, 2),
            ("Lion", "", variant(Variant::Lion), plain, 1),
            ("SGD, momentum", "", sgd(0.9), plain, 1),
            ("SGD", "", sgd(0.0), plain, 0),
        ];
        for (name, what, config, options, memories) in cases {
            // param, grad and the memories are read; all but the gradient written, which may be too.
            let mut bytes = 4 * (3 + 2 * u64::from(memories));
            if options.guard || matches!(options.clip, Clip::GlobalNorm(_)) {
                bytes += 4;
            }
            if options.zero_grad {
                bytes += 4;
            }
            let times = self.measure(&mut [
                Box::new(Streams::new(self.gpu, elements, memories)),
                Box::new(self.ours(&one(elements), Layout::Arena, adamw(), plain)?),
                Box::new(self.ours(&one(elements), Layout::Arena, config, options)?),
            ])?;
            let (by_streams, by_adamw) = (times[2].against(&times[0]), times[2].against(&times[1]));
            table.row([
                name.to_owned(),
                "f32".to_owned(),
                what.to_owned(),
                bytes.to_string(),
                ms(times[2].best()),
                format!("{:.2}", rate(bytes * elements, &times[2])),
                format!("{by_streams:.2}"),
                format!("{by_adamw:.2}"),
            ]);
            if what == "clip by norm, guard" {
                self.bars.push(Bar::at_most("clipping by global norm and guard, added to the step", 1.25, by_adamw));
            }
        }
        self.add(table);
        Ok(())
    }

    fn tensors(&mut self) -> Result<(), Failure> {
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
            let whole = self.ours(&one(elements), Layout::Arena, adamw(), Options::default())?;
            let times = self.measure(&mut [Box::new(whole), Box::new(ours)])?;
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

    fn peers(&mut self) -> Result<(), Failure> {
        let mut peers = std::mem::take(&mut self.peers);
        let mut head = vec!["AdamW, ms a step", "ours, arena", "ours, scattered", "naive WGSL", "our CPU twin"];
        let names: Vec<String> = peers.iter().map(|peer| peer.name.clone()).collect();
        head.extend(names.iter().map(String::as_str));
        let mut table = Table::new("Peers", "", &head);
        let cases = [
            ("16 Mi in one tensor", one(1 << 24)),
            ("1,000 × 1,000", equal(1000, 1000, 1)),
            ("ResNet-50", resnet50()),
            ("splats", splats()),
            ("GPT-2 small", gpt2_small()),
        ];
        for (number, (name, shapes)) in cases.into_iter().enumerate() {
            if !self.fits(name, shapes.iter().map(|shape| shape.len).sum()) {
                continue;
            }
            let mut subjects: Vec<Box<dyn Subject + '_>> = vec![
                Box::new(self.ours(&shapes, Layout::Arena, adamw(), Options::default())?),
                Box::new(self.ours(&shapes, Layout::Scattered, adamw(), Options::default())?),
                Box::new(Twin::new(&shapes, adamw(), Options::default())?),
            ];
            let naive = Naive::new(self.gpu, &shapes);
            let has_naive = naive.is_some();
            subjects.extend(naive.map(|naive| Box::new(naive) as Box<dyn Subject>));
            let mut there = Vec::new();
            for (i, peer) in peers.iter_mut().enumerate() {
                match peer.prepare(&shapes) {
                    Ok(()) => {
                        there.push(i);
                        subjects.push(Box::new(peer));
                    }
                    Err(error) => eprintln!("speed: {error}"),
                }
            }
            let times = self.measure(&mut subjects)?;
            drop(subjects);
            let at = |i: usize| times.get(i).map_or("-".to_owned(), |time| ms(time.wall));
            let mut cells = vec![name.to_owned(), at(0), at(1), if has_naive { at(3) } else { "-".to_owned() }, at(2)];
            let first = if has_naive { 4 } else { 3 };
            let of_peer = |i: usize| there.iter().position(|p| *p == i).map(|position| times[first + position]);
            cells.extend((0..peers.len()).map(|i| of_peer(i).map_or("-".to_owned(), |time| ms(time.wall))));
            table.row(cells);
            for peer in &mut peers {
                peer.prepare(&[])?;
            }
            if number > 1 {
                continue;
            }
            for (i, peer) in names.iter().enumerate() {
                let Some(time) = of_peer(i) else { continue };
                let (arena, scattered, twin) =
                    (time.wall / times[0].wall, time.wall / times[1].wall, time.wall / times[2].wall);
                match (peer.as_str(), number) {
                    ("burn", 0) => self.bars.push(Bar::at_least("burn, 16 Mi: ours is faster, times", 1.7, arena)),
                    ("burn", _) => {
                        self.bars.push(Bar::at_least("burn, 1,000 × 1,000: an arena is faster, times", 30.0, arena));
                        self.bars.push(Bar::at_least("burn, 1,000 × 1,000: scattered is, times", 5.0, scattered));
                    }
                    ("torch-fused", 0) => {
                        self.bars.push(Bar::at_least("torch fused, CPU, 16 Mi: our twin is faster, times", 1.0, twin));
                    }
                    ("torch-fused", _) => self.bars.push(Bar::at_least(
                        "torch fused, CPU, 1,000 × 1,000: our twin is faster, times",
                        5.0,
                        twin,
                    )),
                    ("torch-cuda", 0) => {
                        self.bars.push(Bar::at_least("torch fused, CUDA, 16 Mi: ours is faster, times", 1.0, arena));
                    }
                    _ => {}
                }
            }
        }
        let about = peers.iter().map(|peer| format!("{}: {}", peer.name, peer.about)).collect::<Vec<_>>().join("; ");
        table.note = format!(
            "Wall clock, from the first command of many steps to the end of the last{}{about}.",
            if about.is_empty() { "" } else { ". " }
        );
        self.add(table);
        Ok(())
    }

    fn finish(mut self) -> Result<(), Failure> {
        if !self.bars.is_empty() {
            let mut table = Table::new("Bars", "Ratios of medians in this run.", &["what", "bar", "measured", "met"]);
            self.bars.iter().for_each(|bar| table.row(bar.cells()));
            println!("{}", table.markdown());
            self.tables.insert(0, table);
        }
        let Some(folder) = &self.arguments.write else { return Ok(()) };
        fs::create_dir_all(folder)?;
        fs::write(folder.join("BENCHMARKS.md"), self.page())?;
        if !self.lines.is_empty() {
            let title = format!("{}: gigabytes a second", self.gpu.info.name);
            plot(&folder.join("roofline.svg"), &title, &self.lines)?;
        }
        Ok(())
    }

    fn page(&self) -> String {
        let info = &self.gpu.info;
        let words: Vec<String> = std::env::args().skip(1).collect();
        let mut page = format!(
            "# Benchmarks\n\nWritten by `benches/run.sh`; what is measured and how is in `benches/README.md`. Subjects are \
             measured in turn, {} times each, and medians compared.\n\n",
            self.arguments.rounds
        );
        let clock = match (self.gpu.has_clock(), counts_processor_time()) {
            (true, _) => "the adapter's timestamps",
            (false, false) => "wall clock, many steps a submission",
            (false, true) => "processor time, many steps a submission",
        };
        let driver = format!("{} ({:?}, {} {})", info.name, info.backend, info.driver, info.driver_info);
        for (what, value) in [
            ("date", jiff::Timestamp::now().strftime("%F").to_string()),
            ("adapter", driver),
            ("machine", machine()),
            ("times", clock.to_owned()),
            ("wgpu-adam", env!("CARGO_PKG_VERSION").to_owned()),
            ("command", format!("speed {}", words.join(" "))),
        ] {
            page += &format!("- {what}: {value}\n");
        }
        if !self.lines.is_empty() {
            page += "\n![gigabytes a second over size](roofline.svg)\n";
        }
        self.tables.iter().for_each(|table| page += &format!("\n{}", table.markdown()));
        page
    }
}

/// The processor, and how many of its threads are ours.
fn machine() -> String {
    let threads = std::thread::available_parallelism().map_or(0, usize::from);
    let info = fs::read_to_string(Path::new("/proc/cpuinfo")).unwrap_or_default();
    let model = info.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split_once(": "));
    format!("{}, {threads} threads, {}", model.map_or(std::env::consts::ARCH, |(_, name)| name), std::env::consts::OS)
}
