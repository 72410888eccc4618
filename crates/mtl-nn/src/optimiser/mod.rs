//! Optimisers: one rule for dense values, one for embedding tables.

mod rule;
mod saved;
mod schedule;

use std::ops::Range;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{Error, Layout, Params, Result, Role, Scalar, SparseGradient};
pub use rule::{Epsilon, Rule};
pub use saved::SavedOptimiser;
pub use schedule::Schedule;

/// Values updated by one worker at a time. A constant of the code, so that results do not depend
/// on the machine; 8,192 floats and their two moments stay in a first-level cache.
pub(crate) const CHUNK: usize = 8_192;

/// Which rows of a table a step updates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TableUpdate {
    /// Only rows in the batch; the others keep values and moments. The bias correction uses the
    /// global step.
    #[default]
    Lazy,
    /// Every row, as if the table were a dense parameter.
    Dense,
}

/// How parameters are stepped.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptimiserConfig {
    /// The rule of dense parameters.
    pub dense: Rule,
    /// The rule of tables; the dense one if absent.
    pub tables: Option<Rule>,
    /// Which rows of a table are updated.
    pub table_update: TableUpdate,
    /// λ of λ‖W‖² on weights (not biases).
    pub l2: f64,
    /// λ of λ‖e‖² on the table rows of the batch, once a batch.
    pub l2_tables: f64,
    /// The norm of the whole gradient is scaled down to this, if larger.
    pub clip_norm: Option<f64>,
    /// Factor on the learning rates by step.
    pub schedule: Schedule,
}

impl Default for OptimiserConfig {
    /// Adam(1e-3, 0.9, 0.999, ε̂ 1e-7), lazy on tables: the `tutorial` preset of `maths.md` §1.
    fn default() -> Self {
        Self {
            dense: Rule::default(),
            tables: None,
            table_update: TableUpdate::Lazy,
            l2: 0.0,
            l2_tables: 0.0,
            clip_norm: None,
            schedule: Schedule::Constant,
        }
    }
}

impl OptimiserConfig {
    /// The rule of tables.
    pub fn table_rule(&self) -> Rule {
        self.tables.unwrap_or(self.dense)
    }

    /// Checks every setting.
    ///
    /// # Errors
    /// [`Error::Setting`], naming the first one out of range.
    pub fn check(&self) -> Result<()> {
        self.dense.check()?;
        if matches!(self.dense, Rule::RowAdagrad { .. }) {
            return Err(Error::Setting {
                name: "dense",
                value: "row_adagrad".to_owned(),
                expected: "a rule for dense parameters (row_adagrad is for tables)",
            });
        }
        self.tables.map_or(Ok(()), |rule| rule.check())?;
        self.schedule.check()?;
        for (name, value) in [("l2", self.l2), ("l2_tables", self.l2_tables)] {
            if !(value >= 0.0 && value.is_finite()) {
                let value = value.to_string();
                return Err(Error::Setting { name, value, expected: "a number ≥ 0" });
            }
        }
        match self.clip_norm {
            Some(norm) if !(norm > 0.0 && norm.is_finite()) => Err(Error::Setting {
                name: "clip_norm",
                value: norm.to_string(),
                expected: "a number > 0",
            }),
            _ => Ok(()),
        }
    }
}

/// An optimiser and its state: moments of every parameter and the number of steps taken.
///
/// [`SavedOptimiser`] saves and restores it.
#[derive(Clone, Debug)]
pub struct Optimiser<S> {
    config: OptimiserConfig,
    steps: u64,
    dense: [Vec<S>; 2],
    tables: Vec<[Vec<S>; 2]>,
    weights: Vec<Range<usize>>,
    /// The gradient of a table row that the batch does not touch.
    zero: Vec<S>,
}

impl<S: Scalar> Optimiser<S> {
    /// A fresh state for the parameters of `layout`.
    ///
    /// # Errors
    /// See [`OptimiserConfig::check`].
    pub fn new(config: OptimiserConfig, layout: &Layout) -> Result<Self> {
        config.check()?;
        let rule = config.table_rule();
        let tables = layout.tables().iter();
        Ok(Self {
            config,
            steps: 0,
            dense: config.dense.state(layout.n_trainable(), 1),
            tables: tables.map(|t| rule.state(t.rows, t.dim)).collect(),
            weights: layout.runs(layout.params().iter().filter(|p| p.role == Role::Weight)),
            zero: vec![S::zero(); layout.tables().iter().map(|t| t.dim).max().unwrap_or(0)],
        })
    }

    /// The settings.
    pub const fn config(&self) -> &OptimiserConfig {
        &self.config
    }

    /// Steps taken so far.
    pub const fn steps(&self) -> u64 {
        self.steps
    }

    /// Adds the gradient of λ‖W‖² to a chunk of the dense gradient that starts at `start`.
    pub(crate) fn add_l2(&self, start: usize, values: &[S], gradient: &mut [S]) {
        if self.config.l2 == 0.0 {
            return;
        }
        let factor = S::of(2.0 * self.config.l2);
        for range in &self.weights {
            let from = range.start.max(start);
            let to = range.end.min(start + gradient.len());
            for i in from..to.max(from) {
                gradient[i - start] += factor * values[i - start];
            }
        }
    }

    /// Adds the gradient of λ‖e‖² to the touched rows of a table.
    pub(crate) fn add_table_l2(&self, table: &[S], gradient: &mut SparseGradient<S>) {
        if self.config.l2_tables == 0.0 {
            return;
        }
        let (factor, dim) = (S::of(2.0 * self.config.l2_tables), gradient.dim());
        let (ids, rows) = gradient.rows_mut();
        for (&id, row) in ids.iter().zip(rows.chunks_exact_mut(dim)) {
            let values = &table[id as usize * dim..(id as usize + 1) * dim];
            row.iter_mut().zip(values).for_each(|(g, &v)| *g += factor * v);
        }
    }

    /// The factor that clipping puts on a gradient of that norm.
    pub(crate) fn clip_factor(&self, norm: f64) -> f64 {
        self.config.clip_norm.map_or(1.0, |max| if norm > max { max / norm } else { 1.0 })
    }

    /// One step: dense values by the flat `gradient`, tables by the `sparse` gradients (one for
    /// each table, empty where there is none), both multiplied by `factor`.
    ///
    /// # Panics
    /// If the gradients are not laid out like the parameters the optimiser was made for.
    pub fn step(
        &mut self,
        params: &mut Params<S>,
        gradient: &[S],
        sparse: &[SparseGradient<S>],
        factor: f64,
    ) {
        self.steps += 1;
        let scale = self.config.schedule.factor(self.steps);
        let update = self.config.dense.at(self.steps, scale, factor);
        let [first, second] = &mut self.dense;
        let values = params.trainable.par_chunks_mut(CHUNK).zip(gradient.par_chunks(CHUNK));
        // A rule that has no use for a moment has an empty state, which has no chunks to zip.
        match (first.is_empty(), second.is_empty()) {
            (true, _) => values.for_each(|(p, g)| update.dense(p, g, &mut [], &mut [])),
            (_, true) => values
                .zip(first.par_chunks_mut(CHUNK))
                .for_each(|((p, g), first)| update.dense(p, g, first, &mut [])),
            _ => values
                .zip(first.par_chunks_mut(CHUNK).zip(second.par_chunks_mut(CHUNK)))
                .for_each(|((p, g), (first, second))| update.dense(p, g, first, second)),
        }
        let rule = self.config.table_rule();
        let update = rule.at(self.steps, scale, factor);
        let dense = self.config.table_update == TableUpdate::Dense;
        let zero = self.zero.as_slice();
        (&mut params.tables, &mut self.tables, sparse).into_par_iter().for_each(
            |(table, state, gradient)| {
                if dense {
                    update.whole_table(table, state, gradient, &zero[..gradient.dim()]);
                } else {
                    update.touched_rows(table, state, gradient);
                }
            },
        );
    }
}
