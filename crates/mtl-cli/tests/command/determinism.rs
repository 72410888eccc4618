//! What must not change a number: threads, the order of columns, of tasks and of features, and the
//! format of a file.

use std::io::Write as _;
use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use mtl_data::{ReadOptions, Reader};
use parquet::arrow::ArrowWriter;

use crate::support::{COLUMNS, CONFIG, Home, Row, csv_of, rows, trained, with_model};

#[test]
fn threads_change_no_byte() {
    let home = Home::new();
    for threads in [1, 2] {
        home.mtl(&format!("train run.toml --out m{threads} --threads {threads}")).ok();
        let out = format!("p{threads}.csv");
        home.mtl(&format!("predict m1 --data log.csv --out {out} --threads {threads}")).ok();
    }
    assert!(home.read("m1/weights.bin") == home.read("m2/weights.bin"));
    assert!(home.read("p1.csv") == home.read("p2.csv"));
}

/// The configuration with its `[[feature]]` and `[[task]]` tables in reverse order.
fn reversed_config() -> String {
    let part = |from: &str, to: &str| {
        let start = CONFIG.find(from).unwrap();
        CONFIG[start..CONFIG[start..].find(to).map_or(CONFIG.len(), |end| start + end)].to_owned()
    };
    let reversed = |text: String, header: &str| {
        let tables: Vec<_> = text.split(header).skip(1).collect();
        tables.iter().rev().map(|table| format!("{header}{table}")).collect::<String>()
    };
    let features = reversed(part("[[feature]]", "[[task]]"), "[[feature]]");
    let tasks = reversed(part("[[task]]", "[model]"), "[[task]]");
    format!("{}{tasks}{}{features}", part("[data]", "[[feature]]"), part("[model]", "\u{0}"))
}

#[test]
fn the_order_of_columns_tasks_and_features_changes_no_prediction() {
    let home = Home::new();
    let backwards: Vec<usize> = (0..COLUMNS.len()).rev().collect();
    home.write("log.csv", &csv_of(&rows(1_200), &backwards));
    home.write("run.toml", &reversed_config());
    home.mtl("train run.toml --out m").ok();
    home.mtl("predict m --data log.csv --out p.csv").ok();
    trained().mtl("predict m --data log.csv --out straight.csv").ok();
    // The columns are in the order of the configuration, and the same numbers.
    let backwards = |line: &str| line.split(',').rev().collect::<Vec<_>>().join(",");
    assert!(home.text("p.csv").starts_with("p_rating,p_buy,p_click\n"));
    assert!(home.text("p.csv").lines().map(backwards).eq(trained().text("straight.csv").lines()));
    assert!(home.read("m/weights.bin") == trained().read("m/weights.bin"));
}

/// The rows as a Parquet file: integers, texts and floats, with nulls for what is missing.
fn parquet(rows: &[Row]) -> Vec<u8> {
    let text = |i: usize| rows.iter().map(move |row| Some(&row[i][..]).filter(|t| !t.is_empty()));
    let integers = |i| -> ArrayRef {
        Arc::new(text(i).map(|t| t.map(|t| t.parse::<i64>().unwrap())).collect::<Int64Array>())
    };
    let floats = |i| -> ArrayRef {
        Arc::new(text(i).map(|t| t.map(|t| t.parse::<f64>().unwrap())).collect::<Float64Array>())
    };
    let texts = |i| -> ArrayRef { Arc::new(text(i).collect::<StringArray>()) };
    let columns = COLUMNS.iter().enumerate().map(|(i, name)| {
        let column = match *name {
            "user" | "age" | "click" | "buy" => integers(i),
            "price" | "rating" | "w" => floats(i),
            _ => texts(i),
        };
        (*name, column, true)
    });
    let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    let mut file = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    file
}

fn gz(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn csv_gz_and_parquet_give_the_same_model_and_predictions() {
    let home = Home::new();
    std::fs::write(home.path("log.csv.gz"), gz(&home.read("log.csv"))).unwrap();
    std::fs::write(home.path("log.parquet"), parquet(&rows(1_200))).unwrap();
    let model = trained();
    model.mtl("predict m --data log.csv --out by-format.csv").ok();
    for file in ["log.csv.gz", "log.parquet"] {
        home.write("run.toml", &CONFIG.replace("log.csv", file));
        home.mtl("train run.toml --out m").ok();
        assert!(home.read("m/weights.bin") == model.read("m/weights.bin"), "{file}");
        home.mtl(&format!("predict m --data {file} --out p.csv")).ok();
        assert_eq!(home.text("p.csv"), model.text("by-format.csv"), "{file}");
        home.mtl(&format!("predict m --data {file} --out p.parquet")).ok();
        home.mtl(&format!("predict m --data {file} --out p.csv.gz")).ok();
    }
}

#[test]
fn kept_columns_of_a_parquet_file_keep_their_types() {
    let home = with_model();
    std::fs::write(home.path("log.parquet"), parquet(&rows(300))).unwrap();
    home.mtl("predict m --data log.parquet --out k.parquet --keep user,price,city").ok();
    let read = |file: &str| {
        let options = ReadOptions::default();
        let reader = Reader::open(home.path(file), &options).unwrap();
        reader.chunks(&["user", "price", "city"]).unwrap().next().unwrap().unwrap()
    };
    let (before, after) = (read("log.parquet"), read("k.parquet"));
    assert_eq!((after.n_rows(), after.names()), (300, vec!["user", "price", "city"]));
    for name in ["user", "price", "city"] {
        let (before, after) = (before.column(name).unwrap(), after.column(name).unwrap());
        assert!((0..300).all(|row| before.cell(row) == after.cell(row)), "{name}");
    }
}

#[test]
fn a_parquet_file_cut_short_is_one_line() {
    let home = Home::new();
    let whole = parquet(&rows(100));
    std::fs::write(home.path("cut.parquet"), &whole[..whole.len() / 2]).unwrap();
    home.write("run.toml", &CONFIG.replace("log.csv", "cut.parquet"));
    home.mtl("train run.toml --out m").fails("cut.parquet: expected a whole Parquet file");
    let gz = gz(&home.read("log.csv"));
    std::fs::write(home.path("cut.csv.gz"), &gz[..gz.len() / 2]).unwrap();
    home.write("run.toml", &CONFIG.replace("log.csv", "cut.csv.gz"));
    home.mtl("train run.toml --out m").fails("cut.csv.gz: ");
}
