//! Values that do not change any more, with their weights packed for prediction.

use std::borrow::Borrow;
use std::sync::Arc;

use crate::kernel::Kernels;
use crate::packed::PackedWeights;
use crate::{Graph, Params, Scalar};

/// Parameters for prediction again and again: what [`crate::Predictor::predict_frozen_into`] takes.
///
/// It owns or borrows the values (`P` is `&Params<S>`, `Arc<Params<S>>` or whatever else holds them) and
/// gives them out for reading alone, so that packed weights cannot be those of older values. Any
/// number of threads may predict by one.
///
/// ```compile_fail
/// use std::sync::Arc;
///
/// use mtl_nn::{Frozen, GraphBuilder, Params, kernel::Kernels};
///
/// let graph = Arc::new(GraphBuilder::<f32>::new().finish());
/// let mut params = Params::init(graph.layout(), 1);
/// let frozen = Frozen::new(Arc::clone(&graph), &params, Kernels::default());
/// params = Params::init(graph.layout(), 2); // they are borrowed
/// frozen.params();
/// ```
#[derive(Debug)]
pub struct Frozen<S, P> {
    graph: Arc<Graph<S>>,
    params: P,
    packed: PackedWeights,
}

impl<S: Scalar, P: Borrow<Params<S>>> Frozen<S, P> {
    /// Packs the weights of a graph for some kernels, which may have another precision.
    ///
    /// # Panics
    /// If the values have another layout than the graph.
    pub fn new(graph: Arc<Graph<S>>, params: P, kernels: Kernels) -> Self {
        let mut packed = PackedWeights::forward(kernels, &graph);
        packed.pack(&graph, params.borrow());
        Self { graph, params, packed }
    }

    /// The values.
    pub fn params(&self) -> &Params<S> {
        self.params.borrow()
    }

    /// The graph.
    pub const fn graph(&self) -> &Arc<Graph<S>> {
        &self.graph
    }

    /// The kernels that the weights are packed for.
    pub const fn kernels(&self) -> Kernels {
        self.packed.kernels()
    }

    pub(crate) const fn packed(&self) -> &PackedWeights {
        &self.packed
    }
}
