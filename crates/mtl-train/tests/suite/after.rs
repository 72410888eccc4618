//! An observer that stops a run.

use mtl_train::Observer;

/// Interrupts after so many steps.
pub(crate) struct After(pub(crate) usize);

impl Observer for After {
    fn step_done(&mut self, _loss: f64) {
        self.0 = self.0.saturating_sub(1);
    }

    fn interrupts(&self) -> bool {
        self.0 == 0
    }
}
