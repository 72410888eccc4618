//! A request that comes alone is scored by the thread that read it.
//!
//! To hand it over, two threads must wake one after the other: the one that scores, and the sockets'
//! own for the answer. Between requests all of them sleep, and on a virtual machine each of the two
//! costs 0.2 ms. What this thread scores, no other request may wait for: so it is done where requests
//! are rare, and those that come together go to the threads that score.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use tokio::sync::oneshot;

use crate::http::App;
use crate::problem::Problem;
use crate::score::{Job, Reply, Thread};
use crate::work::Shared;

/// The longest body of a request that is scored here: some hundred candidates.
const BYTES: usize = 64 << 10;

/// Requests are rare if the last one came before so many times what one takes. The sockets are then
/// without their thread for less than a fifth of the time.
const PAUSE: u32 = 4;

/// What takes longer on average is never scored here; the thread is the sockets' after all.
const LONGEST: Duration = Duration::from_millis(5);

/// What the sockets' thread needs to score by itself.
pub(crate) struct Alone {
    /// Nobody else takes it but for a model that comes.
    thread: Mutex<Thread>,
    under_way: AtomicUsize,
    last: Mutex<Option<Instant>>,
}

impl Alone {
    pub(crate) fn new(shared: &Shared) -> Self {
        let thread = Mutex::new(Thread::new(shared.loaded()));
        Self { thread, under_way: AtomicUsize::new(0), last: Mutex::new(None) }
    }

    /// Takes up the present model, so that the one before can end.
    pub(crate) fn renew(&self, shared: &Shared) {
        let new = Thread::new(shared.loaded());
        // Not under the lock: the end of a large model takes its time.
        let old = std::mem::replace(&mut *lock(&self.thread), new);
        drop(old);
    }

    /// How many requests are being answered.
    pub(crate) fn under_way(&self) -> usize {
        self.under_way.load(Ordering::Relaxed)
    }

    /// Whether the last request came long ago; this one is the last now.
    fn is_rare(&self, pace: Duration) -> bool {
        let now = Instant::now();
        let last = lock(&self.last).replace(now);
        pace <= LONGEST && last.is_none_or(|last| now - last >= PAUSE * pace)
    }
}

/// The answer to a request with that body, scored here or by another thread.
pub(crate) async fn scored(app: &App, body: Bytes) -> Reply {
    let (shared, alone) = (&app.shared, &app.alone);
    let _one = UnderWay::new(&alone.under_way);
    let is_rare = alone.is_rare(shared.pace.time());
    let (reply, answer) = oneshot::channel();
    let job = Job { body, reply };
    if is_rare && job.body.len() <= BYTES && app.config.window.is_zero() {
        // Whoever came at the same time is read first, so that all go to the others.
        tokio::task::yield_now().await;
        if alone.under_way() == 1 {
            lock(&alone.thread).answer(shared, vec![job]);
            return received(answer.await);
        }
    }
    shared.queue.push(job).map_err(|_| Problem::overloaded())?;
    received(answer.await)
}

fn received(answer: Result<Reply, oneshot::error::RecvError>) -> Reply {
    answer.unwrap_or_else(|_| Err(Problem::failed("scoring failed")))
}

/// Counts a request for as long as it is answered or given up.
struct UnderWay<'a>(&'a AtomicUsize);

impl<'a> UnderWay<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A panic leaves a thread with new buffers, and an instant is whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
