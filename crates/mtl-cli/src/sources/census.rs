//! The embedded comparison: small models of equal size on the Census-Income data.
//!
//! Sizes follow the MMoE paper's set-up for this data (Ma et al., KDD 2018, §6.1): about as many
//! parameters for every model, linear gates, one small hidden layer a tower.

use mtl_arch::{ArchitectureConfig, Counts, PerLevel, Preset};
use mtl_data::Dataset;
use mtl_data::census::{Group, load};
use mtl_feature::InputConfig;
use mtl_model::{ModelConfig, ModelSpec, TaskConfig};
use mtl_train::{Contender, TrainConfig};

use super::{Models, Source};

/// Passes over the 199,523 training rows.
const EPOCHS: usize = 12;

/// The data of a group of tasks, and the models.
pub(crate) fn source(group: u8, models: &Models) -> anyhow::Result<Source> {
    let dataset = load(if group == 2 { Group::College } else { Group::Income })?;
    let contenders = contenders(&dataset, models)?;
    Ok(Source { dataset: dataset.boxed(), contenders, truths: Vec::new(), files: None })
}

fn contenders(dataset: &Dataset, models: &Models) -> anyhow::Result<Vec<Contender>> {
    let tasks: Vec<_> = dataset.schema.labels().iter().map(TaskConfig::from_label).collect();
    let models = models.with(|name| {
        let (embedding, architecture) =
            (InputConfig { dim: 4, ..InputConfig::default() }, settings(&tasks));
        Ok(ModelConfig { embedding, architecture, ..ModelConfig::new(name) })
    })?;
    let contender = |model: ModelConfig| {
        let name = model.name.clone();
        let spec = ModelSpec::new(model, tasks.clone(), None)?;
        let train = TrainConfig { epochs: EPOCHS, ..TrainConfig::default() };
        Ok(Contender { name, spec, train })
    };
    models.into_iter().map(contender).collect()
}

/// Shared-Bottom 117 wide; 8 experts of 16 for OMoE and MMoE; 2 shared and 3 a task for CGC and
/// PLE; linear gates; towers of 8. The tasks are no sequence of events: AITM hands on in their order
/// without holding one probability below another.
fn settings(tasks: &[TaskConfig]) -> ArchitectureConfig {
    ArchitectureConfig {
        preset: Preset::Paper,
        bottom_units: Some(vec![117]),
        expert_units: Some(vec![16]),
        tower_units: Some(vec![8]),
        experts: Some(8),
        task_experts: Some(PerLevel::All(Counts::All(3))),
        shared_experts: Some(PerLevel::All(2)),
        dropout: Some(0.0),
        sequence: Some(tasks.iter().map(|task| task.name.clone()).collect()),
        sequence_penalty: Some(0.0),
        ..ArchitectureConfig::default()
    }
}
