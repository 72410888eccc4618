//! What `compare` compares on: embedded data, generators, published folders, configurations.

mod census;
mod config;
mod correlated;
mod funnel;
mod kuairand;
mod models;

use mtl_data::{DataConfig, Dataset, RowSource};
use mtl_train::{Contender, TruthOf};

pub(crate) use self::models::Models;
use crate::args::CompareArgs;

/// Rows, the models to train on them, and the truth to measure them by.
pub(crate) struct Source {
    pub(crate) dataset: Dataset<Box<dyn RowSource>>,
    pub(crate) contenders: Vec<Contender>,
    pub(crate) truths: Vec<TruthOf>,
    /// Where the rows lie, if they are a user's own.
    pub(crate) files: Option<DataConfig>,
}

/// The names of the built-in data.
pub(crate) const NAMES: [&str; 4] = ["census", "funnel", "correlated", "kuairand"];

/// The data of that name, or the configuration at that path.
pub(crate) fn open(name: &str, args: &CompareArgs, models: &Models) -> anyhow::Result<Source> {
    if args.path.is_some() && name != "kuairand" {
        anyhow::bail!("--path is for `kuairand`, expected nothing with `{name}`");
    }
    match name {
        "census" => census::source(args.group, models),
        "funnel" => funnel::source(args, models),
        "correlated" => correlated::source(args, models),
        "kuairand" => kuairand::source(args, models),
        path => config::source(path, models),
    }
}
