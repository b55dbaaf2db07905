//! Figures, round by round, and how they are shown.

use std::fmt::Write as _;

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
    what: String,
    rounds: Vec<f64>,
}

impl Report {
    /// Notes one value of one round.
    ///
    /// The first contender of a scene is what the others are compared with;
    /// `what` names the unit.
    pub(crate) fn note(&mut self, scene: &str, contender: &str, what: &str, value: f64) {
        let figures = self.figures(scene);
        let known = figures
            .iter_mut()
            .find(|figure| figure.contender == contender && figure.what == what);
        match known {
            Some(figure) => figure.rounds.push(value),
            None => figures.push(Figure {
                contender: contender.to_owned(),
                what: what.to_owned(),
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

    /// One figure, round by round.
    pub(crate) fn rounds(&self, scene: &str, contender: &str, what: &str) -> Option<&[f64]> {
        Some(&self.table(scene)?.find(contender, what)?.rounds)
    }

    /// The median of one figure.
    pub(crate) fn median(&self, scene: &str, contender: &str, what: &str) -> Option<f64> {
        let [median, ..] = spread(self.rounds(scene, contender, what)?);
        Some(median)
    }

    /// What one has to what another has, in each round that both were in.
    pub(crate) fn ratios(
        &self,
        scene: &str,
        contender: &str,
        base: &str,
        what: &str,
    ) -> Option<Vec<f64>> {
        let values = self.rounds(scene, contender, what)?;
        Some(ratios(values, self.rounds(scene, base, what)?))
    }

    /// Everybody who has this figure in the scene, in the order of the first
    /// round.
    pub(crate) fn contenders(&self, scene: &str, what: &str) -> Vec<&str> {
        let figures = self.table(scene).map_or(&[][..], |table| &table.figures);
        let with = figures.iter().filter(|figure| figure.what == what);
        with.map(|figure| figure.contender.as_str()).collect()
    }

    pub(crate) fn scenes(&self) -> impl Iterator<Item = &str> {
        self.tables.iter().map(|table| table.scene.as_str())
    }

    fn table(&self, scene: &str) -> Option<&Table> {
        self.tables.iter().find(|table| table.scene == scene)
    }

    /// Tables as text: the median of the rounds, the least and the greatest,
    /// and the median of each round's ratio to the first contender.
    pub(crate) fn text(&self) -> String {
        self.tables.iter().map(Table::text).collect()
    }

    /// Adds the figures that are not here of what another program has
    /// [told](Self::json); `None` where they are none.
    pub(crate) fn fill_in(&mut self, told: &Value) -> Option<()> {
        for figure in told.as_array()? {
            let text = |name: &str| figure.get(name)?.as_str();
            let (scene, contender, what) = (text("scene")?, text("contender")?, text("what")?);
            if self.rounds(scene, contender, what).is_none() {
                for round in figure.get("rounds")?.as_array()? {
                    self.note(scene, contender, what, round.as_f64()?);
                }
            }
        }
        Some(())
    }

    /// All rounds of all figures.
    pub(crate) fn json(&self) -> Value {
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
        figures.collect()
    }
}

fn ratios(values: &[f64], bases: &[f64]) -> Vec<f64> {
    let pairs = values.iter().zip(bases);
    pairs.map(|(value, base)| value / base).collect()
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
        let mut whats: Vec<_> = self.figures.iter().map(|figure| &figure.what).collect();
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
            let base = base.map_or(&[][..], |figure| &figure.rounds);
            for figure in self.figures.iter().filter(|figure| figure.what == *what) {
                let [median, least, greatest] = spread(&figure.rounds);
                let [ratio, ..] = spread(&ratios(&figure.rounds, base));
                let ratio = if ratio.is_finite() {
                    format!("{ratio:>8.2} ×")
                } else {
                    String::new()
                };
                let _ = writeln!(
                    text,
                    "    {:<28} {:>10}  {:>21} {ratio}",
                    figure.contender,
                    number(median),
                    format!("{}…{}", number(least), number(greatest)),
                );
            }
        }
        text
    }
}

/// Three digits that count.
pub(crate) fn number(value: f64) -> String {
    match value.abs() {
        large if large.fract() == 0.0 || large >= 100.0 => {
            let sign = if value < 0.0 { "-" } else { "" };
            format!("{sign}{}", in_thousands(&format!("{large:.0}")))
        }
        middling if middling >= 10.0 => format!("{value:.1}"),
        small if small >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// With a comma before every third digit from the end.
fn in_thousands(digits: &str) -> String {
    let groups = digits.as_bytes().rchunks(3).rev();
    let groups: Vec<_> = groups.map(String::from_utf8_lossy).collect();
    groups.join(",")
}
