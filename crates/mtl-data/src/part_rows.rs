//! The rows of a part, read from its files again.

use std::path::Path;

use mtl_feature::Chunk;

use crate::load::{Columns, for_each_chunk};
use crate::split::{Part, of_file, rows_of};
use crate::{DataConfig, Files, ReadOptions, Result, Split};

/// Where the rows of a part lie.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PartRows<'c> {
    files: &'c Files,
    split: Option<&'c Split>,
    part: Part,
}

impl<'c> PartRows<'c> {
    /// Those of a configuration without patterns.
    pub(crate) fn of(config: &'c DataConfig, part: Part) -> Self {
        let own = match part {
            Part::Train => None,
            Part::Validation => config.validation.as_ref(),
            Part::Test => config.test.as_ref(),
        };
        match own {
            Some(files) => Self::all(files),
            None => Self { files: &config.train, split: config.split.as_ref(), part },
        }
    }

    /// All rows of files: those of files of their own are not parted.
    pub(crate) fn all(files: &'c Files) -> Self {
        Self { files, split: None, part: Part::Train }
    }

    /// The column that they are parted by, if it is one.
    pub(crate) fn split_column(&self) -> Option<&'c str> {
        match self.split {
            Some(Split::Column { column, .. }) => Some(column),
            _ => None,
        }
    }

    /// Calls `f` with the file and the rows of each chunk that has some of the part, in order, until a
    /// file is read in which it said false. `columns` are those to read of a file, that of the split
    /// among them.
    pub(crate) fn for_each(
        &self,
        options: &ReadOptions,
        columns: impl Fn(&Path) -> Result<Columns>,
        mut f: impl FnMut(&Path, Chunk) -> Result<bool>,
    ) -> Result<()> {
        let (mut all, mut go_on) = (0, true);
        for file in self.files.paths() {
            let split = of_file(self.split, file, options)?;
            for_each_chunk(file, options, &columns(file)?, |chunk| {
                let first = all;
                all += chunk.n_rows() as u64;
                if let Some(rows) = rows_of(split.as_ref(), self.part, file, chunk, first)? {
                    go_on &= f(file, rows)?;
                }
                Ok(())
            })?;
            if !go_on {
                break;
            }
        }
        Ok(())
    }
}
