//! Growth as pictures.

use std::{error::Error, path::Path};

use plotters::prelude::{
    BLUE, ChartBuilder, IntoDrawingArea as _, IntoLogRange as _, LineSeries, SVGBackend, WHITE,
};

use crate::{
    contender::Failure,
    report::Report,
    scenes::growth::{Axis, NODES, TASKS},
};

const SIZE: (u32, u32) = (480, 300);
const CPU: &str = "client CPU a cycle, µs";

/// Draws what a cycle costs over tasks and over nodes.
pub(crate) fn draw(report: &Report, directory: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(directory)?;
    for (axis, steps) in [(Axis::Tasks, TASKS), (Axis::Nodes, NODES)] {
        let points = steps.iter().filter_map(|step| {
            let cost = report.median(&axis.scene(*step), "lockguard", CPU)?;
            Some((*step as f64, cost))
        });
        let points: Vec<(f64, f64)> = points.collect();
        if points.len() == steps.len() {
            let file = directory.join(format!("growth-{}.svg", axis.name()));
            line(&file, axis, &points).map_err(|error| error.to_string())?;
        }
    }
    Ok(())
}

fn line(file: &Path, axis: Axis, points: &[(f64, f64)]) -> Result<(), Box<dyn Error>> {
    let area = SVGBackend::new(file, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let ends = |pick: fn(&(f64, f64)) -> f64| points.iter().map(pick).fold(0.0, f64::max);
    let (widest, highest) = (ends(|point| point.0), ends(|point| point.1));
    let mut chart = ChartBuilder::on(&area);
    chart.caption(format!("{CPU}, over {}", axis.name()), ("sans-serif", 15));
    chart.margin(12).x_label_area_size(32).y_label_area_size(48);
    let line = LineSeries::new(points.iter().copied(), &BLUE);
    // Tasks grow by powers of ten, nodes two at a time.
    if axis == Axis::Tasks {
        let mut chart = chart.build_cartesian_2d((1.0..widest).log_scale(), 0.0..highest * 1.1)?;
        chart.configure_mesh().x_desc(axis.name()).draw()?;
        chart.draw_series(line)?;
    } else {
        let mut chart = chart.build_cartesian_2d(1.0..widest, 0.0..highest * 1.1)?;
        chart.configure_mesh().x_desc(axis.name()).draw()?;
        chart.draw_series(line)?;
    }
    area.present()?;
    Ok(())
}
