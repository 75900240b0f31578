//! The plot: for each course the losses of all rules over the steps, and their held-out accuracies, seed by seed.

use crate::{
    Result,
    course::{Course, Outcome},
    plot::{self, Curve, Panel},
    racers::Racer,
};
use plotters::{prelude::SeriesLabelPosition, style::RGBColor};
use std::path::Path;

/// A point of a curve is drawn for this part of its steps.
const POINTS: usize = 200;

pub fn draw(path: &Path, racers: &[Racer], results: &[(Course, Vec<Outcome>)]) -> Result<()> {
    let panels: Vec<Panel> = results.iter().flat_map(|(course, outcomes)| panels(course, racers, outcomes)).collect();
    // The legend has a line for each rule.
    let height = 110 + 17 * racers.len();
    plot::draw(path, (1200, (height * results.len()) as u32), (results.len(), 2), &panels)
}

fn panels(course: &Course, racers: &[Racer], outcomes: &[Outcome]) -> [Panel; 2] {
    let count = racers.len();
    let of = |number: usize, points: Vec<(f64, f64)>, dots| Curve {
        name: racers[number].name.into(),
        color: color(number),
        points,
        dots,
    };
    let losses: Vec<Curve> = outcomes
        .iter()
        .enumerate()
        .map(|(number, outcome)| {
            let losses = outcome.median_losses();
            let every = losses.len().div_ceil(POINTS);
            of(
                number,
                losses.iter().enumerate().step_by(every).map(|(step, loss)| (step as f64, *loss)).collect(),
                false,
            )
        })
        .collect();
    // The rules from left to right, the best first.
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by(|a, b| outcomes[*b].accuracy()[0].total_cmp(&outcomes[*a].accuracy()[0]));
    let accuracies: Vec<Curve> = order
        .iter()
        .enumerate()
        .map(|(place, number)| {
            let points = outcomes[*number].accuracies.iter().map(|accuracy| (place as f64 + 1.0, *accuracy));
            of(*number, points.collect(), true)
        })
        .collect();
    let steps = course.steps() as f64;
    [
        Panel {
            title: course.name.clone(),
            x: "step",
            y: "training loss",
            x_range: 0.0..steps,
            y_range: plot::range(&losses, true),
            log_y: true,
            cut: false,
            numbers: true,
            curves: losses,
            legend: None,
        },
        Panel {
            title: format!("{}: held-out rows", course.name),
            x: "the rules, the best first",
            y: "accuracy of each seed, %",
            x_range: 0.0..count as f64 * 1.5,
            y_range: plot::range(&accuracies, false),
            log_y: false,
            cut: false,
            numbers: false,
            curves: accuracies,
            legend: Some(SeriesLabelPosition::UpperRight),
        },
    ]
}

/// Colours around the circle of hues, neighbours far apart in hue and in brightness.
fn color(number: usize) -> RGBColor {
    let hue = (number as f64 * 0.618_034).fract() * 6.0;
    let light = [0.9, 0.5, 0.7][number % 3];
    let channel = |from: f64| {
        let distance = ((hue - from).rem_euclid(6.0) - 3.0).abs() - 1.0;
        (255.0 * light * distance.clamp(0.0, 1.0)) as u8
    };
    RGBColor(channel(0.0), channel(2.0), channel(4.0))
}
