//! Draws the course of a training: loss on the left, accuracy on the right, over the epochs.

use crate::trainer::{Epoch, Score};
use plotters::prelude::*;
use std::{error::Error, fs, io, path::Path};

const TRAIN: RGBColor = RGBColor(0, 114, 178);
const HELD_OUT: RGBColor = RGBColor(213, 94, 0);

/// Writes an SVG of the epochs so far, on axes for all `epochs` of them.
pub fn draw(path: &Path, title: &str, so_far: &[Epoch], epochs: u32) -> Result<(), Box<dyn Error>> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (1000, 440)).into_drawing_area();
        area.fill(&WHITE)?;
        let area = area.titled(title, ("sans-serif", 18))?;
        let (left, right) = area.split_horizontally(500);
        let loss = |score: &Score| score.loss;
        let highest = so_far.iter().flat_map(|epoch| [loss(&epoch.train), loss(&epoch.held_out)]);
        let highest = highest.filter(|loss| loss.is_finite()).fold(0.1, f64::max);
        panel(
            &left,
            "loss (mean cross-entropy)",
            0.0..highest * 1.05,
            so_far,
            epochs,
            loss,
            SeriesLabelPosition::UpperRight,
        )?;
        let percent = Score::percent;
        let lowest = so_far.iter().flat_map(|epoch| [percent(&epoch.train), percent(&epoch.held_out)]);
        let lowest = lowest.fold(95.0, f64::min);
        panel(
            &right,
            "accuracy, %",
            (lowest / 5.0).floor() * 5.0..100.0,
            so_far,
            epochs,
            percent,
            SeriesLabelPosition::LowerRight,
        )?;
        area.present()?;
    }
    Ok(fs::write(path, svg)?)
}

fn panel(
    area: &DrawingArea<SVGBackend, plotters::coord::Shift>,
    what: &str,
    range: std::ops::Range<f64>,
    so_far: &[Epoch],
    epochs: u32,
    value: impl Fn(&Score) -> f64,
    legend: SeriesLabelPosition,
) -> Result<(), DrawingAreaErrorKind<io::Error>> {
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(56)
        .build_cartesian_2d(0.5..f64::from(epochs) + 0.5, range)?;
    chart
        .configure_mesh()
        .x_desc("epoch")
        .y_desc(what)
        .x_labels(epochs.min(12) as usize)
        .x_label_formatter(&|x| if x.fract() == 0.0 { x.to_string() } else { String::new() })
        .y_label_formatter(&|y| ((y * 1e3).round() / 1e3).to_string())
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.12))
        .label_style(("sans-serif", 14))
        .draw()?;
    let train: Vec<f64> = so_far.iter().map(|epoch| value(&epoch.train)).collect();
    let held_out = so_far.iter().map(|epoch| value(&epoch.held_out)).collect();
    for (name, color, values) in [("training rows", TRAIN, train), ("held-out rows", HELD_OUT, held_out)] {
        let points: Vec<_> = (1..).map(f64::from).zip(values).filter(|(_, value)| value.is_finite()).collect();
        chart
            .draw_series(LineSeries::new(points.iter().copied(), color.stroke_width(2)))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], color.stroke_width(2)));
        chart.draw_series(points.into_iter().map(|point| Circle::new(point, 2, color.filled())))?;
    }
    chart
        .configure_series_labels()
        .position(legend)
        .background_style(WHITE.mix(0.9))
        .border_style(BLACK.mix(0.3))
        .label_font(("sans-serif", 14))
        .draw()?;
    Ok(())
}
