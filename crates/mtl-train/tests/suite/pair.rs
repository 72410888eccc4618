//! A small model of the correlated pair, for what a run leaves.

use mtl_data::{Dataset, correlated};
use mtl_model::{Model, ModelConfig, ModelSpec, TaskConfig};

type Failure = Box<dyn std::error::Error>;

pub(crate) fn data() -> Result<Dataset, Failure> {
    Ok(correlated::load(&correlated::Config { rows: 1_500, dims: 6, ..Default::default() })?)
}

pub(crate) fn model(data: &Dataset, batch_norm: bool) -> Result<Model, Failure> {
    let tasks = data.schema.labels().iter().map(TaskConfig::from_label).collect();
    let mut config = ModelConfig::new("mmoe");
    config.architecture.expert_units = Some(vec![8, 6]);
    config.architecture.tower_units = Some(vec![6]);
    config.architecture.batch_norm = batch_norm;
    Ok(Model::new(ModelSpec::new(config, tasks, None)?, data.schema.clone(), 3)?)
}
