//! Prediction again and again, by buffers that are kept.

use std::borrow::Borrow;
use std::sync::Arc;

use mtl_feature::{FeatureTable, Feed};
use mtl_nn::kernel::{Kernels, Precision};
use mtl_nn::{Batch, Frozen, Params, Predictor};
use ndarray::Array2;

use crate::model::ROWS;
use crate::{Model, Predictions, Result};

/// A model with its weights packed and the buffers of its predictions: what a server keeps, one a
/// thread.
///
/// It gives what [`Model::predict`] does, without packing weights and making buffers anew for each
/// call.
#[derive(Debug)]
pub struct Scorer {
    model: Arc<Model>,
    frozen: Arc<Frozen<f32, Values>>,
    names: Vec<String>,
    rows: Predictor<f32>,
    candidates: Predictor<f32>,
    batch: Batch<f32>,
}

/// The values of a model, which nobody can change while it is shared.
#[derive(Debug)]
struct Values(Arc<Model>);

impl Borrow<Params<f32>> for Values {
    fn borrow(&self) -> &Params<f32> {
        &self.0.params
    }
}

impl Scorer {
    /// Packs a model's weights. Buffers grow with the first calls.
    pub fn new(model: Arc<Model>) -> Self {
        Self::with_precision(model, Precision::F32)
    }

    /// The same with the products of dense layers in a precision: see [`Precision`].
    pub fn with_precision(model: Arc<Model>, precision: Precision) -> Self {
        let (graph, values) = (Arc::clone(model.graph()), Values(Arc::clone(&model)));
        Self::of(model, Arc::new(Frozen::new(graph, values, Kernels::new(precision))))
    }

    /// Another one with buffers of its own, for another thread; the packed weights are shared.
    #[must_use]
    pub fn another(&self) -> Self {
        Self::of(Arc::clone(&self.model), Arc::clone(&self.frozen))
    }

    fn of(model: Arc<Model>, frozen: Arc<Frozen<f32, Values>>) -> Self {
        let graph = model.graph();
        Self {
            names: graph.outputs().iter().map(|(name, _)| name.clone()).collect(),
            rows: Predictor::new(Arc::clone(graph)),
            candidates: Predictor::new(Arc::clone(graph)).sharing(),
            batch: Batch::for_graph(graph),
            frozen,
            model,
        }
    }

    /// The kernels of its products.
    pub fn kernels(&self) -> Kernels {
        self.frozen.kernels()
    }

    /// The model.
    pub const fn model(&self) -> &Arc<Model> {
        &self.model
    }

    /// Every named output for every row, in order, calibrated: in `f32` [`Model::predict`], bit for bit.
    ///
    /// # Errors
    /// A table without a feature that the model reads.
    pub fn score(&mut self, table: &FeatureTable) -> Result<Predictions> {
        self.run(table, false)
    }

    /// As [`Scorer::score`] for rows that share many features, such as the candidates of one user: the
    /// first layers compute the part of those once. The last bits may differ from
    /// [`Model::predict`]'s, since sums are added in another order.
    ///
    /// # Errors
    /// A table without a feature that the model reads.
    pub fn score_candidates(&mut self, table: &FeatureTable) -> Result<Predictions> {
        self.run(table, true)
    }

    fn run(&mut self, table: &FeatureTable, candidates: bool) -> Result<Predictions> {
        let predictor = if candidates { &mut self.candidates } else { &mut self.rows };
        let frozen = &self.frozen;
        let values = run(&self.model, table, &mut self.batch, |batch, out| {
            predictor.predict_frozen_into(frozen, batch, out)
        })?;
        Ok(Predictions::new(self.names.clone(), values).calibrated(self.model.calibration()))
    }
}

/// The outputs of a table's rows, rows × outputs, some thousand rows at a time.
pub(crate) fn run(
    model: &Model,
    table: &FeatureTable,
    batch: &mut Batch<f32>,
    mut predict: impl FnMut(&Batch<f32>, &mut [f32]) -> mtl_nn::Result<()>,
) -> Result<Array2<f32>> {
    let width = model.graph().outputs().iter().map(|(_, var)| var.n_cols()).sum::<usize>();
    let mut values = vec![0.0; table.n_rows() * width];
    let feed = Feed::new(model.graph(), table)?;
    for start in (0..table.n_rows()).step_by(ROWS) {
        feed.fill_range(start, table.n_rows().min(start + ROWS), batch);
        predict(batch, &mut values[start * width..(start + batch.rows) * width])?;
    }
    let shape = (table.n_rows(), width);
    Ok(Array2::from_shape_vec(shape, values).expect("a row of each output for each row"))
}
