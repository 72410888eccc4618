//! The state of an optimiser, by path.

use serde::{Deserialize, Serialize};

use super::{Optimiser, OptimiserConfig};
use crate::checkpoint::{Damage, SavedEntry, match_paths};
use crate::{Entry, Layout, Mat, Result, Role, Scalar};

/// The steps taken and the moments of every parameter, by path.
///
/// Settings are not part of it: they come from the configuration, so a learning rate or a
/// schedule may change on resuming. The rules may not, since the moments are theirs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SavedOptimiser {
    /// Steps taken.
    pub steps: u64,
    /// The rule of dense parameters, such as `adam`.
    pub dense_rule: String,
    /// The rule of tables.
    pub table_rule: String,
    /// First moments (or velocities, or accumulators), sorted by path.
    pub first: Vec<SavedEntry>,
    /// Second moments, sorted by path.
    pub second: Vec<SavedEntry>,
}

impl SavedOptimiser {
    /// A copy of the state. `layout` is the one the optimiser was made for.
    pub fn of<S: Scalar>(optimiser: &Optimiser<S>, layout: &Layout) -> Self {
        let saved = |moment| {
            let moments = moments(optimiser, layout, moment);
            let entries = moments.iter().map(|&(path, matrix)| SavedEntry::of(path, matrix));
            let mut entries: Vec<_> = entries.collect();
            entries.sort_by(|a, b| a.path.cmp(&b.path));
            entries
        };
        let (dense, tables) = (optimiser.config.dense, optimiser.config.table_rule());
        Self {
            steps: optimiser.steps,
            dense_rule: dense.kind().to_owned(),
            table_rule: tables.kind().to_owned(),
            first: saved(0),
            second: saved(1),
        }
    }

    /// An optimiser that goes on from this state, in a layout with the same paths and shapes.
    ///
    /// # Errors
    /// Those of [`OptimiserConfig::check`]; [`Damage::Rule`] if the state is another rule's;
    /// [`Error::Paths`](crate::Error::Paths), [`Error::Twice`](crate::Error::Twice),
    /// [`Error::ParameterShape`](crate::Error::ParameterShape) or [`Damage::Scalar`] if it does
    /// not fit the layout or the float type.
    pub fn restore<S: Scalar>(
        &self,
        config: OptimiserConfig,
        layout: &Layout,
    ) -> Result<Optimiser<S>> {
        let mut optimiser = Optimiser::new(config, layout)?;
        for (what, found, rule) in [
            ("dense parameters", &self.dense_rule, config.dense),
            ("tables", &self.table_rule, config.table_rule()),
        ] {
            let expected = rule.kind();
            if found != expected {
                return Err(Damage::Rule { what, found: found.clone(), expected }.into());
            }
        }
        for (moment, entries) in [&self.first, &self.second].into_iter().enumerate() {
            write(&mut optimiser, layout, moment, entries)?;
        }
        optimiser.steps = self.steps;
        Ok(optimiser)
    }
}

impl<S: Scalar> Optimiser<S> {
    /// The first moments (0) or the second (1) by path, rows × columns: dense parameters, then tables, in
    /// the order of `layout`, which is the one the optimiser was made for. None where a rule has no use for
    /// them; a row-wise rule keeps one value a row.
    pub fn moments<'a>(&'a self, layout: &'a Layout, moment: usize) -> Vec<(&'a str, Mat<'a, S>)> {
        moments(self, layout, moment)
    }

    /// Calls `fill` with the values of one of [`Optimiser::moments`], run after run from its first row to
    /// its last: what is too large for a copy can be read from a file.
    ///
    /// # Errors
    /// What `fill` returns.
    pub fn fill_moment<E>(
        &mut self,
        layout: &Layout,
        (moment, path): (usize, &str),
        mut fill: impl FnMut(&mut [S]) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        match layout.find(path) {
            Ok(Entry::Param(id)) if !self.dense[moment].is_empty() => {
                let mut window = layout.param(id).window_mut(&mut self.dense[moment]);
                (0..window.rows()).try_for_each(|r| fill(window.row(r)))
            }
            Ok(Entry::Table(id)) => fill(&mut self.tables[id.index()][moment]),
            _ => Ok(()),
        }
    }

    /// The same, after so many steps.
    #[must_use]
    pub fn with_steps(self, steps: u64) -> Self {
        Self { steps, ..self }
    }
}

/// The matrices of one of the two moments; none where a rule has no use for it.
fn moments<'a, S: Scalar>(
    optimiser: &'a Optimiser<S>,
    layout: &'a Layout,
    moment: usize,
) -> Vec<(&'a str, Mat<'a, S>)> {
    let flat = &optimiser.dense[moment];
    let dense = layout.params().iter().filter(|p| p.role != Role::State && !flat.is_empty());
    let tables = layout.tables().iter().zip(&optimiser.tables).map(|(t, m)| (t, &m[moment]));
    let tables = tables.filter(|(_, values)| !values.is_empty()).map(|(spec, values)| {
        // A row-wise rule keeps one value a row.
        let cols = values.len() / spec.rows;
        (spec.path.as_str(), Mat::new(values, spec.rows, cols, cols))
    });
    dense.map(|p| (p.path.as_str(), p.window(flat))).chain(tables).collect()
}

fn write<S: Scalar>(
    optimiser: &mut Optimiser<S>,
    layout: &Layout,
    moment: usize,
    entries: &[SavedEntry],
) -> Result<()> {
    let fresh = moments(optimiser, layout, moment);
    let shapes = fresh.iter().map(|&(path, matrix)| (path, matrix.rows(), matrix.cols()));
    let saved = match_paths(entries, shapes)?;
    for spec in layout.params() {
        let Some(entry) = saved.get(spec.path.as_str()) else { continue };
        let values = entry.typed()?;
        let mut window = spec.window_mut(&mut optimiser.dense[moment]);
        for (r, row) in values.chunks_exact(spec.cols.max(1)).enumerate() {
            window.row(r).copy_from_slice(row);
        }
    }
    for (spec, state) in layout.tables().iter().zip(&mut optimiser.tables) {
        if let Some(entry) = saved.get(spec.path.as_str()) {
            state[moment].copy_from_slice(entry.typed()?);
        }
    }
    Ok(())
}
