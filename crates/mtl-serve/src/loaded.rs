//! A model as the server holds it: with what its requests must have.

use std::collections::HashMap;
use std::sync::Arc;

use mtl_data::{Missing, ReadOptions};
use mtl_feature::{FittedFeature, Schema, Targets};
use mtl_model::{Fusion, Model, Scorer};
use mtl_nn::kernel::Precision;

/// Why a model could not be loaded.
pub type LoadError = Box<dyn std::error::Error + Send + Sync>;

/// A model, how its rows are written, and the formula that ranks if a request names none.
#[derive(Debug)]
pub struct Loaded {
    pub(crate) model: Arc<Model>,
    /// What each thread's is made from: they share its packed weights.
    pub(crate) scorer: Scorer,
    pub(crate) inputs: Inputs,
    pub(crate) fusion: Option<Fusion>,
}

impl Loaded {
    /// A model and how its files are read: `missing` and `trim` hold for requests too.
    ///
    /// # Errors
    /// A formula that does not fit the model, or a feature that requests could not fill.
    pub fn new(
        model: Model,
        options: &ReadOptions,
        fusion: Option<Fusion>,
    ) -> mtl_model::Result<Self> {
        if let Some(fusion) = &fusion {
            fusion.check(&model)?;
        }
        let inputs = Inputs::new(model.schema(), options)?;
        let model = Arc::new(model);
        let scorer = Scorer::new(Arc::clone(&model));
        Ok(Self { model, scorer, inputs, fusion })
    }

    /// The same with the products of dense layers in another precision.
    #[must_use]
    pub fn with_precision(self, precision: Precision) -> Self {
        Self { scorer: Scorer::with_precision(Arc::clone(&self.model), precision), ..self }
    }
}

/// The fields that each row needs.
#[derive(Debug)]
pub(crate) struct Inputs {
    columns: Vec<String>,
    places: HashMap<String, usize, foldhash::fast::RandomState>,
    missing: Missing,
    trim: bool,
}

impl Inputs {
    fn new(schema: &Schema, options: &ReadOptions) -> mtl_model::Result<Self> {
        let features = schema.features().iter().flat_map(FittedFeature::columns);
        let mut columns: Vec<String> = features.map(str::to_owned).collect();
        columns.sort_unstable();
        columns.dedup();
        // Asked here, so that it is no request that finds it out.
        schema.encoder(&columns, Targets::Ignored)?;
        let places = columns.iter().enumerate().map(|(i, name)| (name.clone(), i)).collect();
        let missing = Missing::new(&options.missing);
        Ok(Self { columns, places, missing, trim: options.trim })
    }

    pub(crate) fn columns(&self) -> &[String] {
        &self.columns
    }

    pub(crate) fn place(&self, column: &str) -> Option<usize> {
        self.places.get(column).copied()
    }

    pub(crate) const fn missing(&self) -> &Missing {
        &self.missing
    }

    pub(crate) const fn trims(&self) -> bool {
        self.trim
    }
}
