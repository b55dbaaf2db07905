//! Growth and hand-offs as pictures.
//!
//! The colours can be read on a light and on a dark page; the background is
//! left to the page.

use std::{fmt::Write as _, fs, path::Path};

use crate::{
    contender::Failure,
    report::Report,
    scenes::{
        CPU, FLOOR, OURS, THROUGHPUT,
        growth::{Axis, NODES, TASKS},
        handoff,
    },
};

const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 300.0;

/// Where the plot itself lies.
const LEFT: f64 = 64.0;
const RIGHT: f64 = 452.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = 256.0;

const INK: &str = "#7d8590";
const OURS_COLOUR: &str = "#2f81f7";
const OTHERS_COLOUR: &str = "#db6d28";

/// Draws costs over tasks and over nodes, and hand-offs by library: as far as
/// they were measured.
pub(crate) fn draw(report: &Report, directory: &Path) -> Result<(), Failure> {
    fs::create_dir_all(directory)?;
    for (axis, steps) in [(Axis::Tasks, TASKS), (Axis::Nodes, NODES)] {
        for (what, file) in [(CPU, "cpu"), (THROUGHPUT, "throughput")] {
            let lines = [FLOOR, OURS].map(|name| {
                let point = |step: &usize| {
                    let value = report.median(&axis.scene(*step), name, what)?;
                    Some((*step as f64, value))
                };
                (name, steps.iter().filter_map(point).collect::<Vec<_>>())
            });
            if lines.iter().all(|(_, points)| points.len() == steps.len()) {
                let file = directory.join(format!("growth-{}-{file}.svg", axis.name()));
                let title = format!("{what}, over {}", axis.name());
                fs::write(file, growth(&title, axis, &lines))?;
            }
        }
    }
    for crowd in handoff::CROWDS {
        let scene = crowd.scene();
        let names = report.contenders(&scene, handoff::MEAN);
        let mean = |name: &&str| {
            let mean = report.median(&scene, name, handoff::MEAN)?;
            Some(((*name).to_owned(), mean))
        };
        let bars: Vec<_> = names.iter().filter_map(mean).collect();
        if crowd.is_of_processes() && bars.len() > 1 {
            let file = directory.join(format!("hand-off-{}.svg", crowd.nodes));
            let title = format!("{}: {}", handoff::MEAN, crowd.text());
            fs::write(file, handoffs(&title, bars))?;
        }
    }
    Ok(())
}

/// Something along one direction of a picture.
struct Scale {
    is_log: bool,
    least: f64,
    greatest: f64,
    from: f64,
    to: f64,
}

impl Scale {
    fn at(&self, value: f64) -> f64 {
        let share = if self.is_log {
            (value / self.least).ln() / (self.greatest / self.least).ln()
        } else {
            (value - self.least) / (self.greatest - self.least)
        };
        self.from + share * (self.to - self.from)
    }

    /// From one round number to another, so that all these values lie between.
    fn log(values: impl Iterator<Item = f64> + Clone, from: f64, to: f64) -> Self {
        let least = values.clone().fold(f64::INFINITY, f64::min);
        let greatest = values.fold(0.0, f64::max);
        let below = round_numbers().take_while(|round| *round <= least).last();
        let above = round_numbers().find(|round| *round >= greatest);
        Self {
            is_log: true,
            least: below.unwrap_or(least),
            greatest: above.unwrap_or(greatest),
            from,
            to,
        }
    }

    /// From nothing to somewhat more than the greatest.
    fn linear(greatest: f64, from: f64, to: f64) -> Self {
        Self {
            is_log: false,
            least: 0.0,
            greatest: greatest * 1.1,
            from,
            to,
        }
    }

    /// The powers of ten within.
    fn decades(&self) -> impl Iterator<Item = f64> {
        self.marks().filter(|mark| mark.log10().fract() == 0.0)
    }

    /// The round numbers within.
    fn marks(&self) -> impl Iterator<Item = f64> {
        let (least, greatest) = (self.least, self.greatest);
        round_numbers().filter(move |round| (least..=greatest).contains(round))
    }
}

/// 0.1, 0.2, 0.5, 1, 2, 5, …
fn round_numbers() -> impl Iterator<Item = f64> {
    (-1..9).flat_map(|power| [1.0, 2.0, 5.0].map(|digit| digit * 10_f64.powi(power)))
}

fn growth(title: &str, axis: Axis, lines: &[(&str, Vec<(f64, f64)>)]) -> String {
    let points = lines.iter().flat_map(|(_, points)| points);
    let values = points.clone().map(|point| point.1);
    let across = match axis {
        Axis::Tasks => Scale::log(points.map(|point| point.0), LEFT, RIGHT),
        Axis::Nodes => Scale::linear(9.0, LEFT, RIGHT),
    };
    let up = Scale::log(values, BOTTOM, TOP);
    let mut picture = picture(title, HEIGHT);
    for value in up.marks() {
        let y = up.at(value);
        line(&mut picture, (LEFT, y), (RIGHT, y), 0.25);
        let at = (LEFT - 6.0, y + 4.0);
        text(&mut picture, at, "end", INK, &grouped(value));
    }
    if let Some((_, points)) = lines.first() {
        for (value, _) in points {
            let x = across.at(*value);
            line(&mut picture, (x, BOTTOM), (x, BOTTOM + 4.0), 0.8);
            let value = grouped(*value);
            text(&mut picture, (x, BOTTOM + 18.0), "middle", INK, &value);
        }
    }
    line(&mut picture, (LEFT, BOTTOM), (RIGHT, BOTTOM), 0.8);
    let middle = f64::midpoint(LEFT, RIGHT);
    text(
        &mut picture,
        (middle, HEIGHT - 8.0),
        "middle",
        INK,
        axis.name(),
    );
    for (nth, (name, points)) in lines.iter().enumerate() {
        let colour = colour(name);
        let mut path = String::new();
        for (x, y) in points {
            let (x, y) = (across.at(*x), up.at(*y));
            let _ = write!(path, "{x:.1},{y:.1} ");
            let _ = writeln!(
                picture,
                r#"<circle cx="{x:.1}" cy="{y:.1}" r="3" fill="{colour}"/>"#
            );
        }
        let _ = writeln!(
            picture,
            r#"<polyline points="{}" fill="none" stroke="{colour}" stroke-width="2"/>"#,
            path.trim_end(),
        );
        let x = LEFT + nth as f64 * 90.0;
        let _ = writeln!(
            picture,
            r#"<rect x="{x}" y="28" width="14" height="3" fill="{colour}"/>"#
        );
        text(&mut picture, (x + 20.0, 34.0), "start", colour, name);
    }
    picture + "</svg>\n"
}

/// Bars on a scale of powers of ten, the shortest first.
fn handoffs(title: &str, mut bars: Vec<(String, f64)>) -> String {
    const BAR: f64 = 26.0;
    const NAMES: f64 = 96.0;
    bars.sort_by(|one, other| one.1.total_cmp(&other.1));
    // From half the least, so that it too has a bar.
    let values = bars.iter().flat_map(|bar| [bar.1 / 2.0, bar.1]);
    let across = Scale::log(values, NAMES, RIGHT - 32.0);
    let bottom = TOP + BAR * bars.len() as f64;
    let mut picture = picture(title, bottom + 26.0);
    for value in across.decades() {
        let x = across.at(value);
        line(&mut picture, (x, TOP - 6.0), (x, bottom), 0.25);
        let at = (x, bottom + 16.0);
        text(&mut picture, at, "middle", INK, &grouped(value));
    }
    for (nth, (name, value)) in bars.iter().enumerate() {
        let (colour, y) = (colour(name), TOP + BAR * nth as f64);
        let end = across.at(*value);
        let _ = writeln!(
            picture,
            r#"<rect x="{NAMES}" y="{y}" width="{:.1}" height="{}" fill="{colour}"/>"#,
            end - NAMES,
            BAR - 8.0,
        );
        text(&mut picture, (NAMES - 6.0, y + 13.0), "end", colour, name);
        let value = grouped(*value);
        text(&mut picture, (end + 5.0, y + 13.0), "start", colour, &value);
    }
    picture + "</svg>\n"
}

fn colour(name: &str) -> &'static str {
    if name == OURS {
        OURS_COLOUR
    } else {
        OTHERS_COLOUR
    }
}

fn picture(title: &str, height: f64) -> String {
    let mut picture = format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" font-family="sans-serif" font-size="11" role="img">
<title>{title}</title>
"#
    );
    let _ = writeln!(
        picture,
        r#"<text x="12" y="17" font-size="13" font-weight="bold" fill="{INK}">{title}</text>"#
    );
    picture
}

fn line(picture: &mut String, from: (f64, f64), to: (f64, f64), opacity: f64) {
    let _ = writeln!(
        picture,
        r#"<line x1="{:.1}" y1="{:.1}" x2="{:.1}" y2="{:.1}" stroke="{INK}" stroke-opacity="{opacity}"/>"#,
        from.0, from.1, to.0, to.1,
    );
}

fn text(picture: &mut String, at: (f64, f64), anchor: &str, colour: &str, words: &str) {
    let (x, y) = at;
    let _ = writeln!(
        picture,
        r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}" fill="{colour}">{words}</text>"#
    );
}

/// A whole number, its thousands apart.
fn grouped(value: f64) -> String {
    if value < 1.0 {
        return format!("{value}");
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (nth, digit) in digits.chars().enumerate() {
        if nth > 0 && (digits.len() - nth).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_goes_from_one_round_number_to_another() {
        let axis = Scale::log([7.0, 30.0, 120.0].into_iter(), 0.0, 1.0);
        let marks: Vec<String> = axis.marks().map(grouped).collect();
        assert_eq!(marks, ["5", "10", "20", "50", "100", "200"]);
    }

    #[test]
    fn thousands_stand_apart() {
        assert_eq!(grouped(1_234_567.0), "1,234,567");
        assert_eq!(grouped(12.0), "12");
    }
}
