//! The form of a training state, in memory or in a file.
//!
//! ```text
//! `mtl training state 8`, a line feed | bytes of the head, u64 | head | weights | best | first | second
//! ```
//! The head is a checkpoint of all that is small. What follows are values by the head's lists of
//! matrices, each section with a checksum (`value_stream`): the weights, the best epoch's if it is
//! another's, and the optimiser's two moments. So a state is written and read through a buffer, and tables of
//! gigabytes are not copied for it.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

use mtl_nn::checkpoint::{SavedEntry, Values, encode};
use mtl_nn::{Entry, Layout, Mat};
use serde::{Deserialize, Serialize};

use crate::value_stream::{ValueReader, ValueWriter, WORD};

/// A matrix of a section.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Shape {
    pub(crate) path: String,
    pub(crate) rows: u64,
    pub(crate) cols: u64,
}

impl Shape {
    /// Those of all weights, in the order in which they are written.
    pub(crate) fn of(layout: &Layout) -> Vec<Self> {
        let shape = |path: &str| {
            let (rows, cols) = match layout.find(path).ok()? {
                Entry::Param(id) => (layout.param(id).rows, layout.param(id).cols),
                Entry::Table(id) => (layout.table(id).rows, layout.table(id).dim),
            };
            Some(Self { path: path.to_owned(), rows: rows as u64, cols: cols as u64 })
        };
        layout.paths().filter_map(shape).collect()
    }

    pub(crate) fn of_matrices(matrices: &[(&str, Mat<'_, f32>)]) -> Vec<Self> {
        let shape = |&(path, matrix): &(&str, Mat<'_, f32>)| {
            let (rows, cols) = (matrix.rows() as u64, matrix.cols() as u64);
            Self { path: path.to_owned(), rows, cols }
        };
        matrices.iter().map(shape).collect()
    }

    pub(crate) fn of_entries(entries: &[SavedEntry]) -> Vec<Self> {
        let shape = |entry: &SavedEntry| {
            let (rows, cols) = (entry.rows, entry.cols);
            Self { path: entry.path.clone(), rows, cols }
        };
        entries.iter().map(shape).collect()
    }

    pub(crate) const fn n_values(&self) -> u64 {
        self.rows.saturating_mul(self.cols)
    }
}

/// Bytes of a section, its checksum included.
fn section_bytes(shapes: &[Shape]) -> u64 {
    let values = shapes.iter().fold(0u64, |sum, shape| sum.saturating_add(shape.n_values()));
    values.saturating_mul(WORD as u64).saturating_add(8)
}

/// Writes what stands before the sections.
pub(crate) fn begin(to: &mut dyn Write, kind: &str, head: &impl Serialize) -> io::Result<()> {
    let head = encode(kind, head);
    to.write_all(kind.as_bytes())?;
    to.write_all(b"\n")?;
    to.write_all(&(head.len() as u64).to_le_bytes())?;
    to.write_all(&head)
}

/// Writes a section of matrices.
pub(crate) fn section(to: &mut dyn Write, entries: &[SavedEntry]) -> io::Result<()> {
    let mut values = ValueWriter::new(to);
    for entry in entries {
        match &entry.values {
            Values::F32(entry) => values.put(entry)?,
            Values::F64(_) => return Err(io::Error::other("training is in f32")),
        }
    }
    values.finish()
}

/// Writes a section of matrices that are not copied.
pub(crate) fn section_of(to: &mut dyn Write, matrices: &[(&str, Mat<'_, f32>)]) -> io::Result<()> {
    let mut values = ValueWriter::new(to);
    for (_, matrix) in matrices {
        (0..matrix.rows()).try_for_each(|r| values.put(matrix.row(r)))?;
    }
    values.finish()
}

/// Where the bytes of a state are. One reader at a time: a file has one place at which it is read.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    Bytes(Arc<[u8]>),
    File(Arc<File>),
}

impl Source {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self::File(Arc::new(File::open(path)?)))
    }

    /// Writes a state and is where it lies: in `file`, or in memory if there is none.
    pub(crate) fn write(
        file: Option<File>,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<Self> {
        let Some(file) = file else {
            let mut bytes = Vec::new();
            write(&mut bytes)?;
            return Ok(Self::Bytes(bytes.into()));
        };
        let mut to = BufWriter::new(&file);
        write(&mut to)?;
        to.flush()?;
        drop(to);
        Ok(Self::File(Arc::new(file)))
    }

    pub(crate) fn len(&self) -> io::Result<u64> {
        match self {
            Self::Bytes(bytes) => Ok(bytes.len() as u64),
            Self::File(file) => Ok(file.metadata()?.len()),
        }
    }

    /// The bytes from a place on.
    pub(crate) fn at(&self, place: u64) -> io::Result<Box<dyn Read + '_>> {
        Ok(match self {
            Self::Bytes(bytes) => {
                Box::new(usize::try_from(place).ok().and_then(|at| bytes.get(at..)).unwrap_or(&[]))
            }
            Self::File(file) => {
                let mut file = &**file;
                file.seek(SeekFrom::Start(place))?;
                Box::new(BufReader::new(file))
            }
        })
    }

    pub(crate) fn bytes(&self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.at(0)?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// The first line, without its end, if it is one of a state; nothing has it that is none.
    pub(crate) fn line(&self, kinds: &str) -> io::Result<Option<String>> {
        let mut bytes = Vec::new();
        self.at(0)?.take(64).read_to_end(&mut bytes)?;
        let text = String::from_utf8_lossy(&bytes);
        Ok(text.split_once('\n').map(|(line, _)| line.to_owned()).filter(|l| l.starts_with(kinds)))
    }

    /// The bytes of the head behind a line, and where the sections begin.
    pub(crate) fn head(&self, line: &str) -> io::Result<(Vec<u8>, u64)> {
        let (start, length) = (line.len() as u64 + 9, self.len()?);
        let mut bytes = [0; 8];
        self.at(start - 8)?.read_exact(&mut bytes)?;
        let n = u64::from_le_bytes(bytes);
        if n > length.saturating_sub(start) {
            return Err(truncated(length, start.saturating_add(n)));
        }
        let mut head = vec![0; n as usize];
        self.at(start)?.read_exact(&mut head)?;
        Ok((head, start + n))
    }

    /// Where each section begins; the first at `start`. All are there, and nothing else; so are their
    /// values, by their checksums.
    pub(crate) fn sections(&self, start: u64, sections: &[&[Shape]]) -> io::Result<Vec<u64>> {
        let (length, mut end, mut starts) = (self.len()?, start, Vec::new());
        for shapes in sections {
            starts.push(end);
            end = end.saturating_add(section_bytes(shapes));
        }
        match length.cmp(&end) {
            std::cmp::Ordering::Less => return Err(truncated(length, end)),
            std::cmp::Ordering::Greater => {
                let message = format!("{} bytes follow its end", length - end);
                return Err(io::Error::new(ErrorKind::InvalidData, message));
            }
            std::cmp::Ordering::Equal => {}
        }
        for (&start, shapes) in starts.iter().zip(sections) {
            self.verify(start, shapes)?;
        }
        Ok(starts)
    }

    pub(crate) fn reader(&self, start: u64) -> io::Result<ValueReader<Box<dyn Read + '_>>> {
        Ok(ValueReader::new(self.at(start)?))
    }

    fn verify(&self, start: u64, shapes: &[Shape]) -> io::Result<()> {
        let (mut from, mut scratch) = (self.reader(start)?, [0.0; 4096]);
        for shape in shapes {
            let mut left = shape.n_values();
            while left > 0 {
                let n = left.min(scratch.len() as u64);
                from.take(&mut scratch[..n as usize])?;
                left -= n;
            }
        }
        from.finish()
    }

    /// A section as matrices.
    pub(crate) fn entries(&self, start: u64, shapes: &[Shape]) -> io::Result<Vec<SavedEntry>> {
        let mut from = self.reader(start)?;
        let entry = |shape: &Shape| -> io::Result<SavedEntry> {
            let mut values = vec![0.0; shape.n_values() as usize];
            from.take(&mut values)?;
            let (path, values) = (shape.path.clone(), Values::F32(values));
            Ok(SavedEntry { path, rows: shape.rows, cols: shape.cols, values })
        };
        let entries = shapes.iter().map(entry).collect::<io::Result<_>>()?;
        from.finish()?;
        Ok(entries)
    }
}

fn truncated(found: u64, expected: u64) -> io::Error {
    let message = format!("truncated: {found} bytes, expected {expected}");
    io::Error::new(ErrorKind::UnexpectedEof, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: &str = "mtl training state 0";

    fn entries() -> Vec<SavedEntry> {
        let entry = |(path, rows, cols): (&str, u64, u64)| {
            let values = Values::F32((0..rows * cols).map(|i| i as f32).collect());
            SavedEntry { path: path.to_owned(), rows, cols, values }
        };
        [("a", 2, 3), ("b", 5000, 1)].map(entry).to_vec()
    }

    fn written(file: Option<File>) -> io::Result<Source> {
        Source::write(file, |to| {
            begin(to, KIND, &7_u32)?;
            section(to, &entries())?;
            section(to, &entries()[..1])
        })
    }

    #[test]
    fn sections_are_found_and_read_in_memory_and_in_a_file() -> io::Result<()> {
        let shapes = Shape::of_entries(&entries());
        for file in [None, Some(tempfile::tempfile()?)] {
            let source = written(file)?;
            let line = source.line("mtl training state ")?.expect("a state");
            assert_eq!(line, KIND);
            let (head, start) = source.head(&line)?;
            assert_eq!(mtl_nn::checkpoint::decode::<u32>(KIND, &head).expect("a head"), 7);
            let starts = source.sections(start, &[&shapes, &shapes[..1]])?;
            // Any section, any number of times.
            for _ in 0..2 {
                assert_eq!(source.entries(starts[1], &shapes[..1])?, &entries()[..1]);
                assert_eq!(source.entries(starts[0], &shapes)?, entries());
            }
            assert_eq!(source.bytes()?.len() as u64, source.len()?);
        }
        Ok(())
    }

    #[test]
    fn truncations_tails_and_flipped_bits_are_named() -> io::Result<()> {
        let shapes = Shape::of_entries(&entries());
        let bytes = written(None)?.bytes()?;
        let problem = |bytes: &[u8]| {
            let source = Source::Bytes(bytes.into());
            let (_, start) = source.head(KIND)?;
            source.sections(start, &[&shapes, &shapes[..1]])
        };
        for n in (KIND.len()..bytes.len()).step_by(97) {
            let error = problem(&bytes[..n]).expect_err("truncated");
            assert_eq!(error.kind(), ErrorKind::UnexpectedEof, "{n}: {error}");
        }
        let longer = [&bytes[..], &[0, 0]].concat();
        assert_eq!(problem(&longer).expect_err("a tail").to_string(), "2 bytes follow its end");
        let mut flipped = bytes.clone();
        *flipped.last_mut().expect("bytes") ^= 1;
        let error = problem(&flipped).expect_err("damaged").to_string();
        assert_eq!(error, "the checksum does not match");
        problem(&bytes).map(drop)
    }
}
