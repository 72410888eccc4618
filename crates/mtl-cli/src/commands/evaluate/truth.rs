//! What a model says against what no log shows, where the file has columns of it.

use mtl_data::{ReadOptions, Reader, read_truth_in};
use mtl_model::Model;
use mtl_train::{RunConfig, Scored, TruthMetrics, TruthOf, measure_truth};

use crate::args::EvaluateArgs;
use crate::commands::CONFIG;
use crate::render;

/// The errors against the `[[truth]]` of the model's configuration. A file of a log has no column of it,
/// and then nothing is measured.
pub(super) fn measured(
    model: &Model,
    scored: &Scored,
    args: &EvaluateArgs,
    options: &ReadOptions,
) -> anyhow::Result<Vec<TruthMetrics>> {
    let truths = RunConfig::read(&args.model.join(CONFIG))?.truths;
    let mut columns = TruthOf::columns_of(&truths);
    let reader = Reader::open(&args.data, options)?;
    for names in [&mut columns.probabilities, &mut columns.labels] {
        names.retain(|name| reader.names().contains(name));
    }
    if columns.probabilities.is_empty() && columns.labels.is_empty() {
        return Ok(Vec::new());
    }
    let truth = read_truth_in(&args.data, options, &columns)?;
    Ok(measure_truth(model, scored, &truth, &truths)?)
}

/// A row for each output that is measured against the truth; nothing without one.
pub(super) fn print(metrics: &[TruthMetrics]) {
    if metrics.is_empty() {
        return;
    }
    say!("\nAgainst the truth, over all rows");
    let header = ["output", "auc", "log-odds rmse", "… if clicked", "mean / true mean"];
    let row = |found: &TruthMetrics| {
        let auc = found.auc_entire.as_ref().and_then(|auc| auc.value());
        vec![
            found.output.clone(),
            render::number(auc, 4),
            render::number(found.log_odds_rmse, 4),
            render::number(found.log_odds_rmse_if_clicked, 4),
            render::number(found.ratio, 3),
        ]
    };
    let rows: Vec<_> = metrics.iter().map(row).collect();
    render::table(&header.map(str::to_owned), &rows);
}
