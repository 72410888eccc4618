//! Saved, loaded and gone on with: the same bits as never having stopped.

use std::sync::Arc;

use crate::common::{Settings, batch, bits, model};
use mtl_nn::checkpoint::{SavedOptimiser, SavedParams, Values, decode, encode, write_atomic};
use mtl_nn::layers::{Activation, Mlp};
use mtl_nn::{
    Error, Graph, GraphBuilder, Init, Optimiser, OptimiserConfig, Params, Result, Rule, Scalar,
    Step, TableUpdate,
};

const SETTINGS: Settings = Settings { dropout: 0.2, norm: true };

fn steps<S: Scalar>(
    graph: &Arc<Graph<S>>,
    params: &mut Params<S>,
    optimiser: &mut Optimiser<S>,
    n: u64,
) -> Result<()> {
    let mut step = Step::new(Arc::clone(graph))?;
    for _ in 0..n {
        let batch = batch(graph, 300, optimiser.steps());
        step.run(params, optimiser, &batch, &[1.0, 1.0], 3)?;
    }
    Ok(())
}

fn resume<S: Scalar>(config: OptimiserConfig) -> Result<()> {
    let graph = model::<S>(SETTINGS)?;
    let layout = graph.layout();
    let mut params = Params::init(layout, 1);
    let mut optimiser = Optimiser::new(config, layout)?;
    steps(&graph, &mut params, &mut optimiser, 3)?;

    let folder = tempfile::tempdir()?;
    let path = folder.path().join("state.bin");
    let saved = (SavedParams::of(&params), SavedOptimiser::of(&optimiser, layout));
    write_atomic(&path, &encode("state", &saved))?;
    let (p, o): (SavedParams, SavedOptimiser) = decode("state", &std::fs::read(&path)?)?;
    let (mut params_2, mut optimiser_2) = (p.restore(layout)?, o.restore(config, layout)?);
    assert_eq!((optimiser_2.steps(), bits(&params_2)), (3, bits(&params)));

    steps(&graph, &mut params, &mut optimiser, 3)?;
    steps(&graph, &mut params_2, &mut optimiser_2, 3)?;
    assert_eq!(bits(&params), bits(&params_2), "{config:?}");
    assert_eq!(SavedOptimiser::of(&optimiser, layout), SavedOptimiser::of(&optimiser_2, layout));
    assert_ne!(saved.0, SavedParams::of(&params), "the steps after it changed the model");
    Ok(())
}

#[test]
fn a_resumed_run_is_bit_identical() -> Result<()> {
    let base = OptimiserConfig::default();
    let row = Rule::RowAdagrad { lr: 0.05, initial: 0.1, epsilon: 1e-8 };
    let momentum = Rule::Sgd { lr: 0.05, momentum: 0.9 };
    for (dense, tables) in [
        (base.dense, None),
        (base.dense, Some(row)),
        (momentum, Some(Rule::adagrad(0.05))),
        (Rule::Sgd { lr: 0.05, momentum: 0.0 }, None),
    ] {
        resume::<f32>(OptimiserConfig { dense, tables, ..base })?;
        let table_update = TableUpdate::Dense;
        resume::<f64>(OptimiserConfig { dense, tables, table_update, ..base })?;
    }
    Ok(())
}

/// Two towers and a table, added in one order or the other.
fn towers(order: [&str; 2]) -> Result<Arc<Graph<f32>>> {
    let mut b = GraphBuilder::new();
    let x = b.values("x", 3)?;
    let x = b.read(x)?;
    for name in order {
        b.table(format!("{name}.table"), 4, 2, Init::Uniform(0.1))?;
        Mlp::new(&[2, 1], Activation::Relu).build(&mut b, name, x)?;
    }
    Ok(Arc::new(b.finish()))
}

#[test]
fn the_order_of_parameters_does_not_matter() -> Result<()> {
    let (one, other) = (towers(["a", "b"])?, towers(["b", "a"])?);
    let params = Params::<f32>::init(one.layout(), 8);
    let saved = SavedParams::of(&params);
    assert!(saved.entries.is_sorted_by(|a, b| a.path < b.path));
    let restored: Params<f32> = saved.restore(other.layout())?;
    for path in one.layout().paths() {
        assert_eq!(params.get(path)?, restored.get(path)?, "{path}");
    }
    let mut reversed = saved.clone();
    reversed.entries.reverse();
    assert_eq!(SavedParams::of(&reversed.restore::<f32>(other.layout())?), saved);

    let config = OptimiserConfig::default();
    let state = SavedOptimiser::of(&Optimiser::<f32>::new(config, one.layout())?, one.layout());
    let moved = state.restore::<f32>(config, other.layout())?;
    assert_eq!(SavedOptimiser::of(&moved, other.layout()), state);
    Ok(())
}

#[test]
fn what_does_not_fit_is_named() -> Result<()> {
    let graph = towers(["a", "b"])?;
    let layout = graph.layout();
    let saved = SavedParams::of(&Params::<f32>::init(layout, 8));
    let message = |edit: &dyn Fn(&mut SavedParams)| {
        let mut edited = saved.clone();
        edit(&mut edited);
        edited.restore::<f32>(layout).map(|_| ()).expect_err("an edit that matters").to_string()
    };
    let at = |s: &SavedParams, path: &str| {
        s.entries.iter().position(|e| e.path == path).expect("a path")
    };

    let renamed = message(&|s| {
        let i = at(s, "a.0.weight");
        s.entries[i].path = "a.9.weight".to_owned();
    });
    assert_eq!(renamed, "checkpoint: missing `a.0.weight`; unexpected `a.9.weight`");
    let missing = message(&|s| drop(s.entries.remove(at(s, "b.table"))));
    assert_eq!(missing, "checkpoint: missing `b.table`");
    let twice = message(&|s| s.entries.push(s.entries[0].clone()));
    assert_eq!(twice, "the parameter `a.0.bias` is declared twice");
    let transposed = message(&|s| {
        let i = at(s, "a.0.weight");
        (s.entries[i].rows, s.entries[i].cols) = (2, 3);
    });
    assert_eq!(transposed, "checkpoint: `a.0.weight` is 2 × 3, the model's is 3 × 2");
    let short = message(&|s| {
        let i = at(s, "a.table");
        s.entries[i].values = Values::F32(vec![0.0; 7]);
    });
    assert_eq!(short, "checkpoint: `a.table` has 7 values for its 4 × 2");
    let doubles = message(&|s| {
        let i = at(s, "a.table");
        s.entries[i].values = Values::F64(vec![0.0; 8]);
    });
    assert_eq!(doubles, "checkpoint: `a.table` holds f64 values, expected f32");
    Ok(())
}

#[test]
fn an_optimiser_of_another_rule_is_refused() -> Result<()> {
    let graph = towers(["a", "b"])?;
    let layout = graph.layout();
    let config = OptimiserConfig { tables: Some(Rule::adagrad(0.1)), ..Default::default() };
    let state = SavedOptimiser::of(&Optimiser::<f32>::new(config, layout)?, layout);
    let error = |config| state.restore::<f32>(config, layout).expect_err("another rule");
    // Momentum and Adagrad keep one number a value each: shapes alone would not tell them apart.
    let momentum = Rule::Sgd { lr: 0.1, momentum: 0.9 };
    let found = error(OptimiserConfig { tables: Some(momentum), ..config });
    let expected = "checkpoint: the state is that of `adagrad` on tables, expected `sgd`";
    assert_eq!(found.to_string(), expected);
    // A learning rate may change.
    let slower = OptimiserConfig { dense: Rule::adam(1e-5), ..config };
    assert_eq!(state.restore::<f32>(slower, layout)?.config(), &slower);
    // A state without momentum does not turn into one with it.
    let plain = OptimiserConfig { dense: Rule::Sgd { lr: 0.1, momentum: 0.0 }, ..config };
    let state = SavedOptimiser::of(&Optimiser::<f32>::new(plain, layout)?, layout);
    let with = OptimiserConfig { dense: momentum, ..config };
    let error = state.restore::<f32>(with, layout).expect_err("no velocities");
    assert!(matches!(error, Error::Paths { ref missing, .. } if missing.len() == 8), "{error}");
    Ok(())
}
