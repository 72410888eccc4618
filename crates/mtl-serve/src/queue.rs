//! Requests that wait for a thread: bounded, taken some at a time.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A bounded queue between the sockets and the threads that score.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
    filled: Condvar,
    limit: usize,
}

#[derive(Debug)]
struct State<T> {
    jobs: VecDeque<T>,
    closed: bool,
}

/// How much a thread takes at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Take {
    /// Jobs at most.
    pub(crate) batch: usize,
    /// How long to wait for more than there are.
    pub(crate) window: Duration,
    /// Threads that take.
    pub(crate) threads: usize,
}

impl<T> Queue<T> {
    pub(crate) const fn new(limit: usize) -> Self {
        let state = State { jobs: VecDeque::new(), closed: false };
        Self { state: Mutex::new(state), filled: Condvar::new(), limit }
    }

    /// Adds a job, or gives it back if too many wait or the queue is closed.
    pub(crate) fn push(&self, job: T) -> Result<(), T> {
        let mut state = self.lock();
        if state.closed || state.jobs.len() >= self.limit {
            return Err(job);
        }
        state.jobs.push_back(job);
        drop(state);
        self.filled.notify_one();
        Ok(())
    }

    /// Waits for jobs and takes this thread's share of them; empty once the queue is closed and done.
    pub(crate) fn take(&self, take: Take) -> Vec<T> {
        let mut state = self.lock();
        while state.jobs.is_empty() && !state.closed {
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let end = Instant::now() + take.window;
        while state.jobs.len() < take.batch && !state.closed && !state.jobs.is_empty() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let waited = self.filled.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        // A share, so that a thread that is idle gets the next request at once.
        let share = state.jobs.len().div_ceil(take.threads).min(take.batch);
        state.jobs.drain(..share).collect()
    }

    /// Whether there is nothing left to take, now and later.
    pub(crate) fn is_done(&self) -> bool {
        let state = self.lock();
        state.closed && state.jobs.is_empty()
    }

    /// No job is added any more; those that wait are still taken.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_all();
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().jobs.len()
    }

    /// A thread that panicked did so outside of the lock: what it holds is whole.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn take(batch: usize, window: Duration) -> Take {
        Take { batch, window, threads: 1 }
    }

    #[test]
    fn jobs_are_bounded_and_taken_in_order() {
        let queue = Queue::new(3);
        assert_eq!([1, 2, 3, 4].map(|job| queue.push(job)), [Ok(()), Ok(()), Ok(()), Err(4)]);
        assert_eq!(queue.take(take(2, Duration::ZERO)), [1, 2]);
        assert_eq!(queue.take(Take { threads: 2, ..take(2, Duration::ZERO) }), [3]);
    }

    #[test]
    fn a_closed_queue_is_emptied_and_takes_nothing_more() {
        let queue = Queue::new(3);
        queue.push(1).unwrap();
        queue.close();
        assert_eq!(queue.push(2), Err(2));
        assert!(!queue.is_done());
        assert_eq!(queue.take(take(9, Duration::from_secs(60))), [1]);
        assert!(queue.take(take(9, Duration::ZERO)).is_empty() && queue.is_done());
    }

    #[test]
    fn a_window_waits_for_company() {
        let queue = Queue::new(3);
        queue.push(1).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(20));
                queue.push(2).unwrap();
            });
            // It ends with the second job, long before the window does.
            assert_eq!(queue.take(take(2, Duration::from_secs(60))), [1, 2]);
        });
    }
}
