//! The MMoE paper's pair of regressions with a given task correlation.

use mtl_arch::ArchitectureConfig;
use mtl_data::correlated::{Config, load};
use mtl_model::{ModelConfig, ModelSpec, TaskConfig};
use mtl_train::{Contender, TrainConfig};

use super::{Models, Source};
use crate::args::CompareArgs;

/// Ma et al., KDD 2018, §3.3: 100 inputs; small networks of equal size.
pub(crate) fn source(args: &CompareArgs, models: &Models) -> anyhow::Result<Source> {
    let mut config = Config { correlation: args.correlation, ..Config::default() };
    if let Some(rows) = args.rows {
        config.rows = rows;
    }
    let dataset = load(&config)?;
    let mut tasks: Vec<_> = dataset.schema.labels().iter().map(TaskConfig::from_label).collect();
    if let Some(second) = tasks.last_mut() {
        second.weight = args.loss_scale;
    }
    let architecture = ArchitectureConfig {
        bottom_units: Some(vec![64, 16]),
        expert_units: Some(vec![32, 16]),
        gate_units: Some(Vec::new()),
        tower_units: Some(vec![8]),
        dropout: Some(0.0),
        sequence: Some(tasks.iter().map(|task| task.name.clone()).collect()),
        ..ArchitectureConfig::default()
    };
    let models = models.with(|name| {
        Ok(ModelConfig { architecture: architecture.clone(), ..ModelConfig::new(name) })
    })?;
    let contender = |model: ModelConfig| {
        let name = model.name.clone();
        let spec = ModelSpec::new(model, tasks.clone(), None)?;
        let train = TrainConfig { epochs: 10, batch_size: 256, ..TrainConfig::default() };
        Ok(Contender { name, spec, train })
    };
    let contenders = models.into_iter().map(contender).collect::<anyhow::Result<_>>()?;
    Ok(Source { dataset: dataset.boxed(), contenders, truths: Vec::new(), files: None })
}
