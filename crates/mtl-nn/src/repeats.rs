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

    /// Looks at the rows of a shard: `x` is the node's value, `ids` gives their ids of a slot.
    pub(crate) fn find<'i>(&mut self, x: Mat<'_, S>, ids: impl Fn(IdSlot) -> &'i [u32]) {
        let rows = x.rows();
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
        self.distinct.close(x);
    }

    /// The classes that were found.
    pub(crate) const fn distinct(&self) -> &Distinct<S> {
        &self.distinct
    }
}
