//! What generators have in common: rows made block by block, into tables or into a file.

use std::path::Path;

use mtl_feature::{Chunk, LabelSpec, SchemaFitter, SchemaSpec};
use rayon::prelude::*;

use crate::chunk_writer::ChunkWriter;
use crate::held::Held;
use crate::{Dataset, Result, Split};

/// Blocks that are made at a time, and that are one row group of a Parquet file.
const BLOCKS_AT_A_TIME: u64 = 16;

/// Rows by number. What a row is depends on the settings and its number alone.
pub(crate) trait Generate: Sync {
    /// Its name in messages.
    const NAME: &'static str;
    /// Rows of a block.
    const BLOCK_ROWS: u64;

    fn n_rows(&self) -> u64;

    /// The rows from `first`, a multiple of [`BLOCK_ROWS`](Self::BLOCK_ROWS), on; `n` of them.
    fn block(&self, first: u64, n: usize) -> Result<Chunk>;

    /// The columns, without rows.
    fn empty(&self) -> Result<Chunk> {
        self.block(0, 0)
    }

    /// Calls `f` with every block in order, some at a time; those are made on all threads.
    fn for_each(&self, mut f: impl FnMut(Vec<Chunk>) -> Result<()>) -> Result<()> {
        let n_blocks = self.n_rows().div_ceil(Self::BLOCK_ROWS);
        let mut next = 0;
        while next < n_blocks {
            let end = (next + BLOCKS_AT_A_TIME).min(n_blocks);
            let block = |i: u64| {
                let first = i * Self::BLOCK_ROWS;
                let n = Self::BLOCK_ROWS.min(self.n_rows() - first);
                self.block(first, n as usize)
            };
            f((next..end).into_par_iter().map(block).collect::<Result<_>>()?)?;
            next = end;
        }
        Ok(())
    }

    /// All rows, split, fitted and encoded.
    fn dataset(&self, spec: SchemaSpec, truth: Vec<LabelSpec>, split: &Split) -> Result<Dataset> {
        let path = Path::new(Self::NAME);
        let mut held = Held::new(SchemaFitter::new(spec)?).with_truth(truth);
        self.for_each(|chunks| {
            chunks.into_iter().try_for_each(|chunk| held.take(Some(split), path, chunk))
        })?;
        held.encode(path)
    }

    /// All rows to a file; `progress` is told how many are written.
    fn write(&self, path: &Path, mut progress: impl FnMut(u64)) -> Result<()> {
        let mut writer = ChunkWriter::create(path, &self.empty()?, 0)?;
        let mut n_written = 0;
        self.for_each(|chunks| {
            writer.write(&chunks)?;
            n_written += chunks.iter().map(|chunk| chunk.n_rows() as u64).sum::<u64>();
            progress(n_written);
            Ok(())
        })?;
        writer.finish()
    }
}
