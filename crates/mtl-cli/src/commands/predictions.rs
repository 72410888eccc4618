//! Predictions as columns of a file, and the files of `mtl compare --write-predictions`.

use std::path::Path;

use anyhow::Context;
use mtl_data::write_columns;
use mtl_feature::{NO_GROUP, RawColumn, TextColumn, Values};
use mtl_model::Predictions;
use mtl_train::{Finished, Scored};

/// The folder of predictions in that of the results.
pub(crate) const FOLDER: &str = "predictions";

/// Outputs of these names, in this order.
pub(crate) fn columns<'a>(
    predictions: &'a Predictions,
    names: &'a [String],
) -> impl Iterator<Item = (String, RawColumn)> {
    names.iter().filter_map(|name| {
        let values = predictions.column(name)?;
        Some((name.clone(), floats(values.iter().copied())))
    })
}

/// Writes what a model of a comparison says about each row that it is reported on, with all that
/// its metrics are made of: so that somebody else can compute them.
///
/// `row` counts the reported rows from 0 in the order of the data; `group` is the same text for
/// rows of the same group (a hash of its id), empty of a row in no group; `label_<measure>` is what an output is measured
/// against, empty where a row does not count.
pub(crate) fn write(folder: &Path, data: &str, trained: Finished<'_>) -> anyhow::Result<()> {
    let Finished { name, seed, model, rows } = trained;
    let Scored { raw, labels, weights, groups, .. } = Scored::of(model, rows)?;
    let predictions = raw.calibrated(model.calibration());

    let numbers = RawColumn::new(Values::Integer((0..rows.n_rows() as i64).collect()));
    let mut written = vec![("row".to_owned(), numbers)];
    if let Some(groups) = groups {
        let mut texts = TextColumn::new();
        groups.iter().for_each(|group| texts.push(&format!("{group:016x}")));
        let missing = groups.iter().map(|&group| group == NO_GROUP).collect();
        let texts = RawColumn::with_missing(Values::Text(texts), Some(missing));
        written.push(("group".to_owned(), texts));
    }
    if let Some(weights) = weights {
        written.push(("weight".to_owned(), floats(weights.into_iter())));
    }
    let labels = labels.iter();
    written.extend(labels.map(|(measure, y)| (format!("label_{measure}"), label(y))));
    written.extend(columns(&predictions, &model.output_order()));

    let folder = folder.join(FOLDER);
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("{} cannot be made", folder.display()))?;
    // Of a configuration's path its last part; a contender's `alpha=0.5` is no extension.
    let data = Path::new(data).file_stem().map_or_else(|| data.into(), |s| s.to_string_lossy());
    let file = format!("{}-{}-seed{seed}.csv", plain(&data), plain(name));
    Ok(write_columns(folder.join(file), written)?)
}

fn floats(values: impl Iterator<Item = f32>) -> RawColumn {
    RawColumn::new(Values::Float(values.map(f64::from).collect()))
}

/// A label; NaN is missing.
fn label(values: &[f32]) -> RawColumn {
    let missing = values.iter().map(|y| y.is_nan()).collect();
    let values = values.iter().map(|&y| f64::from(y)).collect();
    RawColumn::with_missing(Values::Float(values), Some(missing))
}

/// A name that is a file's everywhere.
fn plain(name: &str) -> String {
    name.chars().map(|c| if c.is_alphanumeric() || c == '_' { c } else { '-' }).collect()
}
