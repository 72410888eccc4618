//! Rows with everything a feature can be, and models over them.

#![allow(dead_code, reason = "each test file uses some")]
#![allow(clippy::unwrap_used, reason = "a failing helper is a failing test")]

use mtl_feature::{
    Chunk, DatePart, FeatureSpec, FeatureTable, Keep, Pooling, RawColumn, Rows, Schema,
    SchemaFitter, SchemaSpec, Targets, Transform, UtcOffset,
};
use mtl_model::{Model, ModelSpec, ModelTable};

/// Features of every encoding that reads one value of one column.
fn plain() -> Vec<FeatureSpec> {
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

/// One list of items, pooled in every way there is; `item` is what DIN compares it with.
fn sequences() -> Vec<FeatureSpec> {
    let list = |name: &str| FeatureSpec::sequence(name).column("history");
    vec![
        FeatureSpec::categorical("item"),
        list("attended").max_length(6).shares("item").din("item"),
        list("counted").max_length(3).keep(Keep::First).hash_buckets(5).pooling(Pooling::Sum),
        list("largest").dim(3).pooling(Pooling::Max),
        list("mean").shares("item"),
    ]
}

/// A few of them, with a cross and a time in parts.
fn derived() -> Vec<FeatureSpec> {
    vec![
        FeatureSpec::categorical("user"),
        FeatureSpec::cross("city by device", ["device", "city"]),
        FeatureSpec::datetime("time", [DatePart::Hour, DatePart::AgeDays])
            .dim(2)
            .time_zone(UtcOffset::from_minutes(8 * 60).unwrap())
            .with_missing_indicator(),
    ]
}

/// Raw cells of `n` rows; empty texts are missing. From row 40 on there are values that the first
/// 40 rows do not have.
pub(crate) struct Raw(Vec<(&'static str, Vec<String>)>);

impl Raw {
    pub(crate) fn new(n: usize) -> Self {
        let names = [
            "user", "city", "device", "age", "price", "year", "score", "debt", "time", "item",
            "history", "click", "buy", "stars",
        ];
        Self(names.map(|name| (name, (0..n).map(|i| Self::cell(name, i)).collect())).to_vec())
    }

    fn cell(name: &str, i: usize) -> String {
        let new = i >= 40;
        if !["click", "buy", "stars"].contains(&name) && (i * 7 + name.len()).is_multiple_of(11) {
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
            "item" => format!("i{}", i % if new { 23 } else { 8 }),
            "history" => Self::history(i % 9, new),
            "stars" => (1 + i % 3).to_string(),
            "time" => format!("2026-11-{:02}T{:02}:30Z", 1 + i % 28, i * 5 % 24),
            "click" => (i % 3 % 2).to_string(),
            _ => (i % 6 / 5).to_string(),
        }
    }

    /// So many items, one of them missing, some of them new.
    fn history(length: usize, new: bool) -> String {
        let item = |j: usize| match j {
            2 => String::new(),
            _ => format!("i{}", (j * j + length) % if new { 23 } else { 8 }),
        };
        (0..length).map(item).collect::<Vec<_>>().join("|")
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

pub(crate) const TASKS: [&str; 2] = ["name = 'click'", "name = 'buy'"];

/// A model of two tasks, or of a chain.
pub(crate) fn model(settings: &str, chain: Option<&str>) -> Model {
    let tasks: &[&str] = if chain.is_some() { &[] } else { &TASKS };
    build(settings, tasks, chain, plain())
}

/// As [`model`], with sequences.
pub(crate) fn model_of_sequences(settings: &str, attention: &str) -> Model {
    let mut sequences = sequences();
    sequences[1].attention = Some(toml(attention));
    build(settings, &TASKS, None, [plain(), sequences].concat())
}

/// As [`model`], of a cross and a time in parts, and a city for whoever wants a domain.
pub(crate) fn model_of_derived(settings: &str) -> Model {
    let features = [derived(), vec![FeatureSpec::categorical("city")]].concat();
    build(settings, &TASKS, None, features)
}

/// A model of tasks of any kind.
pub(crate) fn model_of(settings: &str, tasks: &[&str]) -> Model {
    build(settings, tasks, None, plain())
}

/// A model whose parameters are anything but initial: biases, statistics and first-order weights
/// are not 0 and 1.
fn build(settings: &str, tasks: &[&str], chain: Option<&str>, features: Vec<FeatureSpec>) -> Model {
    let table: ModelTable = ModelTable::parse(toml(settings)).unwrap();
    let name = table.name().unwrap().to_owned();
    let tasks = tasks.iter().copied().map(toml).collect();
    let chain = chain.map(toml);
    let spec = ModelSpec::new(table.for_model(&name).unwrap(), tasks, chain).unwrap();
    let schema = schema(&spec, features, &Raw::new(40));
    let mut model = Model::new(spec, schema, 3).unwrap();
    let paths: Vec<String> = model.params.layout().paths().map(str::to_owned).collect();
    for path in paths {
        let values = model.params.get(&path).unwrap().to_owned();
        let bump = |(i, v): (usize, &f32)| {
            let wave = ((i * 37 + path.len() * 11) as f32).sin();
            if path.ends_with("variance") { 1.0 + 0.5 * wave } else { v + 0.1 * wave }
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
