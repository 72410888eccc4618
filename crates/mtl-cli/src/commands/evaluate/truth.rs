//! What a model says against what no log shows, where the data has columns of it.

use mtl_train::TruthMetrics;

use crate::render;

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
