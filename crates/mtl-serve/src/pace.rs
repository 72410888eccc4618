//! How long a request takes, on average of the last.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The average time that a request is scored in, in which each of the last eight weighs most. Written
/// without a lock: what a thread overwrites is one sample.
#[derive(Debug, Default)]
pub(crate) struct Pace(AtomicU64);

impl Pace {
    pub(crate) fn scored(&self, time: Duration) {
        let time = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let before = self.0.load(Ordering::Relaxed);
        let after = if before == 0 { time } else { before - before / 8 + time / 8 };
        self.0.store(after, Ordering::Relaxed);
    }

    /// No time at all before the first.
    pub(crate) fn time(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_average_forgets() {
        let pace = Pace::default();
        assert_eq!(pace.time(), Duration::ZERO);
        pace.scored(Duration::from_millis(80));
        assert_eq!(pace.time(), Duration::from_millis(80));
        pace.scored(Duration::ZERO);
        assert_eq!(pace.time(), Duration::from_millis(70));
        (0..200).for_each(|_| pace.scored(Duration::from_millis(1)));
        let close = Duration::from_micros(900)..Duration::from_micros(1_100);
        assert!(close.contains(&pace.time()), "{:?}", pace.time());
    }
}
