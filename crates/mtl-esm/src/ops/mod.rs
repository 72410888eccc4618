//! The ops of this crate, one a file, on the same terms as those of `mtl-nn`.

mod counterfactual;
mod event;
mod event_loss;
mod probability;
mod target_slots;

pub use counterfactual::{DoublyRobust, InversePropensity};
pub use event::EventLogProbability;
pub use event_loss::EventLoss;
pub use probability::Probability;
pub use target_slots::{SpaceSlots, TargetSlots};
