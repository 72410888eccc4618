//! The border between a trainer and a method: all checks, and who takes part in a step.

use crate::step::{Gram, StepInput, Weights};
use crate::weighting::{Active, Needs, OwnWeight, Solve, Weighting};
use crate::{Error, State};

/// Losses below this count as this where a method divides by them or takes their logarithm.
pub(crate) const LOSS_FLOOR: f64 = 1e-8;

/// A weighting at work: a method, the tasks' names, and scratch.
///
/// Made by [`WeightingConfig::build`](crate::WeightingConfig::build), or by [`Weigher::new`] around a
/// method of your own. One call of [`Weigher::weigh`] a step; it does not allocate.
///
/// Losses that are absent, or (where the method reads the Gram matrix) whose gradient is zero, are left
/// out: the method does not see them and its state for them stays. Where every gradient is zero,
/// weights are equal.
#[derive(Debug)]
pub struct Weigher {
    method: Box<dyn Weighting>,
    tasks: Vec<String>,
    active: Vec<usize>,
    touched: Vec<bool>,
    losses: Vec<f64>,
    gram: Vec<f64>,
    weights: Vec<f64>,
    /// Whether the method was asked in the last step.
    asked: bool,
}

/// Learned state, to be stepped by the trainer with the model's optimiser.
#[derive(Debug)]
pub struct Learned<'a> {
    /// T values, to be changed in place.
    pub values: &'a mut [f64],
    /// The gradient of the method's own objective, T values.
    pub gradient: &'a [f64],
    /// Which values to step: those of tasks that took part. The others, and their moments, stay.
    pub touched: &'a [bool],
    /// A learning rate of its own, where the method has one; otherwise the model's.
    pub learning_rate: Option<f64>,
}

impl Weigher {
    /// Puts `method` to work on `tasks`.
    ///
    /// # Errors
    /// When there is no task or two have one name.
    pub fn new(tasks: &[String], method: Box<dyn Weighting>) -> Result<Self, Error> {
        let repeated = tasks.iter().enumerate().any(|(i, task)| tasks[..i].contains(task));
        if tasks.is_empty() || repeated {
            return Err(Error::Tasks { found: tasks.join(", ") });
        }
        let n = tasks.len();
        Ok(Self {
            method,
            tasks: tasks.to_vec(),
            active: Vec::with_capacity(n),
            touched: vec![false; n],
            losses: vec![0.0; n],
            gram: vec![0.0; n * n],
            weights: vec![0.0; n],
            asked: false,
        })
    }

    /// The method's name.
    pub fn method(&self) -> &'static str {
        self.method.name()
    }

    /// The tasks, in the order of all slices.
    pub fn tasks(&self) -> &[String] {
        &self.tasks
    }

    /// What the trainer must supply.
    pub fn needs(&self) -> Needs {
        self.method.needs()
    }

    /// Computes this step's weights.
    ///
    /// # Errors
    /// When a slice has the wrong length, the Gram matrix is needed and missing, a present task's loss
    /// or gradient product is not finite or a loss negative where it must not be (the task is named),
    /// a weight comes out not finite, or an inner solve fails. `out` is then unspecified.
    pub fn weigh(&mut self, input: &StepInput<'_>, out: &mut Weights<'_>) -> Result<(), Error> {
        let n = self.tasks.len();
        check_length("shared weights", out.shared.len(), n)?;
        check_length("own weights", out.own.len(), n)?;
        self.check_losses(input)?;
        let gram = self.check_gram(input)?;
        self.gather(input, gram);
        out.shared.fill(0.0);
        self.asked = !self.active.is_empty();
        if self.asked {
            let n_gram = if gram.is_some() { self.active.len().pow(2) } else { 0 };
            let active = active(input, &self.active, &self.losses, &self.gram[..n_gram]);
            self.method.weigh(&active, &mut self.weights[..active.n()])?;
            for (&task, &weight) in self.active.iter().zip(&self.weights) {
                out.shared[task] = weight;
            }
        }
        self.fill_own(input, out);
        self.check_weights(number(input), out)
    }

    /// Takes the losses of the same batch after the update; for methods whose
    /// [`Needs::losses_after`] is set, and nothing for the others.
    ///
    /// # Errors
    /// As [`Weigher::weigh`] for losses.
    pub fn after_update(&mut self, input: &StepInput<'_>) -> Result<(), Error> {
        if !self.method.needs().losses_after {
            return Ok(());
        }
        self.check_losses(input)?;
        self.gather(input, None);
        if !self.active.is_empty() {
            self.method.after_update(&active(input, &self.active, &self.losses, &[]));
        }
        Ok(())
    }

    /// Ends an epoch (DWA averages its losses over it).
    pub fn end_epoch(&mut self) {
        self.method.end_epoch();
    }

    /// The learned state of the method, if it learns any. Step the values that are `touched` down
    /// the gradient, then call [`Weigher::project`].
    pub fn learned(&mut self) -> Option<Learned<'_>> {
        let state = self.method.learned()?;
        Some(Learned {
            values: state.values,
            gradient: state.gradient,
            touched: &self.touched,
            learning_rate: state.learning_rate,
        })
    }

    /// Brings learned state back to its domain after the optimiser's step (GradNorm: clamps at 0 and
    /// restores the sum).
    pub fn project(&mut self) {
        self.method.project(&self.touched);
    }

    /// How the inner solve of the last step went, for methods that have one; `None` where every
    /// gradient was zero.
    pub fn solve(&self) -> Option<Solve> {
        self.method.solve().filter(|_| self.asked)
    }

    /// Everything the method remembers.
    pub fn state(&self) -> State {
        let values = self.method.state().into_iter();
        State {
            method: self.method.name().to_owned(),
            tasks: self.tasks.clone(),
            values: values.map(|(name, v)| (name.to_owned(), v.to_vec())).collect(),
        }
    }

    /// Takes up a saved state; the run continues as if it had never stopped.
    ///
    /// # Errors
    /// When the state is of another method, other tasks or another version. Nothing is then changed.
    pub fn restore(&mut self, state: &State) -> Result<(), Error> {
        let mismatch = |what, found: String, expected: String| {
            if found == expected { Ok(()) } else { Err(Error::State { what, found, expected }) }
        };
        mismatch("method", state.method.clone(), self.method.name().to_owned())?;
        mismatch("tasks", state.tasks.join(", "), self.tasks.join(", "))?;
        let layout = |name: &str, length: usize| format!("{name}[{length}]");
        let found: Vec<String> = state.values.iter().map(|(k, v)| layout(k, v.len())).collect();
        let mut expected: Vec<String> =
            self.method.state().iter().map(|(k, v)| layout(k, v.len())).collect();
        expected.sort();
        mismatch("values", found.join(", "), expected.join(", "))?;
        for (name, target) in self.method.state_mut() {
            target.copy_from_slice(&state.values[name]);
        }
        Ok(())
    }

    fn check_losses(&self, input: &StepInput<'_>) -> Result<(), Error> {
        check_length("losses", input.losses.len(), self.tasks.len())?;
        check_length("present", input.present.len(), self.tasks.len())?;
        let step = number(input);
        for (i, task) in self.tasks.iter().enumerate().filter(|(i, _)| input.present[*i]) {
            let value = input.losses[i];
            if !value.is_finite() {
                return Err(Error::Loss { task: task.clone(), value, step });
            }
            if value < 0.0 && self.method.needs().non_negative_losses {
                let (method, task) = (self.method.name(), task.clone());
                return Err(Error::NegativeLoss { method, task, value, step });
            }
        }
        Ok(())
    }

    /// The Gram matrix, if the method reads it, checked for the present tasks.
    fn check_gram<'a>(&self, input: &StepInput<'a>) -> Result<Option<Gram<'a>>, Error> {
        if !self.method.needs().gram {
            return Ok(None);
        }
        let method = self.method.name();
        let gram = input.gram.ok_or(Error::Missing { method, what: "the Gram matrix" })?;
        check_length("gram matrix's rows", gram.n_tasks(), self.tasks.len())?;
        let present = || (0..self.tasks.len()).filter(|i| input.present[*i]);
        // The diagonal first: a gradient that is not finite spoils its whole row and column, and
        // the message must name the task at fault.
        let pairs = present().map(|i| (i, i));
        for (i, j) in pairs.chain(present().flat_map(|i| present().map(move |j| (i, j)))) {
            let value = gram.get(i, j);
            if !value.is_finite() || (i == j && value < 0.0) {
                let (task, other) = (self.tasks[i].clone(), self.tasks[j].clone());
                return Err(Error::Gradient { task, other, value, step: number(input) });
            }
        }
        Ok(Some(gram))
    }

    /// Lists the active tasks and copies their numbers together.
    fn gather(&mut self, input: &StepInput<'_>, gram: Option<Gram<'_>>) {
        // A squared norm below the normal numbers is zero: its reciprocal would overflow.
        let moves = |i| gram.is_none_or(|g| g.get(i, i) >= f64::MIN_POSITIVE);
        self.active.clear();
        self.active.extend((0..self.tasks.len()).filter(|&i| input.present[i] && moves(i)));
        self.touched.fill(false);
        let n = self.active.len();
        for (k, &i) in self.active.iter().enumerate() {
            self.touched[i] = true;
            self.losses[k] = input.losses[i];
            for (l, &j) in self.active.iter().enumerate() {
                if let Some(gram) = gram {
                    self.gram[k * n + l] = 0.5 * (gram.get(i, j) + gram.get(j, i));
                }
            }
        }
    }

    /// Weights of present tasks that were left out, and the factors on parameters of one loss.
    fn fill_own(&self, input: &StepInput<'_>, out: &mut Weights<'_>) {
        let n_present = input.present.iter().filter(|&&present| present).count();
        for i in 0..self.tasks.len() {
            if input.present[i] && !self.touched[i] {
                out.shared[i] = match self.active.is_empty() {
                    true => self.method.equal_weight(n_present),
                    false => self.method.resting_weight(i, n_present),
                };
            }
            out.own[i] = match self.method.own() {
                _ if !input.present[i] => 0.0,
                OwnWeight::SameAsShared => out.shared[i],
                OwnWeight::InverseLoss => 1.0 / input.losses[i].max(LOSS_FLOOR),
                OwnWeight::One => 1.0,
            };
        }
    }

    fn check_weights(&self, step: u64, out: &Weights<'_>) -> Result<(), Error> {
        match out.shared.iter().position(|w| !w.is_finite()) {
            None => Ok(()),
            Some(i) => Err(Error::Weight {
                method: self.method.name(),
                task: self.tasks[i].clone(),
                value: out.shared[i],
                step,
            }),
        }
    }
}

/// The step's number in messages, from 1 as everybody counts there.
fn number(input: &StepInput<'_>) -> u64 {
    input.step + 1
}

/// A method's view of the step.
fn active<'a>(
    input: &StepInput<'_>,
    tasks: &'a [usize],
    losses: &'a [f64],
    gram: &'a [f64],
) -> Active<'a> {
    Active { step: input.step, epoch: input.epoch, tasks, losses: &losses[..tasks.len()], gram }
}

fn check_length(what: &'static str, found: usize, expected: usize) -> Result<(), Error> {
    if found == expected { Ok(()) } else { Err(Error::Length { what, found, expected }) }
}
