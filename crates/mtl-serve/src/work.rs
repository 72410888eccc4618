//! The threads that score: what sockets share with them, and what each does until the end.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use rayon::Yield;

use crate::loaded::Loaded;
use crate::metrics::Metrics;
use crate::pace::Pace;
use crate::queue::{Next, Queue, Take};
use crate::score::{Job, Thread};

/// What sockets and scoring threads share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) loaded: RwLock<Arc<Loaded>>,
    pub(crate) queue: Queue<Job>,
    pub(crate) metrics: Metrics,
    pub(crate) pace: Pace,
    /// Threads that score at this moment.
    pub(crate) scoring: AtomicUsize,
}

impl Shared {
    /// The model of this moment; a request keeps the one that it began with.
    pub(crate) fn loaded(&self) -> Arc<Loaded> {
        let loaded = self.loaded.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&loaded)
    }

    /// Puts another model in the place of the present one, which ends with the requests that have it:
    /// a thread that sleeps would keep it for as long.
    pub(crate) fn swap(&self, new: Loaded) {
        let mut loaded = self.loaded.write().unwrap_or_else(PoisonError::into_inner);
        *loaded = Arc::new(new);
        drop(loaded);
        self.queue.renew();
    }
}

/// Scores, and helps to, until the queue is closed and empty. It is to be called on a thread of the
/// pool of which predictions are pieces.
pub(crate) fn work(shared: &Shared, number: usize, take: Take) {
    let mut thread = Thread::new(shared.loaded());
    loop {
        match shared.queue.next(number, take) {
            Next::Score(mut jobs) => {
                // Nobody waits for an answer after its time.
                jobs.retain(|job| !job.reply.is_closed());
                if !jobs.is_empty() {
                    thread.answer(shared, jobs);
                }
            }
            Next::Help => help(shared),
            Next::Renew => thread.renew(shared),
            Next::End => break,
        }
    }
}

/// How long a thread that was called waits for its first piece: it was called when the request was
/// still to be read.
const FIRST: Duration = Duration::from_millis(1);

/// How long it waits for another: those of one prediction come together.
const ANOTHER: Duration = Duration::from_micros(50);

/// Takes pieces of what other threads score until there are no more, none scores, or a request waits.
///
/// Only this looks at the pool's work. A thread that waits for requests would else be counted upon
/// while it is busy with a piece, and a pool that wakes its threads itself wakes them late: when the
/// piece is there, not when the request is.
fn help(shared: &Shared) {
    let mut end = Instant::now() + FIRST;
    while shared.scoring.load(Ordering::Relaxed) > 0 && !shared.queue.is_pending() {
        match rayon::yield_now() {
            Some(Yield::Executed) => end = Instant::now() + ANOTHER,
            _ if Instant::now() >= end => break,
            _ => std::thread::yield_now(),
        }
    }
}
