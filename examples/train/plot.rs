//! Plots a training over its epochs: loss and accuracy at the top, the signal-to-noise ratio and the size of Adam's
//! steps at the bottom.

use crate::trainer::{Epoch, Score};
use plotters::coord::{
    Shift,
    ranged1d::{AsRangedCoord, Ranged, ValueFormatter},
};
use plotters::prelude::*;
use std::{error::Error, fs, io, path::Path};

const BLUE: RGBColor = RGBColor(0, 114, 178);
const ORANGE: RGBColor = RGBColor(213, 94, 0);
const GREEN: RGBColor = RGBColor(0, 158, 115);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// The name of a curve, its colour, and its value after each epoch, if there is one.
type Curve = (&'static str, RGBColor, Vec<Option<f64>>);

/// Writes an SVG of the epochs so far. The axes cover all `epochs`.
pub fn draw(path: &Path, title: &str, so_far: &[Epoch], epochs: u32) -> Result<(), Box<dyn Error>> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (1000, 820)).into_drawing_area();
        area.fill(&WHITE)?;
        let area = area.titled(title, ("sans-serif", 18))?;
        let panels = area.split_evenly((2, 2));
        let [loss, accuracy, snr, steps] = &panels[..] else { return Err("four panels were asked for".into()) };
        let over = |number: &dyn Fn(&Epoch) -> Option<f64>| so_far.iter().map(number).collect::<Vec<_>>();
        let scores = |number: fn(&Score) -> f64| {
            [
                ("training rows", BLUE, over(&|epoch| Some(number(&epoch.train)))),
                ("held-out rows", ORANGE, over(&|epoch| Some(number(&epoch.held_out)))),
            ]
        };

        let curves = scores(|score| score.loss);
        let most = extreme(&curves, 0.1, f64::max);
        panel(loss, "loss (mean cross-entropy)", 0.0..most * 1.05, epochs, &curves, SeriesLabelPosition::UpperRight)?;

        let curves = scores(Score::percent);
        let least = (extreme(&curves, 95.0, f64::min) / 5.0).floor() * 5.0;
        panel(accuracy, "accuracy, %", least..100.0, epochs, &curves, SeriesLabelPosition::LowerRight)?;

        let mean = |all: &wgpu_adam::probe::Measures| all.snr.map(|snr| snr.mean);
        let curves = [("mean over the parameters", BLUE, over(&|epoch| epoch.mean(mean)))];
        let most = extreme(&curves, 0.1, f64::max);
        let what = "signal-to-noise ratio |m̂| / √v̂";
        panel(snr, what, 0.0..most * 1.05, epochs, &curves, SeriesLabelPosition::UpperRight)?;

        let step = |number: fn(&wgpu_adam::probe::StepSize) -> Option<f64>| {
            over(&|epoch| epoch.mean(|all| all.step.as_ref().and_then(number)))
        };
        let curves = [
            ("paper's bound", GREEN, step(|step| step.paper_bound)),
            ("largest", ORANGE, step(|step| Some(step.largest))),
            ("root mean square", BLUE, step(|step| Some(step.rms))),
        ];
        let (least, most) = (extreme(&curves, 0.1, f64::min), extreme(&curves, 1.0, f64::max));
        let range = (least / 3.0..most * 1.5).log_scale();
        panel(steps, "effective step, in learning rates", range, epochs, &curves, SeriesLabelPosition::LowerLeft)?;
        area.present()?;
    }
    Ok(fs::write(path, svg)?)
}

/// Returns the largest or smallest of `start` and all finite positive values. A log scale cannot show any others.
fn extreme(curves: &[Curve], start: f64, pick: fn(f64, f64) -> f64) -> f64 {
    let values = curves.iter().flat_map(|(_, _, values)| values).flatten().copied();
    values.filter(|value| value.is_finite() && *value > 0.0).fold(start, pick)
}

fn panel<Y>(
    area: &Area,
    what: &str,
    range: impl AsRangedCoord<CoordDescType = Y, Value = f64>,
    epochs: u32,
    curves: &[Curve],
    legend: SeriesLabelPosition,
) -> Result<(), DrawingAreaErrorKind<io::Error>>
where
    Y: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
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
        .y_labels(8)
        .x_label_formatter(&|x| if x.fract() == 0.0 { x.to_string() } else { String::new() })
        .y_label_formatter(&|y| ((y * 1e4).round() / 1e4).to_string())
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.12))
        .label_style(("sans-serif", 14))
        .draw()?;
    for (name, color, values) in curves {
        let (color, points) = (*color, (1..).map(f64::from).zip(values));
        let points = points.filter_map(|(epoch, value)| value.map(|value| (epoch, value)));
        let points: Vec<_> = points.filter(|(_, value)| value.is_finite()).collect();
        chart
            .draw_series(LineSeries::new(points.iter().copied(), color.stroke_width(2)))?
            .label(*name)
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
