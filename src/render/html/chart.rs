//! Charts of the page, as SVG without scripts. Whoever cannot see them has the same figures in a table beside them.

use chrono::{DateTime, Utc};
use plotters::prelude::{
    ChartBuilder, Color, IntoDrawingArea, IntoFont, LineSeries, Polygon, RGBColor, SVGBackend, ShapeStyle,
};

use brimful_types::hour::Hour;
use brimful_types::{Error, Result};

/// A chart takes up to 20 kB: of each kind so many are drawn.
pub(super) const CHARTS: usize = 8;

const SIZE: (u32, u32) = (760, 190);
/// Each stands out from white and from near black by three to one, and none from another by red or green alone.
pub(super) const USED: RGBColor = RGBColor(31, 119, 180);
pub(super) const UNUSED: RGBColor = RGBColor(230, 126, 34);
pub(super) const INCOMPLETE: RGBColor = RGBColor(150, 150, 150);
const GREY: RGBColor = RGBColor(128, 128, 128);

/// A level, $/h, in each hour.
pub(super) type Levels = Vec<(Hour, f64)>;

/// What is drawn, from back to front.
pub(super) enum Layer {
    /// Filled between two levels.
    Band {
        low: Levels,
        high: Levels,
        color: RGBColor,
        opacity: f64,
    },
    /// A line.
    Line {
        levels: Levels,
        color: RGBColor,
        wide: u32,
    },
}

impl Layer {
    /// Filled from zero on.
    pub(super) fn area(high: Levels, color: RGBColor) -> Self {
        Self::Band {
            low: Vec::new(),
            high,
            color,
            opacity: 1.0,
        }
    }

    fn levels(&self) -> &Levels {
        match self {
            Self::Band { high, .. } => high,
            Self::Line { levels, .. } => levels,
        }
    }
}

/// Draws layers over the hours that they cover; empty when there are none. Nothing from outside stands in it but
/// figures.
///
/// # Errors
/// The chart cannot be drawn.
pub(super) fn draw(layers: &[Layer], time_format: &str) -> Result<String> {
    let mut svg = String::new();
    plot(layers, time_format, &mut svg)
        .map_err(|why| Error::unexpected(format!("cannot draw a chart of the page: {why}")))?;
    // Within a page the name of the format is known.
    Ok(svg.replace(" xmlns=\"http://www.w3.org/2000/svg\"", ""))
}

fn plot(
    layers: &[Layer],
    time_format: &str,
    svg: &mut String,
) -> std::result::Result<(), Box<dyn std::error::Error>> {
    let hours = || layers.iter().flat_map(|layer| layer.levels().iter());
    let (Some(first), Some(last)) = (
        hours().map(|(hour, _)| *hour).min(),
        hours().map(|(hour, _)| *hour).max(),
    ) else {
        return Ok(());
    };
    let top = hours().fold(0.0_f64, |top, (_, level)| top.max(*level));
    let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    let mut chart = ChartBuilder::on(&root)
        .margin(6)
        .margin_right(24)
        .x_label_area_size(28)
        .y_label_area_size(56)
        .build_cartesian_2d(first.start()..last.end(), 0.0..(top * 1.1).max(1e-6))?;
    chart
        .configure_mesh()
        .x_labels(8)
        .y_labels(5)
        .x_label_formatter(&|time: &DateTime<Utc>| time.format(time_format).to_string())
        .y_label_formatter(&|level: &f64| format!("${level:.2}"))
        .axis_style(GREY)
        .light_line_style(GREY.mix(0.0))
        .bold_line_style(GREY.mix(0.3))
        .label_style(("sans-serif", 13).into_font().color(&GREY))
        .draw()?;
    for layer in layers.iter().filter(|layer| !layer.levels().is_empty()) {
        match layer {
            Layer::Band {
                low,
                high,
                color,
                opacity,
            } => {
                let mut points = steps(high);
                match low.as_slice() {
                    [] => points.extend([(last_of(high), 0.0), (points[0].0, 0.0)]),
                    low => points.extend(steps(low).into_iter().rev()),
                }
                chart.draw_series([Polygon::new(points, color.mix(*opacity))])?;
            }
            Layer::Line { levels, color, wide } => {
                let style = ShapeStyle::from(*color).stroke_width(*wide);
                chart.draw_series(LineSeries::new(steps(levels), style))?;
            }
        }
    }
    root.present()?;
    drop(chart);
    drop(root);
    Ok(())
}

fn last_of(levels: &[(Hour, f64)]) -> DateTime<Utc> {
    levels.last().map_or(DateTime::UNIX_EPOCH, |(hour, _)| hour.end())
}

/// An hour's level holds all the hour long. Of hours alike only the ends are kept; an hour that is missing is zero.
fn steps(levels: &[(Hour, f64)]) -> Vec<(DateTime<Utc>, f64)> {
    let mut points: Vec<(DateTime<Utc>, f64)> = Vec::new();
    for (hour, level) in levels {
        match points.last_mut() {
            Some(end) if end.0 == hour.start() && end.1.to_bits() == level.to_bits() => end.0 = hour.end(),
            last => {
                if let Some(end) = last.copied().filter(|end| end.0 < hour.start()) {
                    points.extend([(end.0, 0.0), (hour.start(), 0.0)]);
                }
                points.extend([(hour.start(), *level), (hour.end(), *level)]);
            }
        }
    }
    points
}
