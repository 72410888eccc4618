//! Parameters as flat, named matrices.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Damage;
use crate::{Entry, Error, Layout, Mat, Params, Result, Scalar};

/// Values of one of the two float types.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Values {
    /// `f32`.
    F32(Vec<f32>),
    /// `f64`.
    F64(Vec<f64>),
}

impl Values {
    /// The float type: `"f32"` or `"f64"`.
    pub const fn scalar(&self) -> &'static str {
        match self {
            Self::F32(_) => f32::NAME,
            Self::F64(_) => f64::NAME,
        }
    }

    /// The number of values.
    pub const fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::F64(values) => values.len(),
        }
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// One named matrix.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SavedEntry {
    /// The parameter's path, such as `task.is_click.tower.0.weight`.
    pub path: String,
    /// Its rows.
    pub rows: u64,
    /// Its columns.
    pub cols: u64,
    /// rows × columns values, row-major.
    pub values: Values,
}

impl SavedEntry {
    /// A copy of a matrix.
    pub(crate) fn of<S: Scalar>(path: &str, matrix: Mat<'_, S>) -> Self {
        let rows = (0..matrix.rows()).flat_map(|r| matrix.row(r).iter().copied());
        Self {
            path: path.to_owned(),
            rows: matrix.rows() as u64,
            cols: matrix.cols() as u64,
            values: S::into_values(rows.collect()),
        }
    }

    /// The values as type `S`.
    pub(crate) fn typed<S: Scalar>(&self) -> Result<&[S]> {
        S::of_values(&self.values).ok_or_else(|| {
            let (found, expected) = (self.values.scalar(), S::NAME);
            Damage::Scalar { path: self.path.clone(), found, expected }.into()
        })
    }
}

/// Every parameter of a model, running statistics and tables included, sorted by path.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SavedParams {
    /// The parameters.
    pub entries: Vec<SavedEntry>,
}

impl SavedParams {
    /// A copy of all values.
    pub fn of<S: Scalar>(params: &Params<S>) -> Self {
        let layout = params.layout();
        let dense = layout.params().iter().enumerate().map(|(i, spec)| {
            let id = crate::ParamId(i as u32);
            SavedEntry::of(&spec.path, params.param(id))
        });
        let tables = layout.tables().iter().zip(&params.tables);
        let tables = tables.map(|(spec, t)| {
            SavedEntry::of(&spec.path, Mat::new(t, spec.rows, spec.dim, spec.dim))
        });
        let mut entries: Vec<_> = dense.chain(tables).collect();
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        Self { entries }
    }

    /// The values in a layout that has the same paths and shapes, in any order.
    ///
    /// # Errors
    /// [`Error::Paths`] if a path is missing or unexpected, [`Error::Twice`] if one occurs twice,
    /// [`Error::ParameterShape`] for a shape that differs, [`Damage::Scalar`] for values of the
    /// other float type ([`Params::cast`] converts them once they are restored as what they are).
    pub fn restore<S: Scalar>(&self, layout: &Arc<Layout>) -> Result<Params<S>> {
        let dense = layout.params().iter().map(|p| (p.path.as_str(), p.rows, p.cols));
        let tables = layout.tables().iter().map(|t| (t.path.as_str(), t.rows, t.dim));
        let saved = match_paths(&self.entries, dense.chain(tables))?;
        let mut params = Params::zeros(layout);
        for (path, entry) in saved {
            let values = entry.typed()?;
            match layout.find(path)? {
                Entry::Param(id) => params.write_param(id, values),
                Entry::Table(id) => params.table_mut(id).copy_from_slice(values),
            }
        }
        Ok(params)
    }
}

/// The entries by path, once each, exactly those expected and of the shapes expected.
pub(crate) fn match_paths<'a, 'b>(
    entries: &'a [SavedEntry],
    expected: impl Iterator<Item = (&'b str, usize, usize)>,
) -> Result<HashMap<&'a str, &'a SavedEntry>> {
    let mut found = HashMap::with_capacity(entries.len());
    for entry in entries {
        if found.insert(entry.path.as_str(), entry).is_some() {
            return Err(Error::Twice { what: "parameter", name: entry.path.clone() });
        }
    }
    let (mut matched, mut missing) = (HashMap::with_capacity(entries.len()), Vec::new());
    let mut misfit = None;
    for (path, rows, cols) in expected {
        let Some(entry) = found.remove(path) else {
            missing.push(path.to_owned());
            continue;
        };
        let shape = (entry.rows as usize, entry.cols as usize);
        if shape == (rows, cols) && entry.values.len() != rows * cols {
            let (path, found) = (entry.path.clone(), entry.values.len());
            misfit.get_or_insert(Damage::Count { path, found, rows, cols }.into());
        } else if shape != (rows, cols) {
            let (path, (found_rows, found_cols)) = (entry.path.clone(), shape);
            misfit.get_or_insert(Error::ParameterShape {
                path,
                found_rows,
                found_cols,
                rows,
                cols,
            });
        }
        matched.insert(entry.path.as_str(), entry);
    }
    if !missing.is_empty() || !found.is_empty() {
        let mut unexpected: Vec<_> = found.into_keys().map(str::to_owned).collect();
        unexpected.sort();
        return Err(Error::Paths { missing, unexpected });
    }
    misfit.map_or(Ok(matched), Err)
}
