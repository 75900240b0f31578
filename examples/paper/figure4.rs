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
    runs::{Run, rates},
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
    let code = if cli.data.is_some() { 10 } else { 8 };
    let net = Net::autoencoder(data.features, cli.hidden.map_or(64, usize::from), code);
    let epochs = cli.epochs.unwrap_or(if cli.data.is_some() { 10 } else { 40 });
    let early = epochs.div_ceil(10);
    let runs: Vec<Run> = BETA1
        .iter()
        .flat_map(|beta1| BETA2.map(|beta2| (*beta1, beta2)))
        .flat_map(|(beta1, beta2)| [true, false].map(|bias_correction| (beta1, beta2, bias_correction)))
        .flat_map(|(beta1, beta2, bias_correction)| {
            let rates = rates(RATES).into_iter();
            rates.map(move |lr| Run::from(Config { lr, beta1, beta2, bias_correction, ..Config::default() }))
        })
        .collect();
    println!("figure 4: auto-encoder {}, {} networks side by side", net.shape(), runs.len());
    let curves = curves(gpu, &Task { data, net: &net, batch: 64, epochs, seed: cli.seed }, &runs)?;

    let mut panels = Vec::new();
    let [early_cells, cells] = [early, epochs].map(|epoch| cells(&curves, epoch as usize - 1));
    // As in the paper: the rows are beta1, the columns beta2, and the early losses are on the left.
    for beta1 in BETA1 {
        for (cells, epoch) in [(&early_cells, early), (&cells, epochs)] {
            for cell in cells.iter().filter(|cell| cell.beta1 == beta1) {
                panels.push(cell.panel(range(cells), epoch, panels.len()));
            }
        }
    }
    let path = cli.out.join("figure4.svg");
    plot::draw(&path, (1500, 560), (2, 6), &panels)?;
    println!("  picture: {}", path.display());
    for (cells, epoch) in [(&early_cells, early), (&cells, epochs)] {
        println!("  epoch {epoch}: best loss and its rate; rates within 5 % of the best loss of all; diverged");
        let best = best(cells);
        cells.iter().for_each(|cell| println!("{}", cell.line(best)));
    }
    statements(&early_cells, early);
    statements(&cells, epochs);
    Ok(())
}

/// The logarithms of the rates.
fn logarithms() -> Vec<f64> {
    RATES.map(|half| f64::from(half) / 2.0).collect()
}

fn cells(curves: &[Vec<f64>], epoch: usize) -> Vec<Cell> {
    let count = logarithms().len();
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
    let finite = losses.iter().copied().zip(logarithms()).filter(|(loss, _)| loss.is_finite());
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
    fn panel(&self, y_range: std::ops::Range<f64>, epoch: u32, place: usize) -> Panel {
        let curves = ["with correction", "without"].into_iter().zip([ORANGE, GREEN]).zip(&self.losses);
        Panel {
            title: format!(
                "{epoch} epoch{}, β1 = {}, β2 = {}",
                if epoch == 1 { "" } else { "s" },
                self.beta1,
                self.beta2
            ),
            x: if place >= 6 { "log10(α)" } else { "" },
            y: if place.is_multiple_of(6) { "training loss" } else { "" },
            x_range: -5.1..-0.9,
            y_range,
            log_y: false,
            cut: false,
            numbers: true,
            curves: curves
                .map(|((name, color), losses)| {
                    let points = logarithms().into_iter().zip(losses.iter().copied()).collect();
                    Curve { name: name.into(), color, points, dots: true }
                })
                .collect(),
            legend: (place == 3).then_some(SeriesLabelPosition::UpperMiddle),
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
}

fn statements(cells: &[Cell], epoch: u32) {
    // The rates that diverge, with and without correction, for each beta2.
    let diverged = [0, 1].map(|which| {
        BETA2.map(|beta2| {
            let of = cells.iter().filter(|cell| cell.beta2 == beta2);
            of.flat_map(|cell| &cell.losses[which]).filter(|loss| !loss.is_finite()).count()
        })
    });
    let [with, without] = diverged;
    let by = format!(
        "of {} rates, {without:?} diverge without correction, and {with:?} with it, for beta2 = {BETA2:?}",
        BETA1.len() * logarithms().len()
    );
    let seen = without[0] <= without[1] && without[1] < without[2] && with[2] < without[2];
    statement(&format!("epoch {epoch}: without correction, training is unstable if beta2 is close to 1"), (seen, by));

    let of_pairs = |which: usize| cells.iter().map(move |cell| lowest(&cell.losses[which]).0);
    let ratios: Vec<f64> = of_pairs(0).zip(of_pairs(1)).map(|(with, without)| with / without).collect();
    let most = ratios.iter().copied().fold(0.0, f64::max);
    let by = format!("each with its best rate, the loss is at most {most:.3} times that without correction");
    statement(&format!("epoch {epoch}: with correction, each pair of betas is equal or better"), (most <= 1.01, by));

    let points = || cells.iter().flat_map(|cell| cell.losses[0].iter().zip(&cell.losses[1]));
    let equal = points().filter(|(with, without)| **with <= 1.01 * **without || !without.is_finite()).count();
    let count = points().count();
    let by = format!("within 1 %, {equal} of {count} are");
    statement(&format!("epoch {epoch}: with correction, each setting is equal or better"), (equal == count, by));

    let bests = BETA2.map(|beta2| {
        let of = cells.iter().filter(|cell| cell.beta2 == beta2);
        of.map(|cell| lowest(&cell.losses[0]).0).fold(f64::INFINITY, f64::min)
    });
    let seen = bests[0] > best(cells) && bests[1].min(bests[2]) <= best(cells);
    let by =
        format!("with correction, the best losses are {bests:.3?} for beta2 = {BETA2:?}; {:.3} of all", best(cells));
    statement(&format!("epoch {epoch}: the best loss is one with correction and beta2 close to 1"), (seen, by));
}
