//! `brimful backtest --picture`: use of the plans over time, as SVG.

use chrono::{DateTime, Duration, Utc};
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::{
    AreaSeries, Cartesian2d, ChartBuilder, ChartContext, Color, IntoDrawingArea, IntoFont, LineSeries,
    PathElement, RGBColor, RangedDateTime, SVGBackend, ShapeStyle,
};

use brimful_simulation::backtest::Backtest;
use brimful_simulation::backtest::history::History;
use brimful_simulation::policies::Kind;
use brimful_simulation::trace::STEPS_PER_HOUR;
use brimful_types::{Error, Result};

const SIZE: (u32, u32) = (1200, 480);
/// Readable on white and on black, and distinct without red and green.
const GREY: RGBColor = RGBColor(128, 128, 128);
const BLUE: RGBColor = RGBColor(31, 119, 180);
const ORANGE: RGBColor = RGBColor(230, 126, 34);
const PURPLE: RGBColor = RGBColor(142, 68, 173);

/// $/h by time.
type Chart<'a, 'b> =
    ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedDateTime<DateTime<Utc>>, RangedCoordf64>>;

/// A curve: $/h at SP rates, by hour.
struct Curve {
    label: &'static str,
    color: RGBColor,
    wide: u32,
    levels: Vec<f64>,
}

/// Draws commitment, others' use, and total use as it was, with Brimful and with foresight.
///
/// # Errors
/// The picture cannot be drawn.
pub(crate) fn draw(history: &History, backtest: &Backtest) -> Result<String> {
    let mut svg = String::new();
    plot(history, backtest, &mut svg)
        .map_err(|why| Error::unexpected(format!("cannot draw the picture: {why}")))?;
    Ok(svg)
}

fn plot(history: &History, backtest: &Backtest, svg: &mut String) -> Result<(), Box<dyn std::error::Error>> {
    let (first, hours) = (backtest.warm_up_days * 24, backtest.days * 24);
    let past = &history.hours[first..first + hours];
    let others: Vec<f64> = past.iter().map(|hour| hour.others).collect();
    let commitment: Vec<f64> = (first..first + hours)
        .map(|hour| backtest.trace.commitment(hour))
        .collect();
    let curves = curves(history, backtest, &others, commitment);
    let top = curves
        .iter()
        .flat_map(|curve| &curve.levels)
        .fold(0.0_f64, |top, level| top.max(*level));
    let start = history.first.start() + hours_of(first);
    let time = |hour: usize| start + hours_of(hour);
    let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    let groups: Vec<String> = history.groups.iter().map(ToString::to_string).collect();
    let caption = format!("Use of {} plans", groups.join(", "));
    let mut chart = ChartBuilder::on(&root)
        .caption(caption, ("sans-serif", 18).into_font().color(&GREY))
        .margin(12)
        .x_label_area_size(32)
        .y_label_area_size(64)
        .build_cartesian_2d(start..time(hours), 0.0..(top * 1.15).max(1e-6))?;
    chart
        .configure_mesh()
        .y_desc("$/h at SP rates")
        .x_label_formatter(&|time: &DateTime<Utc>| time.format("%b %d").to_string())
        .axis_style(GREY)
        .light_line_style(GREY.mix(0.0))
        .bold_line_style(GREY.mix(0.25))
        .label_style(("sans-serif", 13).into_font().color(&GREY))
        .draw()?;
    draw_others(&mut chart, &others, time)?;
    for curve in curves {
        draw_curve(&mut chart, &curve, time)?;
    }
    chart
        .configure_series_labels()
        .border_style(GREY.mix(0.0))
        .label_font(("sans-serif", 13).into_font().color(&GREY))
        .draw()?;
    root.present()?;
    drop(chart);
    drop(root);
    Ok(())
}

/// What everybody else used, as an area.
fn draw_others(
    chart: &mut Chart<'_, '_>,
    others: &[f64],
    time: impl Fn(usize) -> DateTime<Utc>,
) -> Result<(), Box<dyn std::error::Error>> {
    let area = others
        .iter()
        .enumerate()
        .map(|(hour, level)| (time(hour), *level));
    chart
        .draw_series(AreaSeries::new(area, 0.0, GREY.mix(0.25)))?
        .label("everybody else")
        .legend(|(x, y)| {
            PathElement::new(
                [(x, y), (x + 20, y)],
                ShapeStyle::from(GREY.mix(0.5)).stroke_width(8),
            )
        });
    Ok(())
}

fn draw_curve(
    chart: &mut Chart<'_, '_>,
    curve: &Curve,
    time: impl Fn(usize) -> DateTime<Utc>,
) -> Result<(), Box<dyn std::error::Error>> {
    let style = ShapeStyle::from(curve.color).stroke_width(curve.wide);
    let points = curve
        .levels
        .iter()
        .enumerate()
        .map(|(hour, level)| (time(hour), *level));
    chart
        .draw_series(LineSeries::new(points, style))?
        .label(curve.label)
        .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], style));
    Ok(())
}

fn curves(history: &History, backtest: &Backtest, others: &[f64], commitment: Vec<f64>) -> Vec<Curve> {
    let first = backtest.warm_up_days * 24;
    let reported = history.hours[first..first + others.len()]
        .iter()
        .map(|hour| hour.demand);
    let configured = Kind::Brimful(backtest.given);
    let brimful = backtest.played.iter().find(|played| played.kind == configured);
    let brimful = brimful.map_or(&[] as &[usize], |played| &played.run.on_demand);
    let use_with = |on_demand: &[usize]| {
        let by_hour = on_demand.chunks(STEPS_PER_HOUR).zip(others);
        by_hour
            .map(|(counts, others)| others + mean(counts) * history.savings_plan)
            .collect()
    };
    let curve = |label, color, wide, levels| Curve {
        label,
        color,
        wide,
        levels,
    };
    vec![
        curve("as it was", GREY, 1, reported.collect()),
        curve("foresight", PURPLE, 1, use_with(&backtest.foresight.on_demand)),
        curve("Brimful", BLUE, 2, use_with(brimful)),
        curve("commitment", ORANGE, 2, commitment),
    ]
}

#[allow(clippy::cast_precision_loss, reason = "counts of nodes")]
fn mean(counts: &[usize]) -> f64 {
    counts.iter().sum::<usize>() as f64 / counts.len().max(1) as f64
}

fn hours_of(count: usize) -> Duration {
    Duration::hours(i64::try_from(count).unwrap_or_default())
}
