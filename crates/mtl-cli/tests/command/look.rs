//! Data looked at: a first configuration from a file, and what is in a configuration's data.

use std::fmt::Write as _;

use crate::support::{COLUMNS, CONFIG, Home, csv, rows};

#[test]
fn a_first_configuration_runs_as_it_is_and_replaces_nothing() {
    let home = Home::new();
    let mut text =
        "at,day_date,user_id,sku,history,genres,price,note,is_click,added_to_cart,bought\n"
            .to_owned();
    for i in 0..500_usize {
        let history: Vec<String> = (0..i % 4).map(|j| format!("s{}", (i + j) % 17)).collect();
        let (click, cart) = (i % 3 == 0, i % 6 == 0);
        let (bought, price) = (i % 12 == 0, (i * 37 % 400) as f64 / 4.0);
        writeln!(
            text,
            "2026-03-{:02},202603{:02},u{},s{},{},{},{price},row {i},{},{},{}",
            1 + i % 28,
            1 + i % 28,
            i % 23,
            i % 17,
            history.join(" "),
            ["rock|pop", "pop", "jazz|rock"][i % 3],
            u8::from(click),
            u8::from(cart),
            u8::from(bought)
        )
        .unwrap();
    }
    home.write("shop.csv", &text);
    assert!(home.mtl("init shop.csv").ok().contains("wrote shop.toml"));
    let config = home.text("shop.toml");
    let table: toml::Table = config.parse().unwrap();
    let named = |list: &str, name: &str| {
        let found =
            table[list].as_array().unwrap().iter().find(|t| t["name"].as_str() == Some(name));
        found.unwrap_or_else(|| panic!("{name}: {config}")).clone()
    };
    assert_eq!(table["data"]["group"].as_str(), Some("user_id"));
    let history = named("feature", "history");
    assert_eq!(history["separator"].as_str(), Some(" "));
    assert_eq!(
        (history["shares"].as_str(), history["pooling"].as_str()),
        (Some("sku"), Some("din"))
    );
    assert_eq!(named("feature", "genres")["pooling"].as_str(), Some("mean"));
    assert_eq!(named("feature", "at")["parts"].as_array().unwrap().len(), 1, "no time of day");
    assert_eq!(named("feature", "day_date")["parts"].as_array().unwrap().len(), 1);
    assert_eq!(named("feature", "price")["kind"].as_str(), Some("numeric"));
    assert_eq!(named("feature", "sku")["kind"].as_str(), Some("categorical"));
    assert!(
        config.contains("# \"note\" is not read: every row has a value of its own."),
        "{config}"
    );
    let tasks: Vec<_> =
        table["task"].as_array().unwrap().iter().map(|t| t["name"].as_str().unwrap()).collect();
    assert_eq!(tasks, ["is_click", "added_to_cart", "bought"]);

    home.mtl("compare shop.toml --models shared_bottom --quick").ok();
    let audit = home.mtl("check shop.toml --json").json();
    let implied = |label: &str, implies: &str| {
        let pairs = audit["nesting"].as_array().unwrap().iter();
        pairs.filter(|pair| pair["label"] == label && pair["implies"] == implies).count()
    };
    assert_eq!((implied("bought", "is_click"), implied("is_click", "bought")), (1, 0));

    // The chain that the labels' nesting suggests, switched on as its comment says.
    let (before, chain) = config.split_once("# [chain]").expect("labels nest");
    let features = before.split_once("\n[[task]]").unwrap().0;
    let mut on = format!("{features}\n[chain]{}", chain.replace("\n# ", "\n"));
    on = on.replace("\nepochs = 10", "\nepochs = 1");
    home.write("chain.toml", &on);
    home.mtl("train chain.toml --out chain").ok();
    let events = ["is_click_in_chain", "added_to_cart_in_chain", "bought_in_chain"];
    let said = home.mtl("inspect chain --json").json().to_string();
    assert!(events.iter().all(|event| said.contains(event)), "{said}");

    home.mtl("init shop.csv").fails("shop.toml is there already, expected another --out");
    assert_eq!(home.text("shop.toml"), config);
    home.mtl("init shop.csv --out other.toml --labels bougt").fails("did you mean `bought`?");
    home.mtl("init shop.csv --out other.toml --labels price").ok();
    assert!(home.text("other.toml").contains("kind = \"regression\""));
    home.write("plain.csv", "a,b\n1.5,x\n2.5,y\n");
    home.mtl("init plain.csv").fails("plain.csv: no column holds 0 and 1 alone");
    assert!(!home.path("plain.toml").exists());
    for (file, delimiter) in [("semi.csv", ";"), ("tabs.csv", "\t")] {
        home.write(file, &home.text("shop.csv").replace(',', delimiter));
        home.mtl(&format!("init {file} --out {file}.toml")).ok();
        home.mtl(&format!("check {file}.toml")).ok();
    }
}

#[test]
fn a_label_with_a_bad_cell_is_no_feature() {
    let home = Home::new();
    let mut text = "user,price,like_count,liked\n".to_owned();
    for i in 0..200_usize {
        // Counts of likes are 0 and 1 but for a few, too, and are known before.
        let count = if i % 50 == 9 { 2 } else { i % 2 };
        let liked = match i {
            40 => "yes",
            41 => "2",
            _ if i % 3 == 0 => "1",
            _ => "0",
        };
        writeln!(text, "u{},{}.5,{count},{liked}", i % 9, i % 31).unwrap();
    }
    home.write("shop.csv", &text);
    let ran = home.mtl("init shop.csv");
    let said = ran.stderr();
    let expected =
        "shop.csv: row 42, column `liked`: found `yes`, expected 0 or 1 (2 cells like it)";
    assert!(said.starts_with("warning: ") && said.contains(expected), "{said}");
    let table: toml::Table = home.text("shop.toml").parse().unwrap();
    let names = |list: &str| -> Vec<String> {
        let items = table[list].as_array().unwrap().iter();
        items.map(|item| item["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names("task"), ["liked"]);
    assert_eq!(names("feature"), ["user", "price", "like_count"]);
    home.mtl("train shop.toml --out m").fails("shop.csv: row 42, column `liked`: found `yes`");
}

#[test]
fn what_is_in_the_data_is_told_and_a_leak_is_found() {
    let home = Home::new();
    let audit = home.mtl("check run.toml --json").json();
    let all = rows(1_200);
    let total: u64 = audit["rows"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).sum();
    assert_eq!(total, 1_200);
    let find = |list: &str, name: &str| {
        let items = audit[list].as_array().unwrap();
        items.iter().find(|item| item["name"] == name).unwrap().clone()
    };
    // About a tenth of prices is missing, a quarter of cities, a twentieth of clicks.
    let near = |value: &serde_json::Value, expected: f64| {
        assert!((value.as_f64().unwrap() - expected).abs() < 0.03, "{value} for {expected}");
    };
    near(&find("features", "price")["missing"], 0.1);
    near(&find("features", "city")["missing"], 0.25);
    assert_eq!(find("features", "city")["ids"], 3);
    let clicks = all.iter().filter(|row| row[5] == "1").count() as f64;
    let labelled = all.iter().filter(|row| !row[5].is_empty()).count() as f64;
    near(&find("labels", "click")["means"][0], clicks / labelled);
    assert_eq!(audit["leaks"].as_array().unwrap().len(), 0);

    // A column that follows the label: 1 to 5 where it was clicked, else 0.
    let leaky = csv(&all).lines().enumerate().fold(String::new(), |mut text, (i, line)| {
        let clicked = line.split(',').nth(5) == Some("1");
        let seconds = if clicked { 1 + i % 5 } else { 0 };
        let field = if i == 0 { "seconds".to_owned() } else { seconds.to_string() };
        writeln!(text, "{line},{field}").unwrap();
        text
    });
    assert_eq!(COLUMNS[5], "click");
    home.write("leaky.csv", &leaky);
    let feature = "[[feature]]\nname = \"seconds\"\nkind = \"numeric\"\n\n[[task]]";
    let config = CONFIG.replacen("[[task]]", feature, 1).replacen("log.csv", "leaky.csv", 1);
    home.write("leaky.toml", &config);
    let told = home.mtl("check leaky.toml").ok();
    assert!(
        told.contains("likely leak: seconds alone tells click with an AUC of 1.0000"),
        "{told}"
    );
    home.mtl("check nowhere.toml").fails("nowhere.toml: No such file");
}

#[test]
fn what_train_refuses_is_refused_by_check() {
    let home = Home::new();
    let of = |from: &str, to: &str| {
        assert!(CONFIG.contains(from), "{from}");
        home.write("wrong.toml", &CONFIG.replacen(from, to, 1));
        home.mtl("check wrong.toml")
    };
    for (from, to, expected) in [
        ("name = \"mmoe\"", "name = \"star\"", "wrong.toml: [model] `star` needs `domain`"),
        ("name = \"mmoe\"", "name = \"aitm\"", "wrong.toml: "),
        ("name = \"mmoe\"", "name = \"star\"\ndomain = \"price\"", "wrong.toml: "),
        (
            "[model]",
            "[chain]\n[[chain.event]]\nname = \"view\"\nfrom = \"impression\"\ntower = \"view\"\nlabel = \"buy\"\n\
             output = \"p_click\"\n[model]",
            "p_click",
        ),
        ("tower_units = [8]", "tower_units = [1000000, 1000000]", "GiB of memory"),
    ] {
        let said = of(from, to).refused(expected);
        assert!(said.contains("training rows, "), "what was found is told all the same: {said}");
        let refused = home.mtl("train wrong.toml --out m");
        refused.fails(expected);
        // How much memory is free changes from run to run.
        let same = of(from, to).stderr() == refused.stderr();
        assert!(same || expected.contains("GiB"), "{}", refused.stderr());
    }
    let said = of("tower_units = [8]", "tower_units = [1000000, 1000000]").stderr();
    assert!(said.contains("tower.1.weight` of 1000000 × 1000000 (fewer units"), "{said}");
    // What compares without a name is no error.
    let said = of("name = \"mmoe\"\n", "").ok();
    assert!(said.contains("warning: wrong.toml: [model] has no `name`"), "{said}");
    // A key that nobody set is not spoken of.
    let said = of("transform = \"quantiles\"\nbuckets = 5\n", "transform = \"quantiles\"\n");
    said.fails("wrong.toml: feature `age`: `buckets` is not given");
}

#[test]
fn labels_that_there_are_none_of_or_one_of() {
    let home = Home::new();
    let mut all = rows(300);
    for row in &mut all {
        row[6] = "0".to_owned();
        row[7].clear();
    }
    home.write("log.csv", &csv(&all));
    let ran = home.mtl("check run.toml");
    let expected = "task `rating`: no training row has a label, expected at least 1";
    let said = ran.refused(expected);
    assert!(said.contains("warning: buy: every label of the training rows is 0"), "{said}");
    home.mtl("train run.toml --out m").fails(expected);
}
