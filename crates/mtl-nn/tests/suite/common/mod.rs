//! A small model with everything in it, and batches for it.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::sync::Arc;

use mtl_nn::layers::{Activation, Mlp, Norm};
use mtl_nn::ops::{
    Bce, Concat, Embed, EmbedList, MaxPool, Part, RowLoss, SquaredError, TargetAttention,
    TargetAttentionParams,
};
use mtl_nn::{
    Batch, Graph, GraphBuilder, Init, ListSlot, Params, Result, Role, Scalar, TableId, Var, kernel,
};

pub(crate) const USERS: usize = 50;
pub(crate) const ITEMS: usize = 30;

/// What the model has beside its layers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) dropout: f64,
    pub(crate) norm: bool,
}

/// Items of the longest history.
const LONGEST: usize = 5;

/// Tables, a shared table, values, lists pooled in every way; two layers, two towers; a binary and a real task.
pub(crate) fn model<S: Scalar>(settings: Settings) -> Result<Arc<Graph<S>>> {
    let mut b = GraphBuilder::new();
    let (user, item, last) = (b.ids("user"), b.ids("item"), b.ids("last_item"));
    let price = b.values("price", 2)?;
    let history = b.lists("history", LONGEST)?;
    let users = b.table("embedding.user.table", USERS, 4, Init::Uniform(0.5))?;
    let items = b.table("embedding.item.table", ITEMS, 3, Init::Uniform(0.5))?;
    let parts = vec![
        Part::Lookup { slot: user, table: users, dim: 4 },
        Part::Lookup { slot: item, table: items, dim: 3 },
        Part::Lookup { slot: last, table: items, dim: 3 },
        Part::Values { slot: price, n_cols: 2 },
        Part::Pooled { slot: history, table: items, dim: 3, mean: true },
    ];
    let x = b.push("embed", Embed::new(parts))?;
    let pooled = pools(&mut b, history, items, x.columns(4, 3))?;
    let x = b.push("x", Concat::new([vec![x], pooled].concat()))?;
    let mut bottom =
        Mlp::new(&[24, 8], Activation::Relu).last(Activation::Relu).dropout(settings.dropout);
    if settings.norm {
        bottom = bottom.norm(Norm { momentum: 0.9, epsilon: 1e-3 });
    }
    let h = bottom.build(&mut b, "bottom", x)?;
    let weight = b.values("weight", 1)?;
    for task in ["click", "stay"] {
        let tower = Mlp::new(&[6, 1], Activation::Tanh).dropout(settings.dropout);
        let z = tower.build(&mut b, &format!("task.{task}.tower"), h)?;
        b.output(task, z)?;
        let label = b.values(&format!("label.{task}"), 1)?;
        let loss = match task {
            "click" => b.push("loss.click", RowLoss::new(Bce, z, label, Some(weight)))?,
            _ => b.push("loss.stay", RowLoss::new(SquaredError, z, label, None))?,
        };
        b.loss(task, loss)?;
    }
    Ok(Arc::new(b.finish()))
}

/// The largest values of the items of a history, and the items by what they have to do with `t`.
fn pools<S: Scalar>(
    b: &mut GraphBuilder<S>,
    history: ListSlot,
    items: TableId,
    t: Var,
) -> Result<Vec<Var>> {
    let h = b.push("history", EmbedList::new(history, LONGEST, items, 3))?;
    let max = b.push("history.max", MaxPool::new(h, history, 3))?;
    let mut layers = Vec::new();
    for (i, (n_in, n_out)) in [(12, 4), (4, 1)].into_iter().enumerate() {
        let path = format!("attention.history.{i}");
        let weight =
            b.param(format!("{path}.weight"), (n_in, n_out), Role::Weight, Init::GlorotUniform)?;
        let zero = Init::Constant(0.0);
        layers.push((weight, b.param(format!("{path}.bias"), (1, n_out), Role::Bias, zero)?));
    }
    let settings = TargetAttentionParams {
        layers,
        units: vec![4, 1],
        activation: Activation::Sigmoid,
        softmax: false,
    };
    let attended = TargetAttention::new(h, history, t, settings);
    Ok(vec![max, b.push("history.attention", attended)?])
}

/// `rows` rows, a function of the seed; every seventh label is missing.
pub(crate) fn batch<S: Scalar>(graph: &Graph<S>, rows: usize, seed: u64) -> Batch<S> {
    let mut batch = Batch::for_graph(graph);
    batch.rows = rows;
    let bits = |slot: usize, i: usize| kernel::hash(kernel::hash(seed, slot as u64), i as u64);
    for (slot, spec) in graph.value_slots().iter().enumerate() {
        let unit = |i: usize| (bits(slot + 100, i) >> 11) as f64 / (1u64 << 53) as f64;
        batch.values[slot] = (0..rows * spec.n_cols)
            .map(|i| match spec.name.as_str() {
                name if name.starts_with("label") && i % 7 == 3 => S::nan(),
                "label.click" => S::of(f64::from(unit(i) < 0.3)),
                "weight" => S::of(0.5 + unit(i)),
                _ => S::of(2.0 * unit(i) - 1.0),
            })
            .collect();
    }
    for (slot, spec) in graph.id_slots().iter().enumerate() {
        let n = if spec.name == "user" { USERS } else { ITEMS } as u64;
        batch.ids[slot] = (0..rows).map(|i| (bits(slot, i) % n) as u32).collect();
    }
    for lists in &mut batch.lists {
        for r in 0..rows {
            let id = |j: usize| (bits(50 + j, r) % ITEMS as u64) as u32;
            let list: Vec<u32> = (0..(bits(49, r) % 6) as usize).map(id).collect();
            lists.push(&list);
        }
    }
    batch
}

/// Every value as bits, path by path: equal only if the models are identical.
pub(crate) fn bits<S: Scalar>(params: &Params<S>) -> Vec<(String, Vec<u64>)> {
    let layout = Arc::clone(params.layout());
    layout
        .paths()
        .map(|path| {
            let values = params.get(path).expect("a path of the layout");
            (path.to_owned(), values.iter().map(|v| v.f64().to_bits()).collect())
        })
        .collect()
}

/// Work in a pool of `n` threads.
pub(crate) fn on_threads<R: Send>(n: usize, work: impl FnOnce() -> R + Send) -> R {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().expect("a thread pool");
    pool.install(work)
}
