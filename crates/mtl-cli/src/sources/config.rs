//! A user's own data: a configuration file.

use std::path::Path;

use mtl_data::Loader;
use mtl_model::{ModelConfig, ModelSpec};
use mtl_train::{Contender, RunConfig};

use super::{Models, NAMES, Source};

/// The data and the models of a configuration.
pub(crate) fn source(path: &str, models: &Models) -> anyhow::Result<Source> {
    if !Path::new(path).exists() {
        let nearest = mtl_feature::nearest_names(path, &NAMES);
        let hint =
            nearest.first().map_or(String::new(), |name| format!("; did you mean `{name}`?"));
        let known = NAMES.join("`, `");
        anyhow::bail!("`{path}` is neither `{known}` nor a configuration file{hint}");
    }
    let config = RunConfig::read(Path::new(path))?;
    let models = models.with(|name| Ok(config.model.for_model(name)?))?;
    let contender = |model: ModelConfig| {
        let name = model.name.clone();
        let spec = ModelSpec::new(model, config.tasks.clone(), config.chain.clone())?;
        Ok(Contender { name, spec, train: config.train.clone() })
    };
    let contenders = models.into_iter().map(contender).collect::<anyhow::Result<_>>()?;
    let mut dataset =
        Loader::new(&config.data, config.features.clone(), config.labels()?).open()?;
    dataset.truth = config.truth(&dataset)?;
    Ok(Source { dataset, contenders, truths: config.truths, files: Some(config.data) })
}
