//! The report of a comparison.

use mtl_train::{ModelResults, Results, Spread};

use crate::html::{Cell, count, escape, number, signed, table};
use crate::page::{Chapter, Section};
use crate::{Figure, Interval, IntervalPlot, Report, Result, curves, gates, shared};

/// Name of a mean over tasks, in the results.
const MACRO: &str = "macro";

/// Name of the true probabilities, as in the printed table.
const TRUTH: &str = "(truth)";

/// A metric: its key in the results, its heading, digits, and whether more is better, if either is.
type Metric = (&'static str, &'static str, usize, Option<bool>);

/// Those that decide, then the others.
const MAIN: [Metric; 6] = [
    ("auc", "AUC", 4, Some(true)),
    ("gauc", "GAUC (AUC within groups)", 4, Some(true)),
    ("auc_entire", "AUC over the entire space, against the truth", 4, Some(true)),
    ("auc_classes", "AUC of one class against the rest, mean", 4, Some(true)),
    ("accuracy", "Accuracy, of classes", 4, Some(true)),
    ("rmse", "RMSE, in the label's unit", 4, Some(false)),
];
const OTHER: [Metric; 7] = [
    ("log_loss", "Log loss, in nats", 4, Some(false)),
    (
        "normalised_entropy",
        "Normalised entropy (log loss over that of the base rate)",
        4,
        Some(false),
    ),
    ("pcoc", "PCOC (mean prediction over mean label)", 3, None),
    ("log_odds_rmse", "RMSE of the log-odds, against the truth", 4, Some(false)),
    (
        "log_odds_rmse_if_clicked",
        "RMSE of the log-odds, against the truth if the click were forced",
        4,
        Some(false),
    ),
    ("mae", "MAE, in the label's unit", 4, Some(false)),
    ("val_users", "Groups that count in GAUC", 0, None),
];

/// The report of comparisons, a chapter for each set of data.
///
/// # Errors
/// [`crate::Error::Draw`] if a figure cannot be drawn.
pub fn compared(all: &[Results]) -> Result<Report> {
    let names: Vec<&str> = all.iter().map(|results| results.data.as_str()).collect();
    let title = format!("Comparison on {}", names.join(" and "));
    let fact = |results: &Results| {
        let seeds = results.models.first().map_or(&[][..], |model| &model.seeds);
        let seeds: Vec<String> = seeds.iter().map(|&seed| count(seed as usize)).collect();
        let (data, rows) = (escape(&results.data), count(results.rows));
        let seeds = if seeds.is_empty() { "none".to_owned() } else { seeds.join(", ") };
        format!("{data}: {rows} {} rows, seeds {seeds}", results.reported)
    };
    let mut facts: Vec<String> = all.iter().map(fact).collect();
    facts.extend(all.first().map(|results| format!("mtl {}", escape(results.version))));
    let chapters = all.iter().map(chapter).collect::<Result<_>>()?;
    Ok(Report::new(&title, facts.join("<br>"), chapters))
}

fn chapter(results: &Results) -> Result<Chapter> {
    let rows = format!("{} rows", results.reported);
    let mut runs = Vec::new();
    for (i, model) in results.models.iter().enumerate() {
        runs.extend(model.runs.iter().map(|run| (model.model.as_str(), i, &run.history)));
    }
    let of_gates: Vec<_> = results
        .models
        .iter()
        .filter_map(|model| Some((model.model.as_str(), &model.runs.first()?.gates[..])))
        .collect();
    let texts: Vec<_> = results
        .models
        .iter()
        .map(|model| (model.model.as_str(), model.configuration.as_str()))
        .collect();
    let sections = vec![
        metrics(results),
        deltas(results)?,
        curves::learning(&runs, &results.tasks)?,
        shared::reliability(bins(results), &rows)?,
        gates::section(&of_gates, &rows)?,
        curves::conflict(&runs)?,
        shared::data(&results.parts),
        shared::configurations(&texts),
    ];
    Ok(Chapter::new(&results.data, sections))
}

/// The tables of results.
fn metrics(results: &Results) -> Section {
    let one = results.models.first().is_none_or(|model| model.seeds.len() == 1);
    let how = match one {
        true => "One seed: the spread between seeds is not known. The best of a column is bold.",
        false => {
            "Mean ± standard deviation over seeds; the best mean of a column is bold, which says nothing about whether it is better by more than chance (see the differences below). Columns sort by a click."
        }
    };
    let tables = |metrics: &[Metric]| -> String {
        metrics.iter().map(|metric| metric_table(results, metric)).collect()
    };
    let missing = results.interrupted.iter();
    let missing = missing.map(|m| (vec![Cell::text(&m.model)], &m.seeds[..])).collect();
    let missing = shared::missing(&["model".to_owned()], missing);
    let mut section = Section::new("Results").html(&missing).note(how);
    if results.truth.is_some() {
        section = section.note("The row `(truth)` is what the true probabilities reach on the same rows: no model can be expected to do better.");
    }
    section = section.html(&tables(&MAIN));
    for model in &results.models {
        for warning in &model.warnings {
            let text = escape(&format!("{}: {warning}", model.model));
            section = section.html(&format!("<p class=\"warning\">{text}</p>\n"));
        }
    }
    section.details("More metrics", &(tables(&OTHER) + &sizes(results)))
}

/// One metric of all models and tasks; nothing if it is defined for none.
fn metric_table(results: &Results, &(key, title, digits, more): &Metric) -> String {
    let of = |model: &'_ ModelResults, task: &str| -> Option<Spread> {
        model.test.get(key)?.get(task).cloned()
    };
    let mean = |model: &ModelResults, task: &str| of(model, task)?.mean;
    let all = results.tasks.iter().map(String::as_str).chain([MACRO]);
    let useful = |value: f64| key != "val_users" || value > 0.0;
    let shown = |task: &&str| results.models.iter().any(|m| mean(m, task).is_some_and(useful));
    let tasks: Vec<&str> = all.filter(shown).collect();
    if tasks.is_empty() {
        return String::new();
    }
    let best = |task: &str| {
        let means = results.models.iter().filter_map(|model| mean(model, task));
        match more? {
            true => means.max_by(f64::total_cmp),
            false => means.min_by(f64::total_cmp),
        }
    };
    let several = results.models.len() > 1;
    let row = |model: &ModelResults| {
        let mut row = vec![Cell::text(&model.model)];
        for task in &tasks {
            let is_best = several && mean(model, task).is_some() && mean(model, task) == best(task);
            row.push(spread(of(model, task), digits).best(is_best));
        }
        row
    };
    let header: Vec<String> =
        ["model"].into_iter().chain(tasks.iter().copied()).map(str::to_owned).collect();
    let rows: Vec<_> =
        results.models.iter().map(row).chain(truth(results, key, &tasks, digits)).collect();
    table(title, &header, &rows)
}

/// What the true probabilities reach; nothing where the data has no truth, or it says nothing of
/// these tasks.
fn truth(results: &Results, key: &str, tasks: &[&str], digits: usize) -> Option<Vec<Cell>> {
    let by_task = results.truth.as_ref()?.get(key)?;
    if !tasks.iter().any(|task| by_task.contains_key(*task)) {
        return None;
    }
    let cells = tasks.iter().map(|task| spread(by_task.get(*task).cloned(), digits));
    Some([Cell::text(TRUTH)].into_iter().chain(cells).collect())
}

/// Parameters, time and epochs.
fn sizes(results: &Results) -> String {
    let header = ["model", "parameters", "training, seconds", "best epoch"].map(str::to_owned);
    let row = |model: &ModelResults| {
        vec![
            Cell::text(&model.model),
            Cell::count(model.parameters),
            spread(Some(model.train_seconds.clone()), 1),
            spread(Some(model.best_epoch.clone()), 1),
        ]
    };
    let rows: Vec<_> = results.models.iter().map(row).collect();
    table("Size and time", &header, &rows)
}

fn spread(spread: Option<Spread>, digits: usize) -> Cell {
    let Some(spread) = spread else { return Cell::none(None) };
    match (spread.mean, spread.sd) {
        (Some(mean), Some(sd)) if digits > 0 => {
            let sd = number(sd, digits);
            let html = format!("{} <span class=\"sd\">± {sd}</span>", number(mean, digits));
            Cell::html(html, mean)
        }
        (Some(mean), _) => Cell::number(Some(mean), digits),
        (None, _) => Cell::none(spread.reason.as_deref()),
    }
}

/// Differences of AUC from Single-Task: where one task gains and another loses, the seesaw.
fn deltas(results: &Results) -> Result<Section> {
    let section = Section::new("Difference from Single-Task");
    let has = |model: &&ModelResults| model.delta_auc.is_some();
    if !results.models.iter().any(|model| has(&model)) {
        return Ok(section);
    }
    let mut figures: Vec<Figure> = Vec::new();
    let mut header = vec!["model".to_owned()];
    let mut tasks = Vec::new();
    for task in results.tasks.iter().map(String::as_str).chain([MACRO]) {
        let interval = |(i, model): (usize, &ModelResults)| {
            let delta = model.delta_auc.as_ref()?.get(task)?;
            let (mean, low, high) = (delta.mean, delta.low, delta.high);
            Some(Interval { name: model.model.clone(), colour: i, mean, low, high })
        };
        let intervals: Vec<_> = results.models.iter().enumerate().filter_map(interval).collect();
        if intervals.is_empty() {
            continue;
        }
        header.push(task.to_owned());
        tasks.push(task);
        let (title, x) = (format!("Δ AUC of {task}"), "AUC minus that of single_task".to_owned());
        figures.push(IntervalPlot { title, x, reference: 0.0, intervals }.draw()?);
    }
    let row = |model: &ModelResults| {
        let mut row = vec![Cell::text(&model.model)];
        for task in &tasks {
            row.push(match model.delta_auc.as_ref().and_then(|deltas| deltas.get(*task)) {
                Some(d) => {
                    let (low, high) = (signed(d.low, 4), signed(d.high, 4));
                    let html = format!("{} [{low}, {high}]", signed(d.mean, 4));
                    Cell::html(html, d.mean).best(d.low > 0.0)
                }
                None => Cell::none(None),
            });
        }
        row
    };
    let rows: Vec<_> = results.models.iter().filter(has).map(row).collect();
    Ok(section
        .note("Δ AUC against a network for each task, paired by seed, with its 95 % interval. An interval to the right of 0 is a gain from sharing; a model that gains in one task and loses in another moves the seesaw and does not lift it.")
        .figures(figures)
        .html(&table("Δ AUC [95 % interval]; bold where the whole interval is above 0", &header, &rows)))
}

/// The first seed's reliability by task and model.
fn bins(results: &Results) -> Vec<shared::TaskBins> {
    let of = |task: &String| {
        let bins = |(i, model): (usize, &ModelResults)| {
            let bins = model.runs.first()?.reliability.get(task)?;
            Some((model.model.clone(), i, bins.clone()))
        };
        let models: Vec<_> = results.models.iter().enumerate().filter_map(bins).collect();
        (!models.is_empty()).then(|| (task.clone(), models))
    };
    results.tasks.iter().filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use mtl_train::MissingRuns;

    use super::*;

    #[test]
    fn a_page_tells_of_an_interrupt_even_if_no_run_was_done() -> Result<()> {
        let missing = MissingRuns { model: "mmoe".to_owned(), seeds: vec![7, 9] };
        let whole = Results::new("log", "test", 10, vec!["click".to_owned()], &[]);
        let page = |results| compared(&[results]).map(|report| report.html());
        let interrupted = page(whole.clone().with_missing(vec![missing]))?;
        assert!(interrupted.contains("<p class=\"warning\">Interrupted: "));
        let seeds = "<data value=\"7\">7</data>, <data value=\"9\">9</data>";
        assert!(interrupted.contains(seeds) && interrupted.contains(">mmoe</th>"));
        assert!(!page(whole)?.contains("Interrupted"));
        Ok(())
    }
}
