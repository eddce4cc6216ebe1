//! Two pictures for people who would rather look than read, on a light ground of their own so that they can be read on a
//! dark page too.

use std::error::Error;
use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;

use crate::child::Run;
use crate::sample::{Disk, Samples};
use crate::stage::{FLOOR, LEDGER};
use crate::works::{hold, open};

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

const GROUND: RGBColor = RGBColor(252, 252, 250);
const INK: RGBColor = RGBColor(40, 40, 40);
const FAINT: RGBColor = RGBColor(222, 222, 218);
const WIDTH: u32 = 1_080;
const HEIGHT: u32 = 520;
/// The legend's own strip, where no line ever is.
const LEGEND: u32 = 56;
const TITLE: u32 = 44;

/// One line: a name, a colour, and a point for each place on the x axis where there is one.
struct Line {
    name: String,
    colour: RGBColor,
    width: u32,
    points: Vec<(f64, f64)>,
}

/// A panel: what stands over it, its x axis, its lines.
struct Panel<'a> {
    title: &'a str,
    x: &'a str,
    y: &'a str,
    places: Vec<String>,
    lines: Vec<Line>,
}

/// Colours that people who see few of them tell apart.
fn colour(name: &str) -> RGBColor {
    match name {
        LEDGER => RGBColor(213, 94, 0),
        FLOOR => RGBColor(120, 120, 120),
        "sqlite" => RGBColor(0, 114, 178),
        "redb" => RGBColor(204, 121, 167),
        "fjall" => RGBColor(0, 158, 115),
        _ => RGBColor(176, 137, 0),
    }
}

/// Writes `throughput.svg` and `open.svg`; a picture without a point is not drawn.
pub fn write(run: &Run, out: &Path) -> Result<(), Box<dyn Error + Send + Sync>> {
    let panel = |title, disk| Panel {
        title,
        x: "callers",
        y: "durable holds per second",
        places: hold::CALLERS.iter().map(u64::to_string).collect(),
        lines: lines(&run.who, |name| {
            let points =
                hold::CALLERS.iter().map(|callers| median(&run.samples, &hold::work(*callers), disk, hold::RATE, name));
            points.collect()
        }),
    };
    let panels = [panel("the disk as it is", Disk::Fast), panel("a disk slower by 2 ms per sync", Disk::Slow)];
    picture(&out.join("throughput.svg"), "Durable refund holds per second, by callers", &panels)?;

    let sizes = &run.scale.sizes;
    let opened = |what, name: &str| -> Vec<Option<f64>> {
        sizes.iter().map(|size| median(&run.samples, &open::work(*size), Disk::Fast, what, name)).collect()
    };
    let panel = |title, what| Panel {
        title,
        x: "orders",
        y: "seconds to the first answer",
        places: sizes.iter().map(|size| thousands(*size)).collect(),
        lines: lines(&run.who, |name| opened(what, name)),
    };
    let panels = [panel("files in the system's cache", open::WARM), panel("nothing in the system's cache", open::COLD)];
    picture(&out.join("open.svg"), "Opening after kill -9, by number of orders", &panels)
}

fn median(samples: &Samples, work: &str, disk: Disk, what: &str, name: &str) -> Option<f64> {
    samples.spread(work, disk, what, name).map(|figure| figure.median)
}

/// A line for each contender that has a point; the ledger's last, so that it lies on top.
fn lines(who: &[String], points: impl Fn(&str) -> Vec<Option<f64>>) -> Vec<Line> {
    let line = |name: &String| {
        let places = (0_u32..).map(f64::from).zip(points(name));
        // A logarithm has no place for nothing.
        let points: Vec<_> = places.filter_map(|(x, y)| Some((x, y.filter(|y| *y > 0.0)?))).collect();
        let width = if name == LEDGER { 4 } else { 2 };
        Line { name: name.clone(), colour: colour(name), width, points }
    };
    let mut lines: Vec<_> = who.iter().map(line).filter(|line| !line.points.is_empty()).collect();
    lines.sort_by_key(|line| line.name == LEDGER);
    lines
}

fn picture(path: &Path, title: &str, panels: &[Panel<'_>]) -> Result<(), Box<dyn Error + Send + Sync>> {
    if panels.iter().all(|panel| panel.lines.is_empty()) {
        return Ok(());
    }
    let root = SVGBackend::new(path, (WIDTH, HEIGHT)).into_drawing_area();
    let failed = |error: DrawingAreaErrorKind<_>| error.to_string();
    root.fill(&GROUND).map_err(failed)?;
    let (head, rest) = root.split_vertically(TITLE);
    let (body, legend) = rest.split_vertically(HEIGHT - TITLE - LEGEND);
    let style = ("sans-serif", 22).into_font().color(&INK);
    head.draw(&Text::new(title.to_owned(), (24, 14), style)).map_err(failed)?;
    for (area, panel) in body.split_evenly((1, panels.len())).iter().zip(panels) {
        draw(area, panel)?;
    }
    // Whoever is in any of the panels, once, in the order of the fullest.
    let fullest = panels.iter().max_by_key(|panel| panel.lines.len()).expect("there are panels");
    draw_legend(&legend, &fullest.lines)?;
    root.present().map_err(failed)?;
    Ok(())
}

fn draw(area: &Area<'_>, panel: &Panel<'_>) -> Result<(), Box<dyn Error + Send + Sync>> {
    let points = || panel.lines.iter().flat_map(|line| line.points.iter().map(|(_, y)| *y));
    let (low, high) = points().fold((f64::INFINITY, 0.0_f64), |(low, high), y| (low.min(y), high.max(y)));
    if high == 0.0 {
        return Ok(());
    }
    let last = f64::from(u32::try_from(panel.places.len()).expect("a few") - 1);
    let small = || ("sans-serif", 14).into_font().color(&INK);
    let mut chart = ChartBuilder::on(area)
        .caption(panel.title, ("sans-serif", 16).into_font().color(&INK))
        .margin(14)
        .x_label_area_size(46)
        .y_label_area_size(78)
        .build_cartesian_2d(-0.25..last + 0.25, (low / 1.6..high * 1.6).log_scale())
        .map_err(|error| error.to_string())?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(GROUND)
        .bold_line_style(FAINT)
        .axis_style(INK)
        .label_style(small())
        .axis_desc_style(small())
        .x_desc(panel.x)
        .y_desc(panel.y)
        .x_labels(0)
        .y_labels(8)
        .y_label_formatter(&|y| amount(*y))
        .draw()
        .map_err(|error| error.to_string())?;
    // Places are words on an even row, not numbers: the axis's own labels would fall between them.
    let plot = chart.plotting_area();
    for (place, x) in panel.places.iter().zip((0_u32..).map(f64::from)) {
        let (left, bottom) = plot.map_coordinate(&(x, low / 1.6));
        let (corner_x, corner_y) = area.get_base_pixel();
        let style = small().pos(plotters::style::text_anchor::Pos::new(
            plotters::style::text_anchor::HPos::Center,
            plotters::style::text_anchor::VPos::Top,
        ));
        let at = (left - corner_x, bottom - corner_y + 8);
        area.draw(&Text::new(place.clone(), at, style)).map_err(|error| error.to_string())?;
    }
    for line in &panel.lines {
        let style = line.colour.stroke_width(line.width);
        chart.draw_series(LineSeries::new(line.points.iter().copied(), style)).map_err(|error| error.to_string())?;
        let dots = line.points.iter().map(|point| Circle::new(*point, line.width + 1, line.colour.filled()));
        chart.draw_series(dots).map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn draw_legend(area: &Area<'_>, lines: &[Line]) -> Result<(), Box<dyn Error + Send + Sync>> {
    let room = i32::try_from(WIDTH - 48).expect("small") / i32::try_from(lines.len().max(1)).expect("few");
    for (line, nth) in lines.iter().zip(0..) {
        let x = 24 + nth * room;
        let stroke = line.colour.stroke_width(line.width);
        area.draw(&PathElement::new(vec![(x, 22), (x + 28, 22)], stroke)).map_err(|error| error.to_string())?;
        let style = ("sans-serif", 15).into_font().color(&INK);
        let name = if line.name == FLOOR { "append (floor)" } else { &line.name };
        area.draw(&Text::new(name.to_owned(), (x + 36, 14), style)).map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// A number as a person says it.
fn amount(value: f64) -> String {
    if value >= 1_000.0 { format!("{}k", trimmed(value / 1_000.0)) } else { trimmed(value) }
}

fn trimmed(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn thousands(count: u64) -> String {
    let digits = count.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_people_read_them() {
        assert_eq!([thousands(200), thousands(20_000), thousands(1_000_000)], ["200", "20,000", "1,000,000"]);
        assert_eq!([amount(0.02), amount(5.0), amount(2_500.0)], ["0.02", "5", "2.5k"]);
    }
}
