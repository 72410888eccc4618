//! Shared-Bottom (Caruana, 1997).

use mtl_nn::layers::{Stack, build_stacks};
use mtl_nn::{GraphBuilder, Scalar};

use crate::towers::towers;
use crate::{Architecture, Built, Inputs, Result, Settings};

/// h = MLP_bottom(x); z_t = MLP_t(h).
///
/// Parameters `bottom.<layer>`, `task.<t>.tower.<layer>`.
#[derive(Clone, Debug)]
pub struct SharedBottom {
    settings: Settings,
}

impl SharedBottom {
    /// With these settings.
    pub const fn new(settings: Settings) -> Self {
        Self { settings }
    }
}

impl<S: Scalar> Architecture<S> for SharedBottom {
    fn build(&self, b: &mut GraphBuilder<S>, inputs: &Inputs) -> Result<Built> {
        let layers = self.settings.bottom();
        let bottom = Stack { path: "bottom".to_owned(), input: inputs.of(0), layers };
        let h = build_stacks(b, "bottom", vec![bottom])?[0];
        let logits = towers(b, &self.settings, &vec![h; self.settings.tasks.len()])?;
        Ok(Built { logits, representations: vec![h], ..Built::default() })
    }
}
