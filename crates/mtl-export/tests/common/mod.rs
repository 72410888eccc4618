//! Rows with everything a feature can be, and models over them.

#![allow(dead_code, reason = "each test file uses some")]
#![allow(clippy::unwrap_used, reason = "a failing helper is a failing test")]

use mtl_feature::{
    Chunk, DatePart, FeatureSpec, FeatureTable, RawColumn, Rows, Schema, SchemaFitter, SchemaSpec,
    Targets, Transform, UtcOffset,
};
use mtl_model::{Model, ModelSpec, ModelTable};

/// Features of every encoding that reads one value of one column.
pub(crate) fn plain() -> Vec<FeatureSpec> {
    vec![
        FeatureSpec::categorical("user"),
        FeatureSpec::categorical("city").min_count(2).dim(3),
        FeatureSpec::categorical("device").hash_buckets(7),
        FeatureSpec::numeric("age").quantiles(4),
        FeatureSpec::numeric("price").transform(Transform::Log1pStandardise),
        FeatureSpec::numeric("year").transform(Transform::Standardise),
        FeatureSpec::numeric("score").with_missing_indicator(),
        FeatureSpec::numeric("debt").transform(Transform::Log1p),
    ]
}

/// A few of them, with a cross and a time in parts.
pub(crate) fn derived() -> Vec<FeatureSpec> {
    vec![
        FeatureSpec::categorical("user"),
        FeatureSpec::cross("city by device", ["device", "city"]),
        FeatureSpec::datetime("time", [DatePart::Hour, DatePart::AgeDays])
            .dim(2)
            .utc_offset(UtcOffset::from_minutes(8 * 60).unwrap())
            .with_missing_indicator(),
    ]
}

/// Raw cells of `n` rows; empty texts are missing. From row 40 on there are values that the first
/// 40 rows do not have.
pub(crate) struct Raw(Vec<(&'static str, Vec<String>)>);

impl Raw {
    pub(crate) fn new(n: usize) -> Self {
        let names = [
            "user", "city", "device", "age", "price", "year", "score", "debt", "time", "click",
            "buy",
        ];
        Self(names.map(|name| (name, (0..n).map(|i| Self::cell(name, i)).collect())).to_vec())
    }

    fn cell(name: &str, i: usize) -> String {
        let new = i >= 40;
        if name != "click" && name != "buy" && (i * 7 + name.len()).is_multiple_of(11) {
            return String::new();
        }
        match name {
            "user" => format!("u{}", if new { 900 + i } else { i % 9 }),
            "city" => ["Rome", "Oslo", "Lima", "Bern"][i % 4].to_owned(),
            "device" => (i * i % 13).to_string(),
            "age" => (18 + i * 17 % 60).to_string(),
            "price" => format!("{:.2}", 0.5 + (i * 31 % 97) as f64 * if new { 40.0 } else { 1.5 }),
            "year" => (2015 + i % 11).to_string(),
            "score" => format!("{:.3}", (i as f64 * 0.37).sin()),
            "debt" => format!("{:.1}", (i as f64 - 25.0) * 13.5),
            "time" => format!("2026-11-{:02}T{:02}:30Z", 1 + i % 28, i * 5 % 24),
            "click" => (i % 3 % 2).to_string(),
            _ => (i % 6 / 5).to_string(),
        }
    }

    pub(crate) fn column(&self, name: &str) -> &[String] {
        &self.0.iter().find(|(other, _)| *other == name).unwrap().1
    }

    fn chunk(&self) -> Chunk {
        let n = self.0[0].1.len();
        let column = |(name, cells): &(&'static str, Vec<String>)| {
            let texts = RawColumn::text(cells.iter().map(String::as_str));
            let missing = cells.iter().map(String::is_empty).collect();
            ((*name).to_owned(), RawColumn::with_missing(texts.values().clone(), Some(missing)))
        };
        Chunk::new(n, Rows::From(1), self.0.iter().map(column).collect()).unwrap()
    }
}

fn schema(spec: &ModelSpec, features: Vec<FeatureSpec>, rows: &Raw) -> Schema {
    let spec = SchemaSpec::new(features, spec.labels().unwrap());
    let mut fitter = SchemaFitter::new(spec).unwrap();
    fitter.observe(&rows.chunk()).unwrap();
    fitter.finish().unwrap()
}

/// A model whose parameters are anything but initial: biases, statistics and first-order weights
/// are not 0 and 1.
pub(crate) fn model(settings: &str, chain: Option<&str>) -> Model {
    model_of(plain(), settings, chain)
}

/// The same over these features.
pub(crate) fn model_of(features: Vec<FeatureSpec>, settings: &str, chain: Option<&str>) -> Model {
    let table: ModelTable = ModelTable::parse(toml(settings)).unwrap();
    let name = table.name().unwrap().to_owned();
    let tasks = match chain {
        Some(_) => Vec::new(),
        None => ["name = 'click'", "name = 'buy'"].map(toml).to_vec(),
    };
    let chain = chain.map(toml);
    let spec = ModelSpec::new(table.for_model(&name).unwrap(), tasks, chain).unwrap();
    let schema = schema(&spec, features, &Raw::new(40));
    let mut model = Model::new(spec, schema, 3).unwrap();
    let paths: Vec<String> = model.params.layout().paths().map(str::to_owned).collect();
    for path in paths {
        let values = model.params.get(&path).unwrap().to_owned();
        let bump = |(i, v): (usize, &f32)| {
            let wave = ((i * 37 + path.len() * 11) as f32).sin();
            if path.ends_with("variance") { 1.0 + 0.5 * wave } else { 2.0 * v + 0.2 * wave }
        };
        let bumped: Vec<f32> = values.iter().enumerate().map(bump).collect();
        model.params.set(&path, values.dim(), &bumped).unwrap();
    }
    model
}

pub(crate) fn encode(model: &Model, rows: &Raw) -> FeatureTable {
    model.schema().encode(&rows.chunk(), Targets::Ignored).unwrap()
}

fn toml<T: serde::de::DeserializeOwned>(text: &str) -> T {
    toml::from_str(text).unwrap()
}
