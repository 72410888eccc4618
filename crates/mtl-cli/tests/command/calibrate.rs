//! Calibration: by the configuration after training, and by a command of its own.

use crate::support::{CONFIG, Home, csv, rows, with_model};

#[test]
fn training_calibrates_on_validation_rows_and_says_what_it_did() {
    let home = Home::new();
    let calibration = "[calibration]\nmethod = 'platt'\ntasks = { buy = 'none' }\n";
    home.write("run.toml", &format!("{CONFIG}\n{calibration}"));
    let said = home.mtl("train run.toml --out m").ok();
    assert!(said.contains("| calibrated") && said.contains(" → "), "{said}");
    let text = home.text("m/calibration.toml");
    assert!(text.starts_with("weights = \"") && text.contains("[outputs.p_click"), "{text}");
    assert!(!text.contains("p_buy"), "{text}");
    let metrics = home.mtl("evaluate m --data log.csv --json").json();
    let changes = metrics["calibration"].as_array().unwrap();
    assert_eq!(changes.len(), 1);
    assert_eq!(changes[0]["task"], "click");
    let of = |of: &str| changes[0][of]["pcoc"]["value"].as_f64().unwrap();
    let click = &metrics["tasks"].as_array().unwrap()[0];
    assert_eq!(click["pcoc"]["value"].as_f64().unwrap(), of("after"));
    assert_ne!(of("before"), of("after"));
}

#[test]
fn a_trained_model_is_calibrated_on_a_file() {
    let home = with_model();
    home.mtl("predict m --data log.csv --out raw.csv").ok();
    home.mtl("calibrate m --data log.csv").fails("expected --method platt or isotonic");
    let done = home.mtl("calibrate m --data log.csv --method isotonic --json").json();
    assert!(done.as_array().unwrap().iter().all(|o| o["task"] != "rating"), "no probability");
    home.mtl("predict m --data log.csv --out isotonic.csv").ok();
    assert!(home.text("raw.csv") != home.text("isotonic.csv"));
    let rating = |file: &str| -> Vec<String> {
        let text = home.text(file);
        text.lines().map(|line| line.rsplit(',').next().unwrap().to_owned()).collect()
    };
    assert_eq!(rating("raw.csv"), rating("isotonic.csv"), "a regression stays");
    let text = home.mtl("calibrate m --data log.csv --method platt").ok();
    assert!(text.contains("wrote 2 calibrated outputs to m"), "{text}");
    let sampled = "calibrate m --data log.csv --method none --negative-sampling";
    home.mtl(&format!("{sampled} click=0.5 --unsampled")).ok();
    home.mtl(&format!("{sampled} click=2")).fails("above 0 to 1");
    home.mtl(&format!("{sampled} clik=0.5")).fails("did you mean `click`?");
    home.mtl(&format!("{sampled} click")).fails("expected such as click=0.1");
    home.mtl("calibrate m --data log.csv --method none").ok();
    assert!(!home.path("m/calibration.toml").exists(), "none takes it away");
    home.mtl("predict m --data log.csv --out again.csv").ok();
    assert!(home.text("raw.csv") == home.text("again.csv"));
}

/// Rows of one class of a task say nothing of it, and take nothing away.
#[test]
fn a_map_stays_where_there_is_nothing_to_fit_another_to() {
    let home = with_model();
    home.mtl("calibrate m --data log.csv --method platt").ok();
    let before = home.text("m/calibration.toml");
    home.write("none.csv", &csv(&[]));
    home.mtl("calibrate m --data none.csv --method platt").fails("none.csv: there are no rows");
    assert_eq!(home.text("m/calibration.toml"), before);
    let mut rows = rows(400);
    rows.iter_mut().for_each(|row| row[6] = "0".to_owned());
    home.write("one.csv", &csv(&rows));
    let said = home.mtl("calibrate m --data one.csv --method platt");
    let noted = said.noted();
    assert!(noted.starts_with("note: buy keeps the calibration that it had: "), "{noted}");
    assert_eq!(noted.lines().count(), 1, "{noted}");
    assert!(said.stdout().contains("wrote 2 calibrated outputs to m"), "{}", said.stdout());
    let of = |text: &str, output: &str| {
        let table = text.split('[').find(|table| table.starts_with(output));
        table.map(str::to_owned).unwrap_or_else(|| panic!("{output} is not in {text}"))
    };
    let after = home.text("m/calibration.toml");
    assert_eq!(of(&after, "outputs.p_buy"), of(&before, "outputs.p_buy"));
    assert_ne!(of(&after, "outputs.p_click"), of(&before, "outputs.p_click"));
    // What never was cannot stay.
    home.mtl("calibrate m --data one.csv --method none").ok();
    let text = home.mtl("calibrate m --data one.csv --method platt").ok();
    assert!(text.contains("buy is not calibrated: "), "{text}");
}

#[test]
fn what_cannot_be() {
    let home = Home::new();
    for (table, expected) in [
        ("method = 'plat'", "did you mean `platt`?"),
        ("metod = 'platt'", "did you mean `method`?"),
        ("tasks = { clik = 'platt' }", "[calibration] `tasks` names `clik`"),
        ("tasks = { rating = 'platt' }", "`tasks` names `rating`, expected one of click, buy"),
        ("negative_sampling = { click = 0 }", "[calibration] `negative_sampling` of `click`"),
    ] {
        home.write("run.toml", &format!("{CONFIG}\n[calibration]\n{table}\n"));
        home.mtl("train run.toml --out m").fails(expected);
    }
    let split = "split = { by = \"random\", validation = 0.15, test = 0.15, seed = 1 }";
    let whole = CONFIG.replace(split, "");
    home.write("run.toml", &format!("{whole}\n[calibration]\nmethod = 'platt'\n"));
    home.mtl("train run.toml --out m").fails("[calibration] needs validation rows");
    let home = with_model();
    home.mtl("calibrate m --data log.csv --method platt").ok();
    let (weights, _) = home.text("m/calibration.toml").split_once('\n').map(owned).unwrap();
    let of = |outputs: &str| home.write("m/calibration.toml", &format!("{weights}\n{outputs}"));
    of("[outputs.p_clik.map.platt]\nslope = 1.0\noffset = 0.0\n");
    home.mtl("inspect m").fails("m/calibration.toml: ");
    of("[outputs.p_click.map.platt]\nslope = -1.0\noffset = 0.0\n");
    home.mtl("inspect m").fails("no slope > 0");
    of("");
    home.mtl("inspect m").fails("m/calibration.toml: calibrates no output");
}

fn owned((a, b): (&str, &str)) -> (String, String) {
    (a.to_owned(), b.to_owned())
}

/// A file that was cut to nothing was once a model without a calibration, and that of the weights
/// before changed the outputs of those after.
#[test]
fn a_calibration_is_of_its_weights_alone() {
    let home = with_model();
    home.mtl("calibrate m --data log.csv --method platt").ok();
    let calibration = home.text("m/calibration.toml");
    home.write("m/calibration.toml", "");
    home.mtl("predict m --data log.csv --out p.csv").fails("m/calibration.toml: no `weights`");
    home.write("other.toml", &CONFIG.replace("epochs = 8", "epochs = 1"));
    home.mtl("train other.toml --out other").ok();
    home.write("other/calibration.toml", &calibration);
    for command in
        ["predict other --data log.csv --out p.csv", "train other.toml --from other --out n"]
    {
        let wrong = home.mtl(command);
        wrong.fails("other/calibration.toml: is a calibration of other weights");
        wrong.fails("other/weights.bin: run `mtl calibrate` again");
    }
    home.mtl("calibrate other --data log.csv --method platt").ok();
    home.mtl("predict other --data log.csv --out p.csv").ok();
}
