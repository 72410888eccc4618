//! KuaiRand, from its folder as published.

use anyhow::Context;
use mtl_arch::ArchitectureConfig;
use mtl_data::kuairand::{FeatureSet, load};
use mtl_esm::{ChainConfig, LabelConfig, Preset};
use mtl_model::{ModelConfig, ModelSpec, TaskConfig};
use mtl_nn::{OptimiserConfig, Rule};
use mtl_train::{Contender, TrainConfig};

use super::{Models, Source};
use crate::args::{CompareArgs, KuaiRandFeatures};

/// A user's history is short: more passes than these fit the training days alone.
const EPOCHS: usize = 3;

/// With rich features a third pass gains .004 of macro AUC on the validation days at best, and loses as
/// often.
const EPOCHS_RICH: usize = 2;

/// Twice Adam's usual rate: three passes then rank better than four at that, in all tasks.
const LEARNING_RATE: f64 = 2e-3;

/// The models on (click, like, long view), a tuned one, then ESMM and ESM2 over `towers`.
pub(crate) fn source(args: &CompareArgs, models: &Models) -> anyhow::Result<Source> {
    let folder = args.path.as_ref().context("`kuairand` needs its folder, expected --path DIR")?;
    let (set, epochs) = match args.features {
        KuaiRandFeatures::Tutorial => (FeatureSet::Tutorial, EPOCHS),
        KuaiRandFeatures::Rich => (FeatureSet::Rich, EPOCHS_RICH),
    };
    let loaded = load(folder, set)?;
    let tasks = ["is_click", "is_like", "long_view"].map(TaskConfig::binary).to_vec();
    let train = TrainConfig {
        epochs,
        patience: Some(2),
        learning_rate: Some(LEARNING_RATE),
        ..TrainConfig::default()
    };
    let mut contenders = Vec::new();
    for model in models.with(|name| Ok(model(name, args.features)))? {
        let name = model.name.clone();
        let spec = ModelSpec::new(model, tasks.clone(), None)?;
        contenders.push(Contender { name, spec, train: train.clone() });
    }
    if *models == Models::Usual {
        contenders.push(tuned(&tasks, &train)?);
        for (name, chain) in [("esmm", esmm()), ("esm2", esm2())] {
            let spec = ModelSpec::new(ModelConfig::new("towers"), Vec::new(), Some(chain))?;
            contenders.push(Contender { name: name.to_owned(), spec, train: train.clone() });
        }
    }
    Ok(Source { dataset: loaded.dataset.boxed(), contenders, truths: Vec::new(), files: None })
}

/// The architecture of that name. A view's tab is its domain; where it is not among the features,
/// the user's degree of activity is.
fn model(name: &str, features: KuaiRandFeatures) -> ModelConfig {
    let domain = match features {
        KuaiRandFeatures::Tutorial => "user_active_degree",
        KuaiRandFeatures::Rich => "tab",
    };
    let sequence = ["is_click", "long_view", "is_like"].map(str::to_owned).to_vec();
    let architecture =
        ArchitectureConfig { sequence: Some(sequence), ..ArchitectureConfig::default() };
    ModelConfig { domain: Some(domain.to_owned()), architecture, ..ModelConfig::new(name) }
}

/// MMoE with a first-order term beside the network, and Adagrad on the tables: ids that come a few
/// times want larger steps than the network's.
fn tuned(tasks: &[TaskConfig], train: &TrainConfig) -> anyhow::Result<Contender> {
    let model = ModelConfig { first_order: true, ..ModelConfig::new("mmoe") };
    let spec = ModelSpec::new(model, tasks.to_vec(), None)?;
    let optimiser =
        OptimiserConfig { tables: Some(Rule::adagrad(0.05)), ..OptimiserConfig::default() };
    let train = TrainConfig { optimiser: Some(optimiser), learning_rate: None, ..train.clone() };
    Ok(Contender { name: "mmoe tuned".to_owned(), spec, train })
}

fn one(column: &str) -> LabelConfig {
    LabelConfig::One(column.to_owned())
}

/// click → like. Likes without a click count as none: the chain's like is click·like.
fn esmm() -> ChainConfig {
    let labels = [("click", "is_click"), ("conversion", "is_like")];
    ChainConfig {
        preset: Some(Preset::Esmm),
        labels: labels.map(|(event, column)| (event.to_owned(), one(column))).into(),
        ..ChainConfig::default()
    }
}

/// click → long view or not → like.
fn esm2() -> ChainConfig {
    let labels = [("click", "is_click"), ("action", "long_view"), ("purchase", "is_like")];
    ChainConfig {
        preset: Some(Preset::Esm2),
        labels: labels.map(|(event, column)| (event.to_owned(), one(column))).into(),
        ..ChainConfig::default()
    }
}
