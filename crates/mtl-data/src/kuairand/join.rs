//! The tables of users and videos, and joining them onto the log.

use std::collections::HashMap;
use std::path::Path;

use mtl_feature::{Cell, Chunk, Key, RawColumn, TextColumn, Values, calendar};

use super::features::{FeatureSet, TAG, VIDEO_AGE, user_columns, video_columns};
use super::folder::Folder;
use super::log::DAYS;
use crate::load::{Columns, on_a_thread};
use crate::{Error, ReadOptions, Reader, Result};

/// When a video was uploaded; read for its age.
const UPLOADED: &str = "upload_dt";

/// Both tables.
pub(super) struct Tables {
    users: Table,
    videos: Table,
}

/// A chunk of the log with all its features.
pub(super) struct Joined {
    pub(super) chunk: Chunk,
    pub(super) without_user: usize,
    pub(super) without_video: usize,
}

impl Tables {
    pub(super) fn read(folder: &Folder, set: FeatureSet) -> Result<Self> {
        let mut videos = video_columns();
        videos.push(TAG.to_owned());
        if set == FeatureSet::Rich {
            videos.push(UPLOADED.to_owned());
        }
        let users = Table::read(&folder.users, "user_id", &user_columns(set))?;
        let videos = Table::read(&folder.videos, "video_id", &videos)?;
        Ok(Self { users, videos })
    }

    /// Adds the tables' columns to a chunk of the log, and the age of the video.
    pub(super) fn join(&self, chunk: Chunk, set: FeatureSet) -> Result<Joined> {
        let (users, videos) = (self.users.rows(&chunk), self.videos.rows(&chunk));
        let mut columns = chunk.columns().to_vec();
        for (table, rows) in [(&self.users, &users), (&self.videos, &videos)] {
            let features = table.columns.iter().filter(|(name, _)| name != UPLOADED);
            columns.extend(features.map(|(name, column)| (name.clone(), column.take(rows))));
        }
        if set == FeatureSet::Rich {
            let age = self.ages(&chunk, &videos);
            columns.push((VIDEO_AGE.to_owned(), age));
        }
        let without = |rows: &[Option<u32>]| rows.iter().filter(|row| row.is_none()).count();
        Ok(Joined {
            chunk: Chunk::new(chunk.n_rows(), chunk.rows().clone(), columns)?,
            without_user: without(&users),
            without_video: without(&videos),
        })
    }

    /// Days from upload to impression, missing where the upload is not known.
    fn ages(&self, chunk: &Chunk, videos: &[Option<u32>]) -> RawColumn {
        let uploaded = self.videos.columns.iter().find(|(name, _)| name == UPLOADED);
        let age = |(i, video): (usize, &Option<u32>)| {
            let day = |cell| match cell {
                Cell::Text(text) => days_of(text),
                _ => None,
            };
            let uploaded = day(uploaded?.1.cell((*video)? as usize))?;
            match chunk.column(DAYS)?.cell(i) {
                Cell::Integer(shown) => Some(shown - uploaded),
                _ => None,
            }
        };
        let ages: Vec<Option<i64>> = videos.iter().enumerate().map(age).collect();
        let missing = ages.iter().map(Option::is_none).collect();
        let ages = ages.into_iter().map(Option::unwrap_or_default).collect();
        RawColumn::with_missing(Values::Integer(ages), Some(missing))
    }
}

/// The days since 1970 of a date such as `2022-04-10`.
fn days_of(text: &str) -> Option<i64> {
    let mut parts = text.splitn(3, '-').map(|part| part.parse().ok());
    calendar::days_of(parts.next()??, parts.next()??, parts.next()??)
}

/// What is kept of a text: of `tag`, a list with commas, the first.
///
/// # Errors
/// What was expected, for an upload that is no date.
fn kept<'a>(column: &str, text: &'a str) -> std::result::Result<&'a str, &'static str> {
    match column {
        TAG => Ok(text.split(',').next().unwrap_or(text).trim()),
        UPLOADED if days_of(text).is_none() => Err("a date such as 2022-04-10"),
        _ => Ok(text),
    }
}

/// A table with one row an id.
struct Table {
    id: &'static str,
    columns: Vec<(String, RawColumn)>,
    row_of: HashMap<Key, u32>,
}

impl Table {
    fn read(path: &Path, id: &'static str, columns: &[String]) -> Result<Self> {
        let reader = Reader::open(path, &ReadOptions::default())?;
        let names: Vec<&str> =
            std::iter::once(id).chain(columns.iter().map(String::as_str)).collect();
        let needed_by = |name: &&str| ((*name).to_owned(), "KuaiRand's features".to_owned());
        Columns::new(names.iter().map(needed_by).collect())
            .check(reader.names())
            .map_err(|error| Error::in_file(path, error))?;
        let mut row_of = HashMap::new();
        let mut pieces: Vec<Piece> = columns.iter().map(|_| Piece::default()).collect();
        on_a_thread(reader, &names, |chunk| -> Result<()> {
            index(path, id, &chunk, &mut row_of)?;
            for (name, piece) in columns.iter().zip(&mut pieces) {
                if let Some(column) = chunk.column(name) {
                    piece.push(name, column).map_err(|(i, expected)| {
                        let (row, cell) = (chunk.rows().number(i), column.cell(i).quoted());
                        Error::value(path, row, name, cell, expected)
                    })?;
                }
            }
            Ok(())
        })?;
        let columns = columns.iter().cloned().zip(pieces.into_iter().map(Piece::finish)).collect();
        Ok(Self { id, columns, row_of })
    }

    /// The table's row for each row of the log.
    fn rows(&self, log: &Chunk) -> Vec<Option<u32>> {
        let row = |cell: Cell<'_>| self.row_of.get(&cell.key().ok()??).copied();
        let column = log.column(self.id);
        column.map_or(Vec::new(), |column| (0..column.len()).map(|i| row(column.cell(i))).collect())
    }
}

fn index(path: &Path, id: &str, chunk: &Chunk, row_of: &mut HashMap<Key, u32>) -> Result<()> {
    let Some(column) = chunk.column(id) else { return Ok(()) };
    for i in 0..column.len() {
        let wrong = |expected: &str| {
            let cell = column.cell(i).quoted();
            Error::value(path, chunk.rows().number(i), id, cell, expected)
        };
        let key = column.cell(i).key().map_err(wrong)?.ok_or_else(|| wrong("an id"))?;
        let next = row_of.len() as u32;
        if row_of.insert(key, next).is_some() {
            return Err(wrong("each id once"));
        }
    }
    Ok(())
}

/// A column of a table under way.
#[derive(Default)]
struct Piece {
    texts: TextColumn,
    missing: Vec<bool>,
}

impl Piece {
    /// Adds the rows of a chunk, or says which of them is wrong.
    fn push(
        &mut self,
        name: &str,
        column: &RawColumn,
    ) -> std::result::Result<(), (usize, &'static str)> {
        for i in 0..column.len() {
            let text = match column.cell(i) {
                Cell::Text(text) => kept(name, text).map_err(|expected| (i, expected))?,
                // A CSV file has texts, and nothing where one is missing.
                _ => "",
            };
            self.texts.push(text);
            self.missing.push(text.is_empty());
        }
        Ok(())
    }

    fn finish(self) -> RawColumn {
        RawColumn::with_missing(Values::Text(self.texts), Some(self.missing)).compact()
    }
}
