//! One method a module. Each starts with its formula, source, cost, defaults and when to choose it.

pub mod aligned_mtl;
pub mod cagrad;
pub mod db_mtl;
pub mod dwa;
pub mod equal;
pub mod fairgrad;
pub mod famo;
pub mod fixed;
pub mod gls;
pub mod gradnorm;
pub mod gradvac;
pub mod imtl_g;
pub mod imtl_l;
pub mod mgda;
pub mod nash_mtl;
pub mod pareto;
pub mod pcgrad;
pub mod rlw;
pub mod stch;
pub mod uncertainty;
pub mod upgrad;

#[cfg(test)]
mod golden;

pub use aligned_mtl::{AlignedMtlConfig, AlignedScale};
pub use cagrad::{CaGradConfig, Rescale};
pub use db_mtl::DbMtlConfig;
pub use dwa::DwaConfig;
pub use equal::EqualConfig;
pub use fairgrad::FairGradConfig;
pub use famo::FamoConfig;
pub use fixed::FixedConfig;
pub use gls::GlsConfig;
pub use gradnorm::{GradNormConfig, InitialLoss, base_rate_entropy};
pub use gradvac::GradVacConfig;
pub use imtl_g::ImtlGConfig;
pub use imtl_l::ImtlLConfig;
pub use mgda::{MgdaConfig, Normalise};
pub use nash_mtl::NashMtlConfig;
pub use pareto::{ParetoConfig, ParetoForm};
pub use pcgrad::PcGradConfig;
pub use rlw::RlwConfig;
pub use stch::StchConfig;
pub use uncertainty::{UncertaintyConfig, UncertaintyForm};
pub use upgrad::UpGradConfig;

pub use crate::setting::Start;

/// softmax of `values`, in place.
fn softmax(values: &mut [f64]) {
    let largest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    values.iter_mut().for_each(|v| *v = (*v - largest).exp());
    let total: f64 = values.iter().sum();
    values.iter_mut().for_each(|v| *v /= total);
}
