//! Losses of one value against one target: what [`RowLoss`](super::RowLoss) sums over rows.

mod binary;
mod regression;

use std::fmt::Debug;

use crate::Scalar;

pub(in crate::ops) use binary::softplus;
pub use binary::{Bce, Focal, WeightedBce};
pub use regression::{Huber, LogCosh, SquaredError};

/// ℓ(z, y) of one row and its slope ∂ℓ/∂z.
///
/// A new task loss is one implementation of this trait.
pub trait PointLoss: Debug + Send + Sync + 'static {
    /// The op's kind, such as `bce`.
    fn kind(&self) -> &'static str;

    /// ℓ(z, y) for one row.
    fn loss<S: Scalar>(&self, z: S, y: S) -> S;

    /// ∂ℓ/∂z for one row.
    fn slope<S: Scalar>(&self, z: S, y: S) -> S;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::RowLoss;
    use crate::{GraphBuilder, Result, check};

    fn check_loss(loss: impl PointLoss + 'static) -> Result<()> {
        let mut b = GraphBuilder::new();
        let (z, label, weight) = (b.values("z", 1)?, b.values("label", 1)?, b.values("weight", 1)?);
        let z = b.read(z)?;
        let y = b.push("loss", RowLoss::new(loss, z, label, Some(weight)))?;
        check::gradients(b, &[y])
    }

    #[test]
    fn finite_differences() -> Result<()> {
        check_loss(Bce)?;
        check_loss(WeightedBce::new(3.5)?)?;
        check_loss(Focal::new(2.0, 0.25)?)?;
        check_loss(Focal::new(0.7, 0.9)?)?;
        check_loss(SquaredError)?;
        check_loss(Huber::new(0.3)?)?;
        check_loss(LogCosh)
    }

    #[test]
    fn settings_out_of_range_are_named() {
        let message = |e: Option<crate::Error>| e.map(|e| e.to_string()).unwrap_or_default();
        assert_eq!(message(Huber::new(0.0).err()), "`delta` is 0, expected a number > 0");
        assert_eq!(message(Focal::new(-1.0, 0.5).err()), "`gamma` is -1, expected a number ≥ 0");
        assert_eq!(message(Focal::new(2.0, 1.5).err()), "`alpha` is 1.5, expected 0 ≤ alpha ≤ 1");
        assert_eq!(
            message(WeightedBce::new(f64::NAN).err()),
            "`positive_weight` is NaN, expected a number > 0"
        );
    }
}
