//! The weights of a graph, packed for the kernels of a step.

use rayon::prelude::*;

use crate::kernel::{Bank, Kernels, Products, Scratch};
use crate::{Graph, ParamId, Params, Plan, Scalar};

/// By node, the banks of its op: see [`crate::Op::banks`].
///
/// Packed once a step, before the shards, and read by all of them. Values may change between
/// steps in ways that a step does not see (a checkpoint is loaded), so nothing is kept.
#[derive(Debug)]
pub(crate) struct PackedWeights {
    kernels: Kernels,
    nodes: Vec<Vec<Option<Bank>>>,
}

impl PackedWeights {
    /// Room for the weights of the nodes of a plan.
    pub(crate) fn new<S: Scalar>(kernels: Kernels, graph: &Graph<S>, plan: &Plan) -> Self {
        let mut nodes = vec![Vec::new(); graph.nodes().len()];
        for node in plan.nodes() {
            let banks = graph.nodes()[node.index()].op().banks();
            let bank = |(weight, n_cols): &(ParamId, usize)| {
                Bank::new::<S>(kernels, graph.layout().param(*weight).rows, *n_cols)
            };
            nodes[node.index()] = banks.iter().map(bank).collect();
        }
        Self { kernels, nodes }
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
        Products::new(&self.nodes[node], scratch)
    }
}
