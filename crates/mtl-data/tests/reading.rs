//! Files as users have them, good and bad.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, BooleanArray, Date32Array, DictionaryArray, Float32Array, Float64Array, Int64Array,
    RecordBatch, StringArray, TimestampMicrosecondArray, TimestampSecondArray, UInt64Array,
};
use flate2::Compression;
use flate2::write::GzEncoder;
use mtl_data::{Bound, DataConfig, Dataset, Files, ReadOptions, Reader, Split, load, read_table};
use mtl_feature::{Cell, FeatureSpec, FeatureTable, LabelSpec, Targets, Transform};
use parquet::arrow::ArrowWriter;
use proptest::prelude::*;
use tempfile::TempDir;

const GOOD: &str = "user,age,city,click\n7,30,Rome,1\n8,,Oslo,0\n7,50,\"Rome\",\n9,10,,1\n";

fn features() -> Vec<FeatureSpec> {
    vec![
        FeatureSpec::categorical("city"),
        FeatureSpec::numeric("age").transform(Transform::Standardise),
        FeatureSpec::categorical("user").hash_buckets(100),
    ]
}

fn labels() -> Vec<LabelSpec> {
    vec![LabelSpec::binary("click")]
}

fn write(folder: &TempDir, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, content).unwrap();
    path
}

fn load_one(path: &Path) -> Result<Dataset, String> {
    loaded(DataConfig::new(path))
}

/// The message without the folder.
fn loaded(config: DataConfig) -> Result<Dataset, String> {
    let folder = config.train.paths()[0].parent().unwrap().display().to_string();
    load(&config, features(), labels()).map_err(|error| error.to_string().replace(&folder, "DIR"))
}

fn check_error(name: &str, content: impl AsRef<[u8]>, expected: &str) {
    let folder = TempDir::new().unwrap();
    let error = load_one(&write(&folder, name, content)).unwrap_err();
    assert_eq!(error, format!("DIR/{name}: {expected}"));
}

#[test]
fn a_bad_csv_is_one_clear_line() {
    let csv = |content: &str, expected: &str| check_error("a.csv", content, expected);
    csv("", "the file is empty, expected a header row");
    csv("user,age,city,click\n", "there are no rows to train on, expected some");
    csv(
        "user,age,city,clicks\n7,30,Rome,1\n",
        "there is no column `click` (needed by label `click`); did you mean `clicks`?",
    );
    csv("user,age,city,click\n7,30,Rome\n", "row 2 has 3 fields, expected 4");
    csv("user,age,city,click\n7,30,Rome,1\n\n7,30,Rome,1,5\n", "row 4 has 5 fields, expected 4");
    csv(
        "user,age,city,click\n7,30,Rome,1\n7,3O,Rome,1\n",
        "row 3, column `age`: found `3O`, expected a finite number",
    );
    csv(
        "user,age,city,click\n7,30,\"Ro\nme\",2\n",
        "row 2, column `click`: found `2`, expected 0 or 1",
    );
    csv(
        "user,age,city,click\n7,30,\"Ro\nme\",1\n7,30,Rome,-1\n",
        "row 4, column `click`: found `-1`, expected 0 or 1",
    );
    csv(
        "user,age,city,click\n7, 30,Rome,1\n",
        "row 2, column `age`: found ` 30`, expected a number without blanks around it \
         (`trim = true` takes them away)",
    );
    for value in ["NaN", "inf", "-Infinity"] {
        let expected =
            "expected a finite number (list the value in `missing` if it marks a missing one)";
        let expected = format!("row 2, column `age`: found `{value}`, {expected}");
        csv(&format!("user,age,city,click\n7,{value},Rome,1\n"), &expected);
    }
    csv("user,age,city,click,age\n7,30,Rome,1,3\n", "two columns are named `age`, expected one");
    check_error(
        "a.csv",
        b"user,age,city,click\n7,30,Rome,1\n7,30,R\xffme,1\n",
        "row 3, column `city`: found `R\u{fffd}me`, expected UTF-8 text",
    );
    csv(
        "user,age,click,city\n7,30,1,Rome\n7,30,1,\"Oslo\n7,30,1,Rome\n",
        "row 3 opens a quote, expected another that closes it",
    );
    check_error(
        "a.xlsx",
        "user",
        "unknown format, expected a name that ends in .csv, .tsv, .txt (also with .gz), .parquet or .pq",
    );
}

#[test]
fn rows_are_counted_as_an_editor_counts_lines() {
    for end in ["\n", "\r\n"] {
        for bad in ["7,x,Rome,1", "7,x,Rome,1\n", "7,x,Rome,1\n7,3,Rome,1\n"] {
            let rows = "\n\n7,30,\"Ro\n\nme\",1\n7,30,Rome,1\n\n";
            let content = format!("user,age,city,click\n{rows}{bad}").replace('\n', end);
            check_error(
                "a.csv",
                content,
                "row 9, column `age`: found `x`, expected a finite number",
            );
        }
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = load_one(Path::new("/nowhere/a.csv")).unwrap_err();
    assert!(error.starts_with("DIR/a.csv: No such file"), "{error}");
}

fn gzip(content: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn gzip_reads_as_plain_and_a_cut_one_is_an_error() {
    let folder = TempDir::new().unwrap();
    let plain = load_one(&write(&folder, "a.csv", GOOD)).unwrap();
    // Two streams in one file, as `cat a.gz b.gz` makes.
    let (first, second) = GOOD.split_at(30);
    let members = [gzip(first), gzip(second)].concat();
    assert_eq!(load_one(&write(&folder, "b.csv.gz", members)), Ok(plain));

    let whole = gzip(&(GOOD.to_owned() + &"7,31,Rome,0\n".repeat(9000)));
    let cut = &whole[..whole.len() - 20];
    check_error("c.csv.gz", cut, "the gzip stream is cut short, expected more of it");
    let error = load_one(&write(&folder, "d.csv.gz", GOOD)).unwrap_err();
    assert!(error.starts_with("DIR/d.csv.gz: expected a gzip stream"), "{error}");
    // Shorter than the header of a stream.
    let few = "expected a gzip stream, or a name that does not end in .gz";
    check_error("e.csv.gz", "a,b\n", few);
}

#[test]
fn one_row_is_enough() {
    let folder = TempDir::new().unwrap();
    let data = load_one(&write(&folder, "a.csv", "user,age,city,click\n7,30,Rome,1")).unwrap();
    assert_eq!(data.train.n_rows(), 1);
    assert_eq!(data.train.values_of("age"), Some(&[0.0][..]));
    assert!(data.test.is_empty());
}

#[test]
fn csv_comes_in_dialects() {
    let folder = TempDir::new().unwrap();
    let expected = load_one(&write(&folder, "a.csv", GOOD)).unwrap();
    let same = |name: &str, content: &str, change: &dyn Fn(&mut DataConfig)| {
        let mut config = DataConfig::new(write(&folder, name, content));
        change(&mut config);
        assert_eq!(loaded(config).as_ref(), Ok(&expected), "{name}");
    };
    same("b.tsv", &GOOD.replace(',', "\t"), &|_| ());
    same("c.csv", &GOOD.replace(',', "|"), &|config| config.delimiter = Some('|'));
    same("d.csv", &GOOD.replace(',', " , ").replace("\"", ""), &|config| config.trim = true);
    same("e.csv", &GOOD.replace('\n', "\r\n"), &|_| ());
    same("f.csv", &format!("\u{feff}{GOOD}"), &|_| ());
    let headless = GOOD.split_once('\n').unwrap().1;
    let names = ["user", "age", "city", "click"].map(str::to_owned).to_vec();
    same("g.csv", headless, &|config| config.columns = Some(names.clone()));
    let marked = GOOD.replace("8,,", "8,NaN,").replace(",\n", ",NA\n").replace(",,1", ",NA,1");
    same("h.csv", &marked, &|config| config.missing = vec!["NA".into(), "NaN".into()]);
}

fn parquet(folder: &TempDir, name: &str, columns: Vec<(&str, ArrayRef)>) -> PathBuf {
    let path = folder.path().join(name);
    let batch = RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, array)| (name, array, true)),
    )
    .unwrap();
    let mut writer =
        ArrowWriter::try_new(fs::File::create(&path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    path
}

fn good_columns() -> Vec<(&'static str, ArrayRef)> {
    let cities: DictionaryArray<Int32Type> =
        [Some("Rome"), Some("Oslo"), Some("Rome"), None].into_iter().collect();
    vec![
        ("click", Arc::new(BooleanArray::from(vec![Some(true), Some(false), None, Some(true)]))),
        ("city", Arc::new(cities)),
        ("age", Arc::new(Float64Array::from(vec![Some(30.0), None, Some(50.0), Some(10.0)]))),
        ("user", Arc::new(Int64Array::from(vec![7, 8, 7, 9]))),
    ]
}

#[test]
fn parquet_and_csv_agree_whatever_the_types() {
    let folder = TempDir::new().unwrap();
    let expected = load_one(&write(&folder, "a.csv", GOOD)).unwrap();
    let columns = good_columns();
    assert_eq!(load_one(&parquet(&folder, "a.parquet", columns.clone())).as_ref(), Ok(&expected));
    let others: [(usize, ArrayRef); 5] = [
        (0, Arc::new(StringArray::from(vec![Some("1"), Some("0"), Some(""), Some("1")]))),
        (0, Arc::new(Float32Array::from(vec![Some(1.0), Some(0.0), None, Some(1.0)]))),
        (1, Arc::new(StringArray::from(vec![Some("Rome"), Some("Oslo"), Some("Rome"), None]))),
        (2, Arc::new(Int64Array::from(vec![Some(30), None, Some(50), Some(10)]))),
        (3, Arc::new(UInt64Array::from(vec![7, 8, 7, 9]))),
    ];
    for (place, array) in others {
        let mut columns = columns.clone();
        columns[place].1 = array;
        assert_eq!(load_one(&parquet(&folder, "b.parquet", columns)).as_ref(), Ok(&expected));
    }
}

#[test]
fn a_bad_parquet_is_one_clear_line() {
    let folder = TempDir::new().unwrap();
    let path = parquet(&folder, "a.parquet", good_columns());
    let whole = fs::read(&path).unwrap();
    for length in [0, 4, 8, whole.len() / 2, whole.len() - 1] {
        let error = load_one(&write(&folder, "b.parquet", &whole[..length])).unwrap_err();
        assert!(error.starts_with("DIR/b.parquet: ") && error.contains("expected"), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }
    check_error("c.parquet", "", "the file is empty, expected Parquet");
    let error = load_one(&write(&folder, "d.parquet", GOOD)).unwrap_err();
    assert!(error.starts_with("DIR/d.parquet: expected a whole Parquet file ("), "{error}");

    let mut columns = good_columns();
    columns[2].1 = Arc::new(Float64Array::from(vec![1.0, f64::NAN, 2.0, 3.0]));
    let path = parquet(&folder, "e.parquet", columns);
    assert_eq!(
        load_one(&path).unwrap_err(),
        "DIR/e.parquet: row 2, column `age`: found `NaN`, expected a finite number \
         (list the value in `missing` if it marks a missing one)"
    );
    let mut config = DataConfig::new(path);
    config.missing = vec!["nan".into()];
    assert_eq!(loaded(config).unwrap().train.n_rows(), 4);
}

#[test]
fn damage_anywhere_in_a_parquet_is_never_a_panic() {
    let folder = TempDir::new().unwrap();
    let whole = fs::read(parquet(&folder, "a.parquet", good_columns())).unwrap();
    for i in (0..whole.len()).step_by(7) {
        let mut damaged = whole.clone();
        damaged[i] ^= 0xff;
        if let Err(error) = load_one(&write(&folder, "b.parquet", damaged)) {
            assert!(error.starts_with("DIR/b.parquet: ") && !error.contains('\n'), "{i}: {error}");
        }
    }
}

#[test]
fn parquet_without_rows_is_an_empty_table_or_an_error() {
    let folder = TempDir::new().unwrap();
    let schema = load_one(&write(&folder, "a.csv", GOOD)).unwrap().schema;
    let columns = good_columns().into_iter().map(|(name, array)| (name, array.slice(0, 0)));
    let path = parquet(&folder, "b.parquet", columns.collect());
    let table = read_table(&path, &schema, &ReadOptions::default(), Targets::Required).unwrap();
    assert_eq!((table.n_rows(), table.ids().len()), (0, 2));
    let error = load_one(&path).unwrap_err();
    assert_eq!(error, "DIR/b.parquet: there are no rows to train on, expected some");
}

#[test]
fn dates_of_parquet_split_as_text() {
    let folder = TempDir::new().unwrap();
    let mut columns = good_columns();
    columns.push(("day", Arc::new(Date32Array::from(vec![19_112, 19_113, 19_114, 19_113]))));
    let split = Split::Column {
        column: "day".into(),
        validation_from: Some(Bound::Text("2022-05-01".into())),
        test_from: Some(Bound::Text("2022-05-02".into())),
    };
    let data =
        loaded(DataConfig::new(parquet(&folder, "a.parquet", columns)).split(split)).unwrap();
    let sizes = [&data.train, &data.validation, &data.test].map(FeatureTable::n_rows);
    assert_eq!(sizes, [1, 2, 1]);
    // Oslo is in no training row.
    assert_eq!(data.validation.ids_of("city"), Some(&[0, 1][..]));
}

#[test]
fn prediction_needs_no_label() {
    let folder = TempDir::new().unwrap();
    let data = load_one(&write(&folder, "a.csv", GOOD)).unwrap();
    let path = write(&folder, "b.csv", "city,age,user\nRome,30,7\nLima,,8\n");
    let options = ReadOptions::default();
    let table = read_table(&path, &data.schema, &options, Targets::Ignored).unwrap();
    assert_eq!(table.ids_of("city"), Some(&[2, 0][..]));
    assert_eq!(table.values_of("age"), Some(&[0.0, 0.0][..]));
    let error = read_table(&path, &data.schema, &options, Targets::Required).unwrap_err();
    assert!(error.to_string().contains("there is no column `click`"), "{error}");
    let path = write(&folder, "c.csv", "city,agee,user\nRome,30,7\n");
    let error = read_table(&path, &data.schema, &options, Targets::Ignored).unwrap_err();
    let expected = "there is no column `age` (needed by feature `age`); did you mean `agee`?";
    assert!(error.to_string().ends_with(expected), "{error}");
}

#[test]
fn a_split_by_a_column_with_a_bad_value_is_named() {
    let folder = TempDir::new().unwrap();
    let split = |column: &str| Split::Column {
        column: column.into(),
        validation_from: None,
        test_from: Some(Bound::Integer(40)),
    };
    let path = write(&folder, "a.csv", GOOD);
    let error = loaded(DataConfig::new(&path).split(split("age"))).unwrap_err();
    assert_eq!(
        error,
        "DIR/a.csv: row 3, column `age`: found a missing value, expected an integer to compare with `40`"
    );
    let error = loaded(DataConfig::new(&path).split(split("users"))).unwrap_err();
    let expected = "there is no column `users` (needed by the split); did you mean `user`?";
    assert_eq!(error, format!("DIR/a.csv: {expected}"));
}

#[test]
fn several_files_are_one_after_the_other() {
    let folder = TempDir::new().unwrap();
    let whole = load_one(&write(&folder, "a.csv", GOOD)).unwrap();
    let (header, rows) = GOOD.split_once('\n').unwrap();
    let (first, second) = rows.split_at(rows.find("7,50").unwrap());
    let mut config = DataConfig::new(write(&folder, "b.csv", format!("{header}\n{first}")));
    let b = config.train.paths()[0].clone();
    let c = write(&folder, "c.csv", format!("{header}\n{second}"));
    config.train = Files::Many(vec![b, c]);
    config.validation = Some(Files::One(write(&folder, "d.csv", format!("{header}\n{second}"))));
    let data = loaded(config).unwrap();
    assert_eq!((&data.schema, &data.train), (&whole.schema, &whole.train));
    assert_eq!(data.validation, whole.train.select(&[2, 3]));
}

/// A field as CSV writes it.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn quoted_fields_come_back(
        rows in prop::collection::vec(["[a,\"\n\r é]{1,6}", "[0-9;|\t]{1,4}"], 1..20),
        chunk_rows in 1_usize..8,
    ) {
        let folder = TempDir::new().unwrap();
        let lines = rows.iter().map(|row| row.iter().map(|f| quoted(f)).collect::<Vec<_>>().join(","));
        let content = format!("x,y\n{}\n", lines.collect::<Vec<_>>().join("\n"));
        let mut options = ReadOptions::default();
        options.chunk_rows = chunk_rows;
        let reader = Reader::open(write(&folder, "a.csv", content), &options).unwrap();
        let mut found = Vec::new();
        for chunk in reader.chunks(&["y", "x"]).unwrap() {
            let chunk = chunk.unwrap();
            for i in 0..chunk.n_rows() {
                let cell = |name| match chunk.column(name).unwrap().cell(i) {
                    Cell::Text(text) => text.to_owned(),
                    other => panic!("{other:?}"),
                };
                found.push([cell("x"), cell("y")]);
            }
        }
        prop_assert_eq!(found, rows);
    }

    #[test]
    fn neither_columns_order_nor_rows_order_changes_an_id(
        rows in prop::collection::vec((0_u8..9, -5_i32..5, 0_u8..4, 0_u8..2), 1..30)
            .prop_flat_map(|rows| (Just(rows.clone()), Just(rows).prop_shuffle())),
        columns in Just(["user", "age", "city", "click"]).prop_shuffle(),
    ) {
        let folder = TempDir::new().unwrap();
        let content = |rows: &[(u8, i32, u8, u8)], columns: [&str; 4]| {
            let line = |(user, age, city, click): &(u8, i32, u8, u8)| columns.map(|name| match name {
                "user" => user.to_string(),
                "age" => age.to_string(),
                "city" => format!("c{city}"),
                _ => click.to_string(),
            }).join(",");
            columns.join(",") + "\n" + &rows.iter().map(line).collect::<Vec<_>>().join("\n")
        };
        let order = ["user", "age", "city", "click"];
        let expected = load_one(&write(&folder, "a.csv", content(&rows.0, order))).unwrap();
        let permuted = load_one(&write(&folder, "b.csv", content(&rows.0, columns))).unwrap();
        prop_assert_eq!(&permuted, &expected);
        let shuffled = load_one(&write(&folder, "c.csv", content(&rows.1, order))).unwrap();
        prop_assert_eq!(shuffled.schema, expected.schema);
    }
}

#[test]
fn a_random_split_does_not_depend_on_chunks_and_covers_all_rows() {
    let folder = TempDir::new().unwrap();
    let rows: String = (0..500).map(|i| format!("{i},{i},c{},{}\n", i % 7, i % 2)).collect();
    let path = write(&folder, "a.csv", format!("user,age,city,click\n{rows}"));
    let split = |seed| {
        let split = Split::Random { validation: 0.2, test: 0.2, seed };
        loaded(DataConfig::new(&path).split(split)).unwrap()
    };
    let data = split(1);
    let sizes = [&data.train, &data.validation, &data.test].map(FeatureTable::n_rows);
    assert_eq!(sizes.iter().sum::<usize>(), 500);
    assert!(sizes.iter().all(|&size| size > 50), "{sizes:?}");
    assert_eq!(split(1), data);
    assert_ne!(split(2).train.n_rows(), 0);
    assert_ne!(split(2), data);
}

#[test]
fn timestamps_are_parted_by_a_date_or_a_time_whatever_their_unit() {
    let folder = TempDir::new().unwrap();
    let hours = [0_i64, 24, 47, 48, 60];
    // From 8 January 2024.
    let second = |hour: i64| 1_704_672_000 + 3_600 * hour;
    let of_unit = |name: &str, array: ArrayRef| {
        let ids: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3, 4, 5]));
        parquet(&folder, name, vec![("user", ids), ("at", array)])
    };
    let units = |per_second: i64| hours.map(|hour| second(hour) * per_second).to_vec();
    for path in [
        of_unit("s.parquet", Arc::new(TimestampSecondArray::from(units(1)))),
        of_unit("us.parquet", Arc::new(TimestampMicrosecondArray::from(units(1_000_000)))),
    ] {
        let check = |from: &str, to: &str, expected: [usize; 3]| {
            let bound = |text: &str| Some(Bound::Text(text.to_owned()));
            let (validation_from, test_from) = (bound(from), bound(to));
            let split = Split::Column { column: "at".into(), validation_from, test_from };
            let config = DataConfig::new(&path).split(split);
            let data = load(&config, vec![FeatureSpec::categorical("user")], vec![]).unwrap();
            assert_eq!(
                [data.train, data.validation, data.test].map(|part| part.n_rows()),
                expected
            );
        };
        check("2024-01-09", "2024-01-10", [1, 2, 2]);
        check("2024-01-09", "2024-01-10T12:00:00Z", [1, 3, 1]);
        check("2024-01-09T01:00:00+01:00", "2024-01-10", [1, 2, 2]);
    }
}

#[test]
fn nan_in_an_id_or_a_label_says_how_to_make_it_a_missing_value() {
    let folder = TempDir::new().unwrap();
    let nan = || Arc::new(Float64Array::from(vec![1.0, f64::NAN])) as ArrayRef;
    let ones = || Arc::new(Float64Array::from(vec![1.0, 1.0])) as ArrayRef;
    for (user, click, column) in [(nan(), ones(), "user"), (ones(), nan(), "click")] {
        let path = parquet(&folder, "a.parquet", vec![("user", user), ("click", click)]);
        let (features, labels) =
            (vec![FeatureSpec::categorical("user")], vec![LabelSpec::binary("click")]);
        let error = load(&DataConfig::new(&path), features.clone(), labels.clone()).unwrap_err();
        let error = error.to_string();
        assert!(error.contains(&format!("row 2, column `{column}`: found `NaN`")), "{error}");
        assert!(error.contains("list the value in `missing`"), "{error}");
        let mut config = DataConfig::new(&path);
        config.missing.push("NaN".to_owned());
        load(&config, features, labels).unwrap();
    }
}
