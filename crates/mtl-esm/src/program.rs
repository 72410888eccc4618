//! `Program`: the arithmetic of one probability P(event | given), forward and backward.
//!
//! Every event on the way carries the pair (ℓ, m) = (ln p, ln(1 − p)), p the probability of the
//! target from there on. From the target, (0, −∞), back to `given`, a decision with branches of
//! probability s_k leading to events with (ℓ_k, m_k) gives
//!
//! ℓ = ln Σ_k e^{ln s_k + ℓ_k},  m = ln Σ_k e^{ln s_k + m_k},
//!
//! where a branch from which the target cannot be reached has (ℓ_k, m_k) = (−∞, 0). All terms of
//! both sums are positive, so nothing cancels, and ln(1 − p) keeps its digits where 1 − p would
//! have none. A sigmoid and its complement are the softmax of (a, 0).

use mtl_nn::Scalar;

use crate::{BehaviourGraph, Error, Result};

/// The arithmetic of one probability: decisions from the target's end back to the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    towers: Vec<String>,
    steps: Vec<Step>,
    n_branches: usize,
}

/// One decision.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Step {
    branches: Vec<Way>,
    /// Branches of the steps before, which is where this step's begin.
    first: usize,
}

/// One branch of a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// Index among [`Program::towers`]; the logit is 0 without one.
    pub tower: Option<usize>,
    /// Where it leads.
    pub end: End,
}

/// Where a branch leads, seen from the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Nowhere near it: (−∞, 0).
    Never,
    /// To the target itself, for certain: (0, −∞).
    Certain,
    /// To an earlier decision of [`Program::decisions`].
    Step(usize),
}

impl Program {
    /// P(event | given), events by index.
    pub(crate) fn new(graph: &BehaviourGraph, event: usize, given: usize) -> Result<Self> {
        let name = |e: usize| graph.events[e].name.clone();
        let (event_name, given_name) = (name(event), name(given));
        if !graph.reaches[given][event] {
            let name = format!("p_{event_name}");
            return Err(Error::NoPath { name, event: event_name, given: given_name });
        }
        let mut program =
            Self { towers: program_towers(graph, event, given), steps: Vec::new(), n_branches: 0 };
        let mut ends = vec![End::Never; graph.events.len()];
        ends[event] = End::Certain;
        for &node in graph.topological.iter().rev() {
            if node != event && graph.reaches[given][node] && graph.reaches[node][event] {
                ends[node] = program.push_decision(graph, node, event, &ends);
            }
        }
        match ends[given] {
            // Whatever lies between is below `given`, so its step came last.
            End::Step(_) => Ok(program),
            _ => Err(Error::Certain { event: event_name, given: given_name }),
        }
    }

    /// The probability of one branch of one decision: what its tower alone says.
    pub(crate) fn branch(graph: &BehaviourGraph, decision: usize, branch: usize) -> Self {
        let branches = &graph.decisions[decision].branches;
        let mut towers: Vec<String> = branches.iter().filter_map(|b| b.tower.clone()).collect();
        towers.sort();
        let way = |(k, tower): (usize, Option<usize>)| Way {
            tower,
            end: if k == branch { End::Certain } else { End::Never },
        };
        let indices: Vec<_> =
            branches.iter().map(|b| position(&towers, b.tower.as_ref())).collect();
        let ways: Vec<Way> = indices.into_iter().enumerate().map(way).collect();
        let n_branches = ways.len();
        Self { towers, steps: vec![Step { branches: ways, first: 0 }], n_branches }
    }

    /// Names of the towers whose logits it reads, sorted.
    pub fn towers(&self) -> &[String] {
        &self.towers
    }

    /// The decisions, from the target's end back to the start: each is its branches, whose
    /// probabilities are the softmax of their logits. The pair of the last one is the program's.
    pub fn decisions(&self) -> impl Iterator<Item = &[Way]> {
        self.steps.iter().map(|step| step.branches.as_slice())
    }

    /// (ln p, ln(1 − p)) for one row, given the towers' logits in the order of
    /// [`Program::towers`]. The op does the same without allocating.
    ///
    /// # Panics
    /// If there is not one logit a tower.
    pub fn evaluate<S: Scalar>(&self, logits: &[S]) -> (S, S) {
        assert_eq!(logits.len(), self.towers.len(), "one logit a tower");
        let mut scratch = vec![S::zero(); self.n_scratch()];
        scratch[..logits.len()].copy_from_slice(logits);
        self.forward(&mut scratch)
    }

    /// The gradient of c₀·ln p + c₁·ln(1 − p) with respect to the logits, for one row.
    ///
    /// # Panics
    /// If there is not one logit a tower.
    pub fn gradient<S: Scalar>(&self, logits: &[S], coefficients: (S, S)) -> Vec<S> {
        assert_eq!(logits.len(), self.towers.len(), "one logit a tower");
        let mut scratch = vec![S::zero(); self.n_scratch()];
        scratch[..logits.len()].copy_from_slice(logits);
        self.forward(&mut scratch);
        self.backward(&mut scratch, coefficients).to_vec()
    }

    /// Values that a row needs between forward and backward: logits; per step (ℓ, m); per branch
    /// s and its shares of ℓ and m; then, for the backward pass alone, gradients of the steps and
    /// of the logits. What the forward pass wrote survives any number of backward passes.
    pub(crate) fn n_scratch(&self) -> usize {
        2 * self.towers.len() + 4 * self.steps.len() + 3 * self.n_branches
    }

    /// Computes (ℓ, m) from the logits at the start of `row`.
    pub(crate) fn forward<S: Scalar>(&self, row: &mut [S]) -> (S, S) {
        let (logits, rest) = row.split_at_mut(self.towers.len());
        let (pairs, rest) = rest.split_at_mut(2 * self.steps.len());
        for (i, step) in self.steps.iter().enumerate() {
            let shares = &mut rest[3 * step.first..3 * (step.first + step.branches.len())];
            step.log_softmax(logits, shares);
            step.add_ends(pairs, shares);
            pairs[2 * i] = log_sum_exp(shares, 1);
            pairs[2 * i + 1] = log_sum_exp(shares, 2);
        }
        (pairs[pairs.len() - 2], pairs[pairs.len() - 1])
    }

    /// Turns the gradient of (ℓ, m) into that of the logits, which is returned.
    pub(crate) fn backward<'r, S: Scalar>(&self, row: &'r mut [S], gradient: (S, S)) -> &'r [S] {
        let rest = &mut row[self.towers.len() + 2 * self.steps.len()..];
        let (shares, rest) = rest.split_at_mut(3 * self.n_branches);
        let (pairs, logits) = rest.split_at_mut(2 * self.steps.len());
        pairs.fill(S::zero());
        logits.fill(S::zero());
        let last = pairs.len();
        (pairs[last - 2], pairs[last - 1]) = gradient;
        for (i, step) in self.steps.iter().enumerate().rev() {
            let d = (pairs[2 * i], pairs[2 * i + 1]);
            let shares = &shares[3 * step.first..3 * (step.first + step.branches.len())];
            for (way, share) in step.branches.iter().zip(shares.as_chunks::<3>().0) {
                if let End::Step(to) = way.end {
                    pairs[2 * to] += d.0 * share[1];
                    pairs[2 * to + 1] += d.1 * share[2];
                }
            }
            step.add_logit_gradients(shares, d, logits);
        }
        logits
    }

    fn push_decision(
        &mut self,
        graph: &BehaviourGraph,
        node: usize,
        event: usize,
        ends: &[End],
    ) -> End {
        let leads = |to: Option<usize>| to.is_some_and(|to| graph.reaches[to][event]);
        let out = |d: &&crate::Decision| d.from == node && d.branches.iter().any(|b| leads(b.to));
        // `check_exclusive` saw to it that there is one; none leads nowhere.
        let Some(decision) = graph.decisions.iter().find(out) else { return End::Never };
        let end = |to: Option<usize>| to.map_or(End::Never, |to| ends[to]);
        let branches: Vec<Way> = (decision.branches.iter())
            .map(|b| Way { tower: position(&self.towers, b.tower.as_ref()), end: end(b.to) })
            .collect();
        if branches.iter().all(|b| b.end == End::Certain) {
            return End::Certain;
        }
        if let [Way { end, .. }] = branches[..] {
            return end; // an edge that always follows
        }
        let first = self.n_branches;
        self.n_branches += branches.len();
        self.steps.push(Step { branches, first });
        End::Step(self.steps.len() - 1)
    }
}

impl Step {
    /// Writes s_k and, twice, ln s_k for every branch.
    ///
    /// The largest logit is taken out, and its own e^0 left out of the sum, so ln s of the
    /// likeliest branch is −ln(1 + small): exact where 1 + small would round to 1. For (a, 0)
    /// this is −softplus(∓a).
    fn log_softmax<S: Scalar>(&self, logits: &[S], shares: &mut [S]) {
        let logit = |way: &Way| way.tower.map_or(S::zero(), |t| logits[t]);
        let mut likeliest = 0;
        for k in 1..self.branches.len() {
            if logit(&self.branches[k]) > logit(&self.branches[likeliest]) {
                likeliest = k;
            }
        }
        let max = logit(&self.branches[likeliest]);
        let mut rest = S::zero();
        let shares = shares.as_chunks_mut::<3>().0;
        for (k, (way, share)) in self.branches.iter().zip(&mut *shares).enumerate() {
            let below = at_least_min(logit(way) - max);
            let e = if k == likeliest { S::one() } else { below.exp() };
            rest += if k == likeliest { S::zero() } else { e };
            *share = [e, below, S::zero()];
        }
        let (log_total, inverse) = (rest.ln_1p(), (S::one() + rest).recip());
        for share in shares {
            let log = at_least_min(share[1] - log_total);
            *share = [share[0] * inverse, log, log];
        }
    }

    /// Adds (ℓ_k, m_k) of where each branch leads; −∞ where there is no term.
    fn add_ends<S: Scalar>(&self, pairs: &[S], shares: &mut [S]) {
        for (way, share) in self.branches.iter().zip(shares.as_chunks_mut::<3>().0) {
            match way.end {
                End::Never => share[1] = S::neg_infinity(),
                End::Certain => share[2] = S::neg_infinity(),
                End::Step(to) => {
                    share[1] = at_least_min(share[1] + pairs[2 * to]);
                    share[2] = at_least_min(share[2] + pairs[2 * to + 1]);
                }
            }
        }
    }

    /// ∂/∂a_k = Σ_{j≠k} (g_k s_j − g_j s_k), g_k the gradient of ln s_k.
    ///
    /// The plain form g_k − s_k·Σ g loses 1 − s_k where s_k rounds to 1; here it is a sum of
    /// the other branches' s.
    fn add_logit_gradients<S: Scalar>(&self, shares: &[S], d: (S, S), logits: &mut [S]) {
        let shares = shares.as_chunks::<3>().0;
        let log_gradient = |share: &[S; 3]| d.0 * share[1] + d.1 * share[2];
        for (k, way) in self.branches.iter().enumerate() {
            let Some(tower) = way.tower else { continue };
            let (s, g) = (shares[k][0], log_gradient(&shares[k]));
            for (_, other) in shares.iter().enumerate().filter(|&(j, _)| j != k) {
                logits[tower] += g * other[0] - log_gradient(other) * s;
            }
        }
    }
}

/// ln Σ e^{u_k} over the values at `at` of each branch, at most 0; each value becomes its share
/// e^{u_k} / Σ e^{u_j}. Terms of −∞ are absent; one at least is not.
fn log_sum_exp<S: Scalar>(shares: &mut [S], at: usize) -> S {
    let shares = shares.as_chunks_mut::<3>().0;
    let mut largest = 0;
    for k in 1..shares.len() {
        if shares[k][at] > shares[largest][at] {
            largest = k;
        }
    }
    let max = shares[largest][at];
    let mut rest = S::zero();
    for (k, share) in shares.iter_mut().enumerate() {
        let absent = share[at] == S::neg_infinity();
        share[at] = match k == largest {
            true => S::one(),
            false if absent => S::zero(),
            false => (share[at] - max).exp(),
        };
        rest += if k == largest { S::zero() } else { share[at] };
    }
    if rest == S::zero() {
        return max.min(S::zero());
    }
    let inverse = (S::one() + rest).recip();
    shares.iter_mut().for_each(|share| share[at] *= inverse);
    // Rounding must not carry a probability above 1.
    (max + rest.ln_1p()).min(S::zero())
}

/// Sums of logarithms end at the least finite number: −∞ is kept for what cannot happen.
fn at_least_min<S: Scalar>(value: S) -> S {
    value.max(S::min_value())
}

/// Towers of the decisions between `given` and `event`, sorted.
fn program_towers(graph: &BehaviourGraph, event: usize, given: usize) -> Vec<String> {
    let between = |n: usize| graph.reaches[given][n] && graph.reaches[n][event] && n != event;
    let leads = |d: &&crate::Decision| {
        between(d.from) && d.branches.iter().filter_map(|b| b.to).any(|to| graph.reaches[to][event])
    };
    let branches = graph.decisions.iter().filter(leads).flat_map(|d| &d.branches);
    let mut towers: Vec<String> = branches.filter_map(|b| b.tower.clone()).collect();
    towers.sort();
    towers.dedup();
    towers
}

fn position(towers: &[String], tower: Option<&String>) -> Option<usize> {
    tower.and_then(|tower| towers.iter().position(|t| t == tower))
}
