//! Learning curves and gradients' conflict, from the histories of runs.

use mtl_train::{EpochRecord, History, Validated};

use crate::html::{Cell, table};
use crate::page::Section;
use crate::{Figure, HeatMap, LinePlot, Result, Series};

/// A run to draw: the model's name, its colour, what happened.
pub(crate) type Run<'h> = (&'h str, usize, &'h History);

/// Training loss and validation metric of each task by epoch.
pub(crate) fn learning(runs: &[Run<'_>], measures: &[String]) -> Result<Section> {
    let section = Section::new("Learning curves");
    let mut figures = Vec::new();
    let mut losses: Vec<&str> = Vec::new();
    for (name, _) in epochs(runs).flat_map(|epoch| &epoch.losses) {
        if !losses.contains(&name.as_str()) {
            losses.push(name);
        }
    }
    // In the order of the tables; a chain's losses, which are none of the measures, as they come.
    losses.sort_by_key(|loss| measures.iter().position(|measure| measure == loss));
    for name in losses {
        let value = |epoch: &EpochRecord| {
            epoch.losses.iter().find(|(loss, _)| loss == name).and_then(|(_, value)| *value)
        };
        let title = format!("training loss of {name}");
        figures.extend(drawn(title, "loss (mean over steps)", runs, value)?);
    }
    for name in measures {
        let value = |epoch: &EpochRecord| {
            let found = epoch.validation.iter().find(|found| found.task == *name)?;
            found.auc.or(found.rmse).or(found.log_loss)
        };
        let has = |metric: fn(&Validated) -> Option<f64>| {
            let mut found = epochs(runs).flat_map(|epoch| &epoch.validation);
            found.any(|found| found.task == *name && metric(found).is_some())
        };
        let (metric, y) = match (has(|found| found.auc), has(|found| found.rmse)) {
            (true, _) => ("AUC", "AUC"),
            (_, true) => ("RMSE", "RMSE (label's unit)"),
            _ => ("log loss", "log loss (nats)"),
        };
        let title = format!("validation {metric} of {name}");
        figures.extend(drawn(title, y, runs, value)?);
    }
    if figures.is_empty() {
        return Ok(section);
    }
    let lines = if runs.len() > 1 { "One line for each seed. " } else { "" };
    Ok(section
        .note(&format!("{lines}The disc is the epoch whose weights were kept; a training loss that still falls while the validation metric gets worse is overfitting."))
        .figures(figures))
}

/// Cosines between the gradients of pairs of losses, where training took them.
pub(crate) fn conflict(runs: &[Run<'_>]) -> Result<Section> {
    let section = Section::new("Gradient conflict");
    let mut figures = Vec::new();
    let mut names: Vec<&str> = Vec::new();
    for &(model, _, history) in runs {
        // The first seed stands for all.
        if names.contains(&model) {
            continue;
        }
        names.push(model);
        figures.extend(cosines(model, history)?);
    }
    if figures.is_empty() {
        let how = "No run took the gradients of single losses. Under any weighting `watch = 50` in `[loss]` does so at every fiftieth step; a weighting that looks at them does at each.";
        return Ok(section.note(how));
    }
    Ok(section
        .note("Mean cosine between the gradients of two losses over the shared parameters. Below 0 a step that helps one harms the other.")
        .figures(figures))
}

fn cosines(model: &str, history: &History) -> Result<Vec<Figure>> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for (a, b, _) in history.epochs.iter().flat_map(|epoch| &epoch.cosines) {
        if !pairs.iter().any(|(x, y)| x == a && y == b) {
            pairs.push((a.clone(), b.clone()));
        }
    }
    if pairs.is_empty() {
        return Ok(Vec::new());
    }
    let of = |epoch: &EpochRecord, (a, b): &(String, String)| {
        let found = epoch.cosines.iter().find(|(x, y, _)| x == a && y == b);
        found.map(|&(_, _, cosine)| cosine)
    };
    let line = |(i, pair): (usize, &(String, String))| Series {
        name: format!("{} · {}", pair.0, pair.1),
        colour: i,
        points: points(history, |epoch| of(epoch, pair)),
        best: None,
    };
    let title = format!("gradient cosines of {model}");
    let series = pairs.iter().enumerate().map(line).collect();
    let mut figures = vec![LinePlot { title, y: "cosine".to_owned(), series, zero: true }.draw()?];
    if let Some(last) = history.epochs.last() {
        figures.push(matrix(model, last)?);
    }
    Ok(figures)
}

/// All pairs of the last epoch.
fn matrix(model: &str, epoch: &EpochRecord) -> Result<Figure> {
    let mut names: Vec<String> = Vec::new();
    for name in epoch.cosines.iter().flat_map(|(a, b, _)| [a, b]) {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    let of = |a: &String, b: &String| {
        let pair = |(x, y, _): &&(String, String, f64)| (x == a && y == b) || (x == b && y == a);
        epoch.cosines.iter().find(pair).map(|&(_, _, cosine)| cosine)
    };
    let values = names.iter().map(|a| names.iter().map(|b| of(a, b)).collect()).collect();
    let title = format!("gradient cosines of {model}, last epoch");
    HeatMap { title, rows: names.clone(), columns: names, values }.draw()
}

/// Weights and gradients' norms of the last epoch, as a table.
pub(crate) fn weights(history: &History) -> String {
    let Some(last) = history.epochs.last() else { return String::new() };
    // Under equal weights there are none, and gradients only if they were watched.
    let named = if last.weights.is_empty() { &last.loss_gradient_norms } else { &last.weights };
    if named.is_empty() {
        return String::new();
    }
    let header = ["loss", "weight", "gradient norm"].map(str::to_owned);
    let of = |values: &[(String, f64)], name: &String| {
        values.iter().find(|(other, _)| other == name).map(|&(_, value)| value)
    };
    let row = |(name, _): &(String, f64)| {
        let (weight, norm) = (of(&last.weights, name), of(&last.loss_gradient_norms, name));
        vec![Cell::text(name), Cell::number(weight, 4), Cell::number(norm, 5)]
    };
    let rows: Vec<_> = named.iter().map(row).collect();
    table("Weights of the losses, means over the last epoch", &header, &rows)
}

fn epochs<'r>(runs: &'r [Run<'_>]) -> impl Iterator<Item = &'r EpochRecord> {
    runs.iter().flat_map(|(_, _, history)| &history.epochs)
}

/// A plot of one value of every run, if a run has it.
fn drawn(
    title: String,
    y: &str,
    runs: &[Run<'_>],
    value: impl Fn(&EpochRecord) -> Option<f64>,
) -> Result<Option<Figure>> {
    let line = |&(model, colour, history): &Run<'_>| Series {
        name: model.to_owned(),
        colour,
        points: points(history, &value),
        best: history.best_epoch,
    };
    let series: Vec<_> = runs.iter().map(line).filter(|series| !series.points.is_empty()).collect();
    if series.is_empty() {
        return Ok(None);
    }
    LinePlot { title, y: y.to_owned(), series, zero: false }.draw().map(Some)
}

fn points(history: &History, value: impl Fn(&EpochRecord) -> Option<f64>) -> Vec<(usize, f64)> {
    history.epochs.iter().filter_map(|epoch| Some((epoch.epoch, value(epoch)?))).collect()
}
