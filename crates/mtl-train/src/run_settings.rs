//! The settings that a run was begun under, by key: what a resumed run may not change, and what it may.

use std::collections::BTreeMap;

use mtl_model::Model;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{Monitor, TrainConfig};

/// Settings by key, as JSON writes them.
type Settings = BTreeMap<String, String>;

/// What is of no use to compare is not here: epochs and patience may grow, and other sizes of layers are
/// other parameters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RunSettings {
    /// What is optimised, and by what the best epoch is chosen: a run under two of them is a run of
    /// neither.
    aim: Settings,
    /// How that is sought: the optimiser, and of the model what changes no parameter's shape, such as dropout.
    way: Settings,
}

impl RunSettings {
    pub(crate) fn of(model: &Model, config: &TrainConfig) -> Self {
        let spec = model.spec();
        let monitor = config.monitor.clone();
        let monitor =
            monitor.unwrap_or_else(|| Monitor::default_for(&model.measures()).name().to_owned());
        let mut aim = config.loss.settings();
        flatten("monitor", &json!(monitor), &mut aim);
        flatten("chain", &json!(spec.chain), &mut aim);
        for task in &spec.tasks {
            flatten(&format!("task.{}", task.name), &json!(task.spelt_out()), &mut aim);
        }
        let mut way = Settings::new();
        // A key that there is: the rate of the default optimiser has one of its own.
        match &config.optimiser {
            Some(optimiser) => flatten("optimiser", &json!(optimiser), &mut way),
            None => flatten("learning_rate", &json!(config.default_rate()), &mut way),
        }
        flatten("model", &json!(spec.model.architecture), &mut way);
        flatten("model.embedding", &json!(spec.model.embedding), &mut way);
        Self { aim, way }
    }

    /// What a run may not change and is different `now`, the first of it as a sentence.
    pub(crate) fn refused(&self, now: &Self) -> Option<String> {
        differences(&self.aim, &now.aim).next()
    }

    /// What it may change and is different `now`.
    pub(crate) fn changed(&self, now: &Self) -> Vec<String> {
        differences(&self.way, &now.way).collect()
    }
}

/// What is different, a sentence a key. Those come first whose value says which other keys there are.
fn differences<'s>(was: &'s Settings, is: &'s Settings) -> impl Iterator<Item = String> + 's {
    let decides = |key: &str| key.ends_with(".method") || key.ends_with(".loss");
    let keys = move || was.keys().chain(is.keys().filter(move |&key| !was.contains_key(key)));
    let first = keys().filter(move |key| decides(key));
    let keys = first.chain(keys().filter(move |key| !decides(key)));
    keys.filter(move |&key| was.get(key) != is.get(key)).map(move |key| {
        let named = |of: &'s Settings| of.get(key).map_or("not set", String::as_str);
        format!("`{key}` was {}, and is {} now", named(was), named(is))
    })
}

/// The values of a table by their dotted keys; a setting that is not set is not there.
pub(crate) fn flatten(key: &str, value: &Value, into: &mut Settings) {
    match value {
        Value::Null => {}
        Value::Object(table) => {
            for (name, value) in table {
                flatten(&format!("{key}.{name}"), value, into);
            }
        }
        value => _ = into.insert(key.to_owned(), value.to_string()),
    }
}
