//! Rows, wherever they lie.

use std::borrow::Cow;
use std::fmt;

use mtl_feature::FeatureTable;

use crate::Result;

/// The blocks of a pass, in order.
pub type Blocks<'r> = Box<dyn Iterator<Item = Result<Cow<'r, FeatureTable>>> + 'r>;

/// Encoded rows, a block at a time: rows of a block are in memory together, and those that train are
/// shuffled among themselves.
///
/// How rows are cut into blocks depends on their number and on `block_rows`, not on where they lie:
/// what is trained on a table is what is trained on a stream of the same rows, bit for bit.
pub trait RowSource: fmt::Debug + Send + Sync {
    /// Rows of a pass.
    fn n_rows(&self) -> usize;

    /// The rows in order, `block_rows` in each block but the last; where that is none, as many as
    /// fits where they lie: all rows of a table, [`STREAM_BLOCK_ROWS`](crate::STREAM_BLOCK_ROWS) of a
    /// stream. No block is empty.
    ///
    /// # Errors
    /// What is wrong with a file, in place of the block that it would be in; nothing comes after.
    ///
    /// # Panics
    /// If `block_rows` is 0.
    fn blocks(&self, block_rows: Option<usize>) -> Blocks<'_>;

    /// All rows, where they are in memory.
    fn held(&self) -> Option<&FeatureTable> {
        None
    }

    /// Whether there are no rows.
    fn is_empty(&self) -> bool {
        self.n_rows() == 0
    }
}

impl RowSource for FeatureTable {
    fn n_rows(&self) -> usize {
        self.n_rows()
    }

    fn blocks(&self, block_rows: Option<usize>) -> Blocks<'_> {
        let (n_rows, size) = (self.n_rows(), block_rows.unwrap_or(usize::MAX));
        if n_rows <= size {
            return Box::new((n_rows > 0).then_some(Ok(Cow::Borrowed(self))).into_iter());
        }
        let block = move |start: usize| {
            let end = n_rows.min(start + size);
            let rows: Vec<u32> = (start..end).map(|row| row as u32).collect();
            Ok(Cow::Owned(self.select(&rows)))
        };
        Box::new((0..n_rows).step_by(size).map(block))
    }

    fn held(&self) -> Option<&FeatureTable> {
        Some(self)
    }
}

impl<R: RowSource + ?Sized> RowSource for Box<R> {
    fn n_rows(&self) -> usize {
        self.as_ref().n_rows()
    }

    fn blocks(&self, block_rows: Option<usize>) -> Blocks<'_> {
        self.as_ref().blocks(block_rows)
    }

    fn held(&self) -> Option<&FeatureTable> {
        self.as_ref().held()
    }
}

impl<R: RowSource + ?Sized> RowSource for &R {
    fn n_rows(&self) -> usize {
        (**self).n_rows()
    }

    fn blocks(&self, block_rows: Option<usize>) -> Blocks<'_> {
        (**self).blocks(block_rows)
    }

    fn held(&self) -> Option<&FeatureTable> {
        (**self).held()
    }
}
