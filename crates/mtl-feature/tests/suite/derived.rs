//! Features made of a column in parts, and of several columns together.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use mtl_feature::{
    Chunk, DatePart, FIRST_KNOWN, FeatureSpec, MISSING, RawColumn, Rows, Schema, SchemaFitter,
    SchemaSpec, Targets, UNSEEN, Values,
};
use proptest::prelude::*;

fn chunk(columns: Vec<(&str, RawColumn)>) -> Chunk {
    let n = columns[0].1.len();
    let columns = columns.into_iter().map(|(name, column)| (name.to_owned(), column)).collect();
    Chunk::new(n, Rows::From(2), columns).unwrap()
}

fn fit(features: Vec<FeatureSpec>, chunk: &Chunk) -> Result<Schema, String> {
    let fitter = SchemaFitter::new(SchemaSpec::new(features, vec![]));
    let mut fitter = fitter.map_err(|error| error.to_string())?;
    fitter.observe(chunk).map_err(|error| error.to_string())?;
    Ok(fitter.finish().unwrap())
}

#[test]
fn a_time_is_a_feature_for_each_part() {
    let spec = || {
        let parts = [DatePart::Weekday, DatePart::AgeDays, DatePart::Hour];
        vec![FeatureSpec::datetime("time", parts).column("at").dim(2)]
    };
    let rows = chunk(vec![("at", RawColumn::text(["2026-11-23T05:00", "2026-11-25T05:00"]))]);
    let schema = fit(spec(), &rows).unwrap();
    let shapes: Vec<_> = schema.categorical().map(|s| (s.name, s.n_rows, s.dim)).collect();
    assert_eq!(shapes, [("time.hour", 26, Some(2)), ("time.weekday", 9, Some(2))]);
    assert_eq!(
        (schema.numeric(), schema.columns()),
        (vec!["time.age_days".to_owned()], vec!["at"])
    );

    let later = Values::Text(["2026-11-24T05:00", "x", "2026-11-26"].into_iter().collect());
    let missing = Some(vec![false, true, false]);
    let later = chunk(vec![("at", RawColumn::with_missing(later, missing))]);
    let table = schema.encode(&later, Targets::Ignored).unwrap();
    assert_eq!(table.ids_of("time.hour"), Some(&[5 + FIRST_KNOWN, MISSING, MISSING][..]));
    assert_eq!(table.ids_of("time.weekday"), Some(&[3, MISSING, 5][..]));
    // A day is a deviation: the middle of the training rows is 0, and what is later is less.
    let ages = table.values_of("time.age_days").unwrap();
    assert_eq!(ages[..2], [0.0, 0.0]);
    assert!((ages[2] + 2.0 - 5.0 / 24.0).abs() < 1e-6, "{ages:?}");

    let error = fit(spec(), &chunk(vec![("at", RawColumn::text(["today"]))])).unwrap_err();
    assert!(error.starts_with("row 2, column `at`: found `today`, expected a date"), "{error}");
    let bytes = bincode::serialize(&schema).unwrap();
    assert_eq!(bincode::deserialize::<Schema>(&bytes).unwrap(), schema);
}

#[test]
fn a_cross_has_an_id_for_each_combination() {
    let spec = vec![
        FeatureSpec::cross("both", ["city", "age"]).min_count(2),
        FeatureSpec::cross("hashed", ["age", "city"]).hash_buckets(9),
    ];
    let cities = RawColumn::text(["Rome", "Rome", "Oslo", "Rome", "Oslo"]);
    let ages = Values::Integer(vec![3, 3, 3, 4, 3]);
    let missing = Some(vec![false, false, false, true, false]);
    let rows = chunk(vec![("city", cities), ("age", RawColumn::with_missing(ages, missing))]);
    let schema = fit(spec.clone(), &rows).unwrap();
    let table = schema.encode(&rows, Targets::Ignored).unwrap();
    assert_eq!(table.ids_of("both"), Some(&[3, 3, 2, MISSING, 2][..]));
    let hashed = table.ids_of("hashed").unwrap();
    assert_eq!((hashed[0], hashed[2], hashed[3]), (hashed[1], hashed[4], MISSING));
    assert_eq!(schema.columns(), ["age", "city"]);

    // As text, and through another form of the same values.
    let text = |cities: [&str; 2], ages: [&str; 2]| {
        chunk(vec![("city", RawColumn::text(cities)), ("age", RawColumn::text(ages))])
    };
    let table = schema.encode(&text(["Oslo", "Oslo"], ["3", "5"]), Targets::Ignored).unwrap();
    assert_eq!(table.ids_of("both"), Some(&[2, UNSEEN][..]));
    let error = schema.encode(&chunk(vec![("city", RawColumn::text(["x"]))]), Targets::Ignored);
    let error = error.unwrap_err().to_string();
    assert_eq!(error, "there is no column `age` (needed by feature `both`)");
}

#[test]
fn keys_that_do_not_go_together_are_named() {
    let check = |toml: &str, expected: &str| {
        let spec: FeatureSpec = toml::from_str(&format!("name = 'a'\n{toml}")).unwrap();
        let error = fit(vec![spec], &chunk(vec![("a", RawColumn::text(["1"]))])).unwrap_err();
        assert!(error.starts_with(&format!("feature `a`: {expected}")), "{toml}: {error}");
    };
    check("kind = 'cross'", "`of` is not given");
    check("kind = 'cross'\nof = ['b']", "`of` is [\"b\"], expected two columns");
    check("kind = 'cross'\nof = ['b', 'c']\ncolumn = 'd'", "`column` is `d`, expected `of`");
    check("kind = 'categorical'\nof = ['b', 'c']", "`of` is given, expected it for a cross only");
    check("kind = 'datetime'\nparts = []", "`parts` is empty");
    check("kind = 'datetime'\nparts = ['hour', 'hour']", "`parts` is given twice");
    check("kind = 'datetime'\nhash_buckets = 3", "`hash_buckets` is 3, expected nothing");
    check("kind = 'numeric'\nparts = ['hour']", "`parts` is given, expected it for a datetime");
    check("kind = 'categorical'\npooling = 'max'", "`pooling` is max, expected nothing");
}

/// A new day's rows: the parts of a time are the features that they were, and a cross grows.
#[test]
fn a_schema_with_parts_and_crosses_is_extended() {
    let features = || {
        vec![
            FeatureSpec::datetime("time", [DatePart::Hour, DatePart::AgeDays]),
            FeatureSpec::cross("both", ["city", "shop"]),
        ]
    };
    let day = |times: [&str; 2], shops: [&str; 2]| {
        let cities = RawColumn::text(["Rome", "Rome"]);
        let columns = [("time", times), ("shop", shops)].map(|(n, c)| (n, RawColumn::text(c)));
        chunk(columns.into_iter().chain([("city", cities)]).collect())
    };
    let first = fit(features(), &day(["2026-11-24T08:00", "2026-11-26T08:00"], ["1", "2"]));
    let first = first.unwrap();
    let rows = day(["2026-11-27T09:00", "2026-11-25T08:00"], ["2", "3"]);
    let mut fitter = SchemaFitter::extending(SchemaSpec::new(features(), vec![]), &first).unwrap();
    fitter.observe(&rows).unwrap();
    let table = fitter.finish().unwrap().encode(&rows, Targets::Ignored).unwrap();
    assert_eq!(table.ids_of("both"), Some(&[3, 4][..]), "known, then new");
    let ages = table.values_of("time.age_days").unwrap();
    assert!(ages[0] < -1.9 && ages[1] == 0.0, "by the first day's mean: {ages:?}");
    assert_eq!(table.ids_of("time.hour"), Some(&[9 + 2, 8 + 2][..]));
}

proptest! {
    /// The values of two columns together: one id for each pair of values, none shared, whatever
    /// the values hold.
    #[test]
    fn two_rows_share_an_id_of_a_cross_if_they_share_both_values(
        rows in prop::collection::vec(("[ab|,]{0,2}", prop::option::of(-2_i64..3)), 1..40),
    ) {
        let texts = RawColumn::text(rows.iter().map(|(text, _)| text.as_str()));
        let numbers = Values::Integer(rows.iter().map(|(_, n)| n.unwrap_or(0)).collect());
        let missing = Some(rows.iter().map(|(_, n)| n.is_none()).collect());
        let chunk = chunk(vec![("s", texts), ("n", RawColumn::with_missing(numbers, missing))]);
        let schema = fit(vec![FeatureSpec::cross("both", ["s", "n"])], &chunk).unwrap();
        let table = schema.encode(&chunk, Targets::Ignored).unwrap();
        let ids = table.ids_of("both").unwrap();
        for (row, id) in rows.iter().zip(ids) {
            prop_assert_eq!(row.1.is_none(), *id == MISSING);
            for (other, other_id) in rows.iter().zip(ids).filter(|(other, _)| other.1.is_some()) {
                prop_assert_eq!(row == other, id == other_id, "{:?} {:?}", row, other);
            }
        }
    }
}
