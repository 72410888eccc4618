//! Experts and gates built together.

use mtl_nn::layers::{Activation, Stack, StackLayer, build_stacks};
use mtl_nn::ops::Softmax;
use mtl_nn::{GraphBuilder, Scalar, Var};

use crate::{Blend, Error, Mix, Result};

/// A gate: a stack over its input, then a softmax over the experts it reads.
#[derive(Clone, Debug)]
pub struct Gate {
    /// Its parameter path.
    pub path: String,
    /// What it reads, rows × n_in.
    pub input: Var,
    /// Layers before the layer of the softmax.
    pub hidden: Vec<StackLayer>,
    /// Whether the layer of the softmax has a bias.
    pub bias: bool,
    /// The experts it mixes, by index, in the order of its columns.
    pub experts: Vec<usize>,
}

/// Where a gate's weights are, and of which experts: what inspection reads.
#[derive(Clone, Debug)]
pub struct GateInfo {
    /// The gate's path.
    pub path: String,
    /// Its weights, rows × experts, each row summing to 1.
    pub weights: Var,
    /// The paths of the experts, in the order of the columns.
    pub experts: Vec<String>,
}

/// A built mixture.
#[derive(Clone, Debug)]
pub struct Mixture {
    /// h of each gate, rows × the experts' width, in the order of the gates.
    pub outputs: Vec<Var>,
    /// The experts, in the order given.
    pub experts: Vec<Var>,
    /// The gates' weights.
    pub gates: Vec<GateInfo>,
}

/// Builds experts and gates depth by depth, then softmax and mixing; `name` prefixes the nodes.
///
/// The first layers of all experts *and* gates that read one input are a single product.
///
/// # Errors
/// [`Error::Widths`] if experts of one gate differ in width, [`Error::NoExperts`], or an error of
/// the graph (a path that is taken, a width of 0).
///
/// # Panics
/// If a gate names an expert that is not there.
pub fn mixture<S: Scalar>(
    b: &mut GraphBuilder<S>,
    name: &str,
    experts: Vec<Stack>,
    gates: Vec<Gate>,
) -> Result<Mixture> {
    check(&experts, &gates)?;
    let paths: Vec<String> = experts.iter().map(|e| e.path.clone()).collect();
    let n_experts = experts.len();
    let mut stacks = experts;
    stacks.extend(gates.iter().map(gate_stack));
    let built = build_stacks(b, name, stacks)?;
    let (experts, logits) = built.split_at(n_experts);

    // Gates of one depth are columns of one node, next to each other unless an expert of that
    // depth stands between them; softmax reads runs of them.
    let weights = softmax(b, name, logits)?;
    let mut outputs = vec![None; gates.len()];
    for (run, (first, n, gate_weights)) in weights.iter().enumerate() {
        let blends: Vec<Blend> =
            gates[*first..first + n].iter().map(|g| Blend { experts: g.experts.clone() }).collect();
        let mix = Mix::new(experts, *gate_weights, &blends);
        let columns: Vec<_> = (0..*n).map(|i| mix.columns(i)).collect();
        let h = b.push(&numbered(name, "mix", run), mix)?;
        for (i, (start, n_cols)) in columns.into_iter().enumerate() {
            outputs[first + i] = Some(h.columns(start, n_cols));
        }
    }
    let mut infos = Vec::with_capacity(gates.len());
    for (first, n, var) in weights {
        let mut start = 0;
        for gate in &gates[first..first + n] {
            infos.push(GateInfo {
                path: gate.path.clone(),
                weights: var.columns(start, gate.experts.len()),
                experts: gate.experts.iter().map(|&e| paths[e].clone()).collect(),
            });
            start += gate.experts.len();
        }
    }
    let outputs = outputs.into_iter().flatten().collect();
    Ok(Mixture { outputs, experts: experts.to_vec(), gates: infos })
}

/// A gate's hidden layers and the layer of its softmax.
fn gate_stack(gate: &Gate) -> Stack {
    let mut layers = gate.hidden.clone();
    layers.push(StackLayer {
        n_out: gate.experts.len(),
        bias: gate.bias,
        norm: None,
        activation: Activation::Linear,
        dropout: 0.0,
    });
    Stack { path: gate.path.clone(), input: gate.input, layers }
}

/// One softmax for each run of gates whose logits are adjacent: (first gate, gates, weights).
fn softmax<S: Scalar>(
    b: &mut GraphBuilder<S>,
    name: &str,
    logits: &[Var],
) -> Result<Vec<(usize, usize, Var)>> {
    let beside = |l: &Var, r: &Var| l.node() == r.node() && l.start() + l.n_cols() == r.start();
    let mut runs = Vec::new();
    let mut first = 0;
    for group in logits.chunk_by(beside) {
        let widths: Vec<usize> = group.iter().map(|z| z.n_cols()).collect();
        let z = group[0].widen(widths.iter().sum());
        let node = numbered(name, "gates", runs.len());
        runs.push((first, group.len(), b.push(&node, Softmax::new(z, widths))?));
        first += group.len();
    }
    Ok(runs)
}

fn numbered(name: &str, what: &str, i: usize) -> String {
    if i == 0 { format!("{name}.{what}") } else { format!("{name}.{what}.{i}") }
}

fn check(experts: &[Stack], gates: &[Gate]) -> Result<()> {
    for gate in gates {
        let Some(&first) = gate.experts.first() else {
            return Err(Error::NoExperts { gate: gate.path.clone() });
        };
        let first = experts[first].n_out();
        let other = gate.experts.iter().find(|&&e| experts[e].n_out() != first);
        if let Some(&e) = other {
            let (expert, other) = (experts[e].path.clone(), experts[e].n_out());
            return Err(Error::Widths { gate: gate.path.clone(), first, expert, other });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use mtl_nn::check;

    use super::*;

    fn layers(units: &[usize]) -> Vec<StackLayer> {
        let layer = |&n_out| StackLayer {
            n_out,
            bias: true,
            norm: None,
            activation: Activation::Tanh,
            dropout: 0.0,
        };
        units.iter().map(layer).collect()
    }

    fn expert(path: &str, input: Var, units: &[usize]) -> Stack {
        Stack { path: path.to_owned(), input, layers: layers(units) }
    }

    fn gate(path: &str, input: Var, hidden: &[usize], experts: &[usize]) -> Gate {
        let (path, hidden) = (path.to_owned(), layers(hidden));
        Gate { path, input, hidden, bias: true, experts: experts.to_vec() }
    }

    /// A builder and two inputs, rows × 4 and rows × 3.
    fn inputs() -> Result<(GraphBuilder<f64>, Var, Var)> {
        let mut b = GraphBuilder::new();
        let (x, y) = (b.values("x", 4)?, b.values("y", 3)?);
        let (x, y) = (b.read(x)?, b.read(y)?);
        Ok((b, x, y))
    }

    /// Finite differences through everything that leads to the outputs.
    fn check(mut b: GraphBuilder<f64>, outputs: &[Var]) -> Result<()> {
        let mut roots = Vec::new();
        for (i, &h) in outputs.iter().enumerate() {
            roots.push(b.push(&format!("root.{i}"), mtl_nn::ops::Sigmoid::new(h))?);
        }
        Ok(check::gradients(b, &roots)?)
    }

    #[test]
    fn finite_differences_with_gates_of_different_depths_and_inputs() -> Result<()> {
        let (mut b, x, y) = inputs()?;
        let experts = vec![
            expert("expert.0", x, &[5, 2]),
            expert("expert.1", y, &[2]),
            expert("expert.2", x, &[3, 4, 2]),
        ];
        let gates = vec![
            gate("deep", x, &[3, 2], &[0, 1, 2]),
            gate("flat", y, &[], &[2, 0]),
            gate("flat_too", x, &[], &[1]),
            gate("deep_too", y, &[2, 3], &[1, 2]),
        ];
        let mixed = mixture(&mut b, "mixture", experts, gates)?;
        let paths: Vec<&str> = mixed.gates.iter().map(|g| g.path.as_str()).collect();
        assert_eq!(paths, ["deep", "flat", "flat_too", "deep_too"]);
        let columns: Vec<usize> = mixed.gates.iter().map(|g| g.weights.n_cols()).collect();
        assert_eq!(columns, [3, 2, 1, 2]);
        assert_eq!(mixed.gates[1].experts, ["expert.2", "expert.0"]);
        check(b, &mixed.outputs)
    }

    #[test]
    fn finite_differences_with_widths_that_differ_between_gates() -> Result<()> {
        let (mut b, x, y) = inputs()?;
        let experts = vec![
            expert("expert.0", x, &[2]),
            expert("expert.1", x, &[3]),
            expert("expert.2", y, &[3]),
        ];
        let gates = vec![gate("narrow", x, &[], &[0]), gate("wide", x, &[2], &[2, 1])];
        let mixed = mixture(&mut b, "mixture", experts, gates)?;
        let widths: Vec<usize> = mixed.outputs.iter().map(|h| h.n_cols()).collect();
        assert_eq!(widths, [2, 3]);
        check(b, &mixed.outputs)
    }

    #[test]
    fn an_expert_without_layers_is_its_input() -> Result<()> {
        let mut b = GraphBuilder::new();
        let x = b.values("x", 4)?;
        let x = b.read(x)?;
        let experts = vec![expert("expert.0", x, &[]), expert("expert.1", x, &[4])];
        let mixed = mixture(&mut b, "mixture", experts, vec![gate("gate", x, &[], &[0, 1])])?;
        assert_eq!(mixed.experts[0], x);
        check(b, &mixed.outputs)
    }

    #[test]
    fn experts_and_gates_over_one_input_share_one_first_product() -> Result<()> {
        let (mut b, x, _) = inputs()?;
        let experts = (0..3).map(|k| expert(&format!("expert.{k}"), x, &[5, 2])).collect();
        let gates = (0..2).map(|t| gate(&format!("gate.{t}"), x, &[5], &[0, 1, 2])).collect();
        mixture(&mut b, "mixture", experts, gates)?;
        let graph = b.finish();
        let first = &graph.nodes()[graph.node("mixture.0")?.index()];
        assert_eq!((first.op().inputs(), first.n_cols()), (&[x][..], 5 * 5));
        Ok(())
    }

    #[test]
    fn experts_of_one_gate_that_differ_in_width_are_an_error() -> Result<()> {
        let (mut b, x, _) = inputs()?;
        let experts = vec![expert("expert.0", x, &[5, 2]), expert("expert.1", x, &[3])];
        let error = mixture(&mut b, "mixture", experts, vec![gate("gate", x, &[], &[0, 1])])
            .expect_err("2 and 3 columns do not mix");
        let expected = "gate `gate` mixes experts of 2 and 3 columns (`expert.1`)";
        assert_eq!(error.to_string(), expected);
        Ok(())
    }

    #[test]
    fn a_gate_without_experts_is_an_error() -> Result<()> {
        let (mut b, x, _) = inputs()?;
        let error =
            mixture(&mut b, "mixture", vec![expert("e", x, &[2])], vec![gate("gate", x, &[], &[])])
                .expect_err("nothing to mix");
        assert_eq!(error.to_string(), "gate `gate` has no expert to mix");
        Ok(())
    }
}
