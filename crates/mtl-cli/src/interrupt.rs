//! Ctrl-C and SIGTERM: the first asks, the second ends. Before the first step of a training there is
//! nothing to save, and the first ends too.

use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{fmt, io, process, thread};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// The exit code of a command that was interrupted: 128 and the number of SIGINT, as shells have it.
pub(crate) const INTERRUPTED: u8 = 130;

/// How often it is looked, before the first step, whether to end.
const TICK: Duration = Duration::from_millis(20);

/// A command that stopped because it was asked to, with what it saved.
#[derive(Debug)]
pub(crate) struct Interrupted(pub(crate) String);

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Interrupted {}

/// Whether Ctrl-C was pressed, or the process asked to end, since this was made.
#[derive(Clone, Debug)]
pub(crate) struct Interrupt {
    asked: Arc<AtomicBool>,
    /// Whether whoever trains looks at `asked`.
    trains: Arc<Mutex<bool>>,
}

impl Interrupt {
    /// From now on the first signal is noted, and the next one ends the process at once. Until
    /// [training begins](Self::training_begins) a thread looks for the note, and ends the process with
    /// a line: files are read for minutes by crates that know nothing of signals.
    pub(crate) fn listen() -> io::Result<Self> {
        let interrupt = Self { asked: Arc::default(), trains: Arc::default() };
        for signal in [SIGINT, SIGTERM] {
            // In this order: a signal looks whether there was one before it makes a note.
            let asked = || Arc::clone(&interrupt.asked);
            flag::register_conditional_shutdown(signal, INTERRUPTED.into(), asked())?;
            flag::register(signal, asked())?;
        }
        let watched = interrupt.clone();
        let watch = move || {
            while !watched.is_training_or_ends() {
                thread::sleep(TICK);
            }
        };
        thread::Builder::new().spawn(watch)?;
        Ok(interrupt)
    }

    pub(crate) fn is_asked(&self) -> bool {
        let asked = self.asked.load(Ordering::Relaxed);
        if asked {
            self.is_training_or_ends();
        }
        asked
    }

    /// A step comes: from now on there is something to save, by whoever trains.
    pub(crate) fn training_begins(&self) {
        *self.trains() = true;
    }

    /// Nobody looks any more: the next signal ends the process, as it would without this.
    pub(crate) fn ignore(self) {
        // A run that was resumed at its end had no step.
        self.training_begins();
        self.asked.store(true, Ordering::Relaxed);
    }

    /// Whether training has begun; if it has not and there was a signal, the process ends.
    fn is_training_or_ends(&self) -> bool {
        // It is held while the process ends, so that no training begins beside.
        let trains = self.trains();
        if !*trains && self.asked.load(Ordering::Relaxed) {
            tell!("interrupted before the first step: there is nothing to save");
            process::exit(INTERRUPTED.into());
        }
        *trains
    }

    fn trains(&self) -> MutexGuard<'_, bool> {
        self.trains.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
