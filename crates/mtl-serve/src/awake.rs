//! The sockets' thread stays awake for a time after each request.
//!
//! It asks the system for news again and again in place of sleeping until there are some: the next
//! request need not wake it, and its processor does not fall asleep either.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::http::App;

/// When the last request was answered.
#[derive(Debug)]
pub(crate) struct Awake {
    last: Mutex<Instant>,
    answered: Notify,
}

impl Awake {
    pub(crate) fn new() -> Self {
        Self { last: Mutex::new(Instant::now()), answered: Notify::new() }
    }

    /// A request was answered.
    pub(crate) fn answered(&self) {
        *self.last() = Instant::now();
        self.answered.notify_one();
    }

    fn since(&self) -> Duration {
        self.last().elapsed()
    }

    fn last(&self) -> MutexGuard<'_, Instant> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Stays awake for `spin` after each answer, or until there is another request.
pub(crate) async fn stay_awake(app: &App, spin: Duration) {
    loop {
        app.awake.answered.notified().await;
        // While others score, they need the processors.
        while app.alone.under_way() == 0 && app.awake.since() < spin {
            // The runtime looks at its sockets, without waiting for them, before it comes back here.
            tokio::task::yield_now().await;
            // Whoever else wants this processor has work for it.
            std::thread::yield_now();
        }
    }
}
