//! What is to be noted of rows, on standard error: those in no group, and columns whose values
//! training did not know.

use std::path::Path;

use mtl_data::RowSource;
use mtl_feature::{Schema, UnseenCounts};
use mtl_train::{Part, group_note};

/// Rows of the parts of the data that are in no group.
pub(crate) fn groups_of_parts(schema: &Schema, parts: &[Part]) {
    let rows = |part: &Part| {
        let named = if part.part == "train" { "training" } else { part.part };
        (part.without_group, format!("{named} rows"))
    };
    groups(schema, &parts.iter().map(rows).collect::<Vec<_>>());
}

/// Rows of a file that are in no group, and its columns of unseen values. Of rows that stay in the
/// file, the first block tells it.
pub(crate) fn of_file(file: &Path, schema: &Schema, rows: &dyn RowSource) -> anyhow::Result<()> {
    let Some(first) = rows.blocks(None).next().transpose()? else { return Ok(()) };
    let which = if rows.held().is_some() { "" } else { "first " };
    let named = format!("{which}rows of {}", file.display());
    groups(schema, &[(first.n_without_group(), named)]);
    let mut counts = UnseenCounts::new(schema);
    counts.add(&first);
    unseen(file, &counts);
    Ok(())
}

/// Columns of a file nearly all of whose values are unseen.
pub(crate) fn unseen(file: &Path, counts: &UnseenCounts) {
    for note in counts.notes() {
        tell!("note: {}: {note}", file.display());
    }
}

fn groups(schema: &Schema, rows: &[(usize, String)]) {
    if let Some(note) = schema.group().and_then(|column| group_note(column, rows)) {
        tell!("note: {note}");
    }
}
