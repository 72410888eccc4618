//! The section of what features are worth.

use mtl_train::{Baseline, Drop, FeatureImportance, Importance};

use crate::figure::{Bar, BarPlot};
use crate::html::{Cell, number, signed, table};
use crate::metrics::measured;
use crate::page::Section;
use crate::{Figure, Result};

/// Bars of a figure, at most: the table has the rest.
const MOST: usize = 20;

/// A figure for each metric, the features that are worth most above, and a table of all. `part` says
/// which rows were measured.
pub(crate) fn section(found: Option<&Importance>, part: &str) -> Result<Section> {
    let section = Section::new("Importance of features");
    let Some(found) = found else { return Ok(section) };
    let figures: Vec<Figure> = (0..found.baseline.len())
        .filter_map(|i| figure(found, i).transpose())
        .collect::<Result<_>>()?;
    let places = if found.config.within_groups { ", within their groups" } else { "" };
    let how = format!(
        "How much worse a metric of the {part} rows gets when a feature's values change places between rows{places}: a bar is the mean over permutations, its whisker one standard error to each side, which tells of other permutations and not of other rows. A bar within its whisker of 0 is worth nothing that was found. A feature that another one tells looks unimportant though the model reads it."
    );
    Ok(section.note(&how).figures(figures).details("All features", &all(found)))
}

/// The drops of one metric, the largest above; none where it is undefined.
fn figure(found: &Importance, metric: usize) -> Result<Option<Figure>> {
    let Baseline { task, metric: name, .. } = &found.baseline[metric];
    let bar = |feature: &FeatureImportance| {
        let drop = &feature.drops[metric];
        Some(Bar { name: feature.name.clone(), value: drop.mean?, error: drop.standard_error })
    };
    let mut bars: Vec<Bar> = found.features.iter().filter_map(bar).collect();
    if bars.is_empty() {
        return Ok(None);
    }
    // Stable: equal ones stay in the order of the table.
    bars.sort_by(|a, b| b.value.total_cmp(&a.value));
    bars.truncate(MOST);
    let x = match *name {
        "rmse" => "RMSE added".to_owned(),
        name => format!("{} lost", name.to_uppercase()),
    };
    BarPlot { title: format!("importance for {task}"), x, bars }.draw().map(Some)
}

/// Every drop, and the metrics as they are in the first row.
fn all(found: &Importance) -> String {
    let metrics = found.baseline.iter();
    let names = metrics.clone().map(|b| format!("{} {}", b.task, b.metric));
    let header: Vec<String> = std::iter::once("feature".to_owned()).chain(names).collect();
    let value = |baseline: &Baseline| measured(&baseline.measured, 4);
    let mut rows =
        vec![std::iter::once(Cell::text("(as it is)")).chain(metrics.map(value)).collect()];
    let row = |feature: &FeatureImportance| {
        let together = match &feature.features[..] {
            [_] => feature.name.clone(),
            several => format!("{} ({})", feature.name, several.join(", ")),
        };
        std::iter::once(Cell::text(&together)).chain(feature.drops.iter().map(cell)).collect()
    };
    rows.extend(found.features.iter().map(row));
    table("How much worse each metric gets, mean ± standard error", &header, &rows)
}

fn cell(drop: &Drop) -> Cell {
    match (drop.mean, drop.standard_error) {
        (Some(mean), Some(error)) => {
            let error = number(error, 4);
            Cell::html(format!("{} <span class=\"sd\">± {error}</span>", signed(mean, 4)), mean)
        }
        (Some(mean), None) => Cell::html(signed(mean, 4), mean),
        (None, _) => Cell::none(None),
    }
}
