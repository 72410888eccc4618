//! What goes into a step and what comes out: losses and a Gram matrix in, weights out.

use crate::Error;

/// The Gram matrix of the tasks' gradients: `G[i][j] = ⟨g_i, g_j⟩`, symmetric, row-major, borrowed.
#[derive(Debug, Clone, Copy)]
pub struct Gram<'a> {
    n_tasks: usize,
    values: &'a [f64],
}

impl<'a> Gram<'a> {
    /// Wraps `n_tasks × n_tasks` row-major values.
    ///
    /// # Errors
    /// When the number of values is not `n_tasks²`.
    pub fn new(n_tasks: usize, values: &'a [f64]) -> Result<Self, Error> {
        if values.len() != n_tasks * n_tasks {
            return Err(Error::Length {
                what: "gram matrix",
                found: values.len(),
                expected: n_tasks * n_tasks,
            });
        }
        Ok(Self { n_tasks, values })
    }

    /// The number of tasks T.
    pub fn n_tasks(&self) -> usize {
        self.n_tasks
    }

    /// ⟨g_i, g_j⟩.
    ///
    /// # Panics
    /// When `i` or `j` is not below [`Gram::n_tasks`].
    pub fn get(&self, i: usize, j: usize) -> f64 {
        self.values[i * self.n_tasks + j]
    }
}

/// One step's input. All slices have length T, in the order of the tasks given when building.
///
/// A user's own task weights are multiplied into a loss *before* it comes here: `losses` holds the
/// products, and the Gram matrix is that of the products' gradients.
#[derive(Debug, Clone, Copy)]
pub struct StepInput<'a> {
    /// The number of updates made before this one, from 0.
    pub step: u64,
    /// The current epoch, from 0.
    pub epoch: u64,
    /// The losses L_t. Values of absent tasks are not read.
    pub losses: &'a [f64],
    /// Whether the batch has any row for the task.
    pub present: &'a [bool],
    /// The Gram matrix of the shared parameters' gradients, reduced and unclipped, where the method
    /// [needs](crate::Needs) it (for DB-MTL with β > 0 that of the *running* gradients).
    pub gram: Option<Gram<'a>>,
}

/// One step's output. Both slices have length T and are overwritten; absent tasks get 0.
#[derive(Debug)]
pub struct Weights<'a> {
    /// w_t: the update of the shared parameters is `Σ_t w_t g_t`.
    pub shared: &'a mut [f64],
    /// The factor on the gradient of the parameters that only loss t reaches.
    pub own: &'a mut [f64],
}
