//! A user's own data: a configuration file.

use std::path::Path;

use mtl_data::Loader;
use mtl_train::{Contender, RunConfig};

use super::{NAMES, Source};

/// The data and the models of a configuration.
pub(crate) fn source(path: &str, names: &[String]) -> anyhow::Result<Source> {
    if !Path::new(path).exists() {
        let nearest = mtl_feature::nearest_names(path, &NAMES);
        let hint =
            nearest.first().map_or(String::new(), |name| format!("; did you mean `{name}`?"));
        let known = NAMES.join("`, `");
        anyhow::bail!("`{path}` is neither `{known}` nor a configuration file{hint}");
    }
    let config = RunConfig::read(Path::new(path))?;
    let contender = |name: &String| {
        let (spec, train) = (config.model_spec(name)?, config.train.clone());
        Ok(Contender { name: name.clone(), spec, train })
    };
    let contenders = names.iter().map(contender).collect::<anyhow::Result<_>>()?;
    let mut dataset =
        Loader::new(&config.data, config.features.clone(), config.labels()?).open()?;
    dataset.truth = config.truth(&dataset)?;
    Ok(Source { dataset, contenders, truths: config.truths, files: Some(config.data) })
}
