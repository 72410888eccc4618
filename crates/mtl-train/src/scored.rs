//! Rows without their features: what a model says about them beside what they are measured by.

use std::borrow::Cow;

use mtl_data::RowSource;
use mtl_esm::{NestingCheck, Violation};
use mtl_feature::FeatureTable;
use mtl_model::{Labels, Model, Predictions, add_to_nesting};

use crate::{Result, nesting};

/// What metrics are made of, row by row: a number for each output and each measure, a weight and a
/// group. Of rows that stay in their files this is all that is held.
#[derive(Clone, Debug)]
pub struct Scored {
    /// Every output as the network has it, without a calibration.
    pub raw: Predictions,
    /// The label of each measure, NaN where a row does not count.
    pub labels: Labels,
    /// The rows' weights, if there are any.
    pub weights: Option<Vec<f32>>,
    /// The rows' groups, if there are any.
    pub groups: Option<Vec<u64>>,
    /// Labels that contradict the model's chain and count as it says; none of rows that were
    /// [selected](Scored::select).
    pub violations: Vec<Violation>,
}

impl Scored {
    /// Predicts rows, block by block where they are a stream. A row's numbers do not depend on the
    /// block that it is in.
    ///
    /// # Errors
    /// Rows without a feature that the model reads; [`crate::Error::Nesting`] for labels that the
    /// model's chain refuses; what is wrong with a file.
    pub fn of<R: RowSource + ?Sized>(model: &Model, rows: &R) -> Result<Self> {
        let mut check = model.nesting_check();
        let mut scored = Self::of_blocks(model, rows, &mut check)?;
        if let Some(check) = check {
            scored.violations = nesting::finish(check, None)?;
        }
        Ok(scored)
    }

    fn of_blocks<R: RowSource + ?Sized>(
        model: &Model,
        rows: &R,
        check: &mut Option<NestingCheck<'_>>,
    ) -> Result<Self> {
        if let Some(table) = rows.held() {
            nest(check, table)?;
            return Self::of_table(model, table);
        }
        let mut scored: Option<Self> = None;
        for block in rows.blocks(None) {
            let block = block?;
            nest(check, &block)?;
            let block = Self::of_table(model, &block)?;
            match &mut scored {
                None => {
                    let mut first = block;
                    first.reserve(rows.n_rows().saturating_sub(first.n_rows()));
                    scored = Some(first);
                }
                Some(scored) => scored.append(block),
            }
        }
        match scored {
            Some(scored) => Ok(scored),
            None => Self::of_table(model, &FeatureTable::default()),
        }
    }

    fn of_table(model: &Model, table: &FeatureTable) -> Result<Self> {
        Ok(Self {
            raw: model.predict_uncalibrated(table)?,
            labels: model.labels_of(table)?,
            weights: table.weights().map(<[f32]>::to_vec),
            groups: table.groups().map(<[u64]>::to_vec),
            violations: Vec::new(),
        })
    }

    /// Every output as the model predicts it, its calibration applied.
    pub(crate) fn predictions(&self, model: &Model) -> Cow<'_, Predictions> {
        match model.calibration() {
            none if none.is_empty() => Cow::Borrowed(&self.raw),
            calibration => Cow::Owned(self.raw.clone().calibrated(calibration)),
        }
    }

    /// Number of rows.
    pub fn n_rows(&self) -> usize {
        self.raw.values().nrows()
    }

    /// The rows numbered by `rows`, in that order.
    ///
    /// # Panics
    /// If there is no row of such a number.
    #[must_use]
    pub fn select(&self, rows: &[u32]) -> Self {
        fn pick<T: Copy>(values: &[T], rows: &[u32]) -> Vec<T> {
            rows.iter().map(|&row| values[row as usize]).collect()
        }
        let label = |(name, values): (&String, &Vec<f32>)| (name.clone(), pick(values, rows));
        Self {
            raw: self.raw.select(rows),
            labels: self.labels.iter().map(label).collect(),
            weights: self.weights.as_ref().map(|weights| pick(weights, rows)),
            groups: self.groups.as_ref().map(|groups| pick(groups, rows)),
            violations: Vec::new(),
        }
    }

    /// Room for so many more rows: a column that grows by doubling takes twice its size.
    fn reserve(&mut self, more: usize) {
        self.raw.reserve(more);
        self.labels.values_mut().for_each(|values| values.reserve_exact(more));
        self.weights.iter_mut().for_each(|values| values.reserve_exact(more));
        self.groups.iter_mut().for_each(|values| values.reserve_exact(more));
    }

    fn append(&mut self, block: Self) {
        self.raw.append(&block.raw);
        for (values, (_, more)) in self.labels.values_mut().zip(block.labels) {
            values.extend(more);
        }
        if let (Some(weights), Some(more)) = (&mut self.weights, block.weights) {
            weights.extend(more);
        }
        if let (Some(groups), Some(more)) = (&mut self.groups, block.groups) {
            groups.extend(more);
        }
    }
}

/// Adds a table to a check of labels; one that does not carry them contradicts nothing.
fn nest(check: &mut Option<NestingCheck<'_>>, table: &FeatureTable) -> Result<()> {
    let carried = |check: &&mut NestingCheck<'_>| {
        check.graph().labels().iter().all(|label| table.label_of(label).is_some())
    };
    match check.as_mut().filter(carried) {
        Some(check) => Ok(add_to_nesting(check, table)?),
        None => Ok(()),
    }
}
