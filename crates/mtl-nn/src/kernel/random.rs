//! Counter-based random bits: dropout without state.
//!
//! A draw is a function of (seed, step, layer, row, column) alone, so it does not depend on which
//! worker computes a row, on the shard size, or on what was drawn before. The mixer is the
//! finaliser of MurmurHash3 (public domain): bijective, full avalanche, six integer instructions
//! that vectorise.

/// Hashes two words into one; chain it to key more.
pub const fn hash(a: u64, b: u64) -> u64 {
    let mut x = a ^ b.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// The draws of one row of one layer in one step.
#[derive(Clone, Copy, Debug)]
pub struct Draws {
    start: u32,
    stride: u32,
}

impl Draws {
    /// `key` is the layer's key at this step; `row` the row's position in the whole batch.
    #[inline(always)]
    pub const fn new(key: u64, row: u64) -> Self {
        let word = hash(key, row);
        // An odd stride visits all 2³² counters before one comes back.
        Self { start: word as u32, stride: (word >> 32) as u32 | 1 }
    }

    /// Uniform bits for a column.
    #[inline(always)]
    pub const fn bits(self, column: u32) -> u32 {
        let mut x = self.start.wrapping_add(column.wrapping_mul(self.stride));
        x = (x ^ (x >> 16)).wrapping_mul(0x85EB_CA6B);
        x = (x ^ (x >> 13)).wrapping_mul(0xC2B2_AE35);
        x ^ (x >> 16)
    }

    /// The threshold below which [`Draws::bits`] falls with probability `rate`.
    pub fn threshold(rate: f64) -> u32 {
        (rate * 4_294_967_296.0) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_of_draws_falls_below_its_threshold() {
        let (rows, columns) = (2_000u64, 128u32);
        for rate in [0.1, 0.5, 0.9] {
            let limit = Draws::threshold(rate);
            let below = (0..rows)
                .flat_map(|r| (0..columns).map(move |c| Draws::new(hash(3, 5), r).bits(c)))
                .filter(|&bits| bits < limit)
                .count();
            let n = rows as f64 * f64::from(columns);
            // Five standard deviations of a binomial: a right generator fails once in a million.
            let slack = 5.0 * (n * rate * (1.0 - rate)).sqrt();
            assert!((below as f64 - n * rate).abs() < slack, "rate {rate}: {below} of {n}");
        }
    }

    #[test]
    fn rows_and_columns_are_uncorrelated() {
        let bit = |r: u64, c: u32| f64::from(Draws::new(hash(1, 2), r).bits(c) >> 31) - 0.5;
        let (mut rows, mut columns) = (0.0, 0.0);
        for r in 0..1_000 {
            for c in 0..64 {
                rows += 4.0 * bit(r, c) * bit(r + 1, c);
                columns += 4.0 * bit(r, c) * bit(r, c + 1);
            }
        }
        let slack = 5.0 * 64_000f64.sqrt();
        assert!(rows.abs() < slack && columns.abs() < slack, "{rows} {columns}");
    }
}
