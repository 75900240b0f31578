//! BENCHMARKS.md: the results of a run, and the machine they were measured on.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::Findings;
use crate::stopwatch::counts_processor_time;

impl Findings<'_> {
    pub(super) fn page(&self) -> String {
        let info = &self.gpu.info;
        let mut page = format!(
            "# Benchmarks\n\n`benches/run.sh` writes this page. `benches/README.md` explains what is measured and how. Each \
             subject is measured {} times, interleaved with the others, and medians are compared.\n\n",
            self.arguments.rounds
        );
        let clock = match (self.gpu.has_clock(), counts_processor_time()) {
            (true, _) => "the adapter's timestamps",
            (false, false) => "wall clock, many steps per submission",
            (false, true) => "processor time, many steps per submission",
        };
        let driver = format!("{} ({:?}, {} {})", info.name, info.backend, info.driver, info.driver_info);
        let load = match self.load {
            None => "unknown".to_owned(),
            Some(load) if load < 0.05 => "idle before this run".to_owned(),
            Some(load) => format!(
                "**other programs used {:.0} % of the processors' time** just before this run, so times are longer than on an \
                 idle machine, and ratios are less certain",
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
            page += "\n![gigabytes per second by size](roofline.svg)\n";
        }
        self.tables.iter().for_each(|table| page += &format!("\n{}", table.markdown()));
        page
    }
}

/// Returns the command line of this program, without the paths of the peers and of the output.
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

/// The widest vector extension that the CPU optimizer uses here.
fn vectors() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx512f") {
        return "AVX-512";
    } else if is_x86_feature_detected!("avx2") {
        return "AVX2";
    }
    if cfg!(target_arch = "aarch64") { "NEON" } else { "no wide vectors" }
}

/// Returns the name of the processor, its vectors, and the number of threads available to this program.
fn machine() -> String {
    let threads = std::thread::available_parallelism().map_or(0, usize::from);
    let info = fs::read_to_string(Path::new("/proc/cpuinfo")).unwrap_or_default();
    let model = info.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split_once(": "));
    let vectors = vectors();
    format!(
        "{}, {vectors}, {threads} threads, {}",
        model.map_or(std::env::consts::ARCH, |(_, name)| name),
        std::env::consts::OS
    )
}

/// Returns the share of the processors' time that other programs use during a second in which this program does
/// nothing.
pub(super) fn load() -> Option<f64> {
    let before = processor_times()?;
    std::thread::sleep(Duration::from_secs(1));
    let now = processor_times()?;
    Some((now.0 - before.0) / (now.1 - before.1))
}

/// Returns the busy time and the total time of all processors since the start of the machine.
fn processor_times() -> Option<(f64, f64)> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let times: Vec<f64> =
        stat.lines().next()?.split_whitespace().skip(1).filter_map(|time| time.parse().ok()).collect();
    // The columns are user, nice, system, idle, iowait, …
    let (all, idle) = (times.iter().sum::<f64>(), times.get(3)? + times.get(4)?);
    Some((all - idle, all))
}

/// Returns the version of a package in Cargo.lock.
fn locked(package: &str) -> &'static str {
    let name = format!("name = \"{package}\"");
    let mut lines = include_str!("../../../Cargo.lock").lines().skip_while(|line| *line != name);
    lines.nth(1).and_then(|line| line.split('"').nth(1)).unwrap_or("of unknown version")
}
