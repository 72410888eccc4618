//! Rows that repeat: which rows of a shard have the same id in a column.
//!
//! What a lookup gives is a function of its id, and a shard of 256 rows has few ids of most columns:
//! a dozen of a column of ten, a hundred of a column of a thousand that is as skewed as ids are. So
//! the first layer's product x·W need not be taken row by row. With x = [x₁ … x_C], one block a
//! column of ids, and W = [W₁; …; W_C] in the same cut,
//!
//! ```text
//! x·W   =  Σ_c P_c[class_c(row)],   P_c = X_c·W_c over the distinct rows X_c of x_c,
//! dW_c  =  X_cᵀ·S_c,                S_c[class] = Σ dz[row] over the rows of the class,
//! dX_c  =  S_c·W_cᵀ,
//! ```
//!
//! which is the same sum in another order. The gradient of a class is all that a table wants of it: it
//! stands in the first of its rows.

use std::ops::Range;

use crate::kernel::Distinct;
use crate::{IdSlot, Mat, Scalar};

/// Columns of a node that are a function of one id a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnsById {
    /// The columns.
    pub columns: Range<usize>,
    /// The slot of the ids.
    pub slot: IdSlot,
}

/// The classes of the rows of one shard, of every such run of columns of one node.
#[derive(Clone, Debug)]
pub(crate) struct Repeats<S> {
    runs: Vec<ColumnsById>,
    distinct: Distinct<S>,
    index: Vec<u32>,
}

/// By run of columns, the first row of each class: the rows that stand for all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heads {
    rows: Vec<u32>,
    /// By run, where its rows end; empty where every row stands for itself.
    ends: Vec<usize>,
}

impl Heads {
    /// The rows of a run; `None` where every row stands for itself.
    pub(crate) fn run(&self, run: usize) -> Option<&[u32]> {
        let start = if run == 0 { 0 } else { *self.ends.get(run - 1)? };
        Some(&self.rows[start..*self.ends.get(run)?])
    }

    /// Those of some classes.
    pub(crate) fn copy<S: Scalar>(&mut self, distinct: Option<&Distinct<S>>) {
        self.rows.clear();
        self.ends.clear();
        if let Some(distinct) = distinct {
            self.rows.extend_from_slice(distinct.heads());
            self.ends.extend_from_slice(distinct.ends());
        }
    }
}

const EMPTY: u32 = u32::MAX;

impl<S: Scalar> Repeats<S> {
    /// Those of a node of `n_cols` columns; none if no columns of it are functions of an id.
    pub(crate) fn new(runs: Vec<ColumnsById>, n_cols: usize) -> Option<Self> {
        if runs.is_empty() {
            return None;
        }
        let columns = runs.iter().map(|run| run.columns.clone()).collect();
        let distinct = Distinct::new(columns, n_cols);
        Some(Self { runs, distinct, index: Vec::new() })
    }

    /// Looks at the rows of a shard, whose ids of a slot `ids` gives.
    pub(crate) fn find<'i>(&mut self, rows: usize, ids: impl Fn(IdSlot) -> &'i [u32]) {
        let size = (2 * rows).next_power_of_two().max(16);
        let shift = 32 - size.trailing_zeros();
        self.distinct.reset(rows);
        for run in &self.runs {
            let ids = ids(run.slot);
            self.distinct.begin_run();
            self.index.clear();
            self.index.resize(size, EMPTY);
            for (row, &id) in ids.iter().enumerate() {
                // As in `SparseGradient`: consecutive ids spread over the index.
                let mut slot = (id.wrapping_mul(0x9E37_79B9) >> shift) as usize;
                loop {
                    let class = self.index[slot];
                    if class == EMPTY {
                        self.index[slot] = self.distinct.open(row);
                        break;
                    }
                    if ids[self.distinct.head(class)] == id {
                        self.distinct.join(row, class);
                        break;
                    }
                    slot = (slot + 1) & (size - 1);
                }
            }
        }
        self.distinct.close();
    }

    /// Takes the values of the first row of each class from the node's value.
    pub(crate) fn fill(&mut self, x: Mat<'_, S>) {
        self.distinct.fill(x);
    }

    /// The classes that were found.
    pub(crate) const fn distinct(&self) -> &Distinct<S> {
        &self.distinct
    }
}
