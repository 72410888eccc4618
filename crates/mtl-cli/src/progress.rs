//! Progress bars on a terminal; nothing when piped.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use mtl_train::{EpochRecord, Observer};

use crate::interrupt::Interrupt;

/// A bar over the steps of all epochs of one run, which ends when that is asked for.
#[derive(Debug)]
pub(crate) struct Bar {
    bar: ProgressBar,
    title: String,
    best: Option<f64>,
    steps: u64,
    loss: f64,
    said: Notes,
    interrupt: Interrupt,
}

/// What has been said already: runs over the same rows have the same to say about them.
pub(crate) type Notes = Rc<RefCell<BTreeSet<String>>>;

/// Steps between redraws of the loss.
const EVERY: u64 = 20;

impl Bar {
    /// A bar with a title; hidden where standard error is no terminal.
    pub(crate) fn new(title: impl Into<String>, interrupt: Interrupt) -> Self {
        Self::among(title, Notes::default(), interrupt)
    }

    /// The bar of one of several runs, each of which notes only what no other has.
    pub(crate) fn among(title: impl Into<String>, said: Notes, interrupt: Interrupt) -> Self {
        let template = "{prefix:24} {bar:24} {pos:>6}/{len} {elapsed:>4} {msg}";
        let style = ProgressStyle::with_template(template);
        let bar = ProgressBar::no_length();
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self { bar, title: title.into(), best: None, steps: 0, loss: 0.0, said, interrupt }
    }
}

impl Observer for Bar {
    fn epoch_started(&mut self, epoch: usize, epochs: usize, steps: usize) {
        self.interrupt.training_begins();
        self.bar.set_length((steps * epochs) as u64);
        self.bar.set_position((steps * (epoch - 1)) as u64);
        self.bar.set_prefix(format!("{} {epoch}/{epochs}", self.title));
        self.bar.enable_steady_tick(Duration::from_millis(200));
    }

    fn note(&mut self, text: &str) {
        if self.said.borrow_mut().insert(text.to_owned()) {
            self.bar.suspend(|| tell!("note: {text}"));
        }
    }

    fn step_done(&mut self, loss: f64) {
        self.steps += 1;
        self.loss += (loss - self.loss) / self.steps.min(100) as f64;
        self.bar.inc(1);
        if self.steps.is_multiple_of(EVERY) {
            let best = self.best.map_or(String::new(), |best| format!("  best {best:.4}"));
            self.bar.set_message(format!("loss {:.4}{best}", self.loss));
        }
    }

    fn epoch_done(&mut self, record: &EpochRecord, is_best: bool) {
        if is_best {
            self.best = record.monitored;
        }
    }

    fn interrupts(&self) -> bool {
        self.interrupt.is_asked()
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
