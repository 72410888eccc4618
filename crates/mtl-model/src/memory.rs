//! Whether a model's values fit into memory, asked before they are made.
//!
//! An allocation that is too large ends the program, or is granted and ends it later, when it is
//! filled. A table of 2³¹ hashed ids is one line of a configuration, so that line is answered.

use std::fs;

use mtl_nn::{Layout, ParamSpec, TableSpec};

use crate::{Error, Result};

/// Checks that `copies` of all values of a model fit into the memory that is free: the values
/// themselves, or what an optimiser keeps of each. Where the system does not tell, all fits.
///
/// # Errors
/// [`Error::Memory`], naming the largest part: a table, or a layer's weights.
pub fn check_memory(layout: &Layout, copies: usize) -> Result<()> {
    match available() {
        None => Ok(()),
        Some(free) => fits(layout, copies, free),
    }
}

/// What makes tables smaller.
const TABLES: &str = "fewer `hash_buckets`, a higher `min_count` or a smaller `dim`";

/// What makes layers smaller.
const LAYERS: &str = "fewer units of the layers in [model]";

fn fits(layout: &Layout, copies: usize, free: u64) -> Result<()> {
    let needed = layout.n_values() as u64 * size_of::<f32>() as u64 * copies as u64;
    let table = |t: &TableSpec| (t.path.clone(), (t.rows, t.dim), TABLES);
    let dense = |p: &ParamSpec| (p.path.clone(), (p.rows, p.cols), LAYERS);
    let all = layout.tables().iter().map(table).chain(layout.params().iter().map(dense));
    let largest = all.max_by_key(|(_, (rows, columns), _)| *rows as u128 * *columns as u128);
    match largest.filter(|_| needed > free) {
        None => Ok(()),
        Some((largest, (rows, columns), smaller)) => {
            let (needed, free) = (gibibytes(needed), gibibytes(free));
            Err(Error::Memory { needed, free, largest, rows, columns, smaller })
        }
    }
}

fn gibibytes(bytes: u64) -> f64 {
    bytes as f64 / (1_u64 << 30) as f64
}

/// Bytes that can be had without swapping, where Linux says so: of the machine, and at most what a
/// container may have.
fn available() -> Option<u64> {
    let free = available_of(&fs::read_to_string("/proc/meminfo").ok()?)?;
    // A limit that is none is the word `max`.
    let limit = fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let limit = limit.and_then(|text| text.trim().parse().ok());
    Some(free.min(limit.unwrap_or(u64::MAX)))
}

fn available_of(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use mtl_nn::{GraphBuilder, Init};

    use super::*;

    #[test]
    fn what_is_available_is_read_from_its_line() {
        let text = "MemTotal:       24576 kB\nMemFree:         1 kB\nMemAvailable:   12288 kB\n";
        assert_eq!(available_of(text), Some(12 << 20));
        assert_eq!(available_of("MemTotal: 1 kB\n"), None);
    }

    #[test]
    fn what_does_not_fit_names_its_largest_table() {
        let mut b = GraphBuilder::<f32>::new();
        let zero = Init::Constant(0.0);
        b.table("embedding.city.table", 1 << 10, 8, zero).unwrap();
        b.table("embedding.user.table", 1 << 28, 8, zero).unwrap();
        let needed = 8 * 4 * ((1 << 28) + (1 << 10));
        fits(b.layout(), 1, needed).unwrap();
        let error = fits(b.layout(), 1, needed - 1).unwrap_err().to_string();
        let expected = "the values need 8.0 GiB of memory and 8.0 are free; the largest part is \
                        `embedding.user.table` of 268435456 × 8 (fewer `hash_buckets`";
        assert!(error.starts_with(expected), "{error}");
        assert!(fits(b.layout(), 2, needed).is_err());
    }
}
