//! Files that are wrong: one line that says what, where and what was expected.

use std::fs;

use crate::support::{CONFIG, Home, Row, csv, csv_of, rows, with_model};

/// `change` is made to the rows; training, evaluation and prediction fail with the line, or
/// prediction succeeds where it does not read what is wrong.
fn check(change: impl Fn(&mut [Row]), expected: &str, prediction_fails: bool) {
    let home = with_model();
    let mut rows = rows(300);
    change(&mut rows);
    home.write("bad.csv", &csv(&rows));
    home.mtl("evaluate m --data bad.csv").fails(expected);
    let predicted = home.mtl("predict m --data bad.csv --out p.csv");
    if prediction_fails {
        predicted.fails(expected);
        assert!(!home.path("p.csv").exists(), "nothing is written on failure");
    } else {
        predicted.ok();
    }
    home.write("run.toml", &CONFIG.replace("log.csv", "bad.csv"));
    home.mtl("train run.toml --out new").fails(expected);
    assert!(!home.path("new").exists());
}

#[test]
fn a_bad_number() {
    let expected = "bad.csv: row 12, column `price`: found `cheap`, expected a finite number";
    check(|rows| rows[10][4] = "cheap".to_owned(), expected, true);
    let expected = "bad.csv: row 12, column `price`: found `inf`, expected a finite number";
    check(|rows| rows[10][4] = "inf".to_owned(), expected, true);
}

#[test]
fn a_label_of_2() {
    let expected = "bad.csv: row 3, column `click`: found `2`, expected 0 or 1";
    check(|rows| rows[1][5] = "2".to_owned(), expected, false);
}

#[test]
fn a_weight_below_0() {
    let expected = "bad.csv: row 2, column `w`: found `-1`, expected a weight";
    check(|rows| rows[0][8] = "-1".to_owned(), expected, false);
}

#[test]
fn a_row_with_a_field_too_many() {
    let expected = "bad.csv: row 5 has 10 fields, expected 9";
    check(|rows| rows[3][1] = "Rome,Italy".to_owned(), expected, true);
}

#[test]
fn a_column_that_is_missing() {
    let home = with_model();
    let all = rows(50);
    home.write("feature.csv", &csv_of(&all, &[0, 2, 3, 4, 5, 6, 7, 8]));
    let expected = "feature.csv: there is no column `city` (needed by feature `city`)";
    home.mtl("predict m --data feature.csv --out p.csv").fails(expected);
    home.mtl("evaluate m --data feature.csv").fails(expected);
    home.write("label.csv", &csv_of(&all, &[0, 1, 2, 3, 4, 5, 7, 8]));
    let expected = "label.csv: there is no column `buy` (needed by label `buy`)";
    home.mtl("evaluate m --data label.csv").fails(expected);
    home.mtl("predict m --data label.csv --out p.csv").ok();
    home.write("run.toml", &CONFIG.replace("\"city\"", "\"ctiy\""));
    let line = home.mtl("train run.toml --out new");
    line.fails(
        "log.csv: there is no column `ctiy` (needed by feature `ctiy`); did you mean `city`",
    );
    assert_eq!(line.stderr().matches("there is no column").count(), 1, "said once");
}

#[test]
fn files_that_are_none() {
    let home = with_model();
    home.write("empty.csv", "");
    home.write("empty.parquet", "");
    fs::create_dir(home.path("folder.csv")).unwrap();
    home.write("text.json", "{}");
    for (file, expected) in [
        ("empty.csv", "empty.csv: the file is empty, expected a header row"),
        ("empty.parquet", "empty.parquet: "),
        ("folder.csv", "folder.csv: "),
        ("nowhere.csv", "nowhere.csv: No such file"),
        ("text.json", "text.json: unknown format, expected a name that ends in .csv"),
    ] {
        home.mtl(&format!("predict m --data {file} --out p.csv")).fails(expected);
        home.mtl(&format!("evaluate m --data {file}")).fails(expected);
        home.write("run.toml", &CONFIG.replace("log.csv", file));
        home.mtl("train run.toml --out new").fails(expected);
    }
    home.write("none.csv", &csv(&[]));
    home.write("run.toml", &CONFIG.replace("log.csv", "none.csv"));
    home.mtl("train run.toml --out new").fails("none.csv: there are no rows to train on");
}

#[test]
fn files_that_are_cut_short() {
    use std::io::Write;

    let home = with_model();
    let text = csv(&rows(5_000));
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(text.as_bytes()).unwrap();
    let gz = gz.finish().unwrap();
    fs::write(home.path("short.csv.gz"), &gz[..gz.len() / 2]).unwrap();
    home.mtl("generate funnel --rows 500 --out whole.parquet").ok();
    let parquet = home.read("whole.parquet");
    fs::write(home.path("short.parquet"), &parquet[..parquet.len() / 2]).unwrap();
    for file in ["short.csv.gz", "short.parquet"] {
        let named = format!("{file}: ");
        home.mtl(&format!("predict m --data {file} --out p.csv")).fails(&named);
        home.mtl(&format!("evaluate m --data {file}")).fails(&named);
        home.write("run.toml", &CONFIG.replace("log.csv", file));
        home.mtl("train run.toml --out new").fails(&named);
        assert!(!home.path("p.csv").exists() && !home.path("new").exists());
    }
}

#[test]
fn models_that_are_none_and_places_that_cannot_be_written() {
    let home = with_model();
    home.mtl("inspect nowhere").fails("nowhere/model.toml: No such file");
    home.mtl("evaluate log.csv --data log.csv").fails("log.csv/model.toml: ");
    home.mtl("predict m --data log.csv --out no/where/p.csv").fails("no/where/p.csv: ");
    home.mtl("predict m --data log.csv --out p.doc").fails("p.doc: expected one of .csv");
    home.write("m/schema.bin", "damaged");
    home.mtl("inspect m").fails("m/schema.bin: ");
}

/// Each file is as it was written, and together they gave wrong scores.
#[test]
fn files_of_two_models_are_no_model() {
    let home = with_model();
    let other = CONFIG.replace("seed = 1 }", "seed = 2 }").replace("epochs = 8", "epochs = 1");
    home.write("other.toml", &other);
    home.mtl("train other.toml --out other").ok();
    for (replaced, named) in
        [("schema.bin", "schema.bin"), ("weights.bin", "weights.bin"), ("model.toml", "schema.bin")]
    {
        let file = format!("m/{replaced}");
        let own = home.read(&file);
        fs::copy(home.path(&format!("other/{replaced}")), home.path(&file)).unwrap();
        home.mtl("predict m --data log.csv --out p.csv")
            .fails(&format!("error: m/{named}: this and m/model.toml are not of one model"));
        fs::write(home.path(&file), own).unwrap();
    }
    home.mtl("predict m --data log.csv --out p.csv").ok();
    let text = home.text("m/model.toml");
    home.write("m/model.toml", text.split("[files]").next().unwrap());
    home.mtl("inspect m").fails("m/model.toml: was written by another version, expected [files]");
}

#[test]
fn a_task_without_a_single_label() {
    let home = Home::new();
    let mut rows = rows(200);
    rows.iter_mut().for_each(|row| row[7].clear());
    home.write("log.csv", &csv(&rows));
    home.mtl("train run.toml --out m").fails("task `rating`: no training row has a label");
}
