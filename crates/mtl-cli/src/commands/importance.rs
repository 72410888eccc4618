//! `mtl importance`: how much worse a trained model gets without what a feature says.

use mtl_train::{Drop, Importance, ImportanceConfig};

use crate::args::ImportanceArgs;
use crate::commands::explain::measured;
use crate::commands::nesting::located_in;
use crate::{commands, render};

pub(crate) fn run(args: &ImportanceArgs, json: bool) -> anyhow::Result<()> {
    let (model, options) = commands::open(&args.model)?;
    let rows = commands::labelled(&model, &options, &args.data)?;
    let config = ImportanceConfig {
        repeats: args.repeats,
        seed: args.seed,
        within_groups: args.within_groups,
    };
    let found = measured(&model, &rows, &config)
        .map_err(|error| located_in(error, &args.data, &options))?;
    if json {
        return render::json(&found);
    }
    say!("{}: {} rows", args.data.display(), found.rows);
    print(&found);
    Ok(())
}

/// A row for each feature, the drop of each metric beside its standard error.
pub(crate) fn print(found: &Importance) {
    let metrics = found.baseline.iter();
    let names = metrics.clone().map(|b| format!("{} {}", b.task, b.metric));
    let header: Vec<String> = std::iter::once("feature".to_owned()).chain(names).collect();
    let values = metrics.map(|b| render::number(b.measured.value(), 4));
    let mut rows: Vec<Vec<String>> =
        vec![std::iter::once("(as it is)".to_owned()).chain(values).collect()];
    rows.extend(found.features.iter().map(|feature| {
        std::iter::once(feature.name.clone()).chain(feature.drops.iter().map(cell)).collect()
    }));
    render::table(&header, &rows);
    let (repeats, within) = (found.config.repeats, found.config.within_groups);
    let places = if within { " within their groups" } else { "" };
    say!(
        "how much worse each metric is with the feature's values permuted{places}: mean of {repeats} ± standard error"
    );
    for feature in found.features.iter().filter(|feature| feature.features.len() > 1) {
        say!("{} are permuted together as {}", feature.features.join(", "), feature.name);
    }
    for metric in &found.baseline {
        if let Some(reason) = metric.measured.reason() {
            say!("{} {} is undefined: {reason}", metric.task, metric.metric);
        }
    }
}

fn cell(drop: &Drop) -> String {
    match (drop.mean, drop.standard_error) {
        (Some(mean), Some(error)) => format!("{mean:+.4} ± {error:.4}"),
        (Some(mean), None) => format!("{mean:+.4}"),
        (None, _) => "–".to_owned(),
    }
}
