//! The funnel's truth against its own draws, and its files against its tables.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use mtl_data::funnel::{self, Config};
use mtl_data::{DataConfig, Dataset, load};
use mtl_feature::FeatureTable;

fn small() -> Config {
    Config { rows: 60_000, users: 2000, items: 500, ..Config::default() }
}

/// A label of all rows.
fn all(tables: [&FeatureTable; 3], name: &str) -> Vec<f64> {
    tables.iter().flat_map(|t| t.label_of(name).unwrap()).map(|&y| f64::from(y)).collect()
}

fn label(data: &Dataset, name: &str) -> Vec<f64> {
    all([&data.train, &data.validation, &data.test], name)
}

fn truth(data: &Dataset, name: &str) -> Vec<f64> {
    let truth = data.truth.as_ref().unwrap();
    all([&truth.train, &truth.validation, &truth.test], name)
}

/// Whether outcomes happen as often as their probabilities say: over all and in ten bins of the
/// probability, within five standard deviations of the sum of so many coins.
fn check_calibrated(what: &str, rows: impl Iterator<Item = (f64, f64)>) {
    let mut rows: Vec<(f64, f64)> = rows.collect();
    assert!(rows.len() > 500, "{what}: only {} rows", rows.len());
    rows.sort_by(|a, b| a.0.total_cmp(&b.0));
    let bins = rows.chunks(rows.len().div_ceil(10)).chain([rows.as_slice()]);
    for (bin, rows) in bins.enumerate() {
        let excess: f64 = rows.iter().map(|(p, y)| y - p).sum();
        let deviation = rows.iter().map(|(p, _)| p * (1.0 - p)).sum::<f64>().sqrt();
        assert!(excess.abs() < 5.0 * deviation, "{what}, bin {bin}: {excess} of {deviation}");
    }
}

fn check_truth(config: &Config) {
    let data = funnel::load(config).unwrap();
    let labels = |name: &str| label(&data, name);
    let (click, action, purchase) = (labels("click"), labels("action"), labels("purchase"));
    let pairs = |p: &str, y: &[f64], keep: &dyn Fn(usize) -> bool| {
        let p = truth(&data, p);
        let rows = (0..y.len()).filter(|&i| keep(i)).map(|i| (p[i], y[i]));
        rows.collect::<Vec<_>>().into_iter()
    };
    let clicked = |i: usize| click[i] == 1.0;
    check_calibrated("click", pairs("p_click", &click, &|_| true));
    check_calibrated("action", pairs("p_action_given_click", &action, &clicked));
    check_calibrated("purchase", pairs("p_purchase_given_click", &purchase, &clicked));
    let with = |i: usize| clicked(i) && action[i] == 1.0;
    check_calibrated("with", pairs("p_purchase_given_action", &purchase, &with));
    let without = |i: usize| clicked(i) && action[i] == 0.0;
    check_calibrated("without", pairs("p_purchase_given_no_action", &purchase, &without));
    for (p, y) in [
        ("p_action_if_clicked", "action_if_clicked"),
        ("p_purchase_if_clicked", "purchase_if_clicked"),
    ] {
        check_calibrated(y, pairs(p, &truth(&data, y), &|_| true));
    }
}

#[test]
fn the_truth_is_how_often_things_happen() {
    check_truth(&Config { click_rate: 0.3, purchase_rate: 0.2, ..small() });
    let hidden = Config { selection_strength: 2.0, unobserved_share: 0.6, ..small() };
    check_truth(&Config { click_rate: 0.3, purchase_rate: 0.2, ..hidden });
}

/// Covariance of what is left of click and purchase-if-clicked once their probabilities given the
/// features are taken off, in standard errors under independence.
fn dependence(selection_strength: f64, unobserved_share: f64) -> f64 {
    let config = Config { selection_strength, unobserved_share, click_rate: 0.3, ..small() };
    let data = funnel::load(&config).unwrap();
    let (click, p_click) = (label(&data, "click"), truth(&data, "p_click"));
    let buys = truth(&data, "purchase_if_clicked");
    let p_buys = truth(&data, "p_purchase_if_clicked");
    let (mut sum, mut variance) = (0.0, 0.0);
    for i in 0..click.len() {
        sum += (click[i] - p_click[i]) * (buys[i] - p_buys[i]);
        variance += p_click[i] * (1.0 - p_click[i]) * p_buys[i] * (1.0 - p_buys[i]);
    }
    sum / variance.sqrt()
}

#[test]
fn given_the_features_click_and_purchase_depend_only_through_hidden_selection() {
    assert!(dependence(0.0, 0.0).abs() < 4.0);
    assert!(dependence(0.0, 1.0).abs() < 4.0);
    assert!(dependence(2.0, 0.0).abs() < 4.0);
    assert!(dependence(2.0, 0.5) > 8.0);
}

#[test]
fn selection_makes_clickers_buy_more_often_than_all_would() {
    let excess = [0.0, 1.0, 3.0].map(|selection_strength| {
        let data = funnel::load(&Config { selection_strength, ..small() }).unwrap();
        let (click, p) = (label(&data, "click"), truth(&data, "p_purchase_if_clicked"));
        let mean = |of: &dyn Fn(usize) -> f64| {
            let n: f64 = (0..p.len()).map(of).sum();
            (0..p.len()).map(|i| of(i) * p[i]).sum::<f64>() / n
        };
        mean(&|i| click[i]) / mean(&|_| 1.0)
    });
    assert!(excess.is_sorted() && excess[2] > excess[0] + 0.5, "{excess:?}");
}

#[test]
fn an_action_and_a_purchase_need_a_click_and_are_what_would_follow_it() {
    let data = funnel::load(&small()).unwrap();
    let click = label(&data, "click");
    let given_click = label(&data, "purchase_given_click");
    for (event, would) in [("action", "action_if_clicked"), ("purchase", "purchase_if_clicked")] {
        let (event, would) = (label(&data, event), truth(&data, would));
        assert!((0..click.len()).all(|i| event[i] == click[i] * would[i]));
    }
    let purchase = label(&data, "purchase");
    assert!((0..click.len()).all(|i| match click[i] {
        1.0 => given_click[i] == purchase[i],
        _ => given_click[i].is_nan(),
    }));
}

#[test]
fn parts_follow_one_another_and_no_feature_tells_the_truth() {
    let data = funnel::load(&small()).unwrap();
    let sizes = [&data.train, &data.validation, &data.test].map(FeatureTable::n_rows);
    assert_eq!(sizes, [48_000, 6000, 6000]);
    let truth = data.truth.as_ref().unwrap();
    assert_eq!([&truth.train, &truth.validation, &truth.test].map(FeatureTable::n_rows), sizes);
    assert_eq!(data.schema.features().len(), 18);
    for column in data.schema.columns() {
        assert!(!column.starts_with(funnel::TRUTH_PREFIX) && column != "day", "{column}");
    }
    assert_eq!(data.schema.group(), Some("user_id"));
}

#[test]
fn a_seed_is_a_world_and_threads_are_none() {
    let config = Config { rows: 20_000, ..small() };
    let one = funnel::load(&config).unwrap();
    for n_threads in [1, 3] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
        assert!(pool.install(|| funnel::load(&config)).unwrap() == one, "{n_threads} threads");
    }
    let other = funnel::load(&Config { seed: 2, ..config }).unwrap();
    assert_ne!(other.train.label_of("click"), one.train.label_of("click"));
    assert_ne!(other.train.ids_of("user_taste_0"), one.train.ids_of("user_taste_0"));
}

#[test]
fn a_file_reads_back_as_the_tables() {
    let config = Config { rows: 140_000, ..small() };
    let in_memory = funnel::load(&config).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for name in ["funnel.parquet", "funnel.csv.gz"] {
        let path = folder.path().join(name);
        let mut told = Vec::new();
        funnel::write(&config, &path, |rows| told.push(rows)).unwrap();
        assert_eq!(told, [128_000, 140_000]);
        let mut read = DataConfig::new(&path).split(funnel::split());
        read.group = Some("user_id".to_owned());
        let mut labels = funnel::labels();
        let mut read_back = load(&read, funnel::features(), labels.clone()).unwrap();
        read_back.truth = in_memory.truth.clone();
        assert!(read_back == in_memory, "{name}");
        // The truth by itself, as labels.
        labels.clear();
        let truth = load(&read, Vec::new(), funnel::truth_labels()).unwrap();
        let expected = in_memory.truth.as_ref().unwrap();
        for (found, expected) in [(&truth.train, &expected.train), (&truth.test, &expected.test)] {
            assert!(found.labels() == expected.labels(), "{name}");
        }
    }
}
