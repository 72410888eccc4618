//! Multi-layer perceptrons, one or many side by side.
//!
//! All stacks of an architecture that run at the same depth are built together by
//! [`build_stacks`]: layer i of every stack is one op, and stacks that read the same input share
//! one wide product in their first layer.

use super::{Activation, Dropout};
use crate::ops::{Dense, Normalise, NormaliseParams, Unit};
use crate::{Error, GraphBuilder, Init, NewParam, ParamId, Result, Role, Scalar, Var};

/// Batch normalisation between a layer's product and its activation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Norm {
    /// Share of the running statistics kept at each step.
    pub momentum: f64,
    /// ε added to the variance.
    pub epsilon: f64,
}

/// One layer of a [`Stack`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StackLayer {
    /// Output columns.
    pub n_out: usize,
    /// Whether it has a bias.
    pub bias: bool,
    /// Batch normalisation before the activation.
    pub norm: Option<Norm>,
    /// The activation.
    pub activation: Activation,
    /// Dropout rate after the activation, in [0, 1).
    pub dropout: f64,
}

/// Dense layers one after another over one input, with a parameter path.
///
/// Layer i has the parameters `<path>.<i>.weight` (n_in × n_out), `<path>.<i>.bias` (1 × n_out)
/// and, normalised, `<path>.<i>.norm.{gamma, beta, running_mean, running_var}`.
#[derive(Clone, Debug)]
pub struct Stack {
    /// Its path.
    pub path: String,
    /// What it reads, rows × n_in.
    pub input: Var,
    /// Its layers; none makes the stack hand on its input.
    pub layers: Vec<StackLayer>,
}

impl Stack {
    /// Output columns.
    pub fn n_out(&self) -> usize {
        self.layers.last().map_or(self.input.n_cols(), |layer| layer.n_out)
    }
}

/// A plain perceptron: hidden layers with one activation, a linear last layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Mlp {
    units: Vec<usize>,
    hidden: Activation,
    last: Activation,
    dropout: f64,
    norm: Option<Norm>,
}

impl Mlp {
    /// `units` are the layers' widths, the output's included.
    pub fn new(units: &[usize], hidden: Activation) -> Self {
        let (last, dropout, norm) = (Activation::Linear, 0.0, None);
        Self { units: units.to_vec(), hidden, last, dropout, norm }
    }

    /// Another activation of the last layer.
    #[must_use]
    pub const fn last(mut self, activation: Activation) -> Self {
        self.last = activation;
        self
    }

    /// Dropout of the hidden layers.
    #[must_use]
    pub const fn dropout(mut self, rate: f64) -> Self {
        self.dropout = rate;
        self
    }

    /// Batch normalisation of the hidden layers.
    #[must_use]
    pub const fn norm(mut self, norm: Norm) -> Self {
        self.norm = Some(norm);
        self
    }

    /// The layers, for a [`Stack`].
    pub fn layers(&self) -> Vec<StackLayer> {
        let n = self.units.len();
        let layer = |(i, &n_out): (usize, &usize)| {
            let hidden = i + 1 < n;
            StackLayer {
                n_out,
                bias: true,
                norm: self.norm.filter(|_| hidden),
                activation: if hidden { self.hidden } else { self.last },
                dropout: if hidden { self.dropout } else { 0.0 },
            }
        };
        self.units.iter().enumerate().map(layer).collect()
    }

    /// Adds the perceptron at `path` over `x` (rows × n_in); returns its output, rows × n_out.
    ///
    /// # Errors
    /// A path that is taken, a width of 0, or a dropout rate outside [0, 1).
    pub fn build<S: Scalar>(&self, b: &mut GraphBuilder<S>, path: &str, x: Var) -> Result<Var> {
        let stack = Stack { path: path.to_owned(), input: x, layers: self.layers() };
        Ok(build_stacks(b, path, vec![stack])?[0])
    }
}

/// Builds stacks side by side, depth by depth; `name` prefixes the nodes. Returns each stack's
/// output, in order; the outputs of stacks of equal depth lie side by side in one node.
///
/// # Errors
/// A path that is taken, a width of 0, or a dropout rate outside [0, 1).
pub fn build_stacks<S: Scalar>(
    b: &mut GraphBuilder<S>,
    name: &str,
    stacks: Vec<Stack>,
) -> Result<Vec<Var>> {
    let mut at: Vec<Var> = stacks.iter().map(|s| s.input).collect();
    let depth = stacks.iter().map(|s| s.layers.len()).max().unwrap_or(0);
    for i in 0..depth {
        build_layer(b, name, i, &stacks, &mut at)?;
    }
    Ok(at)
}

/// Builds layer `i` of the stacks that have one, for an architecture that does something between
/// the layers. `at` is what each stack reads, and then what its layer gives.
///
/// # Errors
/// As [`build_stacks`].
///
/// # Panics
/// If `at` has not one value a stack.
pub fn build_layer<S: Scalar>(
    b: &mut GraphBuilder<S>,
    name: &str,
    i: usize,
    stacks: &[Stack],
    at: &mut [Var],
) -> Result<()> {
    assert_eq!(stacks.len(), at.len(), "one input a stack");
    let mut here: Vec<usize> = (0..stacks.len()).filter(|&s| i < stacks[s].layers.len()).collect();
    // Stacks over one input stand together, wherever they came, so that they share a product.
    here.sort_by_key(|&s| at.iter().position(|&x| x == at[s]));
    // A node has one treatment: normalised stacks and plain ones make two.
    for normalised in [None, Some(())] {
        let members: Vec<usize> = here
            .iter()
            .copied()
            .filter(|&s| stacks[s].layers[i].norm.is_some() == normalised.is_some())
            .collect();
        if !members.is_empty() {
            let node = if normalised.is_some() { "norm." } else { "" };
            build_depth(b, &format!("{name}.{node}{i}"), i, stacks, &members, at)?;
        }
    }
    Ok(())
}

/// Layer `i` of the stacks `members`, as one op (two if normalised).
fn build_depth<S: Scalar>(
    b: &mut GraphBuilder<S>,
    node: &str,
    i: usize,
    stacks: &[Stack],
    members: &[usize],
    at: &mut [Var],
) -> Result<()> {
    let weights = add_weights(b, i, stacks, members, at)?;
    let mut units = Vec::with_capacity(members.len());
    for (&s, weight) in members.iter().zip(weights) {
        let (path, layer) = (format!("{}.{i}", stacks[s].path), stacks[s].layers[i]);
        let bias = match layer.bias {
            true => Some(b.param(
                format!("{path}.bias"),
                (1, layer.n_out),
                Role::Bias,
                Init::Constant(0.0),
            )?),
            false => None,
        };
        let (activation, dropout) = match layer.norm {
            Some(_) => (Activation::Linear, None), // the normalisation does them
            None => (layer.activation, Dropout::new(layer.dropout, &path)?),
        };
        units.push(Unit { input: at[s], weight, bias, activation, dropout });
    }
    let dense = Dense::new(b.layout(), units);
    let mut out = b.push(node, dense)?;
    if stacks[members[0]].layers[i].norm.is_some() {
        out = add_norm(b, node, i, stacks, members, out)?;
    }
    let mut start = 0;
    for &s in members {
        let n_out = stacks[s].layers[i].n_out;
        at[s] = out.columns(start, n_out);
        start += n_out;
    }
    Ok(())
}

/// The weights of one depth: stacks in a row that read the same input share a bank.
fn add_weights<S: Scalar>(
    b: &mut GraphBuilder<S>,
    i: usize,
    stacks: &[Stack],
    members: &[usize],
    at: &[Var],
) -> Result<Vec<ParamId>> {
    let mut weights = Vec::with_capacity(members.len());
    for group in members.chunk_by(|&left, &right| at[left] == at[right]) {
        let mut bank = Vec::with_capacity(group.len());
        for &s in group {
            let (path, n_out) =
                (format!("{}.{i}.weight", stacks[s].path), stacks[s].layers[i].n_out);
            if n_out == 0 {
                let (name, value) = ("units", format!("0 in `{}`", stacks[s].path));
                return Err(Error::Setting { name, value, expected: "at least 1" });
            }
            bank.push(NewParam { path, cols: n_out, init: Init::GlorotUniform });
        }
        weights.extend(b.bank(at[group[0]].n_cols(), Role::Weight, bank)?);
    }
    Ok(weights)
}

fn add_norm<S: Scalar>(
    b: &mut GraphBuilder<S>,
    node: &str,
    i: usize,
    stacks: &[Stack],
    members: &[usize],
    x: Var,
) -> Result<Var> {
    let (mut units, mut widths, mut norm) = (Vec::new(), Vec::new(), None);
    for &s in members {
        let (path, layer) = (format!("{}.{i}", stacks[s].path), stacks[s].layers[i]);
        let mut param = |name: &str, role, value| {
            let path = format!("{path}.norm.{name}");
            b.param(path, (1, layer.n_out), role, Init::Constant(value))
        };
        units.push(NormaliseParams {
            gamma: param("gamma", Role::Bias, 1.0)?,
            beta: param("beta", Role::Bias, 0.0)?,
            mean: param("running_mean", Role::State, 0.0)?,
            variance: param("running_var", Role::State, 1.0)?,
            activation: layer.activation,
            dropout: Dropout::new(layer.dropout, &path)?,
        });
        widths.push(layer.n_out);
        norm = norm.or(layer.norm);
    }
    let Norm { momentum, epsilon } = norm.unwrap_or(Norm { momentum: 0.99, epsilon: 1e-3 });
    b.push(&format!("{node}.norm"), Normalise::new(x, &widths, units, momentum, epsilon))
}
