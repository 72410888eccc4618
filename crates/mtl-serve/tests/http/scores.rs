//! Scores are those of `predict`, ranked as the formula says.

use std::time::Duration;

use mtl_feature::{Chunk, RawColumn, Rows, Targets, Values};
use mtl_model::{Fusion, write_fusion};
use mtl_serve::ServeConfig;
use serde_json::{Value, json};

use crate::client::Client;
use crate::support::{config, model, serve};

/// Known, unseen and missing values, in every way that JSON can write them.
fn rows() -> Vec<Value> {
    vec![
        json!({"user": 3, "city": "Rome", "price": 1.25}),
        json!({"user": "3", "city": "Oslo", "price": "2.5", "colour": "red"}),
        json!({"user": 99_999, "city": "Ulaanbaatar", "price": null}),
        json!({"user": null, "city": null, "price": 4}),
        json!({"user": "NA", "city": "", "price": "NA"}),
    ]
}

/// The same rows as a chunk, as a file would give them.
fn chunk() -> Chunk {
    let column = |texts: [&str; 5]| {
        let missing = texts.iter().map(|text| text.is_empty()).collect();
        RawColumn::with_missing(RawColumn::text(texts).values().clone(), Some(missing))
    };
    let columns = vec![
        ("user".to_owned(), column(["3", "3", "99999", "", ""])),
        ("city".to_owned(), column(["Rome", "Oslo", "Ulaanbaatar", "", ""])),
        ("price".to_owned(), column(["1.25", "2.5", "", "4", ""])),
    ];
    Chunk::new(5, Rows::From(0), columns).unwrap()
}

fn close(found: &Value, expected: f32) {
    let found = found.as_f64().unwrap();
    assert!((found - f64::from(expected)).abs() < 1e-6, "{found} {expected}");
}

#[test]
fn rows_and_candidates_get_the_scores_of_predict() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("m");
    model(1).save(&folder, &[]).unwrap();
    let model = mtl_model::Model::load(&folder).unwrap();
    let table = model.schema().encode(&chunk(), Targets::Ignored).unwrap();
    let expected = model.predict(&table).unwrap();
    let different = expected.column("p_click").unwrap();
    assert!((different[0] - different[2]).abs() > 1e-3, "rows differ");
    assert_ne!(expected.values(), model.predict_uncalibrated(&table).unwrap().values());

    let server = serve(&folder, config());
    let mut client = Client::new(server.address);
    let scores = client.post("/score", &json!({"rows": rows()}).to_string()).scores();
    assert_eq!(scores.len(), 5);
    for (i, score) in scores.iter().enumerate() {
        assert_eq!(score["row"], i);
        assert_eq!(score.as_object().unwrap().len(), 1 + expected.names().len());
        for name in expected.names() {
            close(&score[name.as_str()], expected.column(name).unwrap()[i]);
        }
    }
    assert_eq!(client.post("/score", r#"{"rows": []}"#).scores().len(), 0);

    // One user, many candidates: enough of them for products to be split.
    let candidates: Vec<Value> = (0..40)
        .map(|i| json!({"city": (["Rome", "Oslo", "Bonn"][i % 3]), "price": (i as f64 / 4.0)}))
        .collect();
    let of_user = |user: Value| {
        let user = json!({"user": user});
        json!({"user": user, "candidates": candidates}).to_string()
    };
    for user in [json!(3), json!("unknown"), Value::Null] {
        let scores = client.post("/score", &of_user(user.clone())).scores();
        let whole: Vec<Value> = candidates
            .iter()
            .map(|candidate| {
                let mut row = candidate.clone();
                row["user"] = user.clone();
                row
            })
            .collect();
        let plain = client.post("/score", &json!({"rows": whole}).to_string()).scores();
        for (a, b) in scores.iter().zip(&plain) {
            for name in expected.names() {
                close(&a[name.as_str()], b[name.as_str()].as_f64().unwrap() as f32);
            }
        }
    }
    server.stop();
}

#[test]
fn a_formula_ranks_and_cuts() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("m");
    model(1).save(&folder, &[]).unwrap();
    let server = serve(&folder, config());
    let mut client = Client::new(server.address);
    let fusion = json!({"product": {"p_click": 1.0, "p_buy": 0.5}});
    let body = json!({"rows": rows(), "fusion": fusion, "sort": true});
    let scores = client.post("/score", &body.to_string()).scores();
    let value = |score: &Value, name: &str| score[name].as_f64().unwrap();
    for pair in scores.windows(2) {
        assert!(value(&pair[0], "score") >= value(&pair[1], "score"));
    }
    for score in &scores {
        let expected = value(score, "p_click") * value(score, "p_buy").sqrt();
        assert!((value(score, "score") - expected).abs() < 1e-6);
    }
    let mut order: Vec<u64> = scores.iter().map(|score| score["row"].as_u64().unwrap()).collect();
    assert_ne!(order, [0, 1, 2, 3, 4], "the test would not see a sort that does nothing");
    let body = json!({"rows": rows(), "fusion": fusion, "top_k": 2});
    let top = client.post("/score", &body.to_string()).scores();
    let cut: Vec<u64> = top.iter().map(|score| score["row"].as_u64().unwrap()).collect();
    order.truncate(2);
    assert_eq!(cut, order);
    server.stop();

    // The folder's formula is used where a request names none.
    let sum: Fusion = serde_json::from_value(json!({"sum": {"p_seconds": -2.0}})).unwrap();
    write_fusion(&folder, &sum).unwrap();
    let server = serve(&folder, config());
    let mut client = Client::new(server.address);
    let top = client.post("/score", &json!({"rows": rows(), "top_k": 1}).to_string()).scores();
    assert_eq!(value(&top[0], "score"), -2.0 * f64::from(value(&top[0], "p_seconds") as f32));
    assert_eq!(client.get("/model").json()["fusion"]["sum"]["p_seconds"], -2.0);
    server.stop();
}

#[test]
fn a_large_request_goes_over_all_shards() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("m");
    model(1).save(&folder, &[]).unwrap();
    let server = serve(&folder, config());
    let mut client = Client::new(server.address);
    let rows: Vec<Value> =
        (0..1_500).map(|i| json!({"user": i % 25, "city": "Rome", "price": i})).collect();
    let scores = client.post("/score", &json!({"rows": rows}).to_string()).scores();
    assert_eq!(scores.len(), 1_500);
    let columns = vec![
        ("user".to_owned(), RawColumn::new(Values::Integer((0..1_500).map(|i| i % 25).collect()))),
        ("city".to_owned(), RawColumn::text(vec!["Rome"; 1_500])),
        ("price".to_owned(), RawColumn::new(Values::Integer((0..1_500).collect()))),
    ];
    let chunk = Chunk::new(1_500, Rows::From(0), columns).unwrap();
    let model = model(1);
    let table = model.schema().encode(&chunk, Targets::Ignored).unwrap();
    let expected = model.predict(&table).unwrap();
    for (score, &p) in scores.iter().zip(expected.column("p_click").unwrap()) {
        close(&score["p_click"], p);
    }
    server.stop();
}

/// A request that comes alone is scored where it is read, others by the threads that score, halves
/// of a prediction by two of them; which, and whether they were asleep, nobody sees.
#[test]
fn scores_are_the_same_alone_and_in_a_crowd() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("m");
    model(1).save(&folder, &[]).unwrap();
    let body = |n: usize| {
        let candidates: Vec<Value> = (0..n)
            .map(|i| json!({"city": (["Rome", "Oslo", "Bonn"][i % 3]), "price": (i as f64 / 4.0)}))
            .collect();
        json!({"user": {"user": 3}, "candidates": candidates}).to_string()
    };
    let bodies = [body(1), body(200)];
    for spin in [0, 20] {
        let spin = Duration::from_millis(spin);
        let server = serve(&folder, ServeConfig { spin, ..config() });
        let mut client = Client::new(server.address);
        let mut alone = || {
            std::thread::sleep(Duration::from_millis(60));
            bodies.each_ref().map(|body| client.post("/score", body).body)
        };
        let expected = alone();
        assert_eq!(alone(), expected);
        std::thread::scope(|scope| {
            for first in 0..6 {
                let (address, bodies, expected) = (server.address, &bodies, &expected);
                scope.spawn(move || {
                    let mut client = Client::new(address);
                    for i in first..first + 20 {
                        let answer = client.post("/score", &bodies[i % 2]);
                        assert_eq!(answer.body, expected[i % 2]);
                    }
                });
            }
        });
        assert_eq!(alone(), expected);
        // Too large to be scored where it is read, and more than two pieces.
        let large = client.post("/score", &body(3_000)).scores();
        let few = client.post("/score", &bodies[1]).scores();
        assert_eq!(large.len(), 3_000);
        for (a, b) in large.iter().zip(&few) {
            close(&a["p_click"], b["p_click"].as_f64().unwrap() as f32);
        }
        server.stop();
    }
}
