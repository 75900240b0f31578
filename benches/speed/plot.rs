//! The plot of bandwidth by size.

use std::error::Error;
use std::path::Path;

use plotters::prelude::*;

pub struct Line {
    pub name: String,
    /// Elements, gigabytes per second.
    pub points: Vec<(f64, f64)>,
}

pub fn plot(path: &Path, title: &str, lines: &[Line]) -> Result<(), Box<dyn Error>> {
    let points = || lines.iter().flat_map(|line| &line.points);
    let (smallest, largest) = points().fold((f64::MAX, 1.0_f64), |(low, high), (x, _)| (low.min(*x), high.max(*x)));
    let highest = points().fold(0.0_f64, |high, (_, y)| high.max(*y));
    let area = SVGBackend::new(path, (820, 460)).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 16))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(56)
        .build_cartesian_2d((smallest..largest).log_scale().base(4.0), 0.0..highest * 1.1)?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .x_desc("elements")
        .y_desc("GB/s")
        .x_label_formatter(&|x| crate::report::size(x.round() as u64))
        .draw()?;
    for (i, line) in lines.iter().enumerate() {
        let color = Palette99::pick(i).to_rgba();
        let style = color.stroke_width(2);
        chart
            .draw_series(LineSeries::new(line.points.iter().copied(), style).point_size(3))?
            .label(&line.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE)
        .border_style(BLACK.mix(0.3))
        .draw()?;
    area.present()?;
    Ok(())
}
