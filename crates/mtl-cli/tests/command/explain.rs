//! Importance of features, and metrics by segment.

use crate::support::{COLUMNS, CONFIG, csv_of, rows, trained, with_model};

fn found<'a>(found: &'a serde_json::Value, name: &str) -> &'a serde_json::Value {
    let features = found["features"].as_array().unwrap();
    features.iter().find(|feature| feature["name"] == name).unwrap_or_else(|| panic!("{found}"))
}

#[test]
fn importance_is_told_by_task_and_depends_on_no_order_of_columns() {
    let home = with_model();
    let json = home.mtl("importance m --data log.csv --repeats 3 --json").json();
    assert_eq!((json["rows"].as_u64(), json["repeats"].as_u64()), (Some(1_200), Some(3)));
    let baseline = home.mtl("evaluate m --data log.csv --json").json();
    assert_eq!(json["baseline"][0]["value"], baseline["tasks"][0]["auc"]["value"]);
    let tasks: Vec<_> = found(&json, "user")["drops"].as_array().unwrap().iter().collect();
    let told: Vec<_> = tasks
        .iter()
        .map(|d| (d["task"].as_str().unwrap(), d["metric"].as_str().unwrap()))
        .collect();
    let expected = [("click", "auc"), ("buy", "auc"), ("rating", "rmse"), ("macro", "auc")];
    assert_eq!(told, expected);
    let mean =
        |name: &str, task: usize| found(&json, name)["drops"][task]["mean"].as_f64().unwrap();
    // The user says most of the click, the city of the purchase, the age of the rating.
    assert!(mean("user", 0) > 0.15 && mean("city", 1) > 0.1 && mean("age", 2) > 0.2, "{json}");

    let backwards: Vec<usize> = (0..COLUMNS.len()).rev().collect();
    home.write("log.csv", &csv_of(&rows(1_200), &backwards));
    let threads = "importance m --data log.csv --repeats 3 --threads 2 --json";
    assert_eq!(home.mtl(threads).json(), json);

    let text = home.mtl("importance m --data log.csv --repeats 2 --within-groups").ok();
    let user = text.lines().find(|line| line.starts_with("| user")).unwrap();
    assert!(user.contains("+0.0000 ± 0.0000"), "the user is the group: {text}");
    assert!(text.contains("permuted within their groups: mean of 2"), "{text}");
}

#[test]
fn metrics_are_told_by_any_column() {
    let home = trained();
    let json = home.mtl("evaluate m --data log.csv --by city --json").json();
    let names = |json: &serde_json::Value| -> Vec<String> {
        let segments = json["segments"][0]["segments"].as_array().unwrap().iter();
        segments.map(|segment| segment["segment"].as_str().unwrap().to_owned()).collect()
    };
    let found = names(&json);
    assert_eq!(
        (found.len(), found[3].as_str(), &json["segments"][0]["by"]),
        (4, "(missing)", &"city".into())
    );
    let rome =
        &json["segments"][0]["segments"][found.iter().position(|name| name == "Rome").unwrap()];
    let click = |of: &serde_json::Value| of["tasks"][0].clone();
    assert_eq!(click(rome)["task"], "click");
    let sum = |key: &str| -> u64 {
        let segments = json["segments"][0]["segments"].as_array().unwrap().iter();
        segments.map(|segment| click(segment)[key].as_u64().unwrap()).sum()
    };
    for key in ["rows", "positives", "missing"] {
        assert_eq!(Some(sum(key)), click(&json)[key].as_u64(), "{key}");
    }
    // The city's rows in a file of their own are measured alike.
    let own = with_model();
    let places: Vec<usize> = (0..COLUMNS.len()).collect();
    let of_rome: Vec<_> = rows(1_200).into_iter().filter(|row| row[1] == "Rome").collect();
    own.write("rome.csv", &csv_of(&of_rome, &places));
    let alone = own.mtl("evaluate m --data rome.csv --json").json();
    assert_eq!((&alone["tasks"], &alone["rows"]), (&rome["tasks"], &rome["rows"]));

    // A number of many values, no feature at that; and one of few.
    let by =
        |options: &str| home.mtl(&format!("evaluate m --data log.csv --json {options}")).json();
    let ages = by("--by age --bins 3");
    assert!(names(&ages)[1].starts_with("> ") && names(&ages).len() == 3, "{:?}", names(&ages));
    assert_eq!(names(&by("--by w")), ["0.5", "1", "2"]);
    assert_eq!(names(&by("--by city --most 1"))[1..], ["(other)", "(missing)"]);
    let both = by("--by w,city");
    assert_eq!(both["segments"][1], json["segments"][0], "columns are told apart one by one");
    let text = home.mtl("evaluate m --data log.csv --by w").ok();
    assert!(text.contains("\nrating by w\n") && text.contains("| 0.5 "), "{text}");
}

#[test]
fn what_cannot_be_explained_is_named() {
    let home = trained();
    for (arguments, expected) in [
        ("evaluate m --data log.csv --by ctiy", "no column `ctiy`"),
        ("evaluate m --data log.csv --importance --out m", "--out m is a model's folder"),
        ("train run.toml --out n --by ctiy", "did you mean `city`?"),
        ("importance m --data log.csv --repeats 0", "`repeats` is 0, expected at least 1"),
        ("importance m --data none.csv", "none.csv"),
    ] {
        home.mtl(arguments).fails(expected);
    }
}

#[test]
fn training_explains_the_rows_that_it_reports() {
    let home = with_model();
    home.mtl("train run.toml --out n --by city,age --importance 2").ok();
    let noted: serde_json::Value = serde_json::from_slice(&home.read("n/metrics.json")).unwrap();
    let whole = &noted["test"];
    assert_eq!(noted["importance"]["rows"], whole["rows"]);
    assert_eq!(noted["importance"]["repeats"], 2);
    for (i, by) in ["city", "age"].into_iter().enumerate() {
        assert_eq!(noted["segments"][i]["by"], by);
        let segments = noted["segments"][i]["segments"].as_array().unwrap().iter();
        let rows: u64 = segments.map(|segment| segment["rows"].as_u64().unwrap()).sum();
        assert_eq!(Some(rows), whole["rows"].as_u64(), "{by}: the reported rows and no others");
    }
    let without = CONFIG.lines().filter(|line| !line.starts_with("split"));
    home.write("all.toml", &without.collect::<Vec<_>>().join("\n"));
    home.mtl("train all.toml --out o --importance").fails("need rows to report on");
}
