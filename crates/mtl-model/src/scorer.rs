//! Prediction again and again, by buffers that are kept.

use std::sync::Arc;

use mtl_feature::{FeatureTable, Feed};
use mtl_nn::{Batch, Predictor};
use ndarray::Array2;

use crate::model::ROWS;
use crate::{Model, Predictions, Result};

/// A model with the buffers of its predictions: what a server keeps, one a thread.
///
/// It gives what [`Model::predict`] does, without making a graph's buffers anew for each call.
#[derive(Debug)]
pub struct Scorer {
    model: Arc<Model>,
    names: Vec<String>,
    rows: Predictor<f32>,
    candidates: Predictor<f32>,
    batch: Batch<f32>,
}

impl Scorer {
    /// Buffers for a model; they grow with the first calls.
    pub fn new(model: Arc<Model>) -> Self {
        let graph = model.graph();
        Self {
            names: graph.outputs().iter().map(|(name, _)| name.clone()).collect(),
            rows: Predictor::new(Arc::clone(graph)),
            candidates: Predictor::new(Arc::clone(graph)).sharing(),
            batch: Batch::for_graph(graph),
            model,
        }
    }

    /// The model.
    pub const fn model(&self) -> &Arc<Model> {
        &self.model
    }

    /// Every named output for every row, in order, calibrated: [`Model::predict`], bit for bit.
    ///
    /// # Errors
    /// A table without a feature that the model reads.
    pub fn score(&mut self, table: &FeatureTable) -> Result<Predictions> {
        let values = run(&self.model, &mut self.rows, &mut self.batch, table)?;
        Ok(Predictions::new(self.names.clone(), values).calibrated(self.model.calibration()))
    }

    /// As [`Scorer::score`] for rows that share many features, such as the candidates of one user: the
    /// first layers compute the part of those once. The last bits may differ from
    /// [`Model::predict`]'s, since sums are added in another order.
    ///
    /// # Errors
    /// A table without a feature that the model reads.
    pub fn score_candidates(&mut self, table: &FeatureTable) -> Result<Predictions> {
        let values = run(&self.model, &mut self.candidates, &mut self.batch, table)?;
        Ok(Predictions::new(self.names.clone(), values).calibrated(self.model.calibration()))
    }
}

/// The outputs of a table's rows, rows × outputs, some thousand rows at a time.
pub(crate) fn run(
    model: &Model,
    predictor: &mut Predictor<f32>,
    batch: &mut Batch<f32>,
    table: &FeatureTable,
) -> Result<Array2<f32>> {
    let width = model.graph().outputs().iter().map(|(_, var)| var.n_cols()).sum::<usize>();
    let mut values = vec![0.0; table.n_rows() * width];
    let feed = Feed::new(model.graph(), table)?;
    for start in (0..table.n_rows()).step_by(ROWS) {
        feed.fill_range(start, table.n_rows().min(start + ROWS), batch);
        let out = &mut values[start * width..(start + batch.rows) * width];
        predictor.predict_into(&model.params, batch, out)?;
    }
    let shape = (table.n_rows(), width);
    Ok(Array2::from_shape_vec(shape, values).expect("a row of each output for each row"))
}
