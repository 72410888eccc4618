//! Dates in parts and crosses: from a file to served scores.

use std::fmt::Write as _;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray};
use parquet::arrow::ArrowWriter;
use serde_json::json;

use crate::serve::Served;
use crate::support::Home;

const CONFIG: &str = r#"
[data]
train = "log.csv"
split = { by = "random", validation = 0.2, test = 0.2 }

[[feature]]
name = "time"
kind = "datetime"
parts = ["hour", "weekday", "age_days"]
time_zone = "Europe/Berlin"
missing_indicator = true

[[feature]]
name = "place"
kind = "cross"
of = ["city", "shop"]
min_count = 2

[[feature]]
name = "place_hashed"
kind = "cross"
of = ["shop", "city"]
hash_buckets = 40

[[task]]
name = "click"

[[task]]
name = "buy"

[model]
name = "shared_bottom"
first_order = true
bottom_units = [8]
tower_units = [8]

[train]
epochs = 3
batch_size = 32
learning_rate = 0.02
"#;

/// 1 October 2026, a Thursday, in seconds: summer time ends on the 25th.
const START: i64 = 1_790_812_800;

const COLUMNS: [&str; 5] = ["time", "city", "shop", "click", "buy"];

/// Seconds since 1970, a city and a shop whose pair says the label at night, and the labels.
fn row(i: usize) -> (i64, &'static str, usize, bool, bool) {
    let hours = (i * 5 % 720) as i64;
    let (city, shop) = (["Rome", "Oslo", "Lima"][i % 3], i / 3 % 4);
    let click = (i % 3 + shop) % 2 == usize::from(hours % 24 < 8);
    (START + hours * 3600 + 1, city, shop, click, click && i.is_multiple_of(2))
}

/// The rows with time as `time` writes it; every tenth time and shop are missing.
fn csv(columns: [&str; 5], time: impl Fn(i64) -> String) -> String {
    let mut text = columns.join(",") + "\n";
    for i in 0..400 {
        let (seconds, city, shop, click, buy) = row(i);
        let fields = columns.map(|column| match column {
            "time" if i % 10 == 3 => String::new(),
            "time" => time(seconds),
            "city" => city.to_owned(),
            "shop" if i % 10 == 4 => String::new(),
            "shop" => shop.to_string(),
            "click" => u8::from(click).to_string(),
            _ => u8::from(buy).to_string(),
        });
        writeln!(text, "{}", fields.join(",")).unwrap();
    }
    text
}

/// The time in Kolkata, as a log there would write it.
fn iso(seconds: i64) -> String {
    let local = seconds + 19_800;
    let (day, second) = (1 + (local - START) / 86_400, (local - START) % 86_400);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let month = 10;
    format!("2026-{month}-{day:02}T{hour:02}:{minute:02}:{second:02}+05:30")
}

fn parquet() -> Vec<u8> {
    let rows: Vec<_> = (0..400).map(row).collect();
    let of = |i: usize, at: usize| i % 10 != at;
    let time: TimestampMillisecondArray =
        (0..400).map(|i| of(i, 3).then(|| rows[i].0 * 1000)).collect();
    let shops: Int64Array = (0..400).map(|i| of(i, 4).then(|| rows[i].2 as i64)).collect();
    let integers = |f: &dyn Fn(usize) -> bool| -> ArrayRef {
        Arc::new((0..400).map(|i| Some(i64::from(f(i)))).collect::<Int64Array>())
    };
    let columns: Vec<(&str, ArrayRef, bool)> = vec![
        ("time", Arc::new(time), true),
        ("city", Arc::new(rows.iter().map(|row| Some(row.1)).collect::<StringArray>()), true),
        ("shop", Arc::new(shops), true),
        ("click", integers(&|i| rows[i].3), true),
        ("buy", integers(&|i| rows[i].4), true),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    let mut file = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    file
}

fn trained(csv: &str) -> Home {
    let home = Home::new();
    home.write("log.csv", csv);
    home.write("run.toml", CONFIG);
    home.mtl("train run.toml --out m").ok();
    home
}

fn seconds() -> String {
    csv(COLUMNS, |seconds| seconds.to_string())
}

#[test]
fn every_form_of_a_time_and_every_order_of_columns_is_one_model() {
    let home = trained(&seconds());
    let weights = home.read("m/weights.bin");
    home.mtl("predict m --data log.csv --out p.csv").ok();
    let predicted = home.text("p.csv");
    let first: Vec<&str> = predicted.lines().skip(1).take(2).collect();
    assert_ne!(first[0], first[1]);
    let backwards = ["buy", "click", "shop", "city", "time"];
    for csv in [csv(COLUMNS, iso), csv(backwards, |seconds| (seconds * 1000 + 7).to_string())] {
        let other = trained(&csv);
        assert!(other.read("m/weights.bin") == weights, "{}", csv.lines().nth(1).unwrap());
        other.mtl("predict m --data log.csv --out p.csv").ok();
        assert_eq!(other.text("p.csv"), predicted);
    }
    std::fs::write(home.path("log.parquet"), parquet()).unwrap();
    home.write("run.toml", &CONFIG.replace("log.csv", "log.parquet"));
    home.mtl("train run.toml --out m").ok();
    assert!(home.read("m/weights.bin") == weights, "Parquet");
}

#[test]
fn the_order_of_a_cross_moves_no_id() {
    let home = trained(&seconds());
    let weights = home.read("m/weights.bin");
    let turned = CONFIG
        .replace(r#"["city", "shop"]"#, r#"["shop", "city"]"#)
        .replace(r#"["shop", "city"]"#, r#"["city", "shop"]"#);
    assert_ne!(turned, CONFIG);
    home.write("run.toml", &turned);
    home.mtl("train run.toml --out m").ok();
    assert!(home.read("m/weights.bin") == weights);
}

#[test]
fn what_is_derived_is_checked_evaluated_exported_and_served() {
    let home = trained(&seconds());
    let audit = home.mtl("check run.toml --json").json();
    let feature = |name: &str| {
        let found = audit["features"].as_array().unwrap().iter().find(|f| f["name"] == name);
        found.unwrap_or_else(|| panic!("{name}: {audit}")).clone()
    };
    assert_eq!((&feature("time.hour")["ids"], &feature("place")["ids"]), (&json!(24), &json!(12)));
    assert_eq!(feature("place")["column"], "city × shop");
    for name in ["time.weekday", "time.age_days", "place_hashed"] {
        let missing = feature(name)["missing"].as_f64().unwrap();
        assert!((0.05..0.15).contains(&missing), "{name}: {missing}");
    }
    assert!(home.mtl("evaluate m --data log.csv").ok().contains("macro auc"));
    home.mtl("export m --format safetensors --out m.safetensors").ok();
    home.mtl("export m --format onnx --out m.onnx").ok();
    let vocabulary: serde_json::Value =
        serde_json::from_str(&home.text("m.vocabulary.json")).unwrap();
    assert_eq!(vocabulary["inputs"]["time.weekday"]["time_zone"], "Europe/Berlin");

    // Seen and unseen pairs, dates without a time, what is missing.
    home.write(
        "new.csv",
        "time,city,shop\n1790812801,Rome,1\n2026-10-26T05:00+02:00,Bern,1\n2026-11-07,Rome,\n,,3\n",
    );
    home.mtl("predict m --data new.csv --out p.csv").ok();
    let served = Served::new(&home, &[]);
    let rows = json!([
        {"time": 1_790_812_801, "city": "Rome", "shop": 1},
        {"time": "2026-10-26T03:00:00Z", "city": "Bern", "shop": "1"},
        {"time": "20261107", "city": "Rome", "shop": null},
        {"time": null, "city": null, "shop": 3},
    ]);
    let (status, answer) = served.post("/score", &json!({"rows": rows}));
    assert_eq!(status, "HTTP/1.1 200 OK", "{answer}");
    for (line, score) in
        home.text("p.csv").lines().skip(1).zip(answer["scores"].as_array().unwrap())
    {
        let (click, buy) = line.split_once(',').unwrap();
        for (name, predicted) in [("p_buy", buy), ("p_click", click)] {
            let served = score[name].as_f64().unwrap();
            assert!((served - predicted.parse::<f64>().unwrap()).abs() < 1e-6, "{name}: {answer}");
        }
    }
    let wrong = json!({"rows": [{"time": "tomorrow", "city": "Rome", "shop": 1}]});
    let (status, answer) = served.post("/score", &wrong);
    assert_eq!(
        (status.as_str(), &answer["error"]["field"]),
        ("HTTP/1.1 400 Bad Request", &json!("time"))
    );
}

/// `/model` once listed the first column of a cross alone, and a valid request was answered 500.
#[test]
fn a_cross_whose_columns_no_other_feature_reads_is_served() {
    let home = Home::new();
    home.write("log.csv", &seconds());
    let (cross, rest) = CONFIG.split_once("[[feature]]\nname = \"place_hashed\"").unwrap();
    let tasks = &rest[rest.find("[[task]]").unwrap()..];
    home.write("run.toml", &format!("{cross}{tasks}"));
    home.mtl("train run.toml --out m").ok();
    home.write("new.csv", "time,city,shop\n1790812801,Rome,0\n1790812801,Rome,1\n,Oslo,\n");
    home.mtl("predict m --data new.csv --out p.csv").ok();
    let served = Served::new(&home, &[]);
    assert_eq!(served.get("/model")["fields"], json!(["city", "shop", "time"]));
    let night = 1_790_812_801;
    let user = json!({"time": night, "city": "Rome"});
    let candidates = json!([{"shop": 0}, {"shop": 1}]);
    for body in [
        json!({"rows": [
            {"time": night, "city": "Rome", "shop": 0},
            {"time": night, "city": "Rome", "shop": 1},
            {"time": null, "city": "Oslo", "shop": null},
        ]}),
        json!({"user": user, "candidates": candidates}),
    ] {
        let (status, answer) = served.post("/score", &body);
        assert_eq!(status, "HTTP/1.1 200 OK", "{answer}");
        let scores = answer["scores"].as_array().unwrap();
        assert!(scores.len() >= 2 && scores[0]["p_click"] != scores[1]["p_click"], "{answer}");
        for (score, line) in scores.iter().zip(home.text("p.csv").lines().skip(1)) {
            let (click, buy) = line.split_once(',').unwrap();
            for (name, predicted) in [("p_buy", buy), ("p_click", click)] {
                let difference = score[name].as_f64().unwrap() - predicted.parse::<f64>().unwrap();
                assert!(difference.abs() < 1e-6, "{name}: {line} {score}");
            }
        }
    }
    let (status, answer) =
        served.post("/score", &json!({"rows": [{"time": night, "city": "Rome"}]}));
    assert_eq!(status, "HTTP/1.1 400 Bad Request");
    assert_eq!(answer["error"]["field"], "shop");
}

#[test]
fn what_is_wrong_is_named() {
    let home = Home::new();
    home.write("log.csv", &seconds());
    for (from, to, expected) in [
        ("\"Europe/Berlin\"", "\"Rome\"", "did you mean `Europe/Rome`?"),
        ("\"hour\", ", "\"our\", ", "unknown variant `our`"),
        (
            "kind = \"cross\"",
            "kind = \"categorical\"",
            "`of` is given, expected it for a cross only",
        ),
        ("\"city\", \"shop\"]", "\"city\", \"shp\"]", "`shp`"),
        ("\"city\", \"shop\"]", "\"city\", \"city\"]", "expected each column once"),
        ("\"city\", \"shop\"]", "\"city\", \"click\"]", "which holds the label `click`"),
        ("hash_buckets = 40", "hash_buckets = 2147483648", "GiB of memory"),
        (
            "hash_buckets = 40",
            "hash_buckets = 1000000000000",
            "`hash_buckets`: invalid value: integer `1000000000000`, expected a whole number from 1 to \
             2147483648",
        ),
    ] {
        home.write("wrong.toml", &CONFIG.replacen(from, to, 1));
        home.mtl("train wrong.toml --out m").fails(expected);
    }
    // As it was called before there were zones.
    home.write(
        "wrong.toml",
        &CONFIG.replacen("time_zone = \"Europe/Berlin\"", "utc_offset = \"+02:00\"", 1),
    );
    home.mtl("check wrong.toml").ok();
    home.write("log.csv", &seconds().replacen("1790812801", "yesterday", 1));
    home.write("wrong.toml", CONFIG);
    home.mtl("train wrong.toml --out m")
        .fails("log.csv: row 2, column `time`: found `yesterday`, expected a date or a time");
}
