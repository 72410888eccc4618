//! A small log that the examples train on: users, videos and hours, with a click and a like.
//!
//! What makes a user click and what makes them like pull in different directions on purpose: it is
//! where architectures differ.

use mtl_feature::{
    Chunk, FeatureSpec, FeatureTable, LabelSpec, RawColumn, Rows, Schema, SchemaFitter, SchemaSpec,
    Targets, Transform, Values,
};
use mtl_model::{Model, ModelSpec, ModelTable, TaskConfig};
use mtl_train::{Silent, TrainConfig, evaluate, fit};

/// Whatever goes wrong in an example.
pub type Anything = Box<dyn std::error::Error>;

/// The rows that an example is told to train on by its argument of that place, from 1, or else so
/// many.
///
/// # Errors
/// An argument that is no whole number.
pub fn rows(argument: usize, usual: u64) -> Result<u64, Anything> {
    let Some(text) = std::env::args().nth(argument) else { return Ok(usual) };
    text.parse().map_err(|_| format!("`{text}`: expected a number of rows").into())
}

/// The log, encoded.
#[derive(Debug)]
pub struct Log {
    /// How rows become ids and numbers.
    pub schema: Schema,
    /// Rows to train on.
    pub train: FeatureTable,
    /// Rows to measure on.
    pub validation: FeatureTable,
}

impl Log {
    /// Draws the log and encodes it.
    ///
    /// # Errors
    /// None, unless the crates changed under the examples.
    pub fn draw() -> Result<Self, Anything> {
        let (train, validation) = (chunk(20_000, 1)?, chunk(5_000, 2)?);
        let features = vec![
            FeatureSpec::categorical("user"),
            FeatureSpec::categorical("video"),
            FeatureSpec::numeric("hour").transform(Transform::Standardise),
            FeatureSpec::categorical("part_of_day"),
        ];
        let labels = vec![LabelSpec::binary("click"), LabelSpec::binary("like")];
        let mut fitter = SchemaFitter::new(SchemaSpec::new(features, labels).group("user"))?;
        fitter.observe(&train)?;
        let schema = fitter.finish()?;
        let encode = |chunk| schema.encode(chunk, Targets::Required);
        let (train, validation) = (encode(&train)?, encode(&validation)?);
        Ok(Self { schema, train, validation })
    }

    /// Trains a model of it and prints what it reaches. `settings` are keys of the `[model]` table.
    ///
    /// # Errors
    /// Settings that cannot be.
    pub fn train(&self, name: &str, settings: &str) -> Result<Model, Anything> {
        let config = ModelTable::parse(toml::from_str(settings)?)?.for_model(name)?;
        let tasks = self.schema.labels().iter().map(TaskConfig::from_label).collect();
        let spec = ModelSpec::new(config, tasks, None)?;
        let mut model = Model::new(spec, self.schema.clone(), 42)?;
        let train = TrainConfig {
            epochs: 4,
            batch_size: 256,
            learning_rate: Some(3e-3),
            ..TrainConfig::default()
        };
        fit(&mut model, (&self.train, &self.validation), &train, None, &mut Silent)?;
        println!("{name}: {} parameters", model.n_parameters());
        let evaluation = evaluate(&model, &self.validation)?;
        for task in ["click", "like"] {
            let report = evaluation.task(task).and_then(|metrics| metrics.binary());
            let report = report.ok_or("both tasks are binary")?;
            let (auc, gauc) = (report.auc.value(), report.gauc.value.value());
            println!("  {task:5} auc {:.4}  gauc {:.4}", or_nan(auc), or_nan(gauc));
        }
        Ok(model)
    }
}

fn or_nan(value: Option<f64>) -> f64 {
    value.unwrap_or(f64::NAN)
}

/// Rows of the log: P(click) grows with taste of the user for the video, P(like) falls with how
/// widely the video is liked by those who click.
fn chunk(n_rows: usize, seed: u64) -> Result<Chunk, Anything> {
    let mut state = seed;
    let mut draw = |n: u64| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % n
    };
    let (mut users, mut videos, mut hours) = (Vec::new(), Vec::new(), Vec::new());
    let (mut clicks, mut likes) = (Vec::new(), Vec::new());
    for _ in 0..n_rows {
        let (user, video, hour) = (draw(200), draw(100), draw(24));
        let taste = (user as f64 * 0.37).sin() * (video as f64 * 0.73).cos();
        let popular = (video as f64 * 1.31).sin() + 0.02 * hour as f64;
        let mut happens = |z: f64| i64::from((draw(1_000_000) as f64) < 1e6 / (1.0 + (-z).exp()));
        clicks.push(happens(2.0 * taste + 1.5 * popular - 1.0));
        likes.push(happens(2.0 * taste - 1.5 * popular - 2.0));
        users.push(user as i64);
        videos.push(video as i64);
        hours.push(hour as i64);
    }
    let column = |name: &str, values| (name.to_owned(), RawColumn::new(Values::Integer(values)));
    let columns = vec![
        column("user", users),
        column("video", videos),
        column("part_of_day", hours.iter().map(|hour| hour / 8).collect()),
        column("hour", hours),
        column("click", clicks),
        column("like", likes),
    ];
    Ok(Chunk::new(n_rows, Rows::From(1), columns)?)
}

/// The workspace's README, so that its Rust runs.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

/// The book's exercises: their answers run.
#[cfg(doctest)]
mod book {
    #[doc = include_str!("../../docs/book/mtl-eval.md")]
    struct Eval;
    #[doc = include_str!("../../docs/book/mtl-calibrate.md")]
    struct Calibrate;
    #[doc = include_str!("../../docs/book/mtl-nn.md")]
    struct Nn;
    #[doc = include_str!("../../docs/book/mtl-feature.md")]
    struct Feature;
    #[doc = include_str!("../../docs/book/mtl-moe.md")]
    struct Moe;
    #[doc = include_str!("../../docs/book/mtl-esm.md")]
    struct Esm;
    #[doc = include_str!("../../docs/book/mtl-loss.md")]
    struct Loss;
    #[doc = include_str!("../../docs/book/mtl-arch.md")]
    struct Arch;
    #[doc = include_str!("../../docs/book/mtl-data.md")]
    struct Data;
    #[doc = include_str!("../../docs/book/mtl-model.md")]
    struct Model;
    #[doc = include_str!("../../docs/book/mtl-export.md")]
    struct Export;
    #[doc = include_str!("../../docs/book/mtl-train.md")]
    struct Train;
    #[doc = include_str!("../../docs/book/mtl-serve.md")]
    struct Serve;
    #[doc = include_str!("../../docs/book/mtl-report.md")]
    struct Report;
}
