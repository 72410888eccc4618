//! `EventLogProbability`: towers' logits to the log-probability of an event and of its opposite.

use mtl_nn::{Backprop, Forward, Op, Scalar, Var};

use crate::Program;

/// (ℓ, m) = (ln p, ln(1 − p)) of one event, p the sum over its paths of the products of their
/// edges' probabilities; the recursion is that of [`Program`].
///
/// # Shapes
/// One input of rows × 1 a tower; output rows × 2.
///
/// # Gradient
/// Each sum ℓ = ln Σ_k e^{u_k} hands on the shares e^{u_k − ℓ}; they sum to 1, so gradients are
/// bounded by the number of decisions on a path, for any logit.
#[derive(Debug)]
pub struct EventLogProbability {
    program: Program,
    logits: Vec<Var>,
}

impl EventLogProbability {
    /// The event that `program` computes, from the logits of its towers in the order of
    /// [`Program::towers`].
    ///
    /// # Panics
    /// If there is not one logit a tower, each of one column.
    pub fn new(program: Program, logits: Vec<Var>) -> Self {
        assert_eq!(logits.len(), program.towers().len(), "one logit a tower");
        assert!(logits.iter().all(|z| z.n_cols() == 1), "a logit is one column");
        Self { program, logits }
    }

    /// The arithmetic.
    pub const fn program(&self) -> &Program {
        &self.program
    }
}

impl<S: Scalar> Op<S> for EventLogProbability {
    fn kind(&self) -> &'static str {
        "event_log_probability"
    }

    fn n_cols(&self) -> usize {
        2
    }

    fn inputs(&self) -> &[Var] {
        &self.logits
    }

    fn n_saved(&self) -> usize {
        self.program.n_scratch()
    }

    fn forward(&self, pass: &mut Forward<'_, S>) {
        for i in 0..self.logits.len() {
            let z = pass.input(i);
            let (_, mut saved) = pass.output();
            for r in 0..z.rows() {
                saved.row(r)[i] = z.row(r)[0];
            }
        }
        let rows = pass.rows();
        let (mut out, mut saved) = pass.output();
        for r in 0..rows {
            let (log_p, log_rest) = self.program.forward(saved.row(r));
            out.row(r).copy_from_slice(&[log_p, log_rest]);
        }
    }

    fn backward(&self, pass: &mut Backprop<'_, S>) {
        let (rows, n_scratch) = (pass.rows(), self.program.n_scratch());
        let gradient = pass.take_gradient();
        let gradient = gradient.as_mat();
        for r in 0..rows {
            let d = gradient.row(r);
            self.program.backward(pass.saved().row(r), (d[0], d[1]));
        }
        // The gradients of the logits are the last values that the program keeps.
        let first = n_scratch - self.logits.len();
        for i in 0..self.logits.len() {
            for r in 0..rows {
                let value = pass.saved().row(r)[first + i];
                let Some(mut sink) = pass.input_gradient(i) else { break };
                sink.put_row(r, std::iter::once(value));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use mtl_nn::{GraphBuilder, check};

    use super::*;
    use crate::testing::{graphs, logits_of};
    use crate::{BehaviourGraph, Result};

    fn check_event(graph: &BehaviourGraph, event: &str, given: &str) -> Result<()> {
        let program = graph.program(event, given)?;
        let mut b = GraphBuilder::new();
        let logits = logits_of(&mut b, program.towers(), 3.0)?;
        let log = b.push("log", EventLogProbability::new(program, logits))?;
        Ok(check::gradients(b, &[log])?)
    }

    #[test]
    fn finite_differences_of_every_event_of_every_graph() -> Result<()> {
        for (_, graph) in graphs()? {
            for event in &graph.events()[1..] {
                check_event(&graph, &event.name, graph.root())?;
            }
            for c in graph.conditionals() {
                check_event(&graph, &c.event, &c.given)?;
            }
        }
        Ok(())
    }
}
