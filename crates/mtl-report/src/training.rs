//! The report of one trained model.

use mtl_train::Trained;

use crate::html::{count, escape, number};
use crate::metrics::{bins, tables};
use crate::page::{Chapter, Section};
use crate::{Report, Result, curves, gates, importance, segments, shared};

/// The report of one training.
///
/// # Errors
/// [`crate::Error::Draw`] if a figure cannot be drawn.
pub fn trained(trained: &Trained) -> Result<Report> {
    let history = &trained.history;
    let run = [(trained.model.as_str(), 0, history)];
    let reported = trained.reported();
    let part = reported.map_or("training", |(part, _)| part);
    // Gates are measured on the rows that were chosen by.
    let gate_part = if trained.validation.is_some() { "validation" } else { "training" };
    let names: Vec<String> = reported
        .map(|(_, found)| found.tasks.iter().map(|named| named.task.clone()).collect())
        .unwrap_or_default();
    let sections = vec![
        metrics(trained),
        curves::learning(&run, &names)?,
        shared::reliability(bins(reported.map(|(_, found)| found)), &format!("{part} rows"))?,
        segments::section(&trained.segments, reported.map(|(_, found)| found))?,
        importance::section(trained.importance.as_ref(), part)?,
        gates::section(&[(&trained.model, &trained.gates)], &format!("{gate_part} rows"))?,
        curves::conflict(&run)?.html(&curves::weights(history)),
        shared::data(&trained.parts),
        shared::configurations(&[("as it was read", &trained.configuration)]),
    ];
    let facts = facts(trained);
    let title = format!("{}, trained", trained.model);
    Ok(Report::new(&title, facts, vec![Chapter::new(&trained.model, sections)]))
}

fn facts(trained: &Trained) -> String {
    let history = &trained.history;
    let epochs = history.epochs.len();
    let best = match (history.best_epoch, history.best) {
        (Some(epoch), Some(best)) => {
            let monitor = escape(&history.monitor);
            format!("best {monitor} {} in epoch {}", number(best, 4), count(epoch))
        }
        _ => "the last epoch kept".to_owned(),
    };
    let stopped = if history.stopped_early { ", stopped early" } else { "" };
    let last = history.epochs.last().map_or(epochs, |epoch| epoch.epoch);
    format!(
        "{} parameters, {} epochs{stopped}, {best}<br>seed {}, mtl {}",
        count(trained.parameters),
        count(last),
        count(trained.seed as usize),
        escape(trained.version)
    )
}

/// The metrics of test and validation rows.
fn metrics(trained: &Trained) -> Section {
    let mut section = Section::new("Results");
    let parts = [("Test rows", &trained.test), ("Validation rows", &trained.validation)];
    for (title, found) in parts {
        if let Some(found) = found {
            section = section.html(&tables(title, found));
        }
    }
    match trained.reported() {
        Some(_) => section,
        None => section
            .note("No rows to report on: expected `test` or `validation` in [data], or a `split`."),
    }
}
