//! AITM: what a task knows is handed on to the next in a sequence of events.

use mtl_moe::{Blend, GateInfo, Mix};
use mtl_nn::layers::{Activation, Stack, StackLayer, build_stacks};
use mtl_nn::ops::{Dense, Softmax, Unit};
use mtl_nn::{GraphBuilder, Init, NewParam, ParamId, Role, Scalar, Var};

use crate::ops::{DotScores, Excess};
use crate::towers::towers;
use crate::{Architecture, Built, Inputs, Penalty, Result, Settings};

/// q_t = MLP_bottom,t(x); z₁ = q₁; z_t = Σ_{u ∈ {g_t(z_{t−1}), q_t}} softmax_u(⟨h2 u, h3 u⟩/√k)·h1 u;
/// logits MLP_t(z_t). t runs through the `sequence` of the settings.
///
/// Xi et al., KDD 2021, eq. 2–6. g_t is a ReLU layer with dropout, h1, h2 and h3 (`value`, `key`
/// and `query`) are matrices without bias, of each task after the first. The calibrator of eq. 9 is
/// handed up as a [`Penalty`] of each task after the first. Parameters `task.<t>.bottom.<layer>`,
/// `task.<t>.transfer.0` (g_t), `task.<t>.attention.{value, key, query}.weight`,
/// `task.<t>.tower.<layer>`.
#[derive(Clone, Debug)]
pub struct Aitm {
    settings: Settings,
}

impl Aitm {
    /// With these settings.
    pub const fn new(settings: Settings) -> Self {
        Self { settings }
    }

    /// z_t, and the weights of what was handed on and of what is the task's own.
    fn transfer<S: Scalar>(
        &self,
        b: &mut GraphBuilder<S>,
        task: &str,
        before: Var,
        own: Var,
    ) -> Result<(Var, GateInfo)> {
        let k = own.n_cols();
        let layer = StackLayer {
            n_out: k,
            bias: true,
            norm: None,
            activation: Activation::Relu,
            dropout: self.settings.rates.tower,
        };
        let path = format!("task.{task}.transfer");
        let stack = Stack { path: path.clone(), input: before, layers: vec![layer] };
        let given = build_stacks(b, &path, vec![stack])?[0];

        let path = format!("task.{task}.attention");
        let member = |name: &str| {
            let path = format!("{path}.{name}.weight");
            NewParam { path, cols: k, init: Init::GlorotUniform }
        };
        let members = ["value", "key", "query"].map(member).into();
        let weights = b.bank(k, Role::Weight, members)?;
        let of_given = projections(b, &format!("{path}.given"), given, &weights)?;
        let of_own = projections(b, &format!("{path}.own"), own, &weights)?;
        let part = |u: Var, i: usize| u.columns(i * k, k);
        let candidates = [of_given, of_own].map(|u| (part(u, 1), part(u, 2)));
        let scores = b.push(&format!("{path}.scores"), DotScores::new(&candidates))?;
        let weights = b.push(&format!("{path}.weights"), Softmax::new(scores, vec![2]))?;
        let values = [part(of_given, 0), part(of_own, 0)];
        let z = Mix::new(&values, weights, &[Blend { experts: vec![0, 1] }]);
        let z = b.push(&format!("{path}.mix"), z)?;
        let experts = vec![format!("task.{task}.transfer"), format!("task.{task}.bottom")];
        Ok((z, GateInfo { path, weights, experts }))
    }
}

/// [h1 u, h2 u, h3 u], rows × 3k.
fn projections<S: Scalar>(
    b: &mut GraphBuilder<S>,
    node: &str,
    input: Var,
    weights: &[ParamId],
) -> Result<Var> {
    let unit = |&weight: &ParamId| Unit {
        input,
        weight,
        bias: None,
        activation: Activation::Linear,
        dropout: None,
    };
    let dense = Dense::new(b.layout(), weights.iter().map(unit).collect());
    Ok(b.push(node, dense)?)
}

impl<S: Scalar> Architecture<S> for Aitm {
    fn build(&self, b: &mut GraphBuilder<S>, inputs: &Inputs) -> Result<Built> {
        let settings = &self.settings;
        let stack = |(t, task): (usize, &String)| Stack {
            path: format!("task.{task}.bottom"),
            input: inputs.of(t),
            layers: settings.bottom(),
        };
        let stacks = settings.tasks.iter().enumerate().map(stack).collect();
        let mut z: Vec<Var> = build_stacks(b, "bottoms", stacks)?;
        let steps = || settings.sequence.windows(2).map(|pair| (pair[0], pair[1]));
        let mut gates = Vec::new();
        for (before, t) in steps() {
            let (transferred, gate) = self.transfer(b, &settings.tasks[t], z[before], z[t])?;
            z[t] = transferred;
            gates.push(gate);
        }
        let logits = towers(b, settings, &z)?;
        let mut penalties = Vec::new();
        // A task of several classes has no probability to compare.
        let is_one = |t: usize| settings.n_logits[t] == 1;
        let compared = |&(before, t): &(usize, usize)| is_one(before) && is_one(t);
        for (before, t) in steps().filter(|_| settings.sequence_penalty > 0.0).filter(compared) {
            let excess = Excess::new(logits[t].1, logits[before].1, settings.sequence_penalty);
            let rows = b.push(&format!("task.{}.excess", settings.tasks[t]), excess)?;
            let [task, before] = [t, before].map(|t| settings.tasks[t].clone());
            penalties.push(Penalty { task, before, rows });
        }
        Ok(Built { logits, gates, representations: z, penalties })
    }
}
