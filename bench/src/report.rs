//! Figures, round by round, and how they are shown.

use std::{fmt::Write as _, fs, io, path::Path};

use serde_json::{Value, json};

use crate::numbers::spread;

/// Everything that was measured.
#[derive(Default)]
pub(crate) struct Report {
    tables: Vec<Table>,
}

/// One scene: who was measured in it, and what.
struct Table {
    scene: String,
    figures: Vec<Figure>,
}

struct Figure {
    contender: String,
    what: &'static str,
    rounds: Vec<f64>,
}

impl Report {
    /// Notes one value of one round.
    ///
    /// The first contender of a scene is what the others are compared with;
    /// `what` names the unit.
    pub(crate) fn note(&mut self, scene: &str, contender: &str, what: &'static str, value: f64) {
        let figures = self.figures(scene);
        let known = figures
            .iter_mut()
            .find(|figure| figure.contender == contender && figure.what == what);
        match known {
            Some(figure) => figure.rounds.push(value),
            None => figures.push(Figure {
                contender: contender.to_owned(),
                what,
                rounds: vec![value],
            }),
        }
    }

    fn figures(&mut self, scene: &str) -> &mut Vec<Figure> {
        let at = self.tables.iter().position(|table| table.scene == scene);
        let at = at.unwrap_or_else(|| {
            self.tables.push(Table {
                scene: scene.to_owned(),
                figures: Vec::new(),
            });
            self.tables.len() - 1
        });
        &mut self.tables[at].figures
    }

    /// The median of one figure.
    pub(crate) fn median(&self, scene: &str, contender: &str, what: &str) -> Option<f64> {
        let table = self.tables.iter().find(|table| table.scene == scene)?;
        let [median, ..] = spread(&table.find(contender, what)?.rounds);
        Some(median)
    }

    /// Tables as text: the median of the rounds, the least and the greatest,
    /// and the ratio to the first contender.
    pub(crate) fn text(&self) -> String {
        self.tables.iter().map(Table::text).collect()
    }

    /// Writes all rounds as JSON.
    pub(crate) fn write_json(&self, path: &Path) -> io::Result<()> {
        let figures = self.tables.iter().flat_map(|table| {
            table.figures.iter().map(|figure| {
                json!({
                    "scene": table.scene,
                    "contender": figure.contender,
                    "what": figure.what,
                    "rounds": figure.rounds,
                })
            })
        });
        let text = serde_json::to_string_pretty(&figures.collect::<Vec<Value>>())?;
        fs::write(path, text)
    }
}

impl Table {
    fn find(&self, contender: &str, what: &str) -> Option<&Figure> {
        let mut figures = self.figures.iter();
        figures.find(|figure| figure.contender == contender && figure.what == what)
    }

    fn text(&self) -> String {
        let mut text = format!("\n{}\n", self.scene);
        let Some(first) = self.figures.first() else {
            return text;
        };
        let mut whats: Vec<_> = self.figures.iter().map(|figure| figure.what).collect();
        let mut seen = Vec::new();
        whats.retain(|what| {
            !seen.contains(what) && {
                seen.push(what);
                true
            }
        });
        for what in whats {
            let _ = writeln!(text, "  {what}");
            let base = self.find(&first.contender, what);
            let base = base.map(|figure| spread(&figure.rounds)[0]);
            for figure in self.figures.iter().filter(|figure| figure.what == what) {
                let [median, least, greatest] = spread(&figure.rounds);
                let ratio = base.map_or(f64::NAN, |base| median / base);
                let _ = writeln!(
                    text,
                    "    {:<28} {:>10}  {:>21} {:>8.2} ×",
                    figure.contender,
                    number(median),
                    format!("{}…{}", number(least), number(greatest)),
                    ratio,
                );
            }
        }
        text
    }
}

/// Three digits that count.
fn number(value: f64) -> String {
    match value.abs() {
        large if large >= 100.0 => format!("{value:.0}"),
        middling if middling >= 10.0 => format!("{value:.1}"),
        small if small >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}
