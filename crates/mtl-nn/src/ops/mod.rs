//! The ops of this crate, one a file: formula, forward, backward, and a finite-difference test.

mod add_sum;
mod bpr;
mod concat;
mod dense;
mod embed;
mod embed_list;
mod losses;
mod max_pool;
mod normalise;
mod read;
mod row_loss;
mod sigmoid;
mod softmax;
mod softmax_loss;
mod target_attention;

pub use add_sum::AddSum;
pub use bpr::Bpr;
pub use concat::Concat;
pub use dense::{Dense, Unit};
pub(crate) use dense::{Keep, Mask};
pub use embed::{Embed, Part};
pub use embed_list::EmbedList;
pub use losses::{Bce, Focal, Huber, LogCosh, PointLoss, SquaredError, WeightedBce};
pub use max_pool::MaxPool;
pub use normalise::{Normalise, NormaliseParams};
pub use read::Read;
pub use row_loss::RowLoss;
pub use sigmoid::{Sigmoid, sigmoid};
pub use softmax::Softmax;
pub use softmax_loss::SoftmaxLoss;
pub use target_attention::{TargetAttention, TargetAttentionParams};
