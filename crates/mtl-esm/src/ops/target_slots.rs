//! Labels of a row as the losses read them: slots of the batch instead of column names.

use std::collections::BTreeMap;

use mtl_nn::{Scalar, ValueSlot};

use crate::target::{any_of, product};
use crate::{Error, Result, Target};

/// A [`Target`] whose columns are slots of the batch, with the slot of the row's weight.
#[derive(Clone, Debug)]
pub struct TargetSlots {
    factors: Vec<Vec<ValueSlot>>,
    weight: Option<ValueSlot>,
    all: Vec<ValueSlot>,
}

impl TargetSlots {
    /// The slots of `target`'s labels among `labels`, each one value a row.
    ///
    /// # Errors
    /// [`Error::Missing`], naming the label; `needed_by` says who needs it.
    pub fn new(
        target: &Target,
        labels: &BTreeMap<String, ValueSlot>,
        weight: Option<ValueSlot>,
        needed_by: &str,
    ) -> Result<Self> {
        let slot = |label: &String| {
            labels.get(label).copied().ok_or_else(|| Error::Missing {
                what: "label",
                name: label.clone(),
                needed_by: needed_by.to_owned(),
                known: labels.keys().cloned().collect(),
            })
        };
        let any = |names: &Vec<String>| names.iter().map(slot).collect::<Result<Vec<_>>>();
        let factors = target.factors().iter().map(any).collect::<Result<Vec<_>>>()?;
        let all = factors.iter().flatten().copied().chain(weight).collect();
        Ok(Self { factors, weight, all })
    }

    /// A target of one label.
    pub fn label(label: ValueSlot, weight: Option<ValueSlot>) -> Self {
        let all = std::iter::once(label).chain(weight).collect();
        Self { factors: vec![vec![label]], weight, all }
    }

    /// A target that is 1 in every row.
    pub fn always(weight: Option<ValueSlot>) -> Self {
        Self { factors: Vec::new(), weight, all: weight.into_iter().collect() }
    }

    /// Every slot it reads.
    pub fn slots(&self) -> &[ValueSlot] {
        &self.all
    }

    /// (target, weight) of a row: the weight is 0 where the target is missing.
    #[inline]
    pub(crate) fn read<S: Scalar>(&self, value: impl Fn(ValueSlot) -> S) -> (S, S) {
        let any = |slots: &Vec<ValueSlot>| any_of(slots.iter().map(|&slot| value(slot).f64()));
        let target = product(self.factors.iter().map(any));
        if target.is_nan() {
            return (S::zero(), S::zero());
        }
        (S::of(target), self.weight.map_or(S::one(), &value))
    }
}

/// The labels of a conditional probability: of the event, and of the one it follows from.
#[derive(Clone, Debug)]
pub struct SpaceSlots {
    event: TargetSlots,
    given: TargetSlots,
    all: Vec<ValueSlot>,
}

impl SpaceSlots {
    /// Both targets; the row's weight is that of `given`.
    pub fn new(event: TargetSlots, given: TargetSlots) -> Self {
        let all = event.slots().iter().chain(given.slots()).copied().collect();
        Self { event, given, all }
    }

    /// Every slot it reads.
    pub fn slots(&self) -> &[ValueSlot] {
        &self.all
    }

    /// (y, o, w) of a row: the event's target, whether `given` happened, the weight. A row with
    /// w = 0 counts for nothing: `given` is missing, or it happened and the event is missing.
    #[inline]
    pub(crate) fn read<S: Scalar>(&self, value: impl Fn(ValueSlot) -> S) -> (S, S, S) {
        let (o, weight) = self.given.read(&value);
        if o == S::zero() {
            return (S::zero(), o, weight); // the event's label is not looked at
        }
        let (y, carried) = self.event.read(&value);
        (y, o, if carried == S::zero() { S::zero() } else { weight })
    }
}
