//! Tables of results, for the terminal and BENCHMARKS.md.

use std::fmt::Write;

/// A table with a title and a note.
pub struct Table {
    pub title: &'static str,
    pub note: String,
    pub head: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new(title: &'static str, note: impl Into<String>, head: &[&str]) -> Self {
        Self { title, note: note.into(), head: head.iter().map(|&h| h.to_owned()).collect(), rows: Vec::new() }
    }

    pub fn row(&mut self, cells: impl IntoIterator<Item = impl Into<String>>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    /// Formats the table as Markdown. The first column is aligned to the left, the others to the right.
    pub fn markdown(&self) -> String {
        let lines = || std::iter::once(&self.head).chain(&self.rows);
        let widths: Vec<usize> = (0..self.head.len())
            .map(|column| lines().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max())
            .map(|width| width.unwrap_or(0).max(3))
            .collect();
        let mut text = format!("## {}\n\n", self.title);
        if !self.note.is_empty() {
            text += &format!("{}\n\n", self.note);
        }
        for (i, line) in lines().enumerate() {
            let cells = line.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| {
                if column == 0 { format!(" {cell:<width$} ") } else { format!(" {cell:>width$} ") }
            });
            let _ = writeln!(text, "|{}|", cells.collect::<Vec<_>>().join("|"));
            if i == 0 {
                let rules = widths.iter().enumerate().map(|(column, &width)| {
                    if column == 0 { "-".repeat(width + 2) } else { format!("{}:", "-".repeat(width + 1)) }
                });
                let _ = writeln!(text, "|{}|", rules.collect::<Vec<_>>().join("|"));
            }
        }
        text
    }
}

/// A target and the measured value.
pub struct Target {
    pub what: String,
    pub measured: f64,
    pub target: Limit,
}

pub enum Limit {
    AtMost(f64),
    AtLeast(f64),
}

impl Target {
    pub fn at_most(what: impl Into<String>, target: f64, measured: f64) -> Self {
        Self { what: what.into(), measured, target: Limit::AtMost(target) }
    }

    pub fn at_least(what: impl Into<String>, target: f64, measured: f64) -> Self {
        Self { what: what.into(), measured, target: Limit::AtLeast(target) }
    }

    pub fn cells(&self) -> [String; 4] {
        let (target, met) = match self.target {
            Limit::AtMost(target) => (format!("≤ {target}"), self.measured <= target),
            Limit::AtLeast(target) => (format!("≥ {target}"), self.measured >= target),
        };
        [self.what.clone(), target, format!("{:.2}", self.measured), if met { "yes" } else { "no" }.to_owned()]
    }
}

/// Formats a number of elements with a binary prefix.
pub fn size(elements: u64) -> String {
    match elements {
        n if n >= 1 << 20 && n.is_multiple_of(1 << 20) => format!("{} Mi", n >> 20),
        n if n >= 1 << 10 && n.is_multiple_of(1 << 10) => format!("{} Ki", n >> 10),
        n => n.to_string(),
    }
}

/// Formats milliseconds with about three significant digits.
pub fn ms(time: f64) -> String {
    match time {
        t if t < 0.1 => format!("{t:.4}"),
        t if t < 10.0 => format!("{t:.2}"),
        t if t < 100.0 => format!("{t:.1}"),
        t => format!("{t:.0}"),
    }
}
