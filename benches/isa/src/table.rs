//! The tables of ISA.md: written, and compared with what was recorded.

use std::fmt::Write;

use crate::cards::{CARDS, Card};
use crate::classes::Counts;
use crate::driver::Compiled;

/// How much a kernel may grow before the check fails.
const GROWTH: f64 = 1.05;

/// A kernel, compiled for a family.
pub struct Measured {
    family: &'static str,
    name: String,
    counts: Counts,
    instructions: u64,
    registers: u64,
    waves: u64,
    spills: u64,
    inverse_throughput: u64,
}

#[derive(Default)]
pub struct Table {
    pub driver: String,
    pub rows: Vec<Measured>,
}

/// The elements of an invocation of a kernel, and the bytes that it moves for each. `None` for kernels that have no such number.
fn per_element(name: &str) -> Option<(u32, f64)> {
    Some(match name {
        _ if name.starts_with("adamw_bf16_block8") => (16, 10.0 + 4.0 * 4.0 / 256.0),
        _ if name.starts_with("adamw_block8") => (16, 16.0 + 4.0 * 4.0 / 256.0),
        _ if name.starts_with("adamw_bf16_all") => (16, 14.0),
        _ if name.starts_with("adamw_bf16_state") => (16, 20.0),
        "adamw_rows_mask" => (4, 28.0),
        "adamw_rows_list" => return None,
        _ if name.starts_with("adamw") => (16, 28.0),
        "norm_f32" => (64, 4.0),
        _ => return None,
    })
}

impl Measured {
    pub fn new(family: &'static str, name: String, compiled: &Compiled) -> Self {
        Self {
            family,
            name,
            counts: Counts::of(&compiled.assembly),
            instructions: compiled.of("Instructions"),
            registers: compiled.of("VGPRs"),
            waves: compiled.of("Subgroups per SIMD"),
            spills: compiled.of("Spilled SGPRs") + compiled.of("Spilled VGPRs") + compiled.of("Scratch size"),
            inverse_throughput: compiled.of("Inverse Throughput"),
        }
    }

    fn model(&self, card: &Card) -> Option<(f64, f64)> {
        let (elements, bytes) = per_element(&self.name)?;
        Some((card.memory_ms(bytes), card.arithmetic_ms(self.counts, elements)))
    }

    fn row(&self) -> String {
        let elements = per_element(&self.name).map(|(elements, _)| elements);
        let share = |count: u32| match elements {
            Some(elements) => format!("{:.1}", f64::from(count) / f64::from(elements)),
            None => String::new(),
        };
        let all = elements
            .map_or_else(String::new, |elements| format!("{:.0}", self.instructions as f64 / f64::from(elements)));
        let classes: Vec<String> = self.counts.each().into_iter().map(share).collect();
        let Self { name, instructions, registers, waves, spills, inverse_throughput, .. } = self;
        let classes = classes.join(" | ");
        format!(
            "| {name} | {instructions} | {inverse_throughput} | {all} | {classes} | {registers} | {waves} | {spills} |\n"
        )
    }
}

impl Table {
    /// What the compiler says of each kernel, family by family.
    pub fn kernels(&self) -> String {
        let mut page = String::new();
        let mut family = "";
        for row in &self.rows {
            if row.family != family {
                family = row.family;
                let _ = write!(
                    page,
                    "\n### {family}\n\n| kernel | instructions | inverse throughput | an element | float | integer | product | \
                     transcendental | memory | scalar | VGPRs | waves | spills |\n|{}\n",
                    "---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
                );
            }
            page += &row.row();
        }
        page
    }

    /// The time of memory and of arithmetic on each card.
    fn model(&self) -> String {
        let mark = |card: &Card| if card.proxy { format!("{}, by proxy", card.name) } else { card.name.to_string() };
        let names: Vec<String> = CARDS.iter().map(mark).collect();
        let mut page = format!("| kernel | {} |\n|---|{}\n", names.join(" | "), "---:|".repeat(CARDS.len()));
        let of_family = |family| self.rows.iter().filter(move |row| row.family == family);
        for kernel in of_family(CARDS[0].family) {
            let cells = CARDS.iter().filter_map(|card| {
                let (memory, arithmetic) = of_family(card.family).find(|row| row.name == kernel.name)?.model(card)?;
                let bold = |yes: bool, ms: f64| if yes { format!("**{ms:.3}**") } else { format!("{ms:.3}") };
                let decides = memory < arithmetic;
                Some(format!("{} / {}", bold(!decides, memory), bold(decides, arithmetic)))
            });
            let cells: Vec<String> = cells.collect();
            if !cells.is_empty() {
                let _ = writeln!(page, "| {} | {} |", kernel.name, cells.join(" | "));
            }
        }
        page
    }

    pub fn page(&self) -> String {
        format!(
            "{}{}",
            include_str!("page.md")
                .replace("DRIVER", &self.driver)
                .replace("MODEL\n", &self.model())
                .replace("CARDS\n", &cards()),
            self.kernels()
        )
    }

    /// Compares with a page that was recorded.
    pub fn check(&self, page: &str) -> Result<(), String> {
        let same_driver = page.contains(&self.driver);
        let mut faults = String::new();
        for row in &self.rows {
            let Measured { family, name, instructions, spills, .. } = row;
            if *spills > 0 {
                let _ = writeln!(faults, "{name} spills registers on {family}");
            }
            match recorded(page, family, name) {
                None => {
                    let _ = writeln!(faults, "{name} is not recorded for {family}");
                }
                Some(before) if same_driver && *instructions as f64 > GROWTH * before => {
                    let _ = writeln!(faults, "{name} has {instructions} instructions on {family}, and had {before}");
                }
                Some(_) => {}
            }
        }
        if !same_driver {
            println!("ISA.md is of another driver than {}: no instructions were compared, only spills", self.driver);
        }
        if faults.is_empty() { Ok(()) } else { Err(faults + "`isa --write` records what is there now") }
    }
}

fn cards() -> String {
    let head = "| card | units | GHz | GB/s | results of a unit in a clock: float, integer, product, transcendental |";
    let row = |Card { name, units, clock, memory, rates: [float, integer, product, transcendental], .. }: &Card| {
        format!("| {name} | {units} | {clock} | {memory} | {float}, {integer}, {product}, {transcendental} |\n")
    };
    format!("{head}\n|---|---:|---:|---:|---|\n{}", CARDS.iter().map(row).collect::<String>())
}

/// The instructions of a kernel on a page.
fn recorded(page: &str, family: &str, name: &str) -> Option<f64> {
    let (_, section) = page.split_once(&format!("\n### {family}\n"))?;
    let section = section.split("\n### ").next()?;
    let row = section.lines().find_map(|line| line.strip_prefix(&format!("| {name} | ")))?;
    row.split(" | ").next()?.parse().ok()
}
