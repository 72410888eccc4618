//! How gates use their experts.

use mtl_nn::{Mat, Scalar};

/// Below this share of the uniform weight an expert is called dead.
const DEAD: f64 = 0.01;

/// Accumulates the weights of one gate over rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GateStatistics {
    rows: u64,
    totals: Vec<f64>,
    tops: Vec<u64>,
    entropy: f64,
}

/// A summary of one gate's weights.
#[derive(Clone, Debug, PartialEq)]
pub struct GateUse {
    /// Rows seen.
    pub rows: u64,
    /// Mean weight of each expert; they sum to 1.
    pub mean: Vec<f64>,
    /// Share of the rows in which each expert has the largest weight (the first of equals).
    pub top: Vec<f64>,
    /// Mean entropy of a row's weights over ln(experts): 1 mixes evenly, 0 picks one expert.
    /// `None` for a gate of one expert.
    pub entropy: Option<f64>,
    /// Experts whose mean weight is below a hundredth of the uniform weight.
    pub dead: Vec<usize>,
}

impl GateStatistics {
    /// Of a gate over `n_experts` experts.
    pub fn new(n_experts: usize) -> Self {
        Self { rows: 0, totals: vec![0.0; n_experts], tops: vec![0; n_experts], entropy: 0.0 }
    }

    /// Adds rows of weights, rows × experts.
    ///
    /// # Panics
    /// If the columns are not the gate's experts.
    pub fn observe<S: Scalar>(&mut self, weights: Mat<'_, S>) {
        assert_eq!(weights.cols(), self.totals.len(), "one column an expert");
        for r in 0..weights.rows() {
            let mut top = (0, f64::NEG_INFINITY);
            for (k, &g) in weights.row(r).iter().enumerate() {
                let g = g.f64();
                self.totals[k] += g;
                if g > 0.0 {
                    self.entropy -= g * g.ln();
                }
                if g > top.1 {
                    top = (k, g);
                }
            }
            if let Some(count) = self.tops.get_mut(top.0) {
                *count += 1;
            }
        }
        self.rows += weights.rows() as u64;
    }

    /// The summary; `None` before any row.
    pub fn finish(&self) -> Option<GateUse> {
        if self.rows == 0 {
            return None;
        }
        let (rows, n) = (self.rows as f64, self.totals.len());
        let mean: Vec<f64> = self.totals.iter().map(|t| t / rows).collect();
        let dead = (0..n).filter(|&k| mean[k] < DEAD / n as f64).collect();
        let top = self.tops.iter().map(|&t| t as f64 / rows).collect();
        let entropy = (n > 1).then(|| self.entropy / rows / (n as f64).ln());
        Some(GateUse { rows: self.rows, mean, top, entropy, dead })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hand_computed_summary() {
        let mut statistics = GateStatistics::new(3);
        assert_eq!(statistics.finish(), None);
        statistics.observe(Mat::new(&[0.5f64, 0.5, 0.0, 0.25, 0.75, 0.0], 2, 3, 3));
        let summary = statistics.finish().expect("two rows were seen");
        assert_eq!(summary.mean, [0.375, 0.625, 0.0]);
        assert_eq!(summary.top, [0.5, 0.5, 0.0]);
        assert_eq!(summary.dead, [2]);
        let entropy = (2f64.ln() + 2.0 * 2f64.ln() - 0.75 * 3f64.ln()) / 2.0 / 3f64.ln();
        assert!((summary.entropy.expect("three experts") - entropy).abs() < 1e-12);
    }
}
