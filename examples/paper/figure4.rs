//! Figure 4: the bias correction. A variational auto-encoder trains with each pair of betas and each rate, with and without the
//! correction, all side by side.

use crate::{
    Result,
    cli::Cli,
    contest::{Task, curves, statement},
    data::Data,
    gpu::Gpu,
    net::Net,
    plot::{self, Curve, GREEN, ORANGE, Panel},
    runs::Run,
};
use plotters::prelude::SeriesLabelPosition;
use wgpu_adam::Config;

const BETA1: [f64; 2] = [0.0, 0.9];
const BETA2: [f64; 3] = [0.99, 0.999, 0.9999];
/// The logarithms of the rates, times 2.
const RATES: std::ops::RangeInclusive<i32> = -10..=-2;

/// A pair of betas: the losses with and without correction, for each rate.
struct Cell {
    beta1: f64,
    beta2: f64,
    losses: [Vec<f64>; 2],
}

pub fn draw(cli: &Cli, gpu: &Gpu, data: &Data) -> Result<()> {
    let (hidden, code, batch) = if cli.data.is_some() { (64, 10, 100) } else { (32, 8, 32) };
    let net = Net::autoencoder(data.features, cli.hidden.map_or(hidden, usize::from), code);
    let epochs = cli.epochs.unwrap_or(100);
    let early = epochs.div_ceil(10);
    let runs: Vec<Run> = BETA1
        .iter()
        .flat_map(|beta1| BETA2.map(|beta2| (*beta1, beta2)))
        .flat_map(|(beta1, beta2)| [true, false].map(|bias_correction| (beta1, beta2, bias_correction)))
        .flat_map(|(beta1, beta2, bias_correction)| {
            RATES.map(move |half| {
                let lr = 10f64.powf(f64::from(half) / 2.0);
                Run::from(Config { lr, beta1, beta2, bias_correction, ..Config::default() })
            })
        })
        .collect();
    println!("figure 4: auto-encoder {}, {} networks side by side", net.shape(), runs.len());
    let curves = curves(gpu, &Task { data, net: &net, batch, epochs, seed: cli.seed }, &runs)?;

    let mut panels = Vec::new();
    let [early_cells, cells] = [early, epochs].map(|epoch| cells(&curves, epoch as usize - 1));
    // As in the paper: the rows are beta1, the columns beta2, and the early losses are on the left.
    for (row, beta1) in BETA1.iter().enumerate() {
        for (cells, epoch) in [(&early_cells, early), (&cells, epochs)] {
            for cell in cells.iter().filter(|cell| cell.beta1 == *beta1) {
                panels.push(cell.panel(range(cells), epoch, row, panels.len() % 6 == 0));
            }
        }
    }
    let path = cli.out.join("figure4.svg");
    plot::draw(&path, (1500, 560), (2, 6), &panels)?;
    println!("  picture: {}", path.display());
    for (cells, epoch) in [(&early_cells, early), (&cells, epochs)] {
        println!("  after {epoch} epochs: best loss and its rate; rates within 5 % of the best loss of all; diverged");
        let best = best(cells);
        cells.iter().for_each(|cell| println!("{}", cell.line(best)));
    }
    statements(&early_cells, early);
    statements(&cells, epochs);
    Ok(())
}

fn rates() -> Vec<f64> {
    RATES.map(|half| f64::from(half) / 2.0).collect()
}

fn cells(curves: &[Vec<f64>], epoch: usize) -> Vec<Cell> {
    let count = rates().len();
    let losses = |chunk: &[Vec<f64>]| chunk.iter().map(|curve| curve[epoch]).collect::<Vec<_>>();
    let betas = BETA1.iter().flat_map(|beta1| BETA2.map(|beta2| (*beta1, beta2)));
    betas
        .zip(curves.chunks(2 * count))
        .map(|((beta1, beta2), both)| Cell { beta1, beta2, losses: [losses(&both[..count]), losses(&both[count..])] })
        .collect()
}

/// The lowest loss of all.
fn best(cells: &[Cell]) -> f64 {
    cells.iter().flat_map(|cell| &cell.losses).map(|losses| lowest(losses).0).fold(f64::INFINITY, f64::min)
}

/// The lowest loss and the logarithm of its rate.
fn lowest(losses: &[f64]) -> (f64, f64) {
    let finite = losses.iter().copied().zip(rates()).filter(|(loss, _)| loss.is_finite());
    finite.min_by(|a, b| a.0.total_cmp(&b.0)).unwrap_or((f64::INFINITY, f64::NAN))
}

/// From the lowest loss to twice the distance of the smallest rate.
fn range(cells: &[Cell]) -> std::ops::Range<f64> {
    let best = best(cells);
    let slow = cells.iter().map(|cell| cell.losses[0][0]).filter(|loss| loss.is_finite()).fold(best, f64::max);
    best - 0.05 * (slow - best)..best + 1.15 * (slow - best)
}

/// Whether a loss is within 5 % of the best.
fn good(loss: f64, best: f64) -> bool {
    loss <= 1.05 * best
}

impl Cell {
    fn panel(&self, y_range: std::ops::Range<f64>, epoch: u32, row: usize, first: bool) -> Panel {
        let curves = ["with correction", "without"].into_iter().zip([ORANGE, GREEN]).zip(&self.losses);
        Panel {
            title: format!("{epoch} epochs, β1 = {}, β2 = {}", self.beta1, self.beta2),
            x: if row == 1 { "log10(α)" } else { "" },
            y: if first { "training loss" } else { "" },
            x_range: -5.1..-0.9,
            y_range,
            log_y: false,
            curves: curves
                .map(|((name, color), losses)| {
                    let points = rates().into_iter().zip(losses.iter().copied()).collect();
                    Curve { name: name.into(), color, points, dots: true }
                })
                .collect(),
            legend: (first && row == 0).then_some(SeriesLabelPosition::UpperMiddle),
        }
    }

    fn line(&self, best: f64) -> String {
        let parts = self.losses.each_ref().map(|losses| {
            let (loss, rate) = lowest(losses);
            let goods = losses.iter().filter(|loss| good(**loss, best)).count();
            let diverged = losses.iter().filter(|loss| !loss.is_finite()).count();
            format!("{loss:8.3} at {rate:4.1}, {goods} good, {diverged} diverged")
        });
        format!("    beta1 {:.1} beta2 {:<6}   with {}   without {}", self.beta1, self.beta2, parts[0], parts[1])
    }

    /// The largest ratio of the loss without correction to that with it, over the rates with a good loss with it.
    fn worst(&self, best: f64) -> f64 {
        let [with, without] = &self.losses;
        let pairs = with.iter().zip(without).filter(|(with, _)| good(**with, best));
        pairs
            .map(|(with, without)| if without.is_finite() { without / with } else { f64::INFINITY })
            .fold(0.0, f64::max)
    }
}

fn statements(cells: &[Cell], epoch: u32) {
    let best = best(cells);
    let worst = |beta2: f64| {
        let of = cells.iter().filter(|cell| cell.beta2 == beta2);
        of.map(|cell| cell.worst(best)).fold(0.0, f64::max)
    };
    let [near, middle, nearest] = BETA2.map(worst);
    statement(
        &format!("{epoch} epochs: without correction, training lags or diverges, the more so the closer beta2 is to 1"),
        (
            nearest > 1.05 && nearest > middle && middle >= near,
            format!(
                "the loss is up to {near:.2}, {middle:.2} and {nearest:.2} times that with correction, for beta2 = 0.99, 0.999 and 0.9999"
            ),
        ),
    );
    let all = || cells.iter().flat_map(|cell| cell.losses.iter().zip([true, false]).map(move |(l, c)| (cell, l, c)));
    if let Some((cell, losses, corrected)) = all().min_by(|a, b| lowest(a.1).0.total_cmp(&lowest(b.1).0)) {
        let with = if corrected { "with" } else { "without" };
        let by = format!(
            "{:.3} with beta1 {}, beta2 {}, log10(alpha) {}, {with} correction",
            lowest(losses).0,
            cell.beta1,
            cell.beta2,
            lowest(losses).1
        );
        let what = format!("{epoch} epochs: the best loss has beta2 close to 1 and the correction");
        statement(&what, (corrected && cell.beta2 > 0.99, by));
    }
    let pairs = || cells.iter().flat_map(|cell| cell.losses[0].iter().zip(&cell.losses[1]));
    let equal_or_better = pairs().filter(|(with, without)| **with <= 1.01 * **without || !without.is_finite()).count();
    let (count, most) =
        (pairs().count(), pairs().map(|(with, without)| with / without).filter(|x| x.is_finite()).fold(0.0, f64::max));
    statement(
        &format!("{epoch} epochs: with correction, the loss is equal or better for every setting"),
        (
            equal_or_better == count,
            format!("within 1 %, for {equal_or_better} of {count}; at worst {most:.3} times that without"),
        ),
    );
}
