//! Requests that wait for a thread: bounded, taken some at a time, by the thread that slept least.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A bounded queue between the sockets and the threads that score.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
    /// One a thread. Whoever fell asleep last is woken first: what it works with is in a cache still.
    /// Threads that wait for one bell are woken in turn, each with the coldest cache of all.
    bells: Vec<Condvar>,
    /// Rung for a thread that waits for more requests than it has.
    company: Condvar,
    /// Requests and calls that wait, for a thread that looks without the lock; [`CLOSED`] at the end.
    pending: AtomicUsize,
    limit: usize,
}

#[derive(Debug)]
struct State<T> {
    jobs: VecDeque<T>,
    closed: bool,
    /// Threads wanted for pieces of what another scores.
    calls: usize,
    /// Threads asleep, the last to fall asleep at the end.
    asleep: Vec<usize>,
    /// Threads awake without work, those that a bell was rung for among them.
    looking: usize,
    /// A thread waits for company: what there is, is for it.
    gathering: bool,
    /// Which threads are still to be told that the model is another one.
    renewed: Vec<bool>,
}

/// How much a thread takes at once, and how long it waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Take {
    /// Jobs at most.
    pub(crate) batch: usize,
    /// How long to wait for more than there are.
    pub(crate) window: Duration,
    /// How long to look for work before falling asleep.
    pub(crate) spin: Duration,
}

/// What a thread does next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next<T> {
    /// It scores its share of what waits: one job or more.
    Score(Vec<T>),
    /// It takes pieces of what another thread scores.
    Help,
    /// It takes up another model.
    Renew,
    /// It ends: the queue is closed, and nothing waits.
    End,
}

/// What is pending once nothing more will be.
const CLOSED: usize = usize::MAX;

impl<T> Queue<T> {
    /// A queue of so many jobs at most for so many threads, which are numbered from 0.
    pub(crate) fn new(limit: usize, threads: usize) -> Self {
        let state = State {
            jobs: VecDeque::new(),
            closed: false,
            calls: 0,
            asleep: Vec::with_capacity(threads),
            looking: 0,
            gathering: false,
            renewed: vec![false; threads],
        };
        Self {
            state: Mutex::new(state),
            bells: (0..threads).map(|_| Condvar::new()).collect(),
            company: Condvar::new(),
            pending: AtomicUsize::new(0),
            limit,
        }
    }

    /// Adds a job, or gives it back if too many wait or the queue is closed.
    pub(crate) fn push(&self, job: T) -> Result<(), T> {
        let mut state = self.lock();
        if state.closed || state.jobs.len() >= self.limit {
            return Err(job);
        }
        state.jobs.push_back(job);
        self.ring(&mut state);
        if state.gathering {
            self.company.notify_one();
        }
        Ok(())
    }

    /// Wants up to `n` threads that have no work to help another one. Nobody is called from work.
    pub(crate) fn call(&self, n: usize) {
        if n == 0 {
            return;
        }
        let mut state = self.lock();
        let spoken_for = state.jobs.len() + state.calls;
        let free = (state.looking + state.asleep.len()).saturating_sub(spoken_for);
        state.calls += n.min(free);
        self.ring(&mut state);
    }

    /// Tells every thread, once it has no work, that the model is another one.
    pub(crate) fn renew(&self) {
        let mut state = self.lock();
        state.renewed.fill(true);
        self.wake_all(&mut state);
    }

    /// Waits for something to do.
    pub(crate) fn next(&self, thread: usize, take: Take) -> Next<T> {
        let mut state = self.lock();
        loop {
            if std::mem::take(&mut state.renewed[thread]) {
                return Next::Renew;
            }
            if !state.jobs.is_empty() && !state.gathering {
                return Next::Score(self.share(state, take));
            }
            if state.closed {
                return Next::End;
            }
            if state.calls > 0 {
                state.calls -= 1;
                self.ring(&mut state);
                return Next::Help;
            }
            state = self.idle(state, thread, take.spin);
        }
    }

    /// No job is added any more; those that wait are still taken.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        self.pending.store(CLOSED, Ordering::Relaxed);
        self.wake_all(&mut state);
        self.company.notify_all();
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().jobs.len()
    }

    /// Whether something waits for a thread, as seen without the lock: a moment ago.
    pub(crate) fn is_pending(&self) -> bool {
        self.pending.load(Ordering::Relaxed) > 0
    }

    /// This thread's share, so that one that is idle gets the next job at once.
    fn share<'q>(&'q self, mut state: MutexGuard<'q, State<T>>, take: Take) -> Vec<T> {
        let end = Instant::now() + take.window;
        while state.jobs.len() < take.batch && !state.closed {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state.gathering = true;
            let waited = self.company.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.gathering = false;
        let share = state.jobs.len().div_ceil(self.bells.len()).min(take.batch);
        let jobs = state.jobs.drain(..share).collect();
        self.ring(&mut state);
        jobs
    }

    /// Looks for work, then sleeps until it is woken for some.
    fn idle<'q>(
        &'q self,
        mut state: MutexGuard<'q, State<T>>,
        thread: usize,
        spin: Duration,
    ) -> MutexGuard<'q, State<T>> {
        // One that looks is enough to take the next job, or half of it, at once; more would keep
        // processors from others.
        if !spin.is_zero() && state.looking == 0 {
            state.looking += 1;
            drop(state);
            let end = Instant::now() + spin;
            while !self.is_pending() && Instant::now() < end {
                // Whoever else wants this processor has work for it.
                std::thread::yield_now();
            }
            state = self.lock();
            state.looking -= 1;
            if state.is_wanted(thread) {
                return state;
            }
        }
        state.asleep.push(thread);
        while state.asleep.contains(&thread) {
            state = self.bells[thread].wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.looking -= 1;
        state
    }

    /// Wakes as many threads as there is work for, beyond those that are awake without any.
    fn ring(&self, state: &mut State<T>) {
        let jobs = if state.gathering { 0 } else { state.jobs.len() };
        while jobs + state.calls > state.looking {
            let Some(thread) = state.asleep.pop() else { break };
            state.looking += 1;
            self.bells[thread].notify_one();
        }
        if !state.closed {
            self.pending.store(jobs + state.calls, Ordering::Relaxed);
        }
    }

    fn wake_all(&self, state: &mut State<T>) {
        while let Some(thread) = state.asleep.pop() {
            state.looking += 1;
            self.bells[thread].notify_one();
        }
    }

    /// A thread that panicked did so outside of the lock: what it holds is whole.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> State<T> {
    fn is_wanted(&self, thread: usize) -> bool {
        let has_jobs = !self.jobs.is_empty() && !self.gathering;
        has_jobs || self.calls > 0 || self.closed || self.renewed[thread]
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    const fn take(batch: usize, window: Duration) -> Take {
        Take { batch, window, spin: Duration::ZERO }
    }

    #[test]
    fn jobs_are_bounded_and_taken_in_order() {
        let queue = Queue::new(3, 1);
        assert_eq!([1, 2, 3, 4].map(|job| queue.push(job)), [Ok(()), Ok(()), Ok(()), Err(4)]);
        assert_eq!(queue.next(0, take(2, Duration::ZERO)), Next::Score(vec![1, 2]));
        assert_eq!(queue.next(0, take(2, Duration::ZERO)), Next::Score(vec![3]));
    }

    #[test]
    fn a_thread_takes_its_share() {
        let queue = Queue::new(3, 2);
        assert_eq!([1, 2, 3].map(|job| queue.push(job)), [Ok(()); 3]);
        assert_eq!(queue.next(0, take(9, Duration::ZERO)), Next::Score(vec![1, 2]));
        assert_eq!(queue.next(1, take(9, Duration::ZERO)), Next::Score(vec![3]));
    }

    #[test]
    fn a_closed_queue_is_emptied_and_takes_nothing_more() {
        let queue = Queue::new(3, 1);
        queue.push(1).unwrap();
        queue.close();
        assert_eq!(queue.push(2), Err(2));
        assert_eq!(queue.next(0, take(9, LONG)), Next::Score(vec![1]));
        assert_eq!(queue.next(0, take(9, Duration::ZERO)), Next::End);
    }

    #[test]
    fn a_window_waits_for_company() {
        let queue = Queue::new(3, 1);
        queue.push(1).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(20));
                queue.push(2).unwrap();
            });
            // It ends with the second job, long before the window does.
            assert_eq!(queue.next(0, take(2, LONG)), Next::Score(vec![1, 2]));
        });
    }

    /// Waits until so many threads are asleep.
    fn sleeping(queue: &Queue<u32>, n: usize) {
        while queue.lock().asleep.len() < n {
            std::thread::yield_now();
        }
    }

    #[test]
    fn the_last_to_fall_asleep_is_woken_first() {
        let queue = Queue::new(9, 2);
        let (found, seen) = channel();
        std::thread::scope(|scope| {
            for thread in 0..2 {
                let (queue, found) = (&queue, found.clone());
                scope.spawn(move || {
                    while let Next::Score(jobs) = queue.next(thread, take(1, Duration::ZERO)) {
                        found.send((thread, jobs)).unwrap();
                    }
                });
                sleeping(queue, thread + 1);
            }
            for job in 0..20 {
                queue.push(job).unwrap();
                assert_eq!(seen.recv().unwrap(), (1, vec![job]));
                sleeping(&queue, 2);
            }
            queue.close();
        });
    }

    #[test]
    fn nobody_is_called_from_work_and_a_call_is_no_job() {
        let queue = Queue::<u32>::new(9, 1);
        queue.call(1);
        queue.close();
        assert_eq!(queue.next(0, take(1, Duration::ZERO)), Next::End);

        for spin in [Duration::ZERO, LONG] {
            let queue = Queue::new(9, 1);
            std::thread::scope(|scope| {
                let thread = scope.spawn(|| {
                    let take = Take { spin, ..take(1, Duration::ZERO) };
                    [queue.next(0, take), queue.next(0, take)]
                });
                let is_idle = |state: &State<u32>| state.asleep.len() + state.looking > 0;
                while !is_idle(&queue.lock()) {
                    std::thread::yield_now();
                }
                queue.call(5);
                queue.push(7).unwrap();
                // Which of the two comes first is the thread's choice.
                let mut both = thread.join().unwrap();
                both.sort_by_key(|next| matches!(next, Next::Help));
                assert_eq!(both, [Next::Score(vec![7]), Next::Help]);
            });
        }
    }

    #[test]
    fn a_thread_without_work_is_told_of_another_model() {
        let queue = Queue::<u32>::new(9, 1);
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| queue.next(0, take(1, Duration::ZERO)));
            sleeping(&queue, 1);
            queue.renew();
            assert_eq!(thread.join().unwrap(), Next::Renew);
        });
    }
}
