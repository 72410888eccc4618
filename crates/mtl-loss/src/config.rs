//! Methods by name, with their settings.

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::methods::*;
use crate::weigher::Weigher;
use crate::weighting::Weighting;

/// What a method is built from, beyond its settings.
#[derive(Debug, Clone, Copy)]
pub struct Setup<'a> {
    /// The tasks' names, in the order of all slices.
    pub tasks: &'a [String],
    /// GradNorm's L(0), one number above 0 a task: the entropy of its label's base rate
    /// ([`base_rate_entropy`]) times the user's weight of the task.
    pub initial_losses: Option<&'a [f64]>,
}

impl<'a> Setup<'a> {
    /// Tasks alone, enough for every method but GradNorm at its default.
    pub fn new(tasks: &'a [String]) -> Self {
        Self { tasks, initial_losses: None }
    }

    /// Adds GradNorm's L(0).
    #[must_use]
    pub fn initial_losses(self, losses: &'a [f64]) -> Self {
        Self { initial_losses: Some(losses), ..self }
    }
}

/// Declares the configuration enum, the table of names and the builder: a new method is one line.
macro_rules! methods {
    ($($(#[$doc:meta])* $name:literal $variant:ident($config:ty) => $build:expr;)*) => {
        /// A weighting method with its settings, as it stands in a configuration:
        /// `{ method = "gradnorm", alpha = 1.5 }`. Unknown keys are errors.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "method")]
        #[non_exhaustive]
        pub enum WeightingConfig {
            $($(#[$doc])* #[serde(rename = $name)] $variant($config),)*
        }

        impl WeightingConfig {
            /// Every method's name, in the order of the documentation.
            pub const NAMES: &'static [&'static str] = &[$($name),*];

            /// The method of this name with its default settings.
            ///
            /// # Errors
            /// When there is no such method; the message lists all.
            pub fn from_name(name: &str) -> Result<Self, Error> {
                match name {
                    $($name => Ok(Self::$variant(<$config>::default())),)*
                    _ => Err(Error::UnknownMethod {
                        name: name.to_owned(),
                        known: Self::NAMES.join(", "),
                    }),
                }
            }

            /// The method's name.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => $name,)*
                }
            }

            /// Checks the settings and builds the weighting.
            ///
            /// # Errors
            /// When a setting is out of its range, names an unknown task, or something that the
            /// method needs is missing from `setup`.
            pub fn build(&self, setup: &Setup<'_>) -> Result<Weigher, Error> {
                let method: Box<dyn Weighting> = match self {
                    $(Self::$variant(config) => {
                        let build: fn(&$config, &Setup<'_>) -> Result<Box<dyn Weighting>, Error> =
                            $build;
                        build(config, setup)?
                    })*
                };
                Weigher::new(setup.tasks, method)
            }
        }
    };
}

methods! {
    /// Weights as given.
    "fixed" Fixed(FixedConfig) => |c, s| Ok(Box::new(c.build(s)?));
    /// The plain sum.
    "equal" Equal(EqualConfig) => |c, _| Ok(Box::new(c.build()));
    /// Learned variances.
    "uncertainty" Uncertainty(UncertaintyConfig) => |c, s| Ok(Box::new(c.build(s)?));
    /// Equal pace of training.
    "gradnorm" GradNorm(GradNormConfig) => |c, s| Ok(Box::new(c.build(s)?));
    /// The shortest combination with minimum weights (PE-LTR).
    "pareto" Pareto(ParetoConfig) => |c, s| Ok(Box::new(c.build(s)?));
    /// The shortest convex combination.
    "mgda" Mgda(MgdaConfig) => |c, s| Ok(Box::new(c.build(s)));
    /// More weight to losses that fall slowly.
    "dwa" Dwa(DwaConfig) => |c, s| Ok(Box::new(c.build(s)?));
    /// Random weights.
    "rlw" Rlw(RlwConfig) => |c, _| Ok(Box::new(c.build()));
    /// The geometric mean of the losses.
    "gls" Gls(GlsConfig) => |c, _| Ok(Box::new(c.build()));
    /// Learned scales.
    "imtl_l" ImtlL(ImtlLConfig) => |c, s| Ok(Box::new(c.build(s)?));
    /// Equal projections onto all gradients.
    "imtl_g" ImtlG(ImtlGConfig) => |c, s| Ok(Box::new(c.build(s)));
    /// Gradient surgery.
    "pcgrad" PcGrad(PcGradConfig) => |c, s| Ok(Box::new(c.build(s)));
    /// Gradient vaccine.
    "gradvac" GradVac(GradVacConfig) => |c, s| Ok(Box::new(c.build(s)?));
    /// Best for the task worst off, near the mean.
    "cagrad" CaGrad(CaGradConfig) => |c, s| Ok(Box::new(c.build(s)?));
    /// Nash's bargaining solution.
    "nash_mtl" NashMtl(NashMtlConfig) => |c, s| Ok(Box::new(c.build(s)?));
    /// Orthogonal gradients of one length.
    "aligned_mtl" AlignedMtl(AlignedMtlConfig) => |c, s| Ok(Box::new(c.build(s)));
    /// Equal relative progress.
    "famo" Famo(FamoConfig) => |c, s| Ok(Box::new(c.build(s)?));
    /// Logarithms of losses, gradients of one length.
    "db_mtl" DbMtl(DbMtlConfig) => |c, _| Ok(Box::new(c.build()?));
    /// α-fair allocation.
    "fairgrad" FairGrad(FairGradConfig) => |c, s| Ok(Box::new(c.build(s)?));
    /// The smoothed maximum.
    "stch" Stch(StchConfig) => |c, s| Ok(Box::new(c.build(s)?));
    /// The mean of conflict-free projections.
    "upgrad" UpGrad(UpGradConfig) => |c, s| Ok(Box::new(c.build(s)));
}
