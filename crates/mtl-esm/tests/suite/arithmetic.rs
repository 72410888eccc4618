//! The arithmetic of chains against a reference of many digits, against the product form, and
//! where floats end.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use crate::common::{chain6, three_branches};
use mtl_esm::{BehaviourGraph, Edge, Event, Preset, Program, Result};
use mtl_nn::Scalar;
use mtl_nn::ops::sigmoid;
use proptest::prelude::*;
use serde_json::Value;

/// Every graph by the name that the golden values know it by.
fn graphs() -> Result<Vec<(&'static str, BehaviourGraph)>> {
    Ok(vec![
        ("esmm", Preset::Esmm.builder().build()?),
        ("esm2", Preset::Esm2.builder().build()?),
        ("chain6", chain6()?),
        ("three_branches", three_branches()?),
    ])
}

fn logits(program: &Program, of: impl Fn(&str) -> f64) -> Vec<f64> {
    program.towers().iter().map(|t| of(t)).collect()
}

/// |found − expected| ≤ 1e-12·(1 + |expected|).
fn close(what: &str, found: f64, expected: f64) {
    let slack = 1e-12 * (1.0 + expected.abs());
    assert!((found - expected).abs() <= slack, "{what}: {found:e}, expected {expected:e}");
}

#[test]
fn every_event_equals_the_reference_of_many_digits() -> Result<()> {
    let cases: Value = serde_json::from_str(include_str!("../golden/reference.json")).unwrap();
    let graphs: BTreeMap<_, _> = graphs()?.into_iter().collect();
    let mut n = 0;
    for case in cases.as_array().unwrap() {
        let name = case["graph"].as_str().unwrap();
        for (event, expected) in case["events"].as_object().unwrap() {
            let program = graphs[name].program(event, "impression")?;
            let z = logits(&program, |t| case["logits"][t].as_f64().unwrap());
            let what = format!("{name}, {event} at {}", case["logits"]);
            let (log_p, log_rest) = program.evaluate(&z);
            close(&format!("ln p of {what}"), log_p, expected["log_p"].as_f64().unwrap());
            close(&format!("ln(1−p) of {what}"), log_rest, expected["log_rest"].as_f64().unwrap());
            for (key, c) in [("d_log_p", (1.0, 0.0)), ("d_log_rest", (0.0, 1.0))] {
                let gradient = program.gradient(&z, c);
                for (tower, found) in program.towers().iter().zip(gradient) {
                    let expected = expected[key][tower].as_f64().unwrap();
                    close(&format!("{key} by {tower} of {what}"), found, expected);
                }
            }
            n += 1;
        }
    }
    assert_eq!(n, (2 + 4 + 3 + 3) * 22, "all cases were read");
    Ok(())
}

/// p and 1 − p of ESM2's purchase and of the three branches' purchase, as products.
fn product_form(graph: &str, y: impl Fn(&str) -> f64) -> f64 {
    let s = |t: &str| sigmoid(y(t));
    match graph {
        "esm2" => s("y1") * (s("y2") * s("y3") + (1.0 - s("y2")) * s("y4")),
        _ => {
            let (cart, wish) = (y("cart").exp(), y("wish").exp());
            let total = cart + wish + 1.0;
            let bought = cart * s("buy_cart") + wish * s("buy_wish") + s("buy_neither");
            s("click") * bought / total
        }
    }
}

proptest! {
    #[test]
    fn within_8_the_product_form_agrees(z in prop::collection::vec(-8.0f64..8.0, 6)) {
        let graphs = [("esm2", Preset::Esm2.builder().build()), ("branches", three_branches())];
        for (name, graph) in graphs {
            let program = graph.unwrap().program("purchase", "impression").unwrap();
            let z: BTreeMap<_, _> = program.towers().iter().zip(&z).collect();
            let of = |t: &str| *z[&t.to_owned()];
            let p = product_form(name, of);
            let (log_p, log_rest) = program.evaluate(&logits(&program, of));
            prop_assert!((log_p.exp() - p).abs() <= 1e-12 * (1.0 + p));
            prop_assert!((log_rest.exp() - (1.0 - p)).abs() <= 1e-12 * (2.0 - p));
        }
    }

    #[test]
    fn values_and_gradients_are_finite_at_any_finite_logit(
        z in prop::collection::vec(prop_oneof![
            -1e4f32..1e4, Just(80.0), Just(-80.0), Just(0.0),
            Just(f32::MAX), Just(f32::MIN), any::<f32>().prop_filter("finite", |z| z.is_finite()),
        ], 6),
    ) {
        for (name, graph) in graphs().unwrap() {
            for event in &graph.events()[1..] {
                let program = graph.program(&event.name, "impression").unwrap();
                check_finite(name, &program, &z[..program.towers().len()])?;
            }
        }
    }

    #[test]
    fn p_and_the_rest_sum_to_1(z in prop::collection::vec(-50.0f64..50.0, 6)) {
        for (_, graph) in graphs().unwrap() {
            for event in &graph.events()[1..] {
                let program = graph.program(&event.name, "impression").unwrap();
                let (log_p, log_rest) = program.evaluate(&z[..program.towers().len()]);
                prop_assert!(log_p <= 0.0 && log_rest <= 0.0);
                prop_assert!((log_p.exp() + log_rest.exp() - 1.0).abs() < 1e-14);
            }
        }
    }
}

fn check_finite<S: Scalar>(graph: &str, program: &Program, z: &[S]) -> Result<(), TestCaseError> {
    let (log_p, log_rest) = program.evaluate(z);
    prop_assert!(log_p.is_finite() && log_rest.is_finite(), "{graph}: {z:?}: {log_p} {log_rest}");
    for c in [(S::one(), S::zero()), (S::zero(), S::one())] {
        for d in program.gradient(z, c) {
            let bounded = d.abs() <= S::of(1.0 + 1e-5);
            prop_assert!(bounded, "{graph}: {z:?}: gradient {d}");
        }
    }
    Ok(())
}

#[test]
fn f32_at_80_keeps_what_the_product_form_loses() -> Result<()> {
    // y1·y2 rounds to 1 in f32, so the product form's ln(1 − p) is −∞.
    let program = Preset::Esmm.builder().build()?.program("conversion", "impression")?;
    let (log_p, log_rest) = program.evaluate(&[80.0f32, 80.0]);
    assert!(log_p <= 0.0 && log_p > -1e-30);
    assert!((log_rest - (-80.0 + 2f32.ln())).abs() < 1e-4);
    let (log_p, _) = program.evaluate(&[-80.0f32, -80.0]);
    assert!((log_p + 160.0).abs() < 1e-4); // e^-160 is 0 in f32
    Ok(())
}

#[test]
fn the_gradient_of_pcvr_is_pctr_times_that_of_pctcvr() -> Result<()> {
    let graph = Preset::Esmm.builder().build()?;
    let program = graph.program("conversion", "impression")?;
    assert_eq!(program.towers(), ["ctr", "cvr"]);
    for (a, b, y) in [(-1.5, 0.3, 1.0), (0.7, -2.0, 0.0), (3.0, 3.0, 0.25)] {
        let (p_ctr, p_cvr): (f64, f64) = (sigmoid(a), sigmoid(b));
        let p_ctcvr = p_ctr * p_cvr;
        // L = −y·ln p − (1 − y)·ln(1 − p), so ∂L/∂pCTCVR = −y/p + (1 − y)/(1 − p).
        let by_ctcvr = -y / p_ctcvr + (1.0 - y) / (1.0 - p_ctcvr);
        let gradient = program.gradient(&[a, b], (-y, -(1.0 - y)));
        let by_cvr = gradient[1] / (p_cvr * (1.0 - p_cvr));
        close("∂L/∂pCVR", by_cvr, p_ctr * by_ctcvr);
        let by_ctr = gradient[0] / (p_ctr * (1.0 - p_ctr));
        close("∂L/∂pCTR", by_ctr, p_cvr * by_ctcvr);
    }
    Ok(())
}

/// The formulas of docs/esm.md, sections 1 and 4.
#[test]
fn esm2_has_the_gradients_derived_by_hand() -> Result<()> {
    let program = Preset::Esm2.builder().build()?.program("purchase", "impression")?;
    for a in [[-1.5, 0.3, 0.8, -0.4], [2.0, -3.0, -1.0, 1.5], [-4.0, 6.0, 0.5, 0.5]] {
        let at =
            |tower: &str| a[["y1", "y2", "y3", "y4"].iter().position(|y| *y == tower).unwrap()];
        let z = logits(&program, at);
        let [y1, y2, y3, y4] = a.map(sigmoid::<f64>);
        let v = y2 * y3 + (1.0 - y2) * y4;
        let p = y1 * v;
        let by_logit = [
            p * (1.0 - y1),
            y1 * y2 * (1.0 - y2) * (y3 - y4),
            y1 * y2 * y3 * (1.0 - y3),
            y1 * (1.0 - y2) * y4 * (1.0 - y4),
        ];
        let (q3, q4) = (y2 * y3 / v, (1.0 - y2) * y4 / v);
        let rest = [1.0 - y1, y1 * y2 * (1.0 - y3), y1 * (1.0 - y2) * (1.0 - y4)];
        let [r1, r3, r4] = rest.map(|r| r / (1.0 - p));
        let log_p = [1.0 - y1, q3 * (1.0 - y2) - q4 * y2, q3 * (1.0 - y3), q4 * (1.0 - y4)];
        let log_rest =
            [(r3 + r4) * (1.0 - y1) - r1 * y1, r3 * (1.0 - y2) - r4 * y2, -r3 * y3, -r4 * y4];
        let found = [(1.0, 0.0), (0.0, 1.0)].map(|seeds| program.gradient(&z, seeds));
        for (k, tower) in program.towers().iter().enumerate() {
            let i = ["y1", "y2", "y3", "y4"].iter().position(|y| y == tower).unwrap();
            close(&format!("∂ℓ/∂{tower}"), found[0][k], log_p[i]);
            close(&format!("∂ℓ/∂{tower} by the product"), found[0][k], by_logit[i] / p);
            close(&format!("∂m/∂{tower}"), found[1][k], log_rest[i]);
            close(&format!("∂m/∂{tower} by the product"), found[1][k], -by_logit[i] / (1.0 - p));
        }
    }
    Ok(())
}

#[test]
fn the_order_of_declaration_changes_no_bit() -> Result<()> {
    let mut events = vec![
        Event::new("click").from("impression", Edge::tower("y1")).label("click"),
        Event::new("action").from("click", Edge::softmax("g", "y2")),
        Event::new("wish").from("click", Edge::softmax("g", "y5")),
        Event::new("other").from("click", Edge::otherwise("g")),
        Event::new("buy")
            .from("other", Edge::tower("y4"))
            .from("wish", Edge::tower("y6"))
            .from("action", Edge::tower("y3"))
            .label("buy"),
    ];
    let evaluate = |events: &[Event]| -> Result<_> {
        let builder = events.iter().cloned().fold(BehaviourGraph::builder(), |b, e| b.event(e));
        let program = builder.build()?.program("buy", "impression")?;
        let z = [0.1f32, -0.7, 1.3, 2.9, -1.1, 0.6];
        Ok((program.evaluate(&z), program.gradient(&z, (0.3, 0.7))))
    };
    let expected = evaluate(&events)?;
    for _ in 0..events.len() {
        events.rotate_left(1);
        assert_eq!(evaluate(&events)?, expected);
        events.swap(0, 2);
        assert_eq!(evaluate(&events)?, expected);
    }
    Ok(())
}

#[test]
fn conditionals_skip_the_stages_before() -> Result<()> {
    let program = chain6()?.program("s6", "s4")?;
    assert_eq!(program.towers(), ["t5", "t6"]);
    let esm2 = Preset::Esm2.builder().build()?;
    let p_cvr = esm2.program("purchase", "click")?;
    let z = [0.4f64, -1.0, 0.2];
    let [y2, y3, y4] = z.map(sigmoid);
    close("pCVR", p_cvr.evaluate(&z).0.exp(), y2 * y3 + (1.0 - y2) * y4);
    Ok(())
}

#[test]
fn unions_and_shared_towers_follow_their_formulas() -> Result<()> {
    let graph = BehaviourGraph::builder()
        .event(Event::new("click").from("impression", Edge::tower("a")).label("click"))
        .event(Event::new("cart").from("click", Edge::softmax("next", "b")))
        .event(Event::new("wish").from("click", Edge::softmax("next", "c")))
        .event(Event::new("leave").from("click", Edge::softmax("next", "d")))
        .event(Event::new("action").from("cart", Edge::Always).from("wish", Edge::Always))
        .event(Event::new("buy").from("action", Edge::tower("a")))
        .share_tower("a")
        .build()?;
    let program = graph.program("buy", "impression")?;
    let z = [0.3f64, -0.4, 0.9, 0.1];
    let [a, b, c, d] = z;
    let total = b.exp() + c.exp() + d.exp();
    let p = sigmoid(a).powi(2) * (b.exp() + c.exp()) / total;
    close("union", program.evaluate(&z).0.exp(), p);
    // ∂ ln p/∂a = 2(1 − σ(a)): both uses of the tower count.
    close("shared tower", program.gradient(&z, (1.0, 0.0))[0], 2.0 * (1.0 - sigmoid(a)));
    Ok(())
}
