//! The report of a sweep over loss weightings.

use std::collections::BTreeSet;

use mtl_train::{Axis, Sweep, SweepPoint};

use crate::html::{Cell, count, escape, table};
use crate::page::{Chapter, Section};
use crate::{ParetoPlot, ParetoPoint, Report, Result, shared};

/// The report of a sweep.
///
/// # Errors
/// [`crate::Error::Draw`] if a figure cannot be drawn.
pub fn swept(sweep: &Sweep) -> Result<Report> {
    let seeds: Vec<String> = sweep.seeds.iter().map(|&seed| count(seed as usize)).collect();
    let how = if seeds.len() > 1 { "mean ± sd of seeds" } else { "seed" };
    let facts = format!(
        "{}: {} {} rows, {how} {}<br>mtl {}",
        escape(&sweep.data),
        count(sweep.rows),
        sweep.reported,
        seeds.join(", "),
        escape(sweep.version)
    );
    let sections = vec![
        front(sweep)?,
        points(sweep),
        shared::data(&sweep.parts),
        shared::configurations(&[("as it was read", &sweep.configuration)]),
    ];
    let title = format!("{} under loss weightings", sweep.model);
    Ok(Report::new(&title, facts, vec![Chapter::new(&sweep.data, sections)]))
}

fn front(sweep: &Sweep) -> Result<Section> {
    let section = Section::new("Pareto front").html(&missing(sweep));
    if sweep.points.iter().all(|point| point.values.is_none()) {
        return Ok(section);
    }
    let point = |point: &SweepPoint| {
        Some(ParetoPoint {
            name: (point.weighting != "fixed").then(|| point.weighting.clone()),
            values: point.values?,
            sd: point.sd,
            on_front: point.on_front,
        })
    };
    let plot = ParetoPlot {
        title: format!("{} by {}", sweep.metrics[1].name, sweep.metrics[0].name),
        axes: sweep.metrics.each_ref().map(describe),
        points: sweep.points.iter().filter_map(point).collect(),
    };
    let told = match sweep.seeds.len() {
        1 => {
            "A point is one training under one weighting: discs have fixed weights, triangles choose theirs as they go. Nothing is better in both metrics than a point on the line. One seed: points nearer to each other than two seeds are apart are not told apart; --seeds N tells how far that is."
        }
        _ => {
            "A point is the mean over seeds under one weighting, its arms one standard deviation long: discs have fixed weights, triangles choose theirs as they go. No mean is better in both metrics than a point on the line."
        }
    };
    Ok(section.note(told).large(vec![plot.draw()?]))
}

/// The runs that an interrupt left out, by weighting.
fn missing(sweep: &Sweep) -> String {
    let names: BTreeSet<&String> =
        sweep.interrupted.iter().flat_map(|missing| missing.weights.keys()).collect();
    let mut header = vec!["weighting".to_owned()];
    header.extend(names.iter().map(|name| format!("w {name}")));
    let rows = sweep.interrupted.iter().map(|missing| {
        let weight = |name: &&String| Cell::number(missing.weights.get(*name).copied(), 3);
        let mut row = vec![Cell::text(&missing.weighting)];
        row.extend(names.iter().map(weight));
        (row, &missing.seeds[..])
    });
    shared::missing(&header, rows.collect())
}

fn points(sweep: &Sweep) -> Section {
    let names = sweep.losses();
    let mut header = vec!["weighting".to_owned()];
    header.extend(names.iter().map(|name| format!("w {name}")));
    let many = sweep.seeds.len() > 1;
    for axis in &sweep.metrics {
        header.push(axis.name.clone());
        header.extend(many.then(|| "sd".to_owned()));
    }
    header.extend(["front", "best epoch", "seconds"].map(str::to_owned));
    let row = |point: &SweepPoint| {
        let mut row = vec![Cell::text(&point.weighting)];
        row.extend(names.iter().map(|name| Cell::number(point.weights.get(*name).copied(), 3)));
        for (i, sd) in point.sd.into_iter().enumerate() {
            let reason = point.failed.as_deref();
            row.push(match point.values {
                Some(values) => Cell::number(Some(values[i]), 4).best(point.on_front),
                None => Cell::none(reason),
            });
            row.extend(many.then(|| Cell::number(sd, 4)));
        }
        row.push(Cell::text(match (&point.failed, point.on_front) {
            (Some(_), _) => "failed",
            (None, true) => "●",
            (None, false) => "",
        }));
        row.push(Cell::number(point.best_epoch, if many { 1 } else { 0 }));
        row.push(Cell::number(point.seconds, 1));
        row
    };
    let rows: Vec<_> = sweep.points.iter().map(row).collect();
    let mut section = Section::new("Weightings").html(&table("● is on the front", &header, &rows));
    for point in &sweep.points {
        if let Some(reason) = &point.failed {
            section = section.note(&format!("{} failed: {reason}", point.weighting));
        }
    }
    section
}

fn describe(axis: &Axis) -> String {
    match axis.larger_is_better {
        true => axis.name.clone(),
        false => format!("{} (less is better)", axis.name),
    }
}

#[cfg(test)]
mod tests {
    use mtl_train::{LossConfig, MissingPoint};

    use super::*;

    #[test]
    fn a_page_without_a_point_says_what_is_missing()
    -> std::result::Result<(), Box<dyn std::error::Error>> {
        let method = LossConfig::named("gradnorm")?.weighting.ok_or("a method")?;
        let axis = |name: &str| Axis { name: name.to_owned(), larger_is_better: true };
        let sweep = Sweep {
            data: "run.toml".to_owned(),
            version: "",
            model: "mmoe".to_owned(),
            reported: "test",
            rows: 10,
            seeds: vec![4],
            parts: Vec::new(),
            metrics: [axis("auc_click"), axis("auc_buy")],
            planned: 1,
            points: Vec::new(),
            interrupted: vec![MissingPoint::new("gradnorm", method, vec![4])],
            configuration: String::new(),
        };
        let report = swept(&sweep)?;
        assert!(report.figures().is_empty());
        let html = report.html();
        assert!(html.contains("Interrupted: ") && html.contains(">gradnorm</th>"), "{html}");
        Ok(())
    }
}
