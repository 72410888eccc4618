//! `mtl predict`: a file in, a row of probabilities for each of its rows out.

use std::sync::Arc;

use mtl_data::write_columns;
use mtl_feature::Targets;
use mtl_model::Scorer;
use serde_json::json;

use crate::args::PredictArgs;
use crate::{commands, render};

pub(crate) fn run(args: &PredictArgs, json: bool) -> anyhow::Result<()> {
    let (model, options) = commands::open(&args.model)?;
    let table = commands::encode(&model, &options, &args.data, Targets::Ignored)?;
    let precision = args.precision.precision();
    let predictions = Scorer::with_precision(Arc::new(model), precision).score(&table)?;
    write_columns(&args.out, commands::predictions::columns(&predictions).collect())?;
    let (rows, out) = (table.n_rows(), args.out.display().to_string());
    if json {
        return render::json(&json!({ "rows": rows, "columns": predictions.names(), "out": out }));
    }
    say!("wrote {rows} rows of {} to {out}", predictions.names().join(", "));
    Ok(())
}
