//! Rows that stay in their files train the model that rows in memory do.

use crate::support::{CONFIG, Home, Row, csv, rows};

/// A folder whose rows lie in three files.
fn home() -> Home {
    let home = Home::new();
    let rows = rows(1_200);
    let write = |name: &str, rows: &[Row]| home.write(name, &csv(rows));
    std::fs::create_dir(home.path("log")).unwrap();
    write("log/day-1.csv", &rows[..500]);
    write("log/day-2.csv", &rows[500..510]);
    write("log/day-3.csv", &rows[510..]);
    home
}

const CALIBRATION: &str = "\n[calibration]\nmethod = \"isotonic\"\n";

/// The configuration with these in `[data]` and `[train]`, `epochs` long.
fn config(data: &str, train: &str, epochs: usize) -> String {
    CONFIG
        .replace("train = \"log.csv\"", &format!("train = \"log/day-*.csv\"\n{data}"))
        .replace("epochs = 8", &format!("epochs = {epochs}\n{train}"))
}

#[test]
fn a_stream_trains_the_model_that_a_table_does() {
    let home = home();
    let loss = "[loss]\nweighting = \"gradnorm\"\n[train]";
    for (name, train) in [("one", ""), ("many", "shuffle_rows = 150")] {
        for (place, data) in
            [("table", ""), ("stream", "stream = true"), ("left", "stream = true\nheld_rows = 100")]
        {
            let text = config(data, train, 2).replace("[train]", loss);
            home.write(&format!("{name}-{place}.toml"), &format!("{text}{CALIBRATION}"));
            let explain = "--by city,w --importance 2";
            home.mtl(&format!("train {name}-{place}.toml --out {name}-{place} {explain}")).ok();
        }
        let file = |place: &str, file: &str| home.read(&format!("{name}-{place}/{file}"));
        for same in ["weights.bin", "schema.bin", "calibration.toml"] {
            assert!(file("table", same) == file("stream", same), "{name} {same}");
            assert!(file("table", same) == file("left", same), "{name} {same}");
        }
        let metrics = |place: &str| -> serde_json::Value {
            serde_json::from_slice(&file(place, "metrics.json")).unwrap()
        };
        let table = metrics("table");
        for place in ["stream", "left"] {
            let stream = metrics(place);
            for same in
                ["parts", "validation", "test", "gates", "calibration", "segments", "importance"]
            {
                assert!(!table[same].is_null(), "{same}");
                assert_eq!(table[same], stream[same], "{name} {place} {same}");
            }
            let (ours, other) = (&table["history"]["epochs"], &stream["history"]["epochs"]);
            for epoch in 0..2 {
                assert_eq!(ours[epoch]["validation"], other[epoch]["validation"], "{place}");
            }
        }
    }
    let weights = |name: &str| home.read(&format!("{name}/weights.bin"));
    assert!(weights("one-table") != weights("many-table"), "blocks are another order");
    home.mtl("train many-stream.toml --out threads --threads 1").ok();
    assert!(weights("threads") == weights("many-stream"));
}

#[test]
fn a_stream_is_compared_swept_and_checked_too() {
    let home = home();
    for (place, data) in [("table", ""), ("stream", "stream = true")] {
        let text = config(data, "shuffle_rows = 300", 1);
        home.write(&format!("{place}.toml"), &text);
    }
    let results = |place: &str| {
        let ran = home.mtl(&format!("compare {place}.toml --models mmoe --seeds 1 --json"));
        let found = ran.json();
        (found["parts"].clone(), found["models"][0]["seeds"].clone())
    };
    assert_eq!(results("table").0, results("stream").0);
    let swept = "sweep stream.toml --grid 2 --methods none --metrics auc_click,rmse_rating --json";
    let found = home.mtl(swept).json();
    assert_eq!(found["parts"], results("table").0);
    let checked = home.mtl("check stream.toml").ok();
    assert!(checked.contains("the first block:\n300 training rows"), "{checked}");
}

#[test]
fn rows_that_are_reported_may_stay_in_files_of_their_own() {
    let home = home();
    let of = |data: &str| {
        let all = config("", "shuffle_rows = 300", 1);
        let all =
            all.lines().filter(|line| !line.starts_with("split") && !line.starts_with("train = "));
        let all = all.collect::<Vec<_>>().join("\n");
        let files = "train = \"log/day-3.csv\"\nvalidation = [\"log/day-1.csv\", \"log/day-2.csv\"]\ntest = \"log/again.csv\"";
        all.replace("[data]", &format!("[data]\n{files}\n{data}"))
    };
    home.write("log/again.csv", &home.text("log/day-1.csv"));
    home.write("table.toml", &of(""));
    home.write("left.toml", &of("stream = true\nheld_rows = 505"));
    let results = |place: &str| {
        let options = "--models mmoe --seeds 1 --write-predictions";
        home.mtl(&format!("compare {place}.toml {options} --out {place}")).ok();
        let json: serde_json::Value =
            serde_json::from_slice(&home.read(&format!("{place}/results.json"))).unwrap();
        let found = &json["models"][0];
        let figures =
            [&found["test"], &found["runs"][0]["reliability"], &found["runs"][0]["gates"]];
        let figures = figures.map(Clone::clone);
        (
            json["parts"].clone(),
            figures,
            home.read(&format!("{place}/predictions/{place}-mmoe-seed1.csv")),
        )
    };
    assert_eq!(results("table"), results("left"));
    let sizes = |place: &str| {
        let checked = home.mtl(&format!("check {place}.toml --json")).json();
        checked["rows"].clone()
    };
    assert_eq!(sizes("left"), serde_json::json!([300, 510, 500]));
    // A validation row that is wrong is told before anything is trained.
    let mut wrong = rows(9);
    wrong[8][5] = "maybe".to_owned();
    home.write("log/day-2.csv", &csv(&wrong));
    home.mtl("train left.toml --out m").fails("day-2.csv: row 10, column `click`: found `maybe`");
}

#[test]
fn a_stream_resumes_as_if_it_had_never_stopped() {
    let home = home();
    let write = |name: &str, train: &str, epochs| {
        home.write(name, &config("stream = true", train, epochs));
    };
    write("part.toml", "shuffle_rows = 200", 2);
    write("whole.toml", "shuffle_rows = 200", 4);
    home.mtl("train whole.toml --out whole").ok();
    home.mtl("train part.toml --out part").ok();
    home.mtl("train whole.toml --out part --resume").ok();
    assert!(home.read("part/weights.bin") == home.read("whole/weights.bin"));
    // In another order, or of other rows, the bits would be others.
    write("other.toml", "shuffle_rows = 100", 5);
    let resume = "train other.toml --out part --resume";
    home.mtl(resume).fails("part/training.bin: `shuffle_rows` was 200, and is 100 now");
    write("other.toml", "shuffle_rows = 200", 5);
    let mut changed = rows(1_200);
    changed[505][3] = "17".to_owned();
    home.write("log/day-2.csv", &csv(&changed[500..510]));
    home.mtl(resume).fails("other values or another order now, in feature `age`");
}

#[test]
fn what_is_wrong_with_a_stream_is_named() {
    let home = home();
    let run = "train stream.toml --out m";
    let with = |from: &str, to: &str| {
        home.write("stream.toml", &config("stream = true", "", 1).replace(from, to));
    };
    with("day-*.csv", "week-*.csv");
    home.mtl(run).fails("log/week-*.csv: no file's name fits this, expected at least one");
    with("[train]", "[train]\nshuffle_rows = 0");
    home.mtl(run).fails("[train] `shuffle_rows` is 0, expected at least 1");
    with("", "");
    home.write("log/day-3.csv", &csv(&rows(9)).replace("city", "town"));
    home.mtl(run).fails("log/day-3.csv: there is no column `city` (needed by feature `city`)");
    let mut wrong = rows(9);
    wrong[4][5] = "maybe".to_owned();
    home.write("log/day-3.csv", &csv(&wrong));
    home.mtl(run).fails("day-3.csv: row 6, column `click`: found `maybe`, expected 0 or 1");
    assert!(!home.path("m").exists());
}
