//! Rows in memory, in their compact form, until the schema is fitted to those that train.

use std::borrow::Borrow;
use std::path::{Path, PathBuf};

use mtl_feature::{
    Chunk, Error as FeatureError, FeatureTable, LabelSpec, Schema, SchemaFitter, SchemaSpec,
    Targets,
};

use crate::split::{Part, parted};
use crate::{Beside, Dataset, Error, Result, Split, Truth};

/// How many rows of a part may be held; of more, none is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Most {
    pub(crate) train: u64,
    pub(crate) others: u64,
}

impl Most {
    pub(crate) const fn all() -> Self {
        Self { train: u64::MAX, others: u64::MAX }
    }
}

/// Chunks that wait for the schema.
pub(crate) struct Held {
    fitter: SchemaFitter,
    truth: Vec<LabelSpec>,
    n_read: u64,
    train: Waiting,
    validation: Waiting,
    test: Waiting,
    beside: Beside,
}

/// The chunks of one part; none as soon as they have too many rows.
#[derive(Default)]
struct Waiting {
    chunks: Vec<(PathBuf, Chunk)>,
    n_rows: u64,
    /// The most rows that may be held; without it, any number.
    most: Option<u64>,
}

impl Waiting {
    fn push(&mut self, path: &Path, chunk: Chunk) {
        self.n_rows += chunk.n_rows() as u64;
        match self.most {
            Some(most) if self.n_rows > most => self.chunks = Vec::new(),
            _ => self.chunks.push((path.to_owned(), chunk)),
        }
    }
}

impl Held {
    pub(crate) fn new(fitter: SchemaFitter) -> Self {
        let [train, validation, test] = [(); 3].map(|()| Waiting::default());
        let (truth, beside) = (Vec::new(), Beside::default());
        Self { fitter, truth, n_read: 0, train, validation, test, beside }
    }

    /// Columns that become a [`Truth`] beside the tables.
    pub(crate) fn with_truth(self, truth: Vec<LabelSpec>) -> Self {
        Self { truth, ..self }
    }

    pub(crate) fn with_most(mut self, most: Most) -> Self {
        self.train.most = Some(most.train);
        (self.validation.most, self.test.most) = (Some(most.others), Some(most.others));
        self
    }

    pub(crate) fn with_beside(self, columns: &[String]) -> Self {
        Self { beside: Beside::new(columns), ..self }
    }

    /// Rows of training, validation and test, held or not.
    pub(crate) fn n_rows(&self) -> [u64; 3] {
        [&self.train, &self.validation, &self.test].map(|part| part.n_rows)
    }

    /// Adds a chunk of a file.
    pub(crate) fn take(&mut self, split: Option<&Split>, path: &Path, chunk: Chunk) -> Result<()> {
        let chunk = chunk.compact();
        let first = self.n_read;
        self.n_read += chunk.n_rows() as u64;
        for (part, rows) in parted(split, path, chunk, first)? {
            let (waiting, beside) = match part {
                Part::Train => {
                    self.fitter.observe(&rows).map_err(|error| Error::in_file(path, error))?;
                    (&mut self.train, &mut [][..])
                }
                Part::Validation => (&mut self.validation, &mut self.beside.validation[..]),
                Part::Test => (&mut self.test, &mut self.beside.test[..]),
            };
            beside.iter_mut().try_for_each(|column| column.observe(path, &rows))?;
            waiting.push(path, rows);
        }
        Ok(())
    }

    /// Fits and encodes; `first` is the file to name if there is nothing to train on.
    pub(crate) fn encode(self, first: &Path) -> Result<Dataset> {
        let schema = match self.fitter.finish() {
            Err(FeatureError::NoRows) => {
                return Err(Error::format(first, "there are no rows to train on, expected some"));
            }
            schema => schema?,
        };
        let held = [self.train, self.validation, self.test].map(|part| part.chunks);
        let truth = if self.truth.is_empty() { None } else { Some(truth(self.truth, &held)?) };
        let [train, validation, test] = held.map(|chunks| encode(&schema, chunks));
        let dataset = Dataset::new(schema, train?, validation?, test?);
        Ok(Dataset { truth, beside: self.beside, ..dataset })
    }
}

fn truth(
    labels: Vec<LabelSpec>,
    [train, validation, test]: &[Vec<(PathBuf, Chunk)>; 3],
) -> Result<Truth> {
    let mut fitter = SchemaFitter::new(SchemaSpec::new(Vec::new(), labels))?;
    train.iter().try_for_each(|(_, chunk)| fitter.observe(chunk))?;
    let schema = fitter.finish()?;
    let of = |chunks: &[(PathBuf, Chunk)]| encode(&schema, chunks.iter().map(|(p, c)| (p, c)));
    Ok(Truth { train: of(train)?, validation: of(validation)?, test: of(test)? })
}

fn encode(
    schema: &Schema,
    chunks: impl IntoIterator<Item = (impl AsRef<Path>, impl Borrow<Chunk>)>,
) -> Result<FeatureTable> {
    let columns = schema.columns();
    let encoder = schema.encoder(&columns, Targets::Required)?;
    let mut table = encoder.table();
    // Each chunk that is owned is dropped once encoded.
    for (path, chunk) in chunks {
        let in_file = |error| Error::in_file(path.as_ref(), error);
        encoder.encode(chunk.borrow(), &mut table).map_err(in_file)?;
    }
    Ok(table)
}
