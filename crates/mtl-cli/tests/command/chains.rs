//! Behaviour graphs from a configuration: the example of a funnel of one's own, and what is said
//! about graphs and labels that cannot be.

use std::path::Path;

use crate::support::Home;

/// The example and its file, in a folder of their own.
fn example() -> (Home, String) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/configs");
    let text = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let home = Home::new();
    home.write("funnel.csv", &text("funnel.csv"));
    (home, text("funnel.toml"))
}

#[test]
fn a_funnel_of_ones_own_trains_measures_and_predicts() {
    let (home, config) = example();
    home.write("funnel.toml", &config);
    home.mtl("train funnel.toml --out m").ok();
    let measured = home.mtl("evaluate m --data funnel.csv").ok();
    for name in ["click", "cart", "wish", "purchase", "pCVR"] {
        assert!(measured.contains(&format!("| {name} ")), "{name} is not in {measured}");
    }
    home.mtl("predict m --data funnel.csv --out scores.csv").ok();
    let scores = home.text("scores.csv");
    let mut lines = scores.lines();
    let names: Vec<&str> = lines.next().unwrap().split(',').collect();
    let at = |name: &str| names.iter().position(|n| *n == name).unwrap();
    let [click, cart, wish, leave, purchase, cvr] =
        ["p_click", "p_cart", "p_wish", "p_leave", "p_purchase", "pCVR"].map(at);
    let (mut rows, mut bought) = (0, 0.0);
    for line in lines {
        let p: Vec<f64> = line.split(',').map(|field| field.parse().unwrap()).collect();
        // The three ways on from a click are all there are, and pCTCVR = pCTR·pCVR.
        assert!((p[cart] + p[wish] + p[leave] - p[click]).abs() < 1e-6, "{line}");
        assert!((p[click] * p[cvr] - p[purchase]).abs() < 1e-6, "{line}");
        rows += 1;
        bought += p[purchase];
    }
    // The graph, as equations and for Graphviz.
    let said = home.mtl("inspect m").ok();
    let towers = "buy_after_cart, buy_after_neither, buy_after_wish, cart, click, wish";
    assert!(said.starts_with(&format!("mmoe of {towers}: ")), "{said}");
    let equation =
        "purchase   = cart·buy_after_cart + wish·buy_after_wish + leave·buy_after_neither";
    assert!(said.contains(equation), "{said}");
    let told = home.mtl("inspect m --json").json();
    assert!(told["chain"].as_array().unwrap().iter().any(|line| line == "impression = 1"));
    let dot = home.mtl("inspect m --dot").ok();
    assert!(dot.starts_with("digraph behaviour {\n") && dot.ends_with("\n}\n"), "{dot}");
    assert!(dot.contains(r#"  "cart" -> "purchase" [label="buy_after_cart"];"#), "{dot}");
    home.mtl("inspect m --dot --json").fails("--dot beside --json, expected one of them");
    let truly = home.text("funnel.csv").lines().filter(|line| line.ends_with(",1")).count();
    assert_eq!(rows, 1_200);
    let pcoc = bought / truly as f64;
    assert!((pcoc - 1.0).abs() < 0.25, "{pcoc}");
}

#[test]
fn what_cannot_be_is_said_before_training() {
    let (home, config) = example();
    let fails = |from: &str, to: &str, expected: &str| {
        let wrong = config.replacen(from, to, 1);
        assert_ne!(wrong, config, "{from} is not in the example");
        home.write("wrong.toml", &wrong);
        home.mtl("train wrong.toml --out m").fails(expected);
        assert!(!home.path("m").exists());
    };
    // A cycle.
    fails("from = \"impression\"", "from = \"purchase\"", "cycle");
    // A label column that the file does not have.
    fails("label = \"wish\"", "label = \"wished\"", "`wished`");
    // Two ways on that do not exclude each other.
    fails("softmax = \"next\"\ntower = \"wish\"", "tower = \"wish\"", "`purchase`");
    // An event that nothing leads from.
    fails("from = \"cart\", tower", "from = \"basket\", tower", "`basket`");

    // Purchases without a click: refused by their place, or counted as none and reported.
    let rows = home.text("funnel.csv");
    home.write("funnel.csv", &format!("{rows}u1,i1,9.5,0,0,0,1\nu2,i1,9.5,0,0,0,1\n"));
    let whole = config.replace("split = { by = \"random\", validation = 0.15, test = 0.15 }\n", "");
    home.write("nested.toml", &whole);
    home.mtl("train nested.toml --out m").fails("funnel.csv: row 1202: `purchase`");
    let counted = whole.replace("nesting = \"error\"", "nesting = \"multiply\"");
    home.write("counted.toml", &counted.replace("epochs = 30", "epochs = 1"));
    let ran = home.mtl("train counted.toml --out m");
    assert!(ran.stderr().contains("2 training rows"), "{}", ran.stderr());
}

/// The example with purchases that no click came before, in days of their own: one that trains, two
/// that validate, three that test.
fn with_days() -> (Home, String) {
    let (home, config) = example();
    let days = |rows: &str| {
        let mut lines = rows.lines();
        let header = format!("{},day\n", lines.next().unwrap());
        let rows = lines.enumerate().map(|(i, line)| format!("{line},{}\n", i % 5));
        header + &rows.collect::<String>()
    };
    home.write("clean.csv", &days(&home.text("funnel.csv")));
    let split = "split = { by = \"column\", column = \"day\", validation_from = 3, test_from = 4 }";
    let config = config
        .replace("split = { by = \"random\", validation = 0.15, test = 0.15 }", split)
        .replace("epochs = 30", "epochs = 1");
    assert!(config.contains(split) && config.contains("epochs = 1"));
    (home, config)
}

fn contradicting(home: &Home, days: &[u32]) {
    let wrong = days.iter().map(|day| format!("u1,i1,9.5,0,0,0,1,{day}\n"));
    home.write("funnel.csv", &(home.text("clean.csv") + &wrong.collect::<String>()));
}

#[test]
fn labels_that_contradict_a_chain_are_found_in_the_rows_that_validate_and_test() {
    let (home, config) = with_days();
    home.write("run.toml", &config);
    home.write("streams.toml", &config.replace("[data]", "[data]\nstream = true\nheld_rows = 50"));
    let purchase = "`purchase` happened and `click` did not";
    for (days, said) in [
        (&[3, 3][..], "1 more validation row is like this"),
        (&[4, 4, 4], "2 more test rows are like this"),
    ] {
        contradicting(&home, days);
        for run in ["train run.toml --out m", "train streams.toml --out m"] {
            let ran = home.mtl(run);
            ran.fails(&format!("funnel.csv: row 1202: {purchase}"));
            ran.fails(said);
        }
        for run in ["compare run.toml --models towers --seeds 1", "sweep run.toml --grid 1"] {
            let ran = home.mtl(run);
            ran.fails(&format!("funnel.csv: row 1202: {purchase}"));
            ran.fails(said);
        }
    }
    contradicting(&home, &[0]);
    let ran = home.mtl("compare run.toml --models towers --seeds 1");
    ran.fails(&format!("funnel.csv: row 1202: {purchase}"));

    // Counted as none, and said of each part.
    contradicting(&home, &[0, 3, 3, 4, 4, 4]);
    home.write("counted.toml", &config.replace("nesting = \"error\"", "nesting = \"multiply\""));
    let said = home.mtl("train counted.toml --out m").stderr();
    for rows in ["1 training rows", "2 validation rows", "3 test rows"] {
        assert!(said.contains(&format!("{rows} have `purchase` without `click`")), "{said}");
    }
    let ran = home.mtl("evaluate m --data funnel.csv");
    let said = ran.stderr();
    assert!(said.contains("note: 6 rows of funnel.csv have `purchase` without `click`"), "{said}");
}

#[test]
fn a_model_is_not_measured_on_labels_that_its_chain_refuses() {
    let (home, config) = with_days();
    home.write("run.toml", &config);
    contradicting(&home, &[]);
    home.mtl("train run.toml --out m");
    let said = home.mtl("evaluate m --data funnel.csv").stderr();
    assert!(!said.contains("error") && !said.contains("note"), "{said}");
    contradicting(&home, &[9, 9]);
    for command in ["evaluate", "calibrate --method platt", "importance", "tune-fusion"] {
        let (name, more) = command.split_once(' ').unwrap_or((command, ""));
        let ran = home.mtl(format!("{name} m --data funnel.csv {more}").trim_end());
        ran.fails("funnel.csv: row 1202: `purchase` happened and `click` did not");
        ran.fails("1 more row is like this");
    }
}

#[test]
fn a_look_at_the_data_tells_what_contradicts_the_chain() {
    let (home, config) = with_days();
    home.write("run.toml", &config);
    contradicting(&home, &[]);
    assert!(home.mtl("check run.toml").ok().contains("no label contradicts the [chain]"));
    contradicting(&home, &[0, 4, 4]);
    let said = home
        .mtl("check run.toml")
        .refused("funnel.csv: row 1202: `purchase` happened and `click` did not");
    for line in [
        "1 training rows have purchase without click; the first is funnel.csv: row 1202",
        "2 test rows have purchase without click; the first is funnel.csv: row 1203",
        "nesting = \"error\" in [chain]: such rows stop a run",
    ] {
        assert!(said.contains(line), "{line} is not in {said}");
    }
    home.write("counted.toml", &config.replace("nesting = \"error\"", "nesting = \"multiply\""));
    let chain = &home.mtl("check counted.toml --json").json()["chain"];
    assert_eq!(chain["policy"], "multiply");
    let found = chain["violations"].as_array().unwrap();
    let of = |i: usize| (found[i]["part"].as_str().unwrap(), found[i]["rows"].as_u64().unwrap());
    assert_eq!((found.len(), of(0), of(1)), (2, ("training", 1), ("test", 2)));
    assert_eq!((&found[1]["event"], &found[1]["row"]), (&"purchase".into(), &1203.into()));
    // Without a chain nothing is said of one.
    home.write("log.toml", crate::support::CONFIG);
    assert!(home.mtl("check log.toml --json").json()["chain"].is_null());
}
