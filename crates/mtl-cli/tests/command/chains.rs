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
