//! What is noted of rows: those in no group, and columns whose values training did not know.

use crate::support::{CONFIG, Home, Row, csv, rows, with_model};

/// Rows of which every tenth has no user.
fn some_without_user(n: usize) -> Vec<Row> {
    let mut rows = rows(n);
    rows.iter_mut().step_by(10).for_each(|row| row[0].clear());
    rows
}

#[test]
fn a_blank_user_stopped_everything_but_predict() {
    let home = Home::new();
    home.write("log.csv", &csv(&some_without_user(1_200)));
    let config = CONFIG.replace("epochs = 8", "epochs = 1").replace("\"loss\"", "\"gauc_click\"");
    home.write("run.toml", &config);
    let held = "[data]\nstream = true\nheld_rows = 50";
    home.write("stream.toml", &config.replace("[data]", held));
    let checked = home.mtl("check run.toml").ok();
    assert!(checked.contains(" have no `user`: GAUC leaves them out"), "{checked}");
    let audit = home.mtl("check run.toml --json").json();
    let counts: Vec<u64> =
        audit["without_group"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).collect();
    assert_eq!(counts.iter().sum::<u64>(), 120);
    for (file, out) in [("run.toml", "m"), ("stream.toml", "s")] {
        let said = home.mtl(&format!("train {file} --out {out}")).stderr();
        let [train, validation, test] = counts[..] else { unreachable!() };
        let expected = format!(
            "note: {train} training rows and {validation} validation rows and {test} test rows have \
             no `user`: GAUC leaves them out, all else counts them\n"
        );
        assert_eq!(said, expected);
    }
    assert_eq!(home.read("m/weights.bin"), home.read("s/weights.bin"));

    // GAUC is that of the rows with a user alone; AUC is that of all.
    let with_user: Vec<Row> =
        some_without_user(1_200).into_iter().filter(|row| !row[0].is_empty()).collect();
    home.write("users.csv", &csv(&with_user));
    let measured = |file: &str| {
        let ran = home.mtl(&format!("evaluate m --data {file} --out {file}.d"));
        let metrics = home.text(&format!("{file}.d/metrics.json"));
        let metrics: serde_json::Value = serde_json::from_str(&metrics).unwrap();
        let click = metrics["tasks"].as_array().unwrap().iter().find(|t| t["task"] == "click");
        (click.unwrap().clone(), ran.stderr())
    };
    let ((all, said), (users, silence)) = (measured("log.csv"), measured("users.csv"));
    assert_eq!(
        said,
        "note: 120 rows of log.csv have no `user`: GAUC leaves them out, all else counts them\n"
    );
    assert_eq!(silence, "");
    assert!(all["gauc"]["value"]["value"].is_number(), "{all}");
    assert_eq!(all["gauc"], users["gauc"]);
    assert_ne!(all["rows"], users["rows"]);
    let tuned = home.mtl("tune-fusion m --data log.csv --steps 3").stderr();
    assert!(tuned.contains("120 rows of log.csv have no `user`"), "{tuned}");
}

#[test]
fn rows_without_a_user_are_in_no_pair() {
    // Alone in their batch, the rows with users lose what they lose among rows without.
    let home = Home::new();
    let pairs = CONFIG
        .replace("name = \"click\"", "name = \"click\"\nloss = \"bpr\"")
        .replace("monitor = \"loss\"", "monitor = \"gauc_click\"")
        .replace("epochs = 8", "epochs = 1");
    home.write("log.csv", &csv(&some_without_user(600)));
    home.write("run.toml", &pairs);
    let ran = home.mtl("train run.toml --out m");
    assert!(ran.stderr().starts_with("note: "), "{}", ran.stderr());
    assert!(home.path("m/weights.bin").exists());
}

#[test]
fn ids_that_a_table_of_floats_wrote_were_unseen_in_silence() {
    let home = with_model();
    let mut all = rows(400);
    home.write("same.csv", &csv(&all));
    home.mtl("predict m --data same.csv --out p.csv").ok();
    all.iter_mut().for_each(|row| row[0].push_str(".0"));
    all[3][0].clear();
    home.write("floats.csv", &csv(&all));
    let first = &all[0][0];
    let known = first.strip_suffix(".0").unwrap();
    let expected = format!(
        "note: floats.csv: column `user`: 100 % of 399 values are unseen (for example `{first}`, \
         while `{known}` is known)\n"
    );
    assert_eq!(home.mtl("predict m --data floats.csv --out p.csv").stderr(), expected);
    let said = home.mtl("evaluate m --data floats.csv").stderr();
    assert!(said.contains(&expected), "{said}");
}
