//! What a training step has to do: multiplications, additions and bytes, read off its graph.

use std::any::Any;
use std::collections::{BTreeMap, HashSet};

use mtl_moe::Mix;
use mtl_nn::{Batch, Graph, Ids, Op};

/// Bytes of an `f32`.
const WORD: usize = 4;
/// A forward pass, the gradient of weights and that of inputs: each as many products.
const PASSES: usize = 3;
/// A value is written and read on the way forward, and so is its gradient on the way back.
const PASSES_OVER_ACTIVATIONS: usize = 4;
/// A gradient is written and read; Adam reads and writes a value and its two moments.
const PASSES_OVER_PARAMETERS: usize = 8;

/// The work of a step of plain products: every layer is computed for every row, nothing once for several.
/// A step that notices rows with the same ids may do less.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Rows of the batch.
    pub rows: usize,
    /// Products y = x·W of a forward pass: how many are of n_in × n_out.
    pub products: BTreeMap<(usize, usize), usize>,
    /// Multiplications and additions a row of mixing experts, forward.
    pub mixing: usize,
    /// Values of all nodes of a row.
    pub values: usize,
    /// Dense values that are stepped.
    pub dense: usize,
    /// Values of the rows of tables that the batch touches.
    pub touched: usize,
}

impl Work {
    /// The work of a step of `graph` on `batch`.
    pub fn of(graph: &Graph<f32>, batch: &Batch<f32>) -> Self {
        let layout = graph.layout();
        let mut work = Self { rows: batch.rows, dense: layout.n_trainable(), ..Self::default() };
        let mut touched: BTreeMap<usize, HashSet<u32>> = BTreeMap::new();
        for node in graph.nodes() {
            work.values += node.n_cols();
            for &(weight, n_out) in node.op().banks() {
                *work.products.entry((layout.param(weight).rows, n_out)).or_default() += 1;
            }
            work.mixing += mixing(node.op());
            for lookup in node.op().lookups() {
                let ids = match lookup.ids {
                    Ids::One(slot) => batch.id_column(slot),
                    Ids::List(slot) => batch.list_column(slot).ids(),
                };
                touched.entry(lookup.table.index()).or_default().extend(ids);
            }
        }
        let values = |(table, ids): (usize, HashSet<u32>)| ids.len() * layout.tables()[table].dim;
        work.touched = touched.into_iter().map(values).sum();
        work
    }

    /// Multiplications and additions of a row's products, forward and back.
    pub fn flops_a_row(&self) -> usize {
        let of = |(&(n_in, n_out), &n): (&(usize, usize), &usize)| 2 * n * n_in * n_out;
        PASSES * self.products.iter().map(of).sum::<usize>()
    }

    /// Those of the step, mixing included.
    pub fn flops(&self) -> usize {
        self.rows * (self.flops_a_row() + PASSES * self.mixing)
    }

    /// Bytes of activations and their gradients that go through a cache.
    pub const fn activation_bytes(&self) -> usize {
        WORD * PASSES_OVER_ACTIVATIONS * self.rows * self.values
    }

    /// Bytes of parameters, gradients and moments; of tables, for the rows of the batch.
    pub const fn parameter_bytes(&self) -> usize {
        WORD * PASSES_OVER_PARAMETERS * (self.dense + self.touched)
    }
}

/// Multiplications and additions a row of Σ g·e, if the op is one.
fn mixing(op: &dyn Op<f32>) -> usize {
    let op: &dyn Any = op;
    let Some(mix) = op.downcast_ref::<Mix>() else { return 0 };
    let of = |experts: &[mtl_nn::Var]| experts.iter().map(|e| 2 * e.n_cols()).sum::<usize>();
    mix.blends().map(|(experts, _)| of(&experts)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::w1::{Setup, W1};

    fn work(name: &str) -> Result<Work, Box<dyn std::error::Error>> {
        let model = W1::with(name, &Setup { large: [50, 40], rows: 7, ..Setup::default() })?;
        let (graph, batches) = model.batches();
        Ok(Work::of(graph, &batches[0]))
    }

    #[test]
    fn products_are_those_counted_by_hand() -> Result<(), Box<dyn std::error::Error>> {
        let stack = 480 * 128 + 128 * 64;
        let towers = 3 * (64 * 128 + 128 * 64 + 64);
        for (name, weights) in [
            ("shared_bottom", stack + towers),
            ("mmoe", 7 * stack + 3 * 64 * 4 + towers),
            ("esmm", 2 * (stack + 64)),
        ] {
            assert_eq!(work(name)?.flops_a_row(), 6 * weights, "{name}");
        }
        let mmoe = work("mmoe")?;
        assert_eq!(mmoe.mixing, 3 * 4 * 2 * 64);
        assert_eq!(mmoe.products[&(480, 7 * 128)], 1, "one product of what reads x");
        assert_eq!(mmoe.flops(), 7 * (mmoe.flops_a_row() + 3 * mmoe.mixing));
        Ok(())
    }

    #[test]
    fn a_row_of_a_table_counts_once_a_batch() -> Result<(), Box<dyn std::error::Error>> {
        let model = W1::with("esmm", &Setup { large: [50, 40], rows: 7, ..Setup::default() })?;
        let (graph, batches) = model.batches();
        let distinct = |ids: &Vec<u32>| ids.iter().collect::<HashSet<_>>().len();
        let expected = 16 * batches[0].ids.iter().map(distinct).sum::<usize>();
        assert!(expected < 16 * 30 * 7, "some ids come twice");
        assert_eq!(Work::of(graph, &batches[0]).touched, expected);
        Ok(())
    }
}
