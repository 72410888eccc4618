//! The ops of this crate, one a file: formula, forward, backward, and a finite-difference test.

mod add_sum;
mod bpr;
mod concat;
mod dense;
mod domain;
mod domain_dense;
mod domain_normalise;
mod embed;
mod losses;
mod normalise;
mod read;
mod row_loss;
mod sigmoid;
mod softmax;
mod softmax_loss;

pub use add_sum::AddSum;
pub use bpr::Bpr;
pub use concat::Concat;
pub use dense::{Dense, Unit};
pub(crate) use dense::{Keep, Mask};
pub use domain::Domains;
pub use domain_dense::{DomainDense, DomainDenseParams};
pub use domain_normalise::{DomainNormalise, DomainNormaliseParams};
pub use embed::{Embed, Part};
pub use losses::{Bce, Focal, Huber, LogCosh, PointLoss, SquaredError, WeightedBce};
pub use normalise::{Normalise, NormaliseParams};
pub use read::Read;
pub use row_loss::RowLoss;
pub use sigmoid::{Sigmoid, sigmoid};
pub use softmax::Softmax;
pub use softmax_loss::SoftmaxLoss;
