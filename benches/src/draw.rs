//! Data for benches: functions of a key and a position, the same in every run.

use mtl_nn::kernel::hash;

/// Uniform in [0, 1).
pub fn uniform(key: u64, i: usize) -> f64 {
    (hash(hash(key, 0x5EED), i as u64) >> 11) as f64 / (1u64 << 53) as f64
}

/// Ids whose popularity falls with a power of their rank.
#[derive(Clone, Debug)]
pub struct Zipf {
    /// Share of the draws that fall on a rank or a more popular one.
    popularity: Vec<f64>,
    /// The id of each rank: popular ids are not neighbours in a real vocabulary.
    ids: Vec<u32>,
    key: u64,
}

impl Zipf {
    /// Ids below `n` with P(rank r) ∝ r^−`exponent`.
    pub fn new(n: usize, exponent: f64, key: u64) -> Self {
        let mut popularity = Vec::with_capacity(n);
        let mut total = 0.0;
        for rank in 1..=n {
            total += (rank as f64).powf(-exponent);
            popularity.push(total);
        }
        popularity.iter_mut().for_each(|p| *p /= total);
        let mut ids: Vec<u32> = (0..n as u32).collect();
        ids.sort_by_key(|&id| hash(key, u64::from(id)));
        Self { popularity, ids, key }
    }

    /// The `i`-th draw.
    pub fn draw(&self, i: usize) -> u32 {
        let u = uniform(self.key, i);
        let rank = self.popularity.partition_point(|&p| p < u);
        self.ids[rank.min(self.ids.len() - 1)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_drawn_with_the_popularity_of_their_power() {
        let zipf = Zipf::new(50, 1.05, 3);
        let n = 200_000;
        let mut counts = [0usize; 50];
        for i in 0..n {
            counts[zipf.draw(i) as usize] += 1;
        }
        let total: f64 = (1..=50).map(|r| f64::from(r).powf(-1.05)).sum();
        for rank in [1usize, 2, 10, 50] {
            let p = (rank as f64).powf(-1.05) / total;
            let found = counts[zipf.ids[rank - 1] as usize] as f64;
            // Five standard deviations of a binomial.
            let slack = 5.0 * (n as f64 * p * (1.0 - p)).sqrt();
            assert!((found - n as f64 * p).abs() < slack, "rank {rank}: {found}");
        }
    }
}
