//! Time as a busy machine can tell it.

/// Processor time of all threads of this process, in milliseconds, where the system says it in
/// nanoseconds: on a busy machine the wall clock measures the neighbours too.
pub fn cpu_ms() -> Option<f64> {
    let mut total = 0.0;
    for task in std::fs::read_dir("/proc/self/task").ok()? {
        let line = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        total += line.split_whitespace().next()?.parse::<f64>().ok()?;
    }
    Some(total / 1e6)
}
