//! What several reports have: the data, reliability, configurations, what an interrupt left out.

use mtl_eval::CalibrationBin;
use mtl_train::Part;

use crate::html::{Cell, count, table, verbatim};
use crate::page::Section;
use crate::{Figure, ReliabilityDiagram, Result};

/// Rows, and how often each label is there and is 1.
pub(crate) fn data(parts: &[Part]) -> Section {
    let section = Section::new("Data");
    let Some(first) = parts.first() else { return section };
    let mut header = vec!["part".to_owned(), "rows".to_owned()];
    for label in &first.labels {
        header.push(format!("{} labelled", label.label));
        header.push(format!("{} mean", label.label));
    }
    let row = |part: &Part| {
        let mut row = vec![Cell::text(part.part), Cell::count(part.rows)];
        for label in &part.labels {
            row.push(Cell::count(label.labelled));
            row.push(Cell::number(label.mean, 5));
        }
        row
    };
    let rows: Vec<_> = parts.iter().map(row).collect();
    section
        .note("Rows of each part, rows that carry each label, and the label's mean over those: of a binary label, its share of positives.")
        .html(&table("Rows and labels", &header, &rows))
}

/// What results lack that were interrupted: a row for each of what was to be trained, `header` saying
/// of what, and the seeds that are missing; nothing of results that are whole.
pub(crate) fn missing(header: &[String], rows: Vec<(Vec<Cell>, &[u64])>) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let header: Vec<String> = header.iter().cloned().chain(["seeds".to_owned()]).collect();
    let row = |(mut cells, seeds): (Vec<Cell>, &[u64])| {
        let list: Vec<String> = seeds.iter().map(|&seed| count(seed as usize)).collect();
        cells.push(Cell::html(list.join(", "), seeds.len() as f64));
        cells
    };
    let rows: Vec<_> = rows.into_iter().map(row).collect();
    let warning = "<p class=\"warning\">Interrupted: some runs are missing. What lacks a part of its \
                   seeds is the mean over the others.</p>\n";
    warning.to_owned() + &table("Missing runs", &header, &rows)
}

/// The bins of a task: by model, its name and the place of its colour.
pub(crate) type TaskBins = (String, Vec<(String, usize, Vec<CalibrationBin>)>);

/// A diagram for each task, of all models.
pub(crate) fn reliability(by_task: Vec<TaskBins>, rows: &str) -> Result<Section> {
    let section = Section::new("Calibration");
    let diagram = |(task, models): TaskBins| {
        let title = format!("calibration of {task}");
        ReliabilityDiagram { title, models }.draw()
    };
    let drawn: Vec<_> = by_task.into_iter().map(diagram).collect::<Result<Vec<Figure>>>()?;
    if drawn.is_empty() {
        return Ok(section);
    }
    Ok(section
        .note(&format!("Each disc is a tenth of the {rows}, sorted by prediction. On the dashed diagonal a prediction means what it says; below it the model promises too much."))
        .figures(drawn))
}

/// What was trained, each text once with the names it is of.
pub(crate) fn configurations(texts: &[(&str, &str)]) -> Section {
    let mut distinct: Vec<(String, &str)> = Vec::new();
    for &(name, text) in texts {
        match distinct.iter_mut().find(|(_, other)| *other == text) {
            Some((names, _)) => *names = format!("{names}, {name}"),
            None => distinct.push((name.to_owned(), text)),
        }
    }
    let mut section = Section::new("Configuration");
    for (names, text) in distinct.iter().filter(|(_, text)| !text.is_empty()) {
        section = section.details(names, &verbatim(text));
    }
    section
}
