//! Parameters: their layout (names and shapes) and their values.
//!
//! All trainable dense values of a model lie in one flat vector, so an optimiser is one loop.
//! A parameter is a *window* of that vector: parameters over the same input are stored side by
//! side in one wide matrix, which makes the first layers of all experts and gates a single
//! product, while each keeps a path and a shape of its own.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use ndarray::ArrayView2;

use crate::kernel::filled;
use crate::{Error, Init, Mat, MatMut, Result, Scalar};

/// A dense parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ParamId(pub(crate) u32);

/// An embedding table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableId(pub(crate) u32);

impl ParamId {
    /// Position in [`Layout::params`].
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl TableId {
    /// The first table of a layout.
    pub const fn first() -> Self {
        Self(0)
    }

    /// Position in [`Layout::tables`].
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// What a dense parameter is to the optimiser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Stepped, and subject to L2.
    Weight,
    /// Stepped, never subject to L2: biases, and scales and shifts of a normalisation.
    Bias,
    /// Never stepped: running statistics.
    State,
}

/// A dense parameter's name, shape and place.
#[derive(Clone, Debug)]
pub struct ParamSpec {
    /// Its documented path, such as `task.is_click.tower.0.weight`.
    pub path: String,
    /// Rows (inputs).
    pub rows: usize,
    /// Columns (outputs).
    pub cols: usize,
    /// What it is to the optimiser.
    pub role: Role,
    pub(crate) init: Init,
    pub(crate) offset: usize,
    pub(crate) stride: usize,
}

/// An embedding table's name and shape.
#[derive(Clone, Debug)]
pub struct TableSpec {
    /// Its documented path, such as `embedding.user_id.table`.
    pub path: String,
    /// Rows: the number of ids.
    pub rows: usize,
    /// Columns: the embedding dimension.
    pub dim: usize,
    pub(crate) init: Init,
}

/// Names, shapes and places of all parameters of a graph.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    params: Vec<ParamSpec>,
    tables: Vec<TableSpec>,
    by_path: HashMap<String, Entry>,
    n_trainable: usize,
    n_state: usize,
}

/// A path resolves to a dense parameter or to a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A dense parameter.
    Param(ParamId),
    /// An embedding table.
    Table(TableId),
}

/// A parameter to be added to a [`Layout`].
#[derive(Clone, Debug)]
pub struct NewParam {
    /// Its path.
    pub path: String,
    /// Its columns.
    pub cols: usize,
    /// How it starts.
    pub init: Init,
}

impl Layout {
    /// All dense parameters, in the order in which they were added.
    pub fn params(&self) -> &[ParamSpec] {
        &self.params
    }

    /// All embedding tables, in the order in which they were added.
    pub fn tables(&self) -> &[TableSpec] {
        &self.tables
    }

    /// One dense parameter.
    pub fn param(&self, id: ParamId) -> &ParamSpec {
        &self.params[id.index()]
    }

    /// One table.
    pub fn table(&self, id: TableId) -> &TableSpec {
        &self.tables[id.index()]
    }

    /// What a path names.
    ///
    /// # Errors
    /// [`Error::Unknown`], listing the known paths.
    pub fn find(&self, path: &str) -> Result<Entry> {
        self.by_path.get(path).copied().ok_or_else(|| Error::Unknown {
            what: "parameter",
            name: path.to_owned(),
            known: self.paths().map(str::to_owned).collect(),
        })
    }

    /// Every path: dense parameters, then tables.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        let params = self.params.iter().map(|p| p.path.as_str());
        params.chain(self.tables.iter().map(|t| t.path.as_str()))
    }

    /// Length of the flat vector of trainable dense values.
    pub const fn n_trainable(&self) -> usize {
        self.n_trainable
    }

    /// Number of trainable values, those of tables included.
    pub fn n_values(&self) -> usize {
        self.n_trainable + self.tables.iter().map(|t| t.rows * t.dim).sum::<usize>()
    }

    /// The runs of the flat vector of trainable values that some parameters fill, merged, in order.
    pub(crate) fn runs<'a>(
        &self,
        params: impl Iterator<Item = &'a ParamSpec>,
    ) -> Vec<Range<usize>> {
        let rows = params.flat_map(|spec| {
            (0..spec.rows).map(|r| {
                let start = spec.offset + r * spec.stride;
                start..start + spec.cols
            })
        });
        let mut rows: Vec<Range<usize>> = rows.collect();
        rows.sort_by_key(|run| run.start);
        let mut merged: Vec<Range<usize>> = Vec::new();
        for run in rows {
            match merged.last_mut() {
                Some(last) if last.end == run.start => last.end = run.end,
                _ => merged.push(run),
            }
        }
        merged
    }

    /// Adds `rows`-row parameters stored side by side in one matrix.
    pub(crate) fn add_bank(
        &mut self,
        rows: usize,
        role: Role,
        members: Vec<NewParam>,
    ) -> Result<Vec<ParamId>> {
        let stride = members.iter().map(|m| m.cols).sum::<usize>();
        let end = if role == Role::State { &mut self.n_state } else { &mut self.n_trainable };
        let mut offset = *end;
        *end += rows * stride;
        let mut ids = Vec::with_capacity(members.len());
        for NewParam { path, cols, init } in members {
            let id = ParamId(self.params.len() as u32);
            self.claim(&path, Entry::Param(id))?;
            self.params.push(ParamSpec { path, rows, cols, role, init, offset, stride });
            ids.push(id);
            offset += cols;
        }
        Ok(ids)
    }

    pub(crate) fn add_table(&mut self, table: TableSpec) -> Result<TableId> {
        let id = TableId(self.tables.len() as u32);
        self.claim(&table.path, Entry::Table(id))?;
        self.tables.push(table);
        Ok(id)
    }

    fn claim(&mut self, path: &str, entry: Entry) -> Result<()> {
        match self.by_path.insert(path.to_owned(), entry) {
            None => Ok(()),
            Some(_) => Err(Error::Twice { what: "parameter", name: path.to_owned() }),
        }
    }
}

impl ParamSpec {
    /// The parameter's window of a flat vector laid out like the trainable values.
    #[inline]
    pub(crate) fn window<'a, S: Scalar>(&self, flat: &'a [S]) -> Mat<'a, S> {
        Mat::new(&flat[self.offset..], self.rows, self.cols, self.stride)
    }

    /// As [`ParamSpec::window`], writable.
    #[inline]
    pub(crate) fn window_mut<'a, S: Scalar>(&self, flat: &'a mut [S]) -> MatMut<'a, S> {
        MatMut::new(&mut flat[self.offset..], self.rows, self.cols, self.stride)
    }
}

impl ParamSpec {
    /// The window of `n_cols` columns of the bank this parameter stands in, from its first on.
    #[inline]
    fn bank_window<'a, S: Scalar>(&self, flat: &'a [S], n_cols: usize) -> Mat<'a, S> {
        Mat::new(&flat[self.offset..], self.rows, n_cols, self.stride)
    }

    /// As [`ParamSpec::bank_window`], writable.
    #[inline]
    pub(crate) fn bank_window_mut<'a, S: Scalar>(
        &self,
        flat: &'a mut [S],
        n_cols: usize,
    ) -> MatMut<'a, S> {
        MatMut::new(&mut flat[self.offset..], self.rows, n_cols, self.stride)
    }

    /// Whether `next` stands right beside this parameter in the same bank.
    pub(crate) fn is_beside(&self, next: &Self) -> bool {
        self.rows == next.rows
            && self.stride == next.stride
            && self.role == next.role
            && self.offset + self.cols == next.offset
            && self.stride >= self.cols + next.cols
    }
}

/// The values of all parameters.
#[derive(Clone, Debug)]
pub struct Params<S> {
    pub(crate) layout: Arc<Layout>,
    pub(crate) trainable: Vec<S>,
    pub(crate) state: Vec<S>,
    pub(crate) tables: Vec<Vec<S>>,
}

impl<S: Scalar> Params<S> {
    /// Room for values that are about to be written.
    pub(crate) fn zeros(layout: &Arc<Layout>) -> Self {
        Self {
            layout: Arc::clone(layout),
            trainable: vec![S::zero(); layout.n_trainable],
            state: vec![S::zero(); layout.n_state],
            tables: layout.tables.iter().map(|t| filled(S::zero(), t.rows * t.dim)).collect(),
        }
    }

    /// Initial values, a function of the seed and each parameter's path alone.
    pub fn init(layout: &Arc<Layout>, seed: u64) -> Self {
        let mut params = Self::zeros(layout);
        for (i, spec) in layout.params.iter().enumerate() {
            let mut values = Vec::with_capacity(spec.rows * spec.cols);
            let mut put = |v: f64| values.push(S::of(v));
            spec.init.fill(seed, &spec.path, spec.rows, spec.cols, &mut put);
            params.write_param(ParamId(i as u32), &values);
        }
        for (spec, table) in layout.tables.iter().zip(&mut params.tables) {
            let mut places = table.iter_mut();
            spec.init.fill(seed, &spec.path, spec.rows, spec.dim, &mut |v| {
                if let Some(place) = places.next() {
                    *place = S::of(v);
                }
            });
        }
        params
    }

    /// The names and shapes.
    pub const fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// A dense parameter's values.
    #[inline]
    pub fn param(&self, id: ParamId) -> Mat<'_, S> {
        let spec = self.layout.param(id);
        spec.window(if spec.role == Role::State { &self.state } else { &self.trainable })
    }

    /// `n_cols` columns of the bank that `id` stands in, from its first column on.
    #[inline]
    pub(crate) fn bank(&self, id: ParamId, n_cols: usize) -> Mat<'_, S> {
        self.layout.param(id).bank_window(&self.trainable, n_cols)
    }

    /// A dense parameter's values, writable.
    #[inline]
    pub fn param_mut(&mut self, id: ParamId) -> MatMut<'_, S> {
        let spec = self.layout.param(id);
        let role = spec.role;
        spec.window_mut(if role == Role::State { &mut self.state } else { &mut self.trainable })
    }

    /// A table's values, row-major.
    #[inline]
    pub fn table(&self, id: TableId) -> &[S] {
        &self.tables[id.index()]
    }

    /// A table's values, writable.
    #[inline]
    pub fn table_mut(&mut self, id: TableId) -> &mut [S] {
        &mut self.tables[id.index()]
    }

    /// The values at a path, rows × columns.
    ///
    /// # Errors
    /// [`Error::Unknown`] for a path the layout does not have.
    pub fn get(&self, path: &str) -> Result<ArrayView2<'_, S>> {
        Ok(match self.layout.find(path)? {
            Entry::Param(id) => self.param(id).as_array(),
            Entry::Table(id) => {
                let dim = self.layout.table(id).dim;
                let values = self.table(id);
                Mat::new(values, values.len() / dim.max(1), dim, dim).as_array()
            }
        })
    }

    /// Overwrites the values at a path, row-major.
    ///
    /// # Errors
    /// [`Error::Unknown`] for the path, [`Error::ParameterShape`] if the shape is another.
    pub fn set(&mut self, path: &str, shape: (usize, usize), values: &[S]) -> Result<()> {
        let entry = self.layout.find(path)?;
        let (rows, cols) = match entry {
            Entry::Param(id) => (self.layout.param(id).rows, self.layout.param(id).cols),
            Entry::Table(id) => (self.layout.table(id).rows, self.layout.table(id).dim),
        };
        if shape != (rows, cols) || values.len() != rows * cols {
            let (found_rows, found_cols) = shape;
            let path = path.to_owned();
            return Err(Error::ParameterShape { path, found_rows, found_cols, rows, cols });
        }
        match entry {
            Entry::Param(id) => self.write_param(id, values),
            Entry::Table(id) => self.tables[id.index()].copy_from_slice(values),
        }
        Ok(())
    }

    /// The same values in another float type.
    pub fn cast<T: Scalar>(&self) -> Params<T> {
        let cast = |v: &Vec<S>| v.iter().map(|x| T::of(x.f64())).collect::<Vec<T>>();
        Params {
            layout: Arc::clone(&self.layout),
            trainable: cast(&self.trainable),
            state: cast(&self.state),
            tables: self.tables.iter().map(cast).collect(),
        }
    }

    /// One value of a dense parameter.
    pub(crate) fn param_value_mut(&mut self, id: ParamId, row: usize, col: usize) -> &mut S {
        let spec = self.layout.param(id);
        let at = spec.offset + row * spec.stride + col;
        let state = spec.role == Role::State;
        if state { &mut self.state[at] } else { &mut self.trainable[at] }
    }

    pub(crate) fn write_param(&mut self, id: ParamId, values: &[S]) {
        let mut window = self.param_mut(id);
        let cols = window.cols();
        for r in 0..window.rows() {
            window.row(r).copy_from_slice(&values[r * cols..(r + 1) * cols]);
        }
    }
}
