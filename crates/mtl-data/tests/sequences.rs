//! Sequences in files: delimited text in CSV, delimited text and lists in Parquet.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::{Int64Builder, LargeListBuilder, ListBuilder, StringBuilder};
use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use mtl_data::{DataConfig, Dataset, ReadOptions, load, read_table};
use mtl_feature::{FeatureSpec, LabelSpec, Targets, UNSEEN};
use parquet::arrow::ArrowWriter;

const ITEMS: [i64; 5] = [5, 7, 5, 9, 5];
const HISTORIES: [Option<&[Option<i64>]>; 5] = [
    Some(&[Some(5), Some(7), Some(5)]),
    None,
    Some(&[]),
    Some(&[Some(9), None, Some(7), Some(5)]),
    Some(&[Some(11)]),
];

fn text(history: Option<&[Option<i64>]>) -> Option<String> {
    let item = |item: &Option<i64>| item.map_or(String::new(), |item| item.to_string());
    history.map(|items| items.iter().map(item).collect::<Vec<_>>().join("|"))
}

fn parquet(path: &Path, history: ArrayRef) {
    let columns: [(&str, ArrayRef); 3] = [
        ("item", Arc::new(Int64Array::from(ITEMS.to_vec()))),
        ("history", history),
        ("click", Arc::new(Int64Array::from(vec![1, 0, 0, 1, 0]))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer =
        ArrowWriter::try_new(fs::File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

fn integers() -> ArrayRef {
    let mut builder = ListBuilder::new(Int64Builder::new());
    for history in HISTORIES {
        builder.append_option(history.map(|items| items.iter().copied()));
    }
    Arc::new(builder.finish())
}

fn strings() -> ArrayRef {
    let mut builder = LargeListBuilder::new(StringBuilder::new());
    for history in HISTORIES {
        let texts = |items: &[Option<i64>]| {
            items.iter().map(|item| item.map(|item| item.to_string())).collect::<Vec<_>>()
        };
        builder.append_option(history.map(texts));
    }
    Arc::new(builder.finish())
}

fn loaded(path: &Path) -> Result<Dataset, String> {
    let features = vec![
        FeatureSpec::categorical("item"),
        FeatureSpec::sequence("history").shares("item").max_length(3).din("item"),
    ];
    let labels = vec![LabelSpec::binary("click")];
    load(&DataConfig::new(path), features, labels).map_err(|error| error.to_string())
}

#[test]
fn csv_and_every_form_in_parquet_agree() {
    let folder = tempfile::tempdir().unwrap();
    let rows = ITEMS.iter().zip(HISTORIES).zip([1, 0, 0, 1, 0]);
    let rows = rows.map(|((item, history), click)| {
        format!("{item},{},{click}\n", text(history).unwrap_or_default())
    });
    let csv = folder.path().join("a.csv");
    fs::write(&csv, format!("item,history,click\n{}", rows.collect::<String>())).unwrap();
    let expected = loaded(&csv).unwrap();
    let lists: Vec<_> = expected.train.lists_of("history").unwrap().iter().collect();
    // Kept: 5 7 5; none; none; missing 7 5; 11. Of equal counts the smaller value comes first.
    let by_hand: [&[u32]; 5] = [&[2, 3, 2], &[], &[], &[1, 3, 2], &[5]];
    assert_eq!(lists, by_hand);

    let texts: ArrayRef = Arc::new(HISTORIES.map(text).into_iter().collect::<StringArray>());
    for (name, history) in [("i", integers()), ("s", strings()), ("t", texts)] {
        let path = folder.path().join(format!("{name}.parquet"));
        parquet(&path, history);
        assert_eq!(loaded(&path).unwrap(), expected, "{name}");
        let table =
            read_table(&path, &expected.schema, &ReadOptions::default(), Targets::Ignored).unwrap();
        assert_eq!(table.lists(), expected.train.lists(), "{name}");
    }
}

#[test]
fn unseen_items_have_the_unseen_id_and_a_bracketed_list_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let csv = folder.path().join("a.csv");
    fs::write(&csv, "item,history,click\n1,1|2,0\n2,,1\n").unwrap();
    let schema = loaded(&csv).unwrap().schema;
    let new = folder.path().join("b.csv");
    fs::write(&new, "history,item\n3|2,8\n").unwrap();
    let table = read_table(&new, &schema, &ReadOptions::default(), Targets::Ignored).unwrap();
    // Counted over both columns, 1 and 2 come twice each; of equal counts the smaller is first.
    assert_eq!(table.lists_of("history").unwrap().row(0), [UNSEEN, 3]);

    fs::write(&csv, "item,history,click\n1,[1],0\n").unwrap();
    let error = loaded(&csv).unwrap_err();
    let expected = "a.csv: row 2, column `history`: found `[1]`, expected items and separators, \
                    without brackets around them";
    assert!(error.ends_with(expected), "{error}");
}
