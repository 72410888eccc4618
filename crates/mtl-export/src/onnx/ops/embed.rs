//! `embed` and `embed_list`: one `Gather` a table; numbers are their slots.

use std::any::Any;

use mtl_nn::ops::{Embed, EmbedList, Part};
use mtl_nn::{Ids, ListSlot, Op, TableId};

use super::of;
use crate::onnx::features::List;
use crate::onnx::walk::{Pieces, Walk};
use crate::{Error, Result};

pub(super) fn embed(op: &dyn Any, node: &str, walk: &mut Walk<'_>) -> Result<Pieces> {
    let mut pieces = Vec::new();
    for &part in of::<Embed>(op, "embed", node)?.parts() {
        pieces.push(match part {
            Part::Lookup { slot, table, dim } => {
                let (ids, table) = (walk.ids(slot)?, walk.table(table));
                (walk.to.node_with(node, "Gather", &[&table, &ids], &[("axis", 0)]), dim)
            }
            Part::Pooled { slot, table, dim, mean } => {
                (pooled(node, (slot, table), mean, walk)?, dim)
            }
            Part::Values { slot, n_cols } => (walk.values(slot)?, n_cols),
        });
    }
    Ok(Pieces(pieces))
}

/// Σ_j E[id_j], or that divided by the number of items; 0 for an empty list.
fn pooled(
    node: &str,
    (slot, table): (ListSlot, TableId),
    mean: bool,
    walk: &mut Walk<'_>,
) -> Result<String> {
    let (List { mask, .. }, items) = items(node, (slot, table), walk)?;
    let to = &mut walk.to;
    let axes = to.integers(&[1]);
    let sum = to.node_with(node, "ReduceSum", &[&items, &axes], &[("keepdims", 0)]);
    if !mean {
        return Ok(sum);
    }
    let count = to.node_with(node, "ReduceSum", &[&mask, &axes], &[("keepdims", 0)]);
    let one = to.float(1.0);
    let count = to.node(node, "Max", &[&count, &one]);
    Ok(to.node(node, "Div", &[&sum, &count]))
}

/// The rows of a table that lists name, batch × length × dim, with 0 where there is no item.
fn items(
    node: &str,
    (slot, table): (ListSlot, TableId),
    walk: &mut Walk<'_>,
) -> Result<(List, String)> {
    let (list, table) = (walk.lists(slot)?, walk.table(table));
    let rows = walk.to.node_with(node, "Gather", &[&table, &list.ids], &[("axis", 0)]);
    let items = walk.to.node(node, "Mul", &[&rows, &list.mask]);
    Ok((list, items))
}

pub(super) fn embed_list(op: &dyn Any, node: &str, walk: &mut Walk<'_>) -> Result<Pieces> {
    let list: &dyn Op<f32> = of::<EmbedList>(op, "embed_list", node)?;
    let lookup = list.lookups()[0];
    let Ids::List(slot) = lookup.ids else {
        return Err(Error::Slot { slot: node.to_owned() }); // it has no other kind of lookup
    };
    let (_, items) = items(node, (slot, lookup.table), walk)?;
    Ok(Pieces::one(items, list.n_cols()))
}
