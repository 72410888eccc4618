//! `--models`: which architectures are compared.

use mtl_arch::NAMES;
use mtl_model::ModelConfig;

/// What is compared if no model is named: from nothing shared to everything controlled.
const USUAL: [&str; 6] = ["single_task", "shared_bottom", "omoe", "mmoe", "cgc", "ple"];

/// What stands for every architecture that there is.
const ALL: &str = "all";

/// The architectures that are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Models {
    /// Nothing is asked for.
    Usual,
    /// Each by its name.
    Named(Vec<String>),
    /// Whatever there is.
    All,
}

impl Models {
    /// Reads what the option was given.
    ///
    /// # Errors
    /// A name that there is not, or twice.
    pub(crate) fn read(names: Option<&[String]>) -> anyhow::Result<Self> {
        let Some(names) = names else { return Ok(Self::Usual) };
        if names == [ALL] {
            return Ok(Self::All);
        }
        for (i, name) in names.iter().enumerate() {
            let twice = names[..i].contains(name);
            anyhow::ensure!(!twice, "--models names `{name}` twice, expected once");
            anyhow::ensure!(name != ALL, "--models names `{ALL}` beside others, expected it alone");
            if !NAMES.contains(&name.as_str()) {
                let nearest = mtl_feature::nearest_names(name, &NAMES);
                let hint =
                    nearest.first().map_or(String::new(), |n| format!("; did you mean `{n}`?"));
                let known = NAMES.join(", ");
                anyhow::bail!("--models: unknown model `{name}`, expected {ALL}, {known}{hint}");
            }
        }
        Ok(Self::Named(names.to_vec()))
    }

    /// The architectures with the settings that `of` gives each. Of all that there are, those stay out
    /// that need what these settings do not have, and a note says so; one that is named is an error
    /// later.
    ///
    /// # Errors
    /// Those of `of`.
    pub(crate) fn with(
        &self,
        of: impl Fn(&str) -> anyhow::Result<ModelConfig>,
    ) -> anyhow::Result<Vec<ModelConfig>> {
        let names = match self {
            Self::Usual => USUAL.to_vec(),
            Self::Named(names) => names.iter().map(String::as_str).collect(),
            Self::All => NAMES.to_vec(),
        };
        let mut models = names.into_iter().map(of).collect::<anyhow::Result<Vec<_>>>()?;
        if *self == Self::All {
            models.retain(|model| match lacks(model) {
                None => true,
                Some(key) => {
                    let name = &model.name;
                    tell!("note: `{name}` is left out: it needs `{key}`, and there is none");
                    false
                }
            });
        }
        Ok(models)
    }
}

/// The setting that an architecture cannot be without and that others do not read, if it is not there.
fn lacks(model: &ModelConfig) -> Option<&'static str> {
    match model.name.as_str() {
        "aitm" if model.architecture.sequence.is_none() => Some("sequence"),
        "star" if model.domain.is_none() => Some("domain"),
        _ => None,
    }
}
