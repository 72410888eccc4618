//! `Dense`: product + bias + activation + dropout, for one layer or many side by side.

use super::Mask;
use crate::kernel::{ClassRoom, Distinct, Factor, Products, add, vectorise};
use crate::layers::{Activation, Dropout};
use crate::op::ByClass;
use crate::{
    Backprop, Forward, Layout, Mat, MatMut, Mode, Op, OpPart, ParamId, Params, Scalar, Var,
};

/// One dense layer of a [`Dense`] op: y = dropout(act(x·W + b)).
#[derive(Clone, Debug)]
pub struct Unit {
    /// x, rows × n_in.
    pub input: Var,
    /// W, n_in × n_out.
    pub weight: ParamId,
    /// b, 1 × n_out.
    pub bias: Option<ParamId>,
    /// The activation.
    pub activation: Activation,
    /// Inverted dropout of the activation.
    pub dropout: Option<Dropout>,
}

/// Dense layers side by side: rows × Σ n_out.
///
/// Units that follow one another, read the same input and whose weights stand side by side in
/// one bank are computed as one product: a layer of all experts and gates over one input costs
/// one pass over that input. Units with inputs of their own are products on column views. Where the
/// input's columns are functions of ids, each distinct id's values are multiplied once: see
/// [`Op::columns_by_id`].
#[derive(Debug)]
pub struct Dense {
    inputs: Vec<Var>,
    params: Vec<ParamId>,
    products: Vec<Product>,
    banks: Vec<(ParamId, usize)>,
    units: Vec<Piece>,
    n_cols: usize,
}

/// One product: units `first .. first + n_units` over one input; the bank has the input's position.
#[derive(Debug)]
struct Product {
    input: usize,
    first: usize,
    n_units: usize,
}

/// Fewer columns than these gain nothing from looking for rows that repeat.
const MIN_COLUMNS: usize = 32;

/// A unit's place in the output and among the op's parameters.
#[derive(Debug)]
struct Piece {
    start: usize,
    n_out: usize,
    weight: usize,
    bias: Option<usize>,
    activation: Activation,
    dropout: Option<Dropout>,
}

impl Dense {
    /// The units' layers side by side, in the order given.
    ///
    /// # Panics
    /// If a weight's rows are not its input's columns; layers check this with an error first.
    pub fn new(layout: &Layout, units: Vec<Unit>) -> Self {
        let mut op = Self {
            inputs: Vec::new(),
            params: Vec::new(),
            products: Vec::new(),
            banks: Vec::new(),
            units: Vec::new(),
            n_cols: 0,
        };
        for (i, unit) in units.iter().enumerate() {
            let spec = layout.param(unit.weight);
            assert_eq!(spec.rows, unit.input.n_cols(), "`{}` against its input", spec.path);
            let joins = i > 0
                && units[i - 1].input == unit.input
                && layout.param(units[i - 1].weight).is_beside(spec);
            if let (true, Some(last)) = (joins, op.products.last_mut()) {
                last.n_units += 1;
                op.banks[op.inputs.len() - 1].1 += spec.cols;
            } else {
                op.products.push(Product { input: op.inputs.len(), first: i, n_units: 1 });
                op.inputs.push(unit.input);
                op.banks.push((unit.weight, spec.cols));
            }
            op.params.push(unit.weight);
            let weight = op.params.len() - 1;
            let bias = unit.bias.map(|bias| {
                op.params.push(bias);
                op.params.len() - 1
            });
            let (activation, dropout) = (unit.activation, unit.dropout);
            op.units.push(Piece {
                start: op.n_cols,
                n_out: spec.cols,
                weight,
                bias,
                activation,
                dropout,
            });
            op.n_cols += spec.cols;
        }
        op
    }

    /// The layers, in the order of their columns.
    pub fn units(&self) -> impl Iterator<Item = Unit> {
        self.products.iter().flat_map(|product| {
            let units = &self.units[product.first..product.first + product.n_units];
            units.iter().map(|unit| Unit {
                input: self.inputs[product.input],
                weight: self.params[unit.weight],
                bias: unit.bias.map(|bias| self.params[bias]),
                activation: unit.activation,
                dropout: unit.dropout,
            })
        })
    }

    /// Columns of the output that the units `first .. first + n` fill.
    fn span(&self, first: usize, n: usize) -> (usize, usize) {
        let (head, last) = (&self.units[first], &self.units[first + n - 1]);
        (head.start, last.start + last.n_out - head.start)
    }

    /// Turns dy into dz in place, summing the columns into the gradient of the bias.
    fn through_activation<S: Scalar>(&self, pass: &mut Backprop<'_, S>, dz: &mut MatMut<'_, S>) {
        let (y, mode, first_row) = (pass.output(), pass.mode(), pass.first_row());
        for (u, unit) in self.units.iter().enumerate() {
            if !pass.is_live(u) || pass.resumed(u).is_some() {
                continue;
            }
            let y = y.columns(unit.start, unit.n_out);
            let mut dz = dz.columns(unit.start, unit.n_out);
            let mask = Mask::new(unit.dropout, mode);
            let sink = unit.bias.and_then(|bias| pass.param_gradient(bias));
            vectorise(
                #[inline(always)]
                || {
                    let Some(mut sink) = sink else {
                        for r in 0..y.rows() {
                            let keep = mask.row(first_row + r);
                            unit.activation.backward(y.row(r), dz.row(r), keep);
                        }
                        return;
                    };
                    let db = sink.to.row(0);
                    if !sink.add {
                        db.fill(S::zero());
                    }
                    for r in 0..y.rows() {
                        let keep = mask.row(first_row + r);
                        unit.activation.backward(y.row(r), dz.row(r), keep);
                        add(db, dz.row(r));
                    }
                },
            );
        }
    }

    /// dW = xᵀ·dz, in as few products as the wanted gradients allow.
    fn weights<S: Scalar>(
        &self,
        pass: &mut Backprop<'_, S>,
        (products, room): (&mut Products<'_>, &mut ClassRoom<S>),
        dz: &MatMut<'_, S>,
        product: &Product,
    ) {
        let (x, distinct) = (pass.input(product.input), self.distinct(pass, product));
        let end = product.first + product.n_units;
        let mut first = product.first;
        while first < end {
            let weight = self.units[first].weight;
            let alike = |&u: &usize| pass.wants_alike(weight, self.units[u].weight);
            let n = (first..end).take_while(alike).count();
            let (start, n_cols) = self.span(first, n);
            let w = pass.param_bank(self.params[weight], n_cols);
            if let Some(sink) = pass.bank_gradient(weight, n_cols) {
                let dz = dz.as_mat().columns(start, n_cols);
                match distinct {
                    Some(distinct) => {
                        let by = self.factor(product, first, w);
                        let sink = Some(sink);
                        products.backward_distinct(
                            sink,
                            None,
                            (x, dz),
                            by,
                            (distinct, false),
                            room,
                        );
                    }
                    None => products.weights(product.input, sink.to, sink.add, x, dz),
                }
            }
            first += n;
        }
    }
}

/// What follows the product of a unit: bias, activation, dropout.
#[derive(Clone, Copy)]
struct Finish<'a, S> {
    values: &'a Params<S>,
    ids: &'a [ParamId],
    mode: Mode,
    first_row: usize,
}

impl<S: Scalar> Finish<'_, S> {
    /// x·W → y, in place.
    fn run(self, unit: &Piece, y: &mut MatMut<'_, S>) {
        let bias = unit.bias.map(|bias| self.values.param(self.ids[bias]).row(0));
        let mask = Mask::new(unit.dropout, self.mode);
        vectorise(
            #[inline(always)]
            || {
                for r in 0..y.rows() {
                    unit.activation.forward(y.row(r), bias, mask.row(self.first_row + r));
                }
            },
        );
    }
}

impl Dense {
    fn finish<'a, S: Scalar>(&'a self, pass: &Forward<'a, S>) -> Finish<'a, S> {
        let (values, mode, first_row) = (pass.params, pass.mode(), pass.first_row());
        Finish { values, ids: &self.params, mode, first_row }
    }

    /// A product over classes. A unit is finished as soon as its columns are there, while they are near.
    fn forward_distinct<S: Scalar>(
        &self,
        pass: &mut Forward<'_, S>,
        products: &mut Products<'_>,
        product: &Product,
        (x, w): (Mat<'_, S>, Mat<'_, S>),
        distinct: &Distinct<S>,
    ) {
        let (start, n_cols) = self.span(product.first, product.n_units);
        let mut room = std::mem::take(pass.room);
        let mut units =
            self.units[product.first..product.first + product.n_units].iter().peekable();
        let finish = self.finish(pass);
        let (mut y, _) = pass.output();
        let by = Factor { bank: product.input, start: 0, w };
        products.forward_distinct(
            y.columns(start, n_cols),
            x,
            by,
            distinct,
            &mut room,
            |y, done| {
                let is_there = |unit: &&Piece| unit.start + unit.n_out - start <= done;
                while let Some(unit) = units.next_if(is_there) {
                    finish.run(unit, &mut y.columns(unit.start - start, unit.n_out));
                }
            },
        );
        *pass.room = room;
    }

    /// The classes of a product's rows, where they are multiplied once each.
    fn distinct<'a, S: Scalar>(
        &self,
        pass: &Backprop<'a, S>,
        product: &Product,
    ) -> Option<&'a Distinct<S>> {
        pass.distinct(product.input).filter(|_| self.is_wide(product))
    }

    fn is_wide(&self, product: &Product) -> bool {
        self.span(product.first, product.n_units).1 >= MIN_COLUMNS
    }

    /// The weights w of units from `first` on.
    fn factor<'a, S>(&self, product: &Product, first: usize, w: Mat<'a, S>) -> Factor<'a, S> {
        let start = self.units[first].start - self.units[product.first].start;
        Factor { bank: product.input, start, w }
    }

    /// dW and dx at once, over the classes of the rows, as in plain training: where all units are live
    /// and want the same. Returns whether that is so.
    fn both<S: Scalar>(
        &self,
        pass: &mut Backprop<'_, S>,
        (products, room): (&mut Products<'_>, &mut ClassRoom<S>),
        dz: &MatMut<'_, S>,
        product: &Product,
    ) -> bool {
        let Some(distinct) = self.distinct(pass, product) else { return false };
        let first = self.units[product.first].weight;
        let is_plain = |u: usize| {
            pass.is_live(u)
                && pass.resumed(u).is_none()
                && pass.wants_alike(first, self.units[u].weight)
        };
        let mut units = product.first..product.first + product.n_units;
        let by_class = pass.by_class(product.input);
        if by_class == ByClass::No || !units.all(is_plain) {
            return false;
        }
        let classes = (distinct, by_class == ByClass::Alone);
        let (start, n_cols) = self.span(product.first, product.n_units);
        let w = pass.param_bank(self.params[first], n_cols);
        let (x, dz) = (pass.input(product.input), dz.as_mat().columns(start, n_cols));
        let by = self.factor(product, product.first, w);
        let (dw, dx) = pass.product_gradients((first, n_cols), product.input);
        products.backward_distinct(dw, dx, (x, dz), by, classes, room);
        true
    }

    /// Multiplies the dz that other passes left by the weights of their losses.
    fn scale_resumed<S: Scalar>(
        &self,
        pass: &Backprop<'_, S>,
        dz: &mut MatMut<'_, S>,
        product: &Product,
    ) {
        for u in product.first..product.first + product.n_units {
            let Some(factor) = pass.resumed(u) else { continue };
            let mut dz = dz.columns(self.units[u].start, self.units[u].n_out);
            vectorise(
                #[inline(always)]
                || {
                    for r in 0..dz.rows() {
                        match factor == S::zero() {
                            true => dz.row(r).fill(factor), // whatever it held
                            false => dz.row(r).iter_mut().for_each(|value| *value *= factor),
                        }
                    }
                },
            );
        }
    }

    /// dx = Σ dz·Wᵀ, in as few products as the live units allow: units are parts.
    fn input<S: Scalar>(
        &self,
        pass: &mut Backprop<'_, S>,
        (products, room): (&mut Products<'_>, &mut ClassRoom<S>),
        dz: &MatMut<'_, S>,
        product: &Product,
    ) {
        let by_class = pass.by_class(product.input);
        let distinct = self.distinct(pass, product).filter(|_| by_class != ByClass::No);
        let x = pass.input(product.input);
        let end = product.first + product.n_units;
        let mut is_first = true;
        let mut first = product.first;
        while first < end {
            let n = (first..end).take_while(|&u| pass.is_live(u) == pass.is_live(first)).count();
            if pass.is_live(first) {
                let (start, n_cols) = self.span(first, n);
                let w = pass.param_bank(self.params[self.units[first].weight], n_cols);
                let Some(mut sink) = pass.input_gradient(product.input) else { return };
                let dz = dz.as_mat().columns(start, n_cols);
                let by = self.factor(product, first, w);
                sink.add |= !is_first;
                match distinct {
                    Some(distinct) => {
                        products.backward_distinct(
                            None,
                            Some(sink),
                            (x, dz),
                            by,
                            (distinct, by_class == ByClass::Alone),
                            room,
                        );
                    }
                    None => products.input((by.bank, by.start), sink.to, sink.add, dz, w),
                }
                is_first = false;
            }
            first += n;
        }
    }
}

impl<S: Scalar> Op<S> for Dense {
    fn kind(&self) -> &'static str {
        "dense"
    }

    fn n_cols(&self) -> usize {
        self.n_cols
    }

    fn inputs(&self) -> &[Var] {
        &self.inputs
    }

    fn params(&self) -> &[ParamId] {
        &self.params
    }

    fn banks(&self) -> &[(ParamId, usize)] {
        &self.banks
    }

    fn parts(&self) -> Vec<OpPart> {
        let mut parts = Vec::with_capacity(self.units.len());
        for product in &self.products {
            for unit in &self.units[product.first..product.first + product.n_units] {
                parts.push(OpPart {
                    columns: unit.start..unit.start + unit.n_out,
                    inputs: vec![(product.input, 0..self.inputs[product.input].n_cols())],
                    params: std::iter::once(unit.weight).chain(unit.bias).collect(),
                    lookups: Vec::new(),
                });
            }
        }
        parts
    }

    fn forward(&self, pass: &mut Forward<'_, S>) {
        let mut products = pass.take_products();
        for p in &self.products {
            let (start, n_cols) = self.span(p.first, p.n_units);
            let weight = self.params[self.units[p.first].weight];
            let (x, w) = (pass.input(p.input), pass.param_bank(weight, n_cols));
            if let Some(distinct) = pass.distinct(p.input).filter(|_| self.is_wide(p)) {
                self.forward_distinct(pass, &mut products, p, (x, w), distinct);
                continue;
            }
            let (shared, mut split) = (pass.shared_input(p.input), std::mem::take(pass.split));
            let (mut y, _) = pass.output();
            let by = (&mut products, p.input);
            if !split.product(by, y.columns(start, n_cols), x, w, &shared) {
                products.forward(p.input, y.columns(start, n_cols), x, w);
            }
            *pass.split = split;
            let finish = self.finish(pass);
            let (mut y, _) = pass.output();
            for unit in &self.units[p.first..p.first + p.n_units] {
                finish.run(unit, &mut y.columns(unit.start, unit.n_out));
            }
        }
    }

    fn backward(&self, pass: &mut Backprop<'_, S>) {
        let (mut dz, mut products) = (pass.take_gradient(), pass.take_products());
        let mut room = std::mem::take(pass.room);
        self.through_activation(pass, &mut dz);
        for p in &self.products {
            if self.both(pass, (&mut products, &mut room), &dz, p) {
                continue;
            }
            self.weights(pass, (&mut products, &mut room), &dz, p);
            self.scale_resumed(pass, &mut dz, p);
            self.input(pass, (&mut products, &mut room), &dz, p);
        }
        *pass.room = room;
    }

    fn takes_repeats(&self, i: usize) -> bool {
        self.products.iter().any(|product| product.input == i && self.is_wide(product))
    }

    fn skips_dead_parts(&self) -> bool {
        true
    }

    /// What is left is dz.
    fn resumes(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{Embed, Part};
    use crate::params::NewParam;
    use crate::{GraphBuilder, Init, Result, Role, check};

    /// Three units: two over one input and side by side (one product), one over columns of it.
    fn build(activation: Activation, rate: f64) -> Result<()> {
        let mut b = GraphBuilder::new();
        let x = b.values("x", 6)?;
        let x = b.read(x)?;
        let member =
            |path: &str, cols| NewParam { path: path.to_owned(), cols, init: Init::GlorotUniform };
        let wide = b.bank(6, Role::Weight, vec![member("a.weight", 4), member("b.weight", 3)])?;
        let narrow = b.bank(3, Role::Weight, vec![member("c.weight", 1)])?;
        let bias = b.bank(1, Role::Bias, vec![member("a.bias", 4), member("c.bias", 1)])?;
        let unit = |path: &str, input, weight, bias| Unit {
            input,
            weight,
            bias,
            activation,
            dropout: Dropout::new(rate, path).expect("a rate below 1"),
        };
        let units = vec![
            unit("a", x, wide[0], Some(bias[0])),
            unit("b", x, wide[1], None),
            unit("c", x.columns(2, 3), narrow[0], Some(bias[1])),
        ];
        let op = Dense::new(b.layout(), units);
        assert_eq!(op.products.len(), 2);
        let y = b.push("dense", op)?;
        check::gradients(b, &[y])
    }

    #[test]
    fn finite_differences() -> Result<()> {
        for activation in Activation::ALL {
            for rate in [0.0, 0.4] {
                build(activation, rate)?;
            }
        }
        Ok(())
    }

    /// Units wide enough to look for rows that repeat, over columns of ids, pooled lists and values; in
    /// some shards of the check ids repeat and in some they do not.
    fn over_ids(b: &mut GraphBuilder<f64>, n_ids: usize) -> Result<Var> {
        let mut parts = Vec::new();
        for name in ["user", "item"] {
            let slot = b.ids(name);
            let path = format!("embedding.{name}.table");
            let table = b.table(path, n_ids, 3, Init::Uniform(0.5))?;
            parts.push(Part::Lookup { slot, table, dim: 3 });
            let slot = b.values(&format!("price_{name}"), 2)?;
            parts.push(Part::Values { slot, n_cols: 2 });
            let (slot, mean) = (b.lists(&format!("history_{name}"), 3)?, true);
            parts.push(Part::Pooled { slot, table, dim: 3, mean });
        }
        b.push("x", Embed::new(parts))
    }

    fn wide(b: &mut GraphBuilder<f64>, name: &str, x: Var, cols: [usize; 2]) -> Result<Var> {
        let member = |i: usize| NewParam {
            path: format!("{name}.{i}.weight"),
            cols: cols[i],
            init: Init::GlorotUniform,
        };
        let weights = b.bank(x.n_cols(), Role::Weight, vec![member(0), member(1)])?;
        let unit = |weight| Unit {
            input: x,
            weight,
            bias: None,
            activation: Activation::Tanh,
            dropout: None,
        };
        let op = Dense::new(b.layout(), weights.into_iter().map(unit).collect());
        b.push(name, op)
    }

    #[test]
    fn finite_differences_where_rows_repeat() -> Result<()> {
        for n_ids in [1, 2, 4] {
            let mut b = GraphBuilder::new();
            let x = over_ids(&mut b, n_ids)?;
            let (y, z) = (wide(&mut b, "y", x, [20, 15])?, wide(&mut b, "z", x, [30, 9])?);
            check::gradients(b, &[y, z])?;
        }
        Ok(())
    }

    /// Other readers of x give each row a gradient of its own.
    #[test]
    fn finite_differences_where_rows_repeat_for_one_of_two_readers() -> Result<()> {
        for reads_first in [false, true] {
            let mut b = GraphBuilder::new();
            let x = over_ids(&mut b, 2)?;
            let narrow = if reads_first { Some(wide(&mut b, "narrow", x, [3, 2])?) } else { None };
            let y = wide(&mut b, "y", x, [40, 3])?;
            let some = match narrow {
                Some(narrow) => narrow,
                None => b.push("some", crate::ops::Sigmoid::new(x.columns(1, 4)))?,
            };
            check::gradients(b, &[y, some])?;
        }
        Ok(())
    }
}
