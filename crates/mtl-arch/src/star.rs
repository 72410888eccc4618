//! STAR: one network whose weights are multiplied by those of the row's domain.

use mtl_nn::layers::{Dropout, Stack, StackLayer, build_stacks};
use mtl_nn::ops::{
    AddSum, Concat, DomainDense, DomainDenseParams, DomainNormalise, DomainNormaliseParams,
    Domains, Embed, Part,
};
use mtl_nn::{GraphBuilder, Init, Result as NnResult, Role, Scalar, Var};

use crate::{Architecture, Built, Error, InputKind, Inputs, Result, Settings};

/// With p the row's domain: x' = the partitioned normalisation of x; then a bottom for all tasks
/// and a tower for each, every layer with W_p* = W ⊙ W_p and b_p* = b + b_p; to each logit
/// MLP_aux,t([x, e_p]) is added, with e_p an embedding of the domain.
///
/// Sheng et al., CIKM 2021, eq. 3–9, whose network has one task. W_p and γ_p start at 1, b_p and
/// β_p at 0. A domain that training did not have is read as those initial values, with statistics
/// of all rows. The partitioned normalisation is the only one: `batch_norm` is not read. Parameters
/// `normalise.{gamma, beta, domain.gamma, domain.beta, running_mean, running_var, seen}`,
/// `bottom.<layer>.{weight, bias, domain.weight, domain.bias}`, `task.<t>.tower.<layer>` likewise,
/// `task.<t>.auxiliary.<layer>`, `domain.embedding.table`.
#[derive(Clone, Debug)]
pub struct Star {
    settings: Settings,
}

/// Columns of the domain's embedding e_p.
const DOMAIN_DIM: usize = 8;

/// The most domains there may be: each has a copy of every weight.
const MOST_DOMAINS: usize = 1_000;

impl Star {
    /// With these settings.
    pub const fn new(settings: Settings) -> Self {
        Self { settings }
    }

    /// The auxiliary logits, one a task.
    fn auxiliary<S: Scalar>(
        &self,
        b: &mut GraphBuilder<S>,
        x: Var,
        domains: Domains,
    ) -> NnResult<Vec<Var>> {
        let path = "domain.embedding";
        let table = b.table(format!("{path}.table"), domains.n, DOMAIN_DIM, Init::Uniform(0.05))?;
        let part = Part::Lookup { slot: domains.slot, table, dim: DOMAIN_DIM };
        let e = b.push(path, Embed::new(vec![part]))?;
        let input = b.push("auxiliary.x", Concat::new(vec![x, e]))?;
        let stack = |(t, task): (usize, &String)| Stack {
            path: format!("task.{task}.auxiliary"),
            input,
            layers: plain(self.settings.tower(t)),
        };
        build_stacks(b, "auxiliary", self.settings.tasks.iter().enumerate().map(stack).collect())
    }
}

impl<S: Scalar> Architecture<S> for Star {
    fn input_kind(&self) -> InputKind {
        InputKind::Domain
    }

    fn build(&self, b: &mut GraphBuilder<S>, inputs: &Inputs) -> Result<Built> {
        let &Inputs::Domain { x, domains } = inputs else {
            return Err(Error::Inputs { name: "star", expected: "x and a domain" });
        };
        if !(2..=MOST_DOMAINS).contains(&domains.n) {
            let (name, value) = ("domain".to_owned(), format!("a feature of {} ids", domains.n));
            let expected = format!("2 to {MOST_DOMAINS}: each has a copy of every weight");
            return Err(Error::Setting { name, value, expected });
        }
        let normal = normalise(b, x, domains, &self.settings)?;
        let h = stack(b, "bottom", normal, domains, plain(self.settings.bottom()))?;
        let auxiliary = self.auxiliary(b, x, domains)?;
        let mut logits = Vec::with_capacity(auxiliary.len());
        for (t, (task, auxiliary)) in self.settings.tasks.iter().zip(auxiliary).enumerate() {
            let path = format!("task.{task}.tower");
            let z = stack(b, &path, h, domains, plain(self.settings.tower(t)))?;
            logits.push((task.clone(), sum(b, &format!("task.{task}.logit"), z, auxiliary)?));
        }
        Ok(Built { logits, representations: vec![h], ..Built::default() })
    }
}

/// z + a, column by column: a task of several classes has several.
fn sum<S: Scalar>(b: &mut GraphBuilder<S>, node: &str, z: Var, a: Var) -> NnResult<Var> {
    if z.n_cols() == 1 {
        return b.push(node, AddSum::new(z, a));
    }
    let column = |i| {
        let sum = AddSum::new(z.columns(i, 1), a.columns(i, 1));
        b.push(&format!("{node}.{i}"), sum)
    };
    let columns = (0..z.n_cols()).map(column).collect::<NnResult<Vec<_>>>()?;
    b.push(node, Concat::new(columns))
}

/// The layers without batch normalisation: the domains' own has taken its place.
fn plain(layers: Vec<StackLayer>) -> Vec<StackLayer> {
    layers.into_iter().map(|layer| StackLayer { norm: None, ..layer }).collect()
}

/// Layers whose weights depend on the domain, one after another.
fn stack<S: Scalar>(
    b: &mut GraphBuilder<S>,
    path: &str,
    mut x: Var,
    domains: Domains,
    layers: Vec<StackLayer>,
) -> NnResult<Var> {
    let own = domains.n - 1;
    for (i, layer) in layers.into_iter().enumerate() {
        let (path, n_in, n_out) = (format!("{path}.{i}"), x.n_cols(), layer.n_out);
        let mut param =
            |name: &str, shape, role, init| b.param(format!("{path}.{name}"), shape, role, init);
        let (one, zero) = (Init::Constant(1.0), Init::Constant(0.0));
        let params = DomainDenseParams {
            weight: param("weight", (n_in, n_out), Role::Weight, Init::GlorotUniform)?,
            bias: param("bias", (1, n_out), Role::Bias, zero)?,
            domain_weight: param("domain.weight", (own * n_in, n_out), Role::Weight, one)?,
            domain_bias: param("domain.bias", (own, n_out), Role::Bias, zero)?,
            activation: layer.activation,
            dropout: Dropout::new(layer.dropout, &path)?,
        };
        x = b.push(&path, DomainDense::new(x, domains, params, n_out))?;
    }
    Ok(x)
}

/// The partitioned normalisation of x.
fn normalise<S: Scalar>(
    b: &mut GraphBuilder<S>,
    x: Var,
    domains: Domains,
    settings: &Settings,
) -> NnResult<Var> {
    let (n, d) = (domains.n, x.n_cols());
    let mut param = |name: &str, rows, role, value| {
        let cols = if name == "seen" { 1 } else { d };
        b.param(format!("normalise.{name}"), (rows, cols), role, Init::Constant(value))
    };
    let params = DomainNormaliseParams {
        gamma: param("gamma", 1, Role::Bias, 1.0)?,
        beta: param("beta", 1, Role::Bias, 0.0)?,
        domain_gamma: param("domain.gamma", n - 1, Role::Bias, 1.0)?,
        domain_beta: param("domain.beta", n - 1, Role::Bias, 0.0)?,
        mean: param("running_mean", n, Role::State, 0.0)?,
        variance: param("running_var", n, Role::State, 1.0)?,
        seen: param("seen", n, Role::State, 0.0)?,
    };
    let norm = settings.preset_norm();
    b.push("normalise", DomainNormalise::new(x, domains, params, norm.momentum, norm.epsilon))
}
