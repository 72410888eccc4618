//! Rows that stay in their files are the rows that a table holds.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use mtl_data::{
    DataConfig, Dataset, Loader, ReadOptions, RowSource, encode_blocks, load, read_rows, read_table,
};
use mtl_feature::{FeatureSpec, FeatureTable, LabelSpec, Targets};
use parquet::arrow::ArrowWriter;
use proptest::prelude::*;
use tempfile::TempDir;

fn features() -> Vec<FeatureSpec> {
    vec![
        FeatureSpec::categorical("user").min_count(2),
        FeatureSpec::sequence("seen"),
        FeatureSpec::numeric("age").with_missing_indicator(),
        FeatureSpec::numeric("band").column("age").quantiles(4),
    ]
}

fn labels() -> Vec<LabelSpec> {
    vec![LabelSpec::binary("click"), LabelSpec::multiclass("size")]
}

const HEADER: &str = "user,seen,age,click,size,w,day\n";

fn rows(from: usize, to: usize) -> String {
    (from..to).fold(String::new(), |mut text, i| {
        let seen = (0..i % 4).map(|j| (j * i % 9).to_string()).collect::<Vec<_>>().join("|");
        let age = if i % 5 == 0 { String::new() } else { (i * 7 % 60).to_string() };
        let size = ["s", "m", "l"][i % 3];
        writeln!(text, "u{},{seen},{age},{},{size},{}.5,{}", i % 11, i % 2, i % 3, i / 20).unwrap();
        text
    })
}

/// Two CSV files and a Parquet file between them, of 90 rows in all.
fn files(home: &TempDir) {
    fs::write(home.path().join("day-1.csv"), format!("{HEADER}{}", rows(0, 40))).unwrap();
    write_parquet(&home.path().join("day-2.parquet"), &rows(40, 70), 7);
    fs::write(home.path().join("day-3.csv"), format!("{HEADER}{}", rows(70, 90))).unwrap();
}

fn write_parquet(path: &Path, rows: &str, group_rows: usize) {
    let column = |i: usize| rows.lines().map(move |line| line.split(',').nth(i).unwrap());
    let text = |i| Arc::new(column(i).map(Some).collect::<StringArray>()) as ArrayRef;
    let integers =
        |i| Arc::new(column(i).map(|text| text.parse().ok()).collect::<Int64Array>()) as ArrayRef;
    let columns = vec![
        ("user", text(0)),
        ("seen", text(1)),
        ("age", integers(2)),
        ("click", integers(3)),
        ("size", text(4)),
        ("w", text(5)),
        ("day", integers(6)),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer =
        ArrowWriter::try_new(fs::File::create(path).unwrap(), batch.schema(), None).unwrap();
    for start in (0..batch.num_rows()).step_by(group_rows) {
        writer.write(&batch.slice(start, group_rows.min(batch.num_rows() - start))).unwrap();
        writer.flush().unwrap();
    }
    writer.close().unwrap();
}

fn config(home: &TempDir, toml: &str) -> DataConfig {
    let config: DataConfig = toml::from_str(toml).unwrap();
    config.relative_to(home.path())
}

fn streamed(config: &DataConfig) -> Result<Dataset<Box<dyn RowSource>>, String> {
    Loader::new(config, features(), labels()).stream().map_err(|error| error.to_string())
}

fn blocks(rows: &dyn RowSource, block_rows: Option<usize>) -> Result<Vec<FeatureTable>, String> {
    let owned = |block: mtl_data::Result<_>| block.map(std::borrow::Cow::into_owned);
    let blocks: Result<_, mtl_data::Error> = rows.blocks(block_rows).map(owned).collect();
    blocks.map_err(|error| error.to_string())
}

fn check_same(toml: &str, block_rows: Option<usize>) {
    let home = TempDir::new().unwrap();
    files(&home);
    let config = config(&home, toml);
    let held = load(&config, features(), labels()).unwrap();
    let stream = streamed(&config).unwrap();
    assert_eq!(stream.schema, held.schema);
    let others = (stream.validation.held(), stream.test.held());
    assert_eq!(others, (Some(&held.validation), Some(&held.test)), "they are few");
    for most in [0, 12] {
        let mut config = config.clone();
        config.held_rows = most;
        let stream = streamed(&config).unwrap();
        assert_eq!(stream.schema, held.schema);
        for (rows, table) in [(&stream.validation, &held.validation), (&stream.test, &held.test)] {
            assert_eq!(rows.n_rows(), table.n_rows());
            assert_eq!(rows.held().is_some(), table.n_rows() <= most);
            for _ in 0..2 {
                let size = block_rows.or(Some(1_000));
                assert_eq!(blocks(rows, size).unwrap(), blocks(table, size).unwrap());
            }
        }
    }
    assert_eq!(stream.train.n_rows(), held.train.n_rows());
    let expected = blocks(&held.train, block_rows).unwrap();
    for _ in 0..2 {
        assert_eq!(blocks(&stream.train, block_rows).unwrap(), expected, "in each pass");
    }
    let sizes: Vec<usize> = expected.iter().map(FeatureTable::n_rows).collect();
    assert_eq!(sizes.iter().sum::<usize>(), held.train.n_rows());
    let (last, others) = sizes.split_last().unwrap();
    assert!(others.iter().all(|&n| Some(n) == block_rows) && *last > 0, "{sizes:?}");
}

const ALL: &str = "train = 'day-*'\nweight = 'w'\ngroup = 'user'";

#[test]
fn a_stream_is_the_table_in_blocks() {
    check_same(ALL, None);
    check_same(ALL, Some(90));
    let by_day = "train = 'day-*'\nsplit = {by = 'column', column = 'day', validation_from = 2, test_from = 4}";
    check_same(by_day, Some(16));
    check_same("train = 'day-1.csv'\nvalidation = 'day-3.csv'\ntest = 'day-2.parquet'", Some(16));
}

#[test]
fn a_file_of_many_rows_is_a_stream_of_them() {
    let home = TempDir::new().unwrap();
    files(&home);
    let data = load(&config(&home, ALL), features(), labels()).unwrap();
    let (file, options) = (home.path().join("day-1.csv"), ReadOptions::default());
    let table = read_table(&file, &data.schema, &options, Targets::Required).unwrap();
    for most in [39, 40] {
        let rows = read_rows(&file, &data.schema, &options, most).unwrap();
        assert_eq!((rows.n_rows(), rows.held().is_some()), (40, most == 40));
        assert_eq!(blocks(&rows, Some(7)).unwrap(), blocks(&table, Some(7)).unwrap());
    }
    // What is wrong with its last row is said before anything is measured.
    let wrong = format!("{HEADER}{}", rows(0, 40)).replace("\nu6,", "\nu6,,,x,s,1,2\nu6,");
    fs::write(&file, wrong).unwrap();
    let error = read_rows(&file, &data.schema, &options, 3).unwrap_err().to_string();
    assert!(error.contains("column `click`: found `x`, expected 0 or 1 ("), "{error}");
}

#[test]
fn one_pass_gives_the_rows_of_a_file_in_blocks() {
    let home = TempDir::new().unwrap();
    files(&home);
    let data = load(&config(&home, ALL), features(), labels()).unwrap();
    let mut options = ReadOptions::default();
    options.chunk_rows = 7;
    let in_blocks = |file: &Path, block_rows| {
        let mut blocks = Vec::new();
        encode_blocks(file, &data.schema, &options, Targets::Ignored, block_rows, |table| {
            blocks.push(table);
            Ok::<_, mtl_data::Error>(())
        })
        .map(|()| blocks)
        .map_err(|error| error.to_string())
    };
    for file in ["day-2.parquet", "day-1.csv"].map(|name| home.path().join(name)) {
        let table = read_table(&file, &data.schema, &options, Targets::Ignored).unwrap();
        for (block_rows, given) in [(1, 7), (10, 14), (15, 21), (100, 100)] {
            let expected = blocks(&table, Some(given)).unwrap();
            assert_eq!(in_blocks(&file, block_rows).unwrap(), expected, "{}", file.display());
        }
    }

    let empty = home.path().join("empty.csv");
    fs::write(&empty, HEADER).unwrap();
    let none = in_blocks(&empty, 10).unwrap();
    assert_eq!(none.iter().map(FeatureTable::n_rows).collect::<Vec<_>>(), [0]);

    // The caller may end it, and what is wrong with a row ends it.
    let mut seen = 0;
    let file = home.path().join("day-1.csv");
    let ended = encode_blocks(&file, &data.schema, &options, Targets::Ignored, 1, |_| {
        seen += 1;
        if seen < 2 {
            Ok(())
        } else {
            Err(mtl_data::Error::Format { file: "out".into(), problem: "full".into() })
        }
    });
    assert_eq!((seen, ended.unwrap_err().to_string()), (2, "out: full".to_owned()));
    fs::write(&empty, format!("{HEADER}u6,,x,1,s,1,2\n")).unwrap();
    let error = in_blocks(&empty, 10).unwrap_err();
    assert!(
        error.ends_with("empty.csv: row 2, column `age`: found `x`, expected a finite number"),
        "{error}"
    );
}

#[test]
fn columns_beside_are_those_of_the_rows() {
    let home = TempDir::new().unwrap();
    files(&home);
    for split in ["split = {by = 'random', test = 0.4}", "validation = 'day-3.csv'"] {
        let train = if split.starts_with('s') { "day-*" } else { "day-[12].*" };
        let config = config(&home, &format!("train = '{train}'\n{split}\ngroup = 'user'"));
        let loader = || Loader::new(&config, features(), labels());
        let columns = ["day".to_owned(), "size".to_owned()];
        let held = loader().beside(&columns).load().unwrap();
        let mut few = config.clone();
        few.held_rows = 5;
        let left = Loader::new(&few, features(), labels()).beside(&columns).stream().unwrap();
        assert_eq!(left.beside, held.beside);
        for (beside, table) in
            [(&held.beside.validation, &held.validation), (&held.beside.test, &held.test)]
        {
            assert_eq!((beside[0].column(), beside[0].codes().len()), ("day", table.n_rows()));
            let label = table.label_of("size").unwrap();
            let class = |name: &str| ["l", "m", "s"].iter().position(|c| *c == name).unwrap();
            let named = beside[1].codes().iter().map(|c| &beside[1].names()[c.unwrap() as usize]);
            let expected: Vec<f32> = named.map(|name| class(name) as f32).collect();
            assert_eq!(label, expected, "the label is the column's value, row by row");
        }
        let error = loader().beside(&["dya".to_owned()]).load().unwrap_err().to_string();
        assert!(error.contains("`dya` (needed by the segments); did you mean `day`?"), "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn whatever_the_size_of_blocks(block_rows in 1_usize..100, seed in 0..9) {
        let split = format!("split = {{by = 'random', seed = {seed}, test = 0.3}}");
        check_same(&format!("{ALL}\n{split}"), Some(block_rows));
    }
}

#[test]
fn patterns_and_lists_name_the_same_rows() {
    let home = TempDir::new().unwrap();
    files(&home);
    let of = |toml: &str| load(&config(&home, toml), features(), labels()).unwrap().train;
    let listed = of("train = ['day-1.csv', 'day-2.parquet', 'day-3.csv']");
    assert_eq!(of("train = 'day-?.*'"), listed);
    assert_eq!(of("train = ['day-1.csv', 'day-[2-3].*']"), listed);
    let fails = |toml: &str, expected: &str| {
        let error = load(&config(&home, toml), features(), labels()).unwrap_err().to_string();
        let found = error.replace(&home.path().display().to_string(), "DIR");
        assert_eq!(found, expected);
    };
    fails("train = 'days-*'", "DIR/days-*: no file's name fits this, expected at least one");
}

#[test]
fn a_file_trained_and_validated_or_was_split_from_its_double() {
    let home = TempDir::new().unwrap();
    files(&home);
    let fails = |toml: &str, expected: &str| {
        let error = load(&config(&home, toml), features(), labels()).unwrap_err().to_string();
        let found = error.replace(&home.path().display().to_string(), "DIR");
        assert_eq!(found, format!("DIR/{expected}, expected each file once"));
    };
    let twice = "day-3.csv: is twice in `train` of [data]";
    fails("train = ['day-*', 'day-3.csv']", twice);
    fails("train = ['day-3.csv', 'day-3.csv']\nsplit = {by = 'random'}", twice);
    fails(
        "train = 'day-*'\ntest = 'day-3.csv'",
        "day-3.csv: is in `train` and in `test` of [data]",
    );
    fails(
        "train = 'day-3.csv'\nvalidation = 'day-3.csv'",
        "day-3.csv: is in `train` and in `validation` of [data]",
    );
    fs::create_dir(home.path().join("log")).unwrap();
    fails(
        "train = 'day-3.csv'\nvalidation = 'log/../day-3.csv'",
        "log/../day-3.csv: is in `train` and in `validation` of [data] (the other time as DIR/day-3.csv)",
    );
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("day-3.csv", home.path().join("latest.csv")).unwrap();
        fails(
            "train = 'day-1.csv'\nvalidation = 'day-3.csv'\ntest = 'latest.csv'",
            "latest.csv: is in `validation` and in `test` of [data] (the other time as DIR/day-3.csv)",
        );
    }
}

#[test]
fn what_is_wrong_with_a_file_is_named() {
    let home = TempDir::new().unwrap();
    files(&home);
    let shown = |error: String| error.replace(&home.path().display().to_string(), "DIR");
    let write = |name: &str, content: &str| fs::write(home.path().join(name), content).unwrap();
    // Of many files the last lacks a column: said before the wrong value of the first is read.
    write("day-1.csv", &format!("{HEADER}{}", rows(0, 20).replace(",42,", ",x,")));
    write("day-9.csv", &HEADER.replace("click", "clik"));
    let config = config(&home, ALL);
    let error = shown(streamed(&config).unwrap_err());
    let expected = "there is no column `click` (needed by label `click`); did you mean `clik`?";
    assert_eq!(error, format!("DIR/day-9.csv: {expected}"));
    fs::remove_file(home.path().join("day-9.csv")).unwrap();
    // A label that is none: found in the first pass over the rows, in its file and row.
    files(&home);
    write_parquet(&home.path().join("day-2.parquet"), &rows(40, 70).replace(",1,l,", ",7,l,"), 7);
    let stream = streamed(&config).unwrap();
    let error = shown(blocks(&stream.train, Some(8)).unwrap_err());
    let row = 1 + rows(40, 70).lines().position(|line| line.contains(",1,l,")).unwrap();
    let expected = "column `click`: found `7`, expected 0 or 1";
    assert_eq!(error, format!("DIR/day-2.parquet: row {row}, {expected}"));
    // A row less than when the schema was fitted.
    files(&home);
    let stream = streamed(&config).unwrap();
    write("day-3.csv", &format!("{HEADER}{}", rows(70, 89)));
    let error = shown(blocks(&stream.train, Some(8)).unwrap_err());
    let expected = "with the files after it has 89 training rows now, and had 90 before";
    assert_eq!(error, format!("DIR/day-1.csv: {expected}"));
}

#[test]
fn a_pass_may_be_given_up() {
    let home = TempDir::new().unwrap();
    files(&home);
    let stream = streamed(&config(&home, ALL)).unwrap();
    for n in 0..4 {
        assert_eq!(stream.train.blocks(Some(5)).take(n).count(), n);
    }
}

#[test]
fn a_schema_grows_by_a_new_day() {
    let home = TempDir::new().unwrap();
    files(&home);
    let first = load(&config(&home, "train = 'day-1.csv'"), features(), labels()).unwrap();
    let next = config(&home, "train = 'day-[23].*'");
    let loader = || Loader::new(&next, features(), labels()).extending(&first.schema);
    let (held, stream) = (loader().load().unwrap(), loader().stream().unwrap());
    assert_eq!(held.schema, stream.schema);
    assert_eq!(blocks(&stream.train, Some(50)).unwrap(), [held.train]);
    let edges = |schema: &mtl_feature::Schema| schema.feature("band").unwrap().encoding().clone();
    assert_eq!(edges(&stream.schema), edges(&first.schema));
}
