//! BENCHMARKS.md: what was found, and on which machine.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::Findings;
use crate::stopwatch::counts_processor_time;

impl Findings<'_> {
    pub(super) fn page(&self) -> String {
        let info = &self.gpu.info;
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
        let load = match self.load {
            None => "not known".to_owned(),
            Some(load) if load < 0.05 => "idle before this run".to_owned(),
            Some(load) => format!(
                "**others used {:.0} % of the processors' time** just before this run: times are longer than alone, and ratios \
                 less certain",
                100.0 * load
            ),
        };
        for (what, value) in [
            ("date", jiff::Timestamp::now().strftime("%F").to_string()),
            ("adapter", driver),
            ("machine", machine()),
            ("load", load),
            ("steadiness", self.gauge.report()),
            ("times", clock.to_owned()),
            ("versions", format!("wgpu-adam {}, wgpu {}", env!("CARGO_PKG_VERSION"), locked("wgpu"))),
            ("command", format!("`{}`", command())),
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

/// What this program was asked for, but for the places where peers are found and where this is written.
fn command() -> String {
    let mut words = std::env::args().skip(1);
    let mut command = "speed".to_owned();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--bench" => {}
            "--write" => drop(words.next()),
            "--peer" => {
                let peer = words.next().unwrap_or_default();
                command += &format!(" --peer {}=…", peer.split('=').next().unwrap_or_default());
            }
            _ => command += &format!(" {word}"),
        }
    }
    command
}

/// The processor, and how many of its threads are ours.
fn machine() -> String {
    let threads = std::thread::available_parallelism().map_or(0, usize::from);
    let info = fs::read_to_string(Path::new("/proc/cpuinfo")).unwrap_or_default();
    let model = info.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split_once(": "));
    format!("{}, {threads} threads, {}", model.map_or(std::env::consts::ARCH, |(_, name)| name), std::env::consts::OS)
}

/// The part of the processors' time that is used by others, during a second in which this program does nothing.
pub(super) fn load() -> Option<f64> {
    let before = processor_times()?;
    std::thread::sleep(Duration::from_secs(1));
    let now = processor_times()?;
    Some((now.0 - before.0) / (now.1 - before.1))
}

/// Of all processors together since the start of the machine: busy, and all.
fn processor_times() -> Option<(f64, f64)> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let times: Vec<f64> =
        stat.lines().next()?.split_whitespace().skip(1).filter_map(|time| time.parse().ok()).collect();
    // user, nice, system, idle, waiting for input, …
    let (all, idle) = (times.iter().sum::<f64>(), times.get(3)? + times.get(4)?);
    Some((all - idle, all))
}

/// The version of a package that this program was built with.
fn locked(package: &str) -> &'static str {
    let name = format!("name = \"{package}\"");
    let mut lines = include_str!("../../../Cargo.lock").lines().skip_while(|line| *line != name);
    lines.nth(1).and_then(|line| line.split('"').nth(1)).unwrap_or("of unknown version")
}
