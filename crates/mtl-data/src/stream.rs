//! Rows that stay in their files: read, encoded and handed on a block at a time.

use std::borrow::Cow;
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{JoinHandle, spawn};

use mtl_feature::{Chunk, FeatureTable, Schema, Targets};

use crate::load::Columns;
use crate::split::{Part, of_file, rows_of};
use crate::{Blocks, Error, Files, ReadOptions, Reader, Result, RowSource, Split};

/// Rows of a stream's block where nobody says how many.
pub const STREAM_BLOCK_ROWS: usize = 1 << 20;

/// Rows of a block of which only the predictions are kept: a few for every worker, and a multiple of
/// what a prediction takes at a time.
pub(crate) const SCORED_BLOCK_ROWS: usize = 1 << 16;

/// Rows of files, encoded by a schema that was fitted before.
///
/// Each pass reads the files again, in their order, on a thread of its own: while one block trains,
/// the next is being filled. So two blocks are held, and a few chunks of a file.
#[derive(Clone, Debug)]
pub struct Stream {
    source: Arc<Source>,
}

/// What the reading thread needs.
#[derive(Debug)]
pub(crate) struct Source {
    /// Without patterns.
    pub(crate) files: Files,
    /// How they are parted; without it all rows are read.
    pub(crate) split: Option<Split>,
    /// Which rows these are.
    pub(crate) part: Part,
    pub(crate) options: ReadOptions,
    pub(crate) columns: Columns,
    pub(crate) schema: Schema,
    /// As many as were there when it was looked.
    pub(crate) n_rows: u64,
    /// Rows of a block where nobody says how many.
    pub(crate) block_rows: usize,
}

impl From<Source> for Stream {
    fn from(source: Source) -> Self {
        Self { source: Arc::new(source) }
    }
}

impl RowSource for Stream {
    fn n_rows(&self) -> usize {
        self.source.n_rows as usize
    }

    fn blocks(&self, block_rows: Option<usize>) -> Blocks<'_> {
        let block_rows = block_rows.unwrap_or(self.source.block_rows);
        assert!(block_rows > 0, "a block of no rows");
        // A block is taken, not queued: so there are never more than two.
        let (sender, receiver) = sync_channel(0);
        let (source, stop) = (Arc::clone(&self.source), Arc::new(AtomicBool::new(false)));
        let output = Output { sender, stop: Arc::clone(&stop), block_rows };
        let thread = spawn(move || {
            if let Err(error) = source.read(&output) {
                output.send(Err(error));
            }
        });
        let reading = Reading { receiver: Some(receiver), stop, thread: Some(thread) };
        Box::new(reading.map(|block| block.map(Cow::Owned)))
    }
}

/// Where the reading thread puts blocks.
struct Output {
    sender: SyncSender<Result<FeatureTable>>,
    stop: Arc<AtomicBool>,
    block_rows: usize,
}

impl Output {
    /// Hands a block on; false if nobody wants more.
    fn send(&self, block: Result<FeatureTable>) -> bool {
        self.sender.send(block).is_ok()
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

impl Source {
    /// Reads all files and hands block after block on, until nobody wants more.
    fn read(&self, output: &Output) -> Result<()> {
        let names = self.columns.names();
        let encoder = self.schema.encoder(&names, Targets::Required)?;
        let (mut table, mut n_read, mut n_rows) = (encoder.table(), 0, 0);
        for path in self.files.paths() {
            let split = of_file(self.split.as_ref(), path, &self.options)?;
            let reader = Reader::open(path, &self.options)?;
            self.columns.check(reader.names()).map_err(|error| Error::in_file(path, error))?;
            for chunk in reader.chunks(&names)? {
                if output.is_stopped() {
                    return Ok(());
                }
                let mut rest = self.rows(split.as_ref(), path, chunk?, &mut n_read)?;
                while let Some(chunk) = rest {
                    let (head, tail) = cut(chunk, output.block_rows - table.n_rows());
                    n_rows += head.n_rows() as u64;
                    encoder.encode(&head, &mut table).map_err(|e| Error::in_file(path, e))?;
                    if table.n_rows() == output.block_rows
                        && !output.send(Ok(std::mem::replace(&mut table, encoder.table())))
                    {
                        return Ok(());
                    }
                    rest = tail;
                }
            }
        }
        if n_rows != self.n_rows {
            let first = self.files.paths().first().map_or(Path::new(""), |path| path);
            let (which, before) = (self.part.adjective(), self.n_rows);
            let problem = format!("with the files after it has {n_rows} {which} rows now");
            return Err(Error::format(first, format!("{problem}, and had {before} before")));
        }
        if !table.is_empty() {
            output.send(Ok(table));
        }
        Ok(())
    }

    fn rows(
        &self,
        split: Option<&Split>,
        path: &Path,
        chunk: Chunk,
        n_read: &mut u64,
    ) -> Result<Option<Chunk>> {
        let first = *n_read;
        *n_read += chunk.n_rows() as u64;
        match split {
            None => Ok((chunk.n_rows() > 0).then_some(chunk)),
            Some(split) => rows_of(Some(split), self.part, path, chunk, first),
        }
    }
}

/// A chunk's first rows, and the others if there are any.
fn cut(chunk: Chunk, n_first: usize) -> (Chunk, Option<Chunk>) {
    let n_rows = chunk.n_rows();
    if n_rows <= n_first {
        return (chunk, None);
    }
    let first: Vec<bool> = (0..n_rows).map(|row| row < n_first).collect();
    let others: Vec<bool> = first.iter().map(|first| !first).collect();
    (chunk.filter(&first), Some(chunk.filter(&others)))
}

/// Blocks as they come from the reading thread.
struct Reading {
    receiver: Option<Receiver<Result<FeatureTable>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Iterator for Reading {
    type Item = Result<FeatureTable>;

    fn next(&mut self) -> Option<Self::Item> {
        let block = self.receiver.as_ref()?.recv();
        if let Ok(Ok(_)) = block {
            return block.ok();
        }
        self.receiver = None;
        // An end without a word may be a panic: that is no end of the rows.
        if let Some(Err(panic)) = self.thread.take().map(JoinHandle::join) {
            resume_unwind(panic);
        }
        block.ok()
    }
}

impl Drop for Reading {
    /// No file is open and nothing is held once this is gone.
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.receiver = None;
        if let Some(thread) = self.thread.take() {
            // Nobody asked for the block in which it panicked, if it did.
            let _ = thread.join();
        }
    }
}
