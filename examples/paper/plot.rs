//! Plots that look like those of a paper: panels of curves, or of points in columns.

use plotters::coord::{
    Shift,
    combinators::BindKeyPoints,
    ranged1d::{AsRangedCoord, Ranged, ValueFormatter},
};
use plotters::prelude::*;
use std::{error::Error, fs, io, ops::Range, path::Path};

pub const BLUE: RGBColor = RGBColor(0, 114, 178);
pub const ORANGE: RGBColor = RGBColor(213, 94, 0);
pub const GREEN: RGBColor = RGBColor(0, 158, 115);
pub const PURPLE: RGBColor = RGBColor(170, 68, 153);

pub struct Panel {
    pub title: String,
    pub x: &'static str,
    pub y: &'static str,
    pub x_range: Range<f64>,
    pub y_range: Range<f64>,
    pub log_y: bool,
    pub curves: Vec<Curve>,
    /// Whether values above the range are left out. Otherwise they are at its upper edge, as those that have diverged are.
    pub cut: bool,
    /// Whether the x axis has numbers.
    pub numbers: bool,
    /// Where the names of the curves are, if they are.
    pub legend: Option<SeriesLabelPosition>,
}

#[derive(Clone)]
pub struct Curve {
    pub name: String,
    pub color: RGBColor,
    pub points: Vec<(f64, f64)>,
    /// Whether the points are marked.
    pub dots: bool,
}

type Drawn = Result<(), DrawingAreaErrorKind<io::Error>>;

/// Writes an SVG with rows and columns of panels.
pub fn draw(path: &Path, size: (u32, u32), grid: (usize, usize), panels: &[Panel]) -> Result<(), Box<dyn Error>> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        area.fill(&WHITE)?;
        for (area, panel) in area.split_evenly(grid).iter().zip(panels) {
            match panel.log_y {
                true => {
                    draw_panel(area, panel, panel.y_range.clone().log_scale().with_key_points(ticks(&panel.y_range)))?
                }
                false => draw_panel(area, panel, panel.y_range.clone())?,
            }
        }
        area.present()?;
    }
    fs::write(path, svg).map_err(|error| format!("{}: cannot write the picture: {error}", path.display()).into())
}

/// The range of all finite values of some curves, a little wider.
pub fn range(curves: &[Curve], log: bool) -> Range<f64> {
    let values =
        || curves.iter().flat_map(|curve| &curve.points).map(|point| point.1).filter(|value| value.is_finite());
    let (least, most) = (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
    if log { least / 1.15..most * 1.15 } else { least - 0.05 * (most - least)..most + 0.05 * (most - least) }
}

/// The part of a curve from where it falls below `top`.
fn cut(points: &[(f64, f64)], top: f64) -> Vec<(f64, f64)> {
    let first = points.iter().position(|point| point.1 < top).unwrap_or(points.len());
    let mut rest = points[first..].to_vec();
    if first > 0 && first < points.len() {
        let [(x, y), (next_x, next_y)] = [points[first - 1], points[first]];
        rest.insert(0, (x + (next_x - x) * (y - top) / (y - next_y), top));
    }
    rest
}

/// The numbers 1, 2 and 5 times a power of ten in a range; only the powers, if there are many.
fn ticks(range: &Range<f64>) -> Vec<f64> {
    let powers = range.start.log10().floor() as i32..=range.end.log10().ceil() as i32;
    let steps: &[f64] = if powers.clone().count() > 5 { &[1.0] } else { &[1.0, 2.0, 5.0] };
    let all = powers.flat_map(|power| steps.iter().map(move |step| step * 10f64.powi(power)));
    all.filter(|tick| range.contains(tick)).collect()
}

fn draw_panel<Y>(
    area: &DrawingArea<SVGBackend, Shift>,
    panel: &Panel,
    range: impl AsRangedCoord<CoordDescType = Y, Value = f64>,
) -> Drawn
where
    Y: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    let mut chart = ChartBuilder::on(area)
        .margin(10)
        .caption(&panel.title, ("sans-serif", 15))
        .x_label_area_size(if panel.x.is_empty() { 24 } else { 40 })
        .y_label_area_size(if panel.y.is_empty() { 40 } else { 58 })
        .build_cartesian_2d(panel.x_range.clone(), range)?;
    chart
        .configure_mesh()
        .x_desc(panel.x)
        .y_desc(panel.y)
        .x_labels(if panel.numbers { 9 } else { 0 })
        .y_labels(8)
        .x_label_formatter(&|x| if x.fract() == 0.0 { x.to_string() } else { String::new() })
        .y_label_formatter(&|y| ((y * 1e4).round() / 1e4).to_string())
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.12))
        .label_style(("sans-serif", 13))
        .draw()?;
    for Curve { name, color, points, dots } in &panel.curves {
        let color = *color;
        let top = panel.y_range.end;
        let below = |y: f64| if y.is_finite() { y.min(top) } else { top };
        let points: Vec<_> = match panel.cut {
            true => cut(points, top),
            false => points.iter().map(|(x, y)| (*x, below(*y))).collect(),
        };
        let series = chart.draw_series(LineSeries::new(points.iter().copied(), color.stroke_width(2)))?;
        if !name.is_empty() {
            series.label(name).legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2)));
        }
        if *dots {
            chart.draw_series(points.into_iter().map(|point| Circle::new(point, 3, color.filled())))?;
        }
    }
    let Some(legend) = &panel.legend else { return Ok(()) };
    chart
        .configure_series_labels()
        .position(legend.clone())
        .background_style(WHITE.mix(0.9))
        .border_style(BLACK.mix(0.3))
        .label_font(("sans-serif", 13))
        .draw()
}
