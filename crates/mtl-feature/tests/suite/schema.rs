//! Fitting and encoding as a whole.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use mtl_feature::{
    Chunk, FeatureSpec, LabelSpec, MISSING, RawColumn, Rows, Schema, SchemaFitter, SchemaSpec,
    Targets, Transform, UNSEEN, Values,
};
use proptest::prelude::*;

fn spec() -> SchemaSpec {
    let features = vec![
        FeatureSpec::categorical("city").min_count(2).group("place").dim(3),
        FeatureSpec::categorical("user").hash_buckets(50).column("user_id"),
        FeatureSpec::numeric("age").transform(Transform::Log1pStandardise).with_missing_indicator(),
        FeatureSpec::numeric("age-group").column("age").quantiles(3),
    ];
    let labels = vec![LabelSpec::regression("seconds"), LabelSpec::binary("click")];
    SchemaSpec::new(features, labels).group("user_id").weight("w")
}

type Row = (Option<u8>, i64, Option<i32>, bool, f64);

/// Text cells where `as_text`, typed ones (cities as a dictionary) where not.
fn chunk(rows: &[Row], as_text: bool) -> Chunk {
    let texts = |cells: Vec<Option<String>>| {
        let missing = cells.iter().map(Option::is_none).collect();
        let texts = cells.iter().map(|cell| cell.as_deref().unwrap_or("")).collect();
        RawColumn::with_missing(Values::Text(texts), Some(missing))
    };
    let text_of = |cell: &dyn Fn(&Row) -> Option<String>| texts(rows.iter().map(cell).collect());
    let cities = ["0", "x", "y", "z"];
    let columns = if as_text {
        vec![
            ("city", text_of(&|row| row.0.map(|city| cities[city as usize].to_owned()))),
            ("user_id", text_of(&|row| Some(row.1.to_string()))),
            ("age", text_of(&|row| row.2.map(|age| age.to_string()))),
            ("click", text_of(&|row| Some(u8::from(row.3).to_string()))),
            ("seconds", text_of(&|row| Some(row.4.to_string()))),
            ("w", text_of(&|row| Some(row.4.abs().to_string()))),
        ]
    } else {
        let missing_city = Some(rows.iter().map(|row| row.0.is_none()).collect());
        let codes = rows.iter().map(|row| row.0.unwrap_or(9).into()).collect();
        let city = Values::Dictionary { codes, values: Arc::new(RawColumn::text(cities)) };
        let age = rows.iter().map(|row| row.2.unwrap_or(0).into()).collect();
        let missing_age = Some(rows.iter().map(|row| row.2.is_none()).collect());
        let seconds: Vec<f64> = rows.iter().map(|row| row.4).collect();
        let weights = seconds.iter().map(|seconds| seconds.abs()).collect();
        let users = rows.iter().map(|row| row.1).collect();
        let clicks = rows.iter().map(|row| row.3).collect();
        vec![
            ("w", RawColumn::new(Values::Float(weights))),
            ("seconds", RawColumn::new(Values::Float(seconds))),
            ("user_id", RawColumn::new(Values::Integer(users))),
            ("click", RawColumn::new(Values::Boolean(clicks))),
            ("city", RawColumn::with_missing(city, missing_city)),
            ("age", RawColumn::with_missing(Values::Integer(age), missing_age)),
        ]
    };
    let columns = columns.into_iter().map(|(name, column)| (name.to_owned(), column)).collect();
    Chunk::new(rows.len(), Rows::From(2), columns).unwrap()
}

fn fit(chunks: &[Chunk]) -> Schema {
    let mut fitter = SchemaFitter::new(spec()).unwrap();
    chunks.iter().for_each(|chunk| fitter.observe(chunk).unwrap());
    fitter.finish().unwrap()
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let city = prop::option::of(0_u8..4);
    let age = prop::option::of(-5_i32..100);
    prop::collection::vec((city, any::<i64>(), age, any::<bool>(), -1e3..1e3_f64), 1..40)
}

proptest! {
    #[test]
    fn the_schema_ignores_order_chunks_and_types(
        (rows, shuffled) in rows().prop_flat_map(|rows| (Just(rows.clone()), Just(rows).prop_shuffle())),
        cut in any::<prop::sample::Index>(),
    ) {
        let whole = fit(&[chunk(&rows, true)]);
        let cut = cut.index(rows.len());
        let cut_chunks = [chunk(&shuffled[..cut], false), chunk(&shuffled[cut..], true).compact()];
        prop_assert_eq!(&fit(&cut_chunks), &whole);

        // And so do the encoded rows, but for their order.
        let encoded = whole.encode(&chunk(&rows, true), Targets::Required).unwrap();
        let typed = whole.encode(&chunk(&rows, false), Targets::Required).unwrap();
        let compact = whole.encode(&chunk(&rows, true).compact(), Targets::Required).unwrap();
        prop_assert_eq!(&typed, &encoded);
        prop_assert_eq!(&compact, &encoded);
    }

    #[test]
    fn a_filtered_chunk_encodes_as_the_selected_rows(rows in rows(), seed in any::<u64>()) {
        let chunk = chunk(&rows, false);
        let schema = fit(std::slice::from_ref(&chunk));
        let keep: Vec<bool> = (0..rows.len()).map(|i| seed >> (i % 64) & 1 == 1).collect();
        let selected: Vec<u32> =
            (0..rows.len() as u32).filter(|&i| keep[i as usize]).collect();
        let all = schema.encode(&chunk, Targets::Required).unwrap();
        let filtered = schema.encode(&chunk.filter(&keep), Targets::Required).unwrap();
        prop_assert_eq!(filtered, all.select(&selected));
    }
}

fn example() -> Chunk {
    chunk(
        &[
            (Some(1), 7, Some(3), true, 1.5),
            (Some(1), 8, None, false, 0.0),
            (Some(2), 7, Some(9), false, -2.0),
            (None, 9, Some(0), true, 3.0),
        ],
        true,
    )
}

#[test]
fn values_worked_out_by_hand() {
    let schema = fit(&[example()]);
    let table = schema.encode(&example(), Targets::Required).unwrap();
    assert_eq!(table.ids_of("city"), Some(&[2, 2, UNSEEN, MISSING][..]));
    // Ages 0, 3, 9 in thirds.
    assert_eq!(table.ids_of("age-group"), Some(&[3, MISSING, 4, 2][..]));
    assert_eq!(table.values_of("age.missing"), Some(&[0.0, 1.0, 0.0, 0.0][..]));
    let logs = [4_f64.ln(), 10_f64.ln(), 0.0];
    let mean = logs.iter().sum::<f64>() / 3.0;
    let deviation = (logs.iter().map(|y| (y - mean).powi(2)).sum::<f64>() / 3.0).sqrt();
    let expected = [logs[0], mean, logs[1], logs[2]].map(|y| ((y - mean) / deviation) as f32);
    assert_eq!(table.values_of("age"), Some(&expected[..]));
    assert_eq!(table.label_of("click"), Some(&[1.0, 0.0, 0.0, 1.0][..]));
    assert_eq!(table.weights(), Some(&[1.5, 0.0, 2.0, 3.0][..]));
    let groups = table.groups().unwrap();
    assert_eq!((groups[0] == groups[2], groups[0] == groups[1]), (true, false));
}

#[test]
fn the_schema_says_what_a_model_needs() {
    let schema = fit(&[example()]);
    let shapes: Vec<_> =
        schema.categorical().map(|shape| (shape.name, shape.n_rows, shape.dim)).collect();
    assert_eq!(shapes, [("age-group", 5, None), ("city", 3, Some(3)), ("user", 52, None)]);
    assert_eq!(schema.numeric(), ["age", "age.missing"]);
    assert_eq!(schema.members("place").map(|f| f.name()).collect::<Vec<_>>(), ["city"]);
    assert_eq!(schema.columns(), ["age", "city", "click", "seconds", "user_id", "w"]);
}

#[test]
fn a_schema_travels_as_json_and_as_bincode() {
    let schema = fit(&[example()]);
    let json = serde_json::to_string(&schema).unwrap();
    assert_eq!(serde_json::from_str::<Schema>(&json).unwrap(), schema);
    let bytes = bincode::serialize(&schema).unwrap();
    assert_eq!(bincode::deserialize::<Schema>(&bytes).unwrap(), schema);
}

fn without(chunk: &Chunk, column: &str) -> Chunk {
    let columns = chunk.columns().iter().filter(|(name, _)| name != column).cloned().collect();
    Chunk::new(chunk.n_rows(), chunk.rows().clone(), columns).unwrap()
}

#[test]
fn targets_may_be_absent_where_that_is_allowed() {
    let schema = fit(&[example()]);
    let chunk = without(&without(&example(), "click"), "w");
    let error = schema.encode(&chunk, Targets::Required).unwrap_err();
    assert_eq!(error.to_string(), "there is no column `click` (needed by label `click`)");
    let table = schema.encode(&chunk, Targets::IfPresent).unwrap();
    assert_eq!((table.labels().len(), table.weights()), (1, None));
    assert!(table.groups().is_some());
    let table = schema.encode(&chunk, Targets::Ignored).unwrap();
    assert_eq!((table.labels().len(), table.groups()), (0, None));
    let error = schema.encode(&without(&chunk, "user_id"), Targets::Ignored).unwrap_err();
    assert!(
        error.to_string().contains("no column `user_id` (needed by feature `user`)"),
        "{error}"
    );
}

fn with(column: &str, texts: [&str; 4]) -> Chunk {
    let mut columns = example().columns().to_vec();
    let place = columns.iter().position(|(name, _)| name == column).unwrap();
    columns[place].1 = RawColumn::text(texts);
    Chunk::new(4, Rows::Listed(vec![2, 3, 5, 9]), columns).unwrap()
}

#[test]
fn a_bad_value_names_row_column_value_and_what_was_expected() {
    let schema = fit(&[example()]);
    for (column, texts, expected) in [
        ("click", ["0", "1", "2", "1"], "row 5, column `click`: found `2`, expected 0 or 1"),
        ("age", ["1", "2", "3", "x"], "row 9, column `age`: found `x`, expected a finite number"),
        ("w", ["1", "-1", "1", "1"], "row 3, column `w`: found `-1`, expected a weight"),
    ] {
        let chunk = with(column, texts);
        for chunk in [chunk.clone(), chunk.compact()] {
            let mut table = schema.encode(&example(), Targets::Required).unwrap();
            let before = table.clone();
            let encoder = schema.encoder(&chunk.names(), Targets::Required).unwrap();
            let error = encoder.encode(&chunk, &mut table).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
            assert_eq!(table, before, "an error changes nothing");
        }
    }
    let mut fitter = SchemaFitter::new(spec()).unwrap();
    let error = fitter.observe(&with("age", ["1", "inf", "2", "2"])).unwrap_err().to_string();
    assert!(error.starts_with("row 3, column `age`: found `inf`, expected a finite"), "{error}");
}

#[test]
fn names_must_differ() {
    let check = |features: Vec<FeatureSpec>, labels, expected: &str| {
        let error = SchemaFitter::new(SchemaSpec::new(features, labels)).unwrap_err();
        assert_eq!(error.to_string(), expected);
    };
    let twice = vec![FeatureSpec::numeric("a"), FeatureSpec::categorical("a")];
    check(twice, vec![], "two features are named `a`");
    let indicator =
        vec![FeatureSpec::numeric("a").with_missing_indicator(), FeatureSpec::numeric("a.missing")];
    check(indicator, vec![], "two features are named `a.missing`");
    check(vec![], vec![LabelSpec::binary("y"); 2], "two labels are named `y`");
}

#[test]
fn a_schema_needs_a_row() {
    let error = SchemaFitter::new(spec()).unwrap().finish().unwrap_err();
    assert!(error.to_string().contains("no training rows"), "{error}");
}
