//! `mtl predict`: a file in, a row of probabilities for each of its rows out.

use std::sync::Arc;

use mtl_data::{ColumnWriter, encode_blocks};
use mtl_feature::{Targets, UnseenCounts};
use mtl_model::Scorer;
use serde_json::json;

use crate::args::PredictArgs;
use crate::commands::kept::Kept;
use crate::commands::outputs;
use crate::{commands, render};

/// Rows that are in memory at a time; those of a row group of a Parquet file.
const BLOCK_ROWS: usize = 1 << 18;

pub(crate) fn run(args: &PredictArgs, json: bool) -> anyhow::Result<()> {
    outputs::check_beside_data(&args.out, &args.data)?;
    outputs::check_beside_model(&args.out, &args.model)?;
    let (model, options) = commands::open(&args.model)?;
    let outputs = model.output_order();
    let model = Arc::new(model);
    let mut kept = Kept::open(&args.data, &options, &args.keep, &outputs)?;
    let mut scorer = Scorer::with_precision(Arc::clone(&model), args.precision.precision());
    let (mut file, mut rows) = (None::<ColumnWriter>, 0);
    let (data, schema) = (&args.data, model.schema());
    let mut unseen = UnseenCounts::new(schema);
    encode_blocks(data, schema, &options, Targets::Ignored, BLOCK_ROWS, |table| {
        let predictions = scorer.score(&table)?;
        unseen.add(&table);
        rows += table.n_rows();
        let mut columns = kept.next(table.n_rows())?;
        columns.extend(commands::predictions::columns(&predictions, &outputs));
        match &mut file {
            Some(file) => file.write(columns)?,
            None => file = Some(ColumnWriter::keeping(&args.out, columns, args.keep.len())?),
        }
        Ok::<_, anyhow::Error>(())
    })?;
    file.map(ColumnWriter::finish).transpose()?;
    commands::notes::unseen(data, &unseen);
    let names = [&args.keep[..], &outputs].concat();
    let out = args.out.display().to_string();
    if json {
        return render::json(&json!({ "rows": rows, "columns": names, "out": out }));
    }
    say!("wrote {rows} rows of {} to {out}", names.join(", "));
    Ok(())
}
