//! `embed`: one `Gather` a table; numbers are their slots.

use std::any::Any;

use mtl_nn::TableId;
use mtl_nn::ops::{Embed, Part};

use super::of;
use crate::onnx::walk::{Pieces, Walk};
use crate::{Error, Result};

pub(super) fn embed(op: &dyn Any, node: &str, walk: &mut Walk<'_>) -> Result<Pieces> {
    let mut pieces = Vec::new();
    for &part in of::<Embed>(op, "embed", node)?.parts() {
        pieces.push(match part {
            Part::Lookup { slot, table, dim } => {
                let (ids, table) = (walk.ids(slot)?, table_values(walk, table));
                (walk.to.node_with(node, "Gather", &[&table, &ids], &[("axis", 0)]), dim)
            }
            Part::Pooled { .. } => {
                let (node, kind) = (node.to_owned(), "embed of lists of ids".to_owned());
                return Err(Error::Op { node, kind, known: "one id a row, numbers".to_owned() });
            }
            Part::Values { slot, n_cols } => (walk.values(slot)?, n_cols),
        });
    }
    Ok(Pieces(pieces))
}

/// A table as a constant of its path, ids × dim.
fn table_values(walk: &mut Walk<'_>, table: TableId) -> String {
    let (spec, values) = (walk.params.layout().table(table), walk.params.table(table));
    walk.to.floats(&spec.path, &[spec.rows, spec.dim], values)
}
