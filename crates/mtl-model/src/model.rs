//! A model: specification, schema, graph and parameters.

use std::borrow::Borrow;
use std::path::Path;
use std::sync::Arc;

use mtl_esm::BehaviourGraph;
use mtl_feature::{FeatureTable, Feed, Schema};
use mtl_moe::{GateInfo, GateStatistics, GateUse};
use mtl_nn::{Batch, Graph, Params, Predictor, Var};
use ndarray::{Array2, ArrayView1, Axis};

use crate::memory::check_memory;
use crate::{Assembled, Calibration, ModelSpec, Result, assemble};
use crate::{folder, scorer};

/// Rows predicted at a time: enough for every worker, little enough to stay in a cache.
pub(crate) const ROWS: usize = 8_192;

/// A model in `f32`, trained or not.
#[derive(Clone, Debug)]
pub struct Model {
    spec: ModelSpec,
    schema: Schema,
    assembled: Assembled<f32>,
    calibration: Calibration,
    /// The hash of the weights' file, if they were read from one.
    read_from: Option<String>,
    /// The values of its parameters.
    pub params: Params<f32>,
}

/// Named predictions.
#[derive(Clone, Debug)]
pub struct Predictions {
    names: Vec<String>,
    values: Array2<f32>,
}

impl Predictions {
    pub(crate) const fn new(names: Vec<String>, values: Array2<f32>) -> Self {
        Self { names, values }
    }

    /// The names of the columns, such as `p_click`, sorted.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// rows × names.
    pub const fn values(&self) -> &Array2<f32> {
        &self.values
    }

    /// The rows numbered by `rows`, in that order.
    ///
    /// # Panics
    /// If there is no row of such a number.
    #[must_use]
    pub fn select(&self, rows: &[u32]) -> Self {
        let rows: Vec<usize> = rows.iter().map(|&row| row as usize).collect();
        Self { names: self.names.clone(), values: self.values.select(Axis(0), &rows) }
    }

    /// Room for so many more rows.
    ///
    /// # Panics
    /// If they are more than memory can number.
    pub fn reserve(&mut self, more: usize) {
        self.values.reserve_rows(more).expect("rows that memory can number");
    }

    /// Adds the rows of others of the same outputs.
    ///
    /// # Panics
    /// If they have other outputs.
    pub fn append(&mut self, others: &Self) {
        assert_eq!(self.names, others.names, "the outputs");
        self.values.append(Axis(0), others.values.view()).expect("a column for each output");
    }

    /// What a calibration makes of them.
    #[must_use]
    pub fn calibrated(mut self, calibration: &Calibration) -> Self {
        calibration.apply(&self.names, &mut self.values);
        self
    }

    /// The column of that name.
    pub fn column(&self, name: &str) -> Option<ArrayView1<'_, f32>> {
        let i = self.names.iter().position(|n| n == name)?;
        Some(self.values.column(i))
    }
}

impl Model {
    /// A model with the initial parameters of `seed`.
    ///
    /// # Errors
    /// Settings that do not fit, and tables that do not fit into memory.
    pub fn new(spec: ModelSpec, schema: Schema, seed: u64) -> Result<Self> {
        let assembled = assemble::<f32>(&spec, &schema)?;
        check_memory(assembled.graph.layout(), 1)?;
        let params = Params::init(assembled.graph.layout(), seed);
        let calibration = Calibration::default();
        Ok(Self { spec, schema, assembled, calibration, read_from: None, params })
    }

    /// Reads a folder that [`Model::save`] wrote.
    ///
    /// # Errors
    /// [`crate::Error::Folder`], naming the file: files that are not of one model are no model.
    pub fn load(folder: &Path) -> Result<Self> {
        let (mut model, weights) = Self::load_network(folder)?;
        model.calibration = folder::read_calibration(folder, &model.spec, &weights)?;
        Ok(model)
    }

    /// The same without its calibration, which is not looked at: for who makes another.
    ///
    /// # Errors
    /// [`crate::Error::Folder`], naming the file.
    pub fn load_uncalibrated(folder: &Path) -> Result<Self> {
        Ok(Self::load_network(folder)?.0)
    }

    /// A model as its network is, and the hash of its weights.
    fn load_network(folder: &Path) -> Result<(Self, String)> {
        let folder::Description { spec, schema, weights } = folder::read_description(folder)?;
        let mut model = Self::new(spec, schema, 0)?;
        folder::read_weights(folder, &weights, &mut model.params)?;
        model.read_from = Some(weights.clone());
        Ok((model, weights))
    }

    /// Writes the model as a folder, with `more` files (name, content) beside it, all or nothing:
    /// see [`crate::write_folder`].
    ///
    /// # Errors
    /// [`crate::Error::Folder`], naming the file.
    pub fn save(&self, folder: &Path, more: &[(&str, &[u8])]) -> Result<()> {
        self.save_with(folder, more, &[])
    }

    /// As [`Model::save`], with files that lie elsewhere (name, path): for what is too large to be held.
    /// They stay where they are; what is in the folder is a link to the same bytes, where the file
    /// system has links.
    ///
    /// # Errors
    /// [`crate::Error::Folder`], naming the file.
    pub fn save_with(
        &self,
        folder: &Path,
        more: &[(&str, &[u8])],
        there: &[(&str, &Path)],
    ) -> Result<()> {
        let (spec, schema, params) = (&self.spec, &self.schema, &self.params);
        folder::write_model(folder, spec, schema, params, &self.calibration, (more, there))
    }

    /// Writes the calibration alone into the folder that the model was read from or saved to; no other
    /// file changes.
    ///
    /// # Errors
    /// [`crate::Error::Folder`], naming the file: the weights', if they are no longer those that were read.
    pub fn save_calibration(&self, folder: &Path) -> Result<()> {
        folder::write_calibration(folder, &self.calibration, self.read_from.as_deref())
    }

    /// What is done to outputs after the network.
    pub const fn calibration(&self) -> &Calibration {
        &self.calibration
    }

    /// Replaces the calibration.
    ///
    /// # Errors
    /// [`crate::Error::Config`] for an output that is no probability of the model.
    pub fn set_calibration(&mut self, calibration: Calibration) -> Result<()> {
        calibration.check(&self.spec)?;
        self.calibration = calibration;
        Ok(())
    }

    /// Its settings and tasks.
    pub const fn spec(&self) -> &ModelSpec {
        &self.spec
    }

    /// How rows become ids and numbers.
    pub const fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Its graph.
    pub const fn graph(&self) -> &Arc<Graph<f32>> {
        &self.assembled.graph
    }

    /// Its behaviour graph, if it has a chain.
    pub const fn chain(&self) -> Option<&BehaviourGraph> {
        self.assembled.chain.as_ref()
    }

    /// The weight that the configuration gives each loss, in the order of [`Graph::losses`].
    pub fn loss_weights(&self) -> &[f64] {
        &self.assembled.loss_weights
    }

    /// Its gates.
    pub fn gates(&self) -> &[GateInfo] {
        &self.assembled.gates
    }

    /// Trainable values, those of tables included.
    pub fn n_parameters(&self) -> usize {
        self.graph().layout().n_values()
    }

    /// Every named output for every row, in order, calibrated.
    ///
    /// # Errors
    /// A table without a feature that the model reads.
    pub fn predict(&self, table: &FeatureTable) -> Result<Predictions> {
        Ok(self.predict_uncalibrated(table)?.calibrated(&self.calibration))
    }

    /// Every named output for every row, in order, as the network has it.
    ///
    /// # Errors
    /// A table without a feature that the model reads.
    pub fn predict_uncalibrated(&self, table: &FeatureTable) -> Result<Predictions> {
        let names = self.graph().outputs().iter().map(|(name, _)| name.clone()).collect();
        let mut predictor = Predictor::new(Arc::clone(self.graph()));
        let mut batch = Batch::for_graph(self.graph());
        let values = scorer::run(self, table, &mut batch, |batch, out| {
            predictor.predict_into(&self.params, batch, out)
        })?;
        Ok(Predictions::new(names, values))
    }

    /// How each gate uses its experts on these rows; `None` for a table without rows.
    ///
    /// # Errors
    /// A table without a feature that the model reads.
    pub fn gate_uses(&self, table: &FeatureTable) -> Result<Vec<(GateInfo, Option<GateUse>)>> {
        self.gate_uses_of([table])
    }

    /// The same on the rows of several tables, one after the other.
    ///
    /// # Errors
    /// A table without a feature that the model reads.
    pub fn gate_uses_of<T: Borrow<FeatureTable>>(
        &self,
        tables: impl IntoIterator<Item = T>,
    ) -> Result<Vec<(GateInfo, Option<GateUse>)>> {
        let targets: Vec<Var> = self.gates().iter().map(|gate| gate.weights).collect();
        let sizes: Vec<usize> = targets.iter().map(|var| var.n_cols()).collect();
        let mut statistics: Vec<_> = sizes.iter().map(|&n| GateStatistics::new(n)).collect();
        if !targets.is_empty() {
            let mut predictor = Predictor::of(Arc::clone(self.graph()), targets);
            let mut batch = Batch::for_graph(self.graph());
            for table in tables {
                let table = table.borrow();
                let feed = Feed::new(self.graph(), table)?;
                for start in (0..table.n_rows()).step_by(ROWS) {
                    feed.fill_range(start, table.n_rows().min(start + ROWS), &mut batch);
                    let weights = predictor.predict(&self.params, &batch)?;
                    let width = weights.ncols();
                    let data = weights.as_slice().expect("a new array is contiguous");
                    let all = mtl_nn::Mat::new(data, batch.rows, width, width);
                    let mut start = 0;
                    for (gate, &n) in statistics.iter_mut().zip(&sizes) {
                        gate.observe(all.columns(start, n));
                        start += n;
                    }
                }
            }
        }
        let uses = statistics.iter().map(GateStatistics::finish);
        Ok(self.gates().iter().cloned().zip(uses).collect())
    }
}
