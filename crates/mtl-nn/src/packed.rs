//! The weights of a graph, packed for the kernels of a step.

use rayon::prelude::*;

use crate::kernel::{Bank, Kernels, Products, Scratch};
use crate::{Graph, ParamId, Params, Plan, Scalar};

/// By node, the banks of its op: see [`crate::Op::banks`].
///
/// Packed once a step, before the shards, and read by all of them. Values may change between
/// steps in ways that a step does not see (a checkpoint is loaded), so nothing is kept; what is kept
/// are values that cannot change: [`crate::Frozen`].
#[derive(Debug)]
pub(crate) struct PackedWeights {
    kernels: Kernels,
    nodes: Vec<Vec<Option<Bank>>>,
}

impl PackedWeights {
    /// Room for the weights of the nodes of a plan, for training.
    pub(crate) fn new<S: Scalar>(kernels: Kernels, graph: &Graph<S>, plan: &Plan) -> Self {
        let mut nodes = vec![Vec::new(); graph.nodes().len()];
        for node in plan.nodes() {
            nodes[node.index()] = banks(graph, node.index(), kernels, Bank::new::<S>);
        }
        Self { kernels, nodes }
    }

    /// Room for the weights of all nodes, for prediction.
    pub(crate) fn forward<S: Scalar>(kernels: Kernels, graph: &Graph<S>) -> Self {
        let node = |i| banks(graph, i, kernels, Bank::forward::<S>);
        Self { kernels, nodes: (0..graph.nodes().len()).map(node).collect() }
    }

    /// None: products read the weights where they lie.
    pub(crate) const fn none(kernels: Kernels) -> Self {
        Self { kernels, nodes: Vec::new() }
    }

    /// The kernels that they are packed for.
    pub(crate) const fn kernels(&self) -> Kernels {
        self.kernels
    }

    /// Packs the present values.
    pub(crate) fn pack<S: Scalar>(&mut self, graph: &Graph<S>, params: &Params<S>) {
        self.nodes.par_iter_mut().zip(graph.nodes()).for_each(|(banks, node)| {
            for (bank, &(weight, n_cols)) in banks.iter_mut().zip(node.op().banks()) {
                if let Some(bank) = bank {
                    bank.pack(params.bank(weight, n_cols));
                }
            }
        });
    }

    /// The products of a node's op.
    pub(crate) fn products<'a>(&'a self, node: usize, scratch: &'a mut Scratch) -> Products<'a> {
        let banks = self.nodes.get(node).map_or(&[][..], Vec::as_slice);
        Products::new(self.kernels, banks, scratch)
    }
}

/// Room for the banks of a node.
fn banks<S: Scalar>(
    graph: &Graph<S>,
    node: usize,
    kernels: Kernels,
    new: impl Fn(Kernels, usize, usize) -> Option<Bank>,
) -> Vec<Option<Bank>> {
    let rows = |weight: ParamId| graph.layout().param(weight).rows;
    let bank = |&(weight, n_cols): &(ParamId, usize)| new(kernels, rows(weight), n_cols);
    graph.nodes()[node].op().banks().iter().map(bank).collect()
}
