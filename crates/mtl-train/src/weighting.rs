//! Loss weighting in the loop: asked at each step, and the learned state that it steps.

use std::error::Error as StdError;
use std::sync::Arc;

use mtl_loss::{Gram, Running, Setup, Solve, State, StepInput, Weigher, WeightingConfig, Weights};
use mtl_model::Model;
use mtl_nn::checkpoint::SavedOptimiser;
use mtl_nn::{
    Batch, Graph, GraphBuilder, Init, LossWeights, Optimiser, OptimiserConfig, Params, Rule,
    Scalar, Seen, SparseGradient, Step, StepReport, TableId, TableUpdate, Weigh,
};
use serde::{Deserialize, Serialize};

use crate::{LossConfig, Result, SharedParameters};

/// What a run remembers of its weighting between epochs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct WeightingState {
    method: State,
    learned: Option<SavedOptimiser>,
    /// Running gradients, where they are kept.
    running: Option<Vec<f32>>,
}

/// A weighting at work in a training step: asked at each step, its learned state stepped after.
///
/// [`crate::fit`] makes one of `[loss]`; in a loop of your own, make it with [`Weighting::new`], the
/// step with [`Weighting::step`], and call [`Weighting::run`] in place of [`Step::run`].
#[derive(Debug)]
pub struct Weighting {
    weigher: Weigher,
    learned: Option<LearnedOptimiser>,
    epoch: u64,
    losses_after: bool,
    running: Option<Running>,
}

/// The model's optimiser over the T values that a method learns: rows of a table, so that those of
/// absent losses keep value and moments.
#[derive(Debug)]
struct LearnedOptimiser {
    graph: Graph<f64>,
    params: Params<f64>,
    optimiser: Optimiser<f64>,
    sparse: [SparseGradient<f64>; 1],
}

impl Weighting {
    /// Puts `method` to work on losses of those names, in the order of [`Graph::losses`].
    /// `initial_losses` are GradNorm's L(0), `rule` steps what a method learns (at the method's own
    /// rate, where it has one).
    ///
    /// # Errors
    /// [`crate::Error::Weighting`] for settings that cannot be.
    pub fn new(
        method: &WeightingConfig,
        names: &[String],
        initial_losses: Option<&[f64]>,
        rule: Rule,
    ) -> Result<Self> {
        let mut weigher = method.build(&Setup { tasks: names, initial_losses })?;
        let needs = weigher.needs();
        let learned = match weigher.learned() {
            Some(learned) => {
                let rule = learned.learning_rate.map_or(rule, |lr| rule.with_learning_rate(lr));
                Some(LearnedOptimiser::new(names.len(), rule)?)
            }
            None => None,
        };
        let (losses_after, running) = (needs.losses_after, needs.running);
        Ok(Self { weigher, learned, epoch: 0, losses_after, running })
    }

    /// What `config` says for a model; `None` where a plain step does: equal weights.
    pub(crate) fn of_model(
        config: &LossConfig,
        model: &Model,
        initial_losses: &[f64],
        rule: Rule,
    ) -> Result<Option<Self>> {
        let Some(method) = config.weighting.as_ref().filter(|m| m.name() != "equal") else {
            return Ok(None);
        };
        let names: Vec<String> =
            model.graph().losses().iter().map(|(name, _)| name.clone()).collect();
        Ok(Some(Self::new(method, &names, Some(initial_losses), rule)?))
    }

    /// The step that this weighting needs.
    ///
    /// # Errors
    /// [`mtl_nn::Error::Unknown`] if the graph has no loss; [`mtl_nn::Error::Setting`] if running
    /// gradients (DB-MTL with β above 0) are wanted of more than shared dense parameters.
    pub fn step<S: Scalar>(
        &self,
        graph: Arc<Graph<S>>,
        shared: SharedParameters,
    ) -> Result<Step<S>> {
        let shared = self.compares_gradients().then_some(shared.into());
        let mut step = Step::weighed(graph, shared)?;
        if self.running.is_some() {
            step.keep_running()?;
        }
        Ok(step)
    }

    /// Whether gradients of single losses are taken at every step.
    pub(crate) fn compares_gradients(&self) -> bool {
        self.weigher.needs().gram
    }

    /// One training step under the weighting; `weights` are the user's, one a loss. The report's
    /// losses are those before the update.
    ///
    /// # Errors
    /// Those of [`Step::run_weighed`], in which case nothing was updated; a loss that is not finite
    /// at the second look that FAMO takes after the update, which is then made ([`Optimiser::steps`]
    /// tells): the values from before are for the caller to keep, as [`crate::fit`] does.
    pub fn run<'s, S: Scalar>(
        &mut self,
        step: &'s mut Step<S>,
        params: &mut Params<S>,
        optimiser: &mut Optimiser<S>,
        batch: &Batch<S>,
        (weights, seed): (&[f64], u64),
    ) -> Result<StepReport<'s>> {
        step.run_weighed(params, optimiser, batch, (weights, &mut *self), seed)?;
        if self.losses_after {
            let number = optimiser.steps();
            let (report, losses) = step.second_look(params, batch, weights, (seed, number))?;
            let present: Vec<bool> = report.total_weights.iter().map(|&w| w > 0.0).collect();
            let epoch = self.epoch;
            let input =
                StepInput { step: number - 1, epoch, losses, present: &present, gram: None };
            self.weigher.after_update(&input)?;
        }
        self.step_learned();
        Ok(step.last_report())
    }

    /// How the method's inner problem was solved in the last step, where it has one.
    pub fn solve(&self) -> Option<Solve> {
        self.weigher.solve()
    }

    /// Ends an epoch, over which some methods average.
    pub fn end_epoch(&mut self) {
        self.weigher.end_epoch();
        self.epoch += 1;
    }

    pub(crate) fn state(&self, step: &Step<f32>) -> WeightingState {
        let learned = self.learned.as_ref();
        WeightingState {
            method: self.weigher.state(),
            learned: learned.map(|l| SavedOptimiser::of(&l.optimiser, l.graph.layout())),
            running: step.running(),
        }
    }

    pub(crate) fn restore(
        &mut self,
        state: &WeightingState,
        step: &mut Step<f32>,
        epoch: u64,
    ) -> Result<()> {
        self.weigher.restore(&state.method)?;
        self.epoch = epoch;
        if let (Some(learned), Some(saved)) = (&mut self.learned, &state.learned) {
            let config = *learned.optimiser.config();
            learned.optimiser = saved.restore(config, learned.graph.layout())?;
        }
        if let Some(running) = &state.running {
            step.set_running(running)?;
        }
        Ok(())
    }

    fn step_learned(&mut self) {
        let Some(optimiser) = &mut self.learned else { return };
        if let Some(learned) = self.weigher.learned() {
            optimiser.step(learned.values, learned.gradient, learned.touched);
        }
        self.weigher.project();
    }
}

impl Weigh for Weighting {
    fn decay(&self, step: u64) -> f64 {
        self.running.map_or(0.0, |running| running.decay(step - 1))
    }

    fn weigh(
        &mut self,
        seen: &Seen<'_>,
        out: &mut LossWeights,
    ) -> Result<(), Box<dyn StdError + Send + Sync>> {
        let gram = seen.gram.map(|gram| Gram::new(seen.losses.len(), gram)).transpose()?;
        let input = StepInput {
            step: seen.step - 1,
            epoch: self.epoch,
            losses: seen.losses,
            present: seen.present,
            gram,
        };
        self.weigher.weigh(&input, &mut Weights { shared: &mut out.shared, own: &mut out.own })?;
        Ok(())
    }
}

impl LearnedOptimiser {
    fn new(n: usize, rule: Rule) -> Result<Self> {
        let mut b = GraphBuilder::<f64>::new();
        b.table("weighting", n, 1, Init::Constant(0.0))?;
        let graph = b.finish();
        let config =
            OptimiserConfig { dense: rule, table_update: TableUpdate::Lazy, ..Default::default() };
        Ok(Self {
            params: Params::init(graph.layout(), 0),
            optimiser: Optimiser::new(config, graph.layout())?,
            sparse: [SparseGradient::new(1)],
            graph,
        })
    }

    fn step(&mut self, values: &mut [f64], gradient: &[f64], touched: &[bool]) {
        let table = TableId::first();
        self.params.table_mut(table).copy_from_slice(values);
        self.sparse[0].reset(values.len());
        for (t, _) in touched.iter().enumerate().filter(|(_, touched)| **touched) {
            self.sparse[0].add(t as u32, &gradient[t..=t]);
        }
        self.optimiser.step(&mut self.params, &[], &self.sparse, 1.0);
        values.copy_from_slice(self.params.table(table));
    }
}
