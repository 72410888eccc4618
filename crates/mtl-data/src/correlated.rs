//! Two regression tasks whose relatedness is a setting: the synthetic data of the MMoE paper.
//!
//! Ma et al., KDD 2018, §3.3. With unit vectors u₁ ⟂ u₂ of `dims` numbers, a scale c and a task
//! correlation ρ,
//!
//! ```text
//! w₁ = c·u₁,   w₂ = c·(ρ·u₁ + √(1 − ρ²)·u₂)            (so cos(w₁, w₂) = ρ)
//! x ~ N(0, I)
//! y_t = w_t·x + Σ_i sin(α_i·w_t·x + β_i) + ε_t,   ε_t ~ N(0, noise²)
//! ```
//!
//! The sines make the tasks differ in more than a direction: the correlation of labels rises with ρ
//! but is not ρ. α_i and β_i, the same for both tasks, are drawn from N(0, 1), as the paper leaves
//! them open.
//!
//! The features are `x_0`, `x_1`, …, used as they are; the labels are `y_1` and `y_2`. A tenth of the
//! rows each validates and tests, by a hash of the seed and the row's number.

use std::path::Path;

use mtl_feature::{Chunk, FeatureSpec, LabelSpec, RawColumn, Rows, SchemaSpec, Values};
use serde::{Deserialize, Serialize};

use crate::draw::Draws;
use crate::generate::Generate;
use crate::{Dataset, Error, Result, Split};

/// The settings of the pair.
///
/// | key | default | purpose | range |
/// |---|---|---|---|
/// | `rows` | 100,000 | rows | ≥ 1 |
/// | `dims` | 100 | length of x | 2 to 10,000 |
/// | `correlation` | .5 | ρ, the cosine of the tasks' weights | −1 to 1 |
/// | `sinusoids` | 5 | number of sines | 0 to 1,000 |
/// | `scale` | 1 | c, the length of the tasks' weights | above 0, to 100 |
/// | `noise` | .1 | standard deviation of ε | 0 to 100 |
/// | `seed` | 1 | another seed is another pair | |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Rows.
    pub rows: u64,
    /// Length of x.
    pub dims: usize,
    /// ρ.
    pub correlation: f64,
    /// Number of sines.
    pub sinusoids: usize,
    /// c.
    pub scale: f64,
    /// Standard deviation of ε.
    pub noise: f64,
    /// Another seed is another pair.
    pub seed: u64,
}

impl Default for Config {
    fn default() -> Self {
        let (rows, dims, correlation, sinusoids) = (100_000, 100, 0.5, 5);
        Self { rows, dims, correlation, sinusoids, scale: 1.0, noise: 0.1, seed: 1 }
    }
}

impl Config {
    fn check(&self) -> Result<()> {
        let wrong = |key, value: String, expected: &str| {
            let expected = expected.to_owned();
            Err(Error::Generator { generator: "correlated", key, value, expected })
        };
        match self {
            Self { rows: 0, .. } => wrong("rows", "0".to_owned(), "at least 1"),
            Self { dims, .. } if !(2..=10_000).contains(dims) => {
                wrong("dims", dims.to_string(), "2 to 10000")
            }
            Self { correlation, .. } if !(-1.0..=1.0).contains(correlation) => {
                wrong("correlation", correlation.to_string(), "-1 to 1")
            }
            Self { sinusoids, .. } if *sinusoids > 1000 => {
                wrong("sinusoids", sinusoids.to_string(), "0 to 1000")
            }
            Self { scale, .. } if !(*scale > 0.0 && *scale <= 100.0) => {
                wrong("scale", scale.to_string(), "above 0, to 100")
            }
            Self { noise, .. } if !(0.0..=100.0).contains(noise) => {
                wrong("noise", noise.to_string(), "0 to 100")
            }
            _ => Ok(()),
        }
    }
}

/// The features `x_0`, `x_1`, ….
pub fn features(config: &Config) -> Vec<FeatureSpec> {
    (0..config.dims).map(|i| FeatureSpec::numeric(format!("x_{i}"))).collect()
}

/// The labels `y_1` and `y_2`.
pub fn labels() -> Vec<LabelSpec> {
    ["y_1", "y_2"].map(LabelSpec::regression).into()
}

/// A tenth of the rows each validates and tests.
pub fn split(config: &Config) -> Split {
    Split::Random { validation: 0.1, test: 0.1, seed: config.seed }
}

/// Generates, splits and encodes.
///
/// ```
/// use mtl_data::correlated;
///
/// let config = correlated::Config { rows: 1000, dims: 8, correlation: 0.9, ..Default::default() };
/// let data = correlated::load(&config)?;
/// assert_eq!(data.schema.numeric().len(), 8);
/// # Ok::<(), mtl_data::Error>(())
/// ```
///
/// # Errors
/// [`Error::Generator`] for a setting out of its range; none of the rows in training, which takes a
/// handful of rows at most.
pub fn load(config: &Config) -> Result<Dataset> {
    let spec = SchemaSpec::new(features(config), labels());
    Pair::new(config)?.dataset(spec, Vec::new(), &split(config))
}

/// Generates into a file, `.parquet`, `.csv` or `.csv.gz`, of any number of rows; `progress` is told
/// now and then how many are written.
///
/// # Errors
/// [`Error::Generator`] for a setting out of its range, and what writing meets.
pub fn write(config: &Config, path: impl AsRef<Path>, progress: impl FnMut(u64)) -> Result<()> {
    Pair::new(config)?.write(path.as_ref(), progress)
}

/// Purposes of draws.
const WEIGHTS: u64 = 1;
const SINES: u64 = 2;
const ROWS: u64 = 3;

struct Pair {
    config: Config,
    weights: [Vec<f64>; 2],
    sines: Vec<(f64, f64)>,
}

impl Pair {
    fn new(config: &Config) -> Result<Self> {
        config.check()?;
        let mut draws = Draws::new(config.seed, WEIGHTS, 0);
        let [u1, u2] = orthonormal(config.dims, &mut draws);
        let (along, across) = (config.correlation, (1.0 - config.correlation.powi(2)).sqrt());
        let second = u1.iter().zip(&u2).map(|(a, b)| config.scale * (along * a + across * b));
        let weights = [u1.iter().map(|a| config.scale * a).collect(), second.collect()];
        let mut draws = Draws::new(config.seed, SINES, 0);
        let sines = (0..config.sinusoids).map(|_| (draws.normal(), draws.normal())).collect();
        Ok(Self { config: config.clone(), weights, sines })
    }

    /// The label without its noise.
    fn mean(&self, weights: &[f64], x: &[f64]) -> f64 {
        let product = dot(weights, x);
        product + self.sines.iter().map(|(a, b)| (a * product + b).sin()).sum::<f64>()
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Two unit vectors at a right angle: Gram and Schmidt's of two random ones.
fn orthonormal(dims: usize, draws: &mut Draws) -> [Vec<f64>; 2] {
    let mut unit = |orthogonal_to: Option<&[f64]>| {
        let mut u: Vec<f64> = (0..dims).map(|_| draws.normal()).collect();
        // Twice: the first time loses digits where the two are nearly parallel.
        for _ in 0..2 {
            if let Some(other) = orthogonal_to {
                let along = dot(&u, other);
                u.iter_mut().zip(other).for_each(|(u, other)| *u -= along * other);
            }
            let norm = dot(&u, &u).sqrt();
            u.iter_mut().for_each(|u| *u /= norm);
        }
        u
    };
    let first = unit(None);
    let second = unit(Some(&first));
    [first, second]
}

impl Generate for Pair {
    const NAME: &'static str = "correlated";
    const BLOCK_ROWS: u64 = 2000;

    fn n_rows(&self) -> u64 {
        self.config.rows
    }

    fn block(&self, first: u64, n: usize) -> Result<Chunk> {
        let mut draws = Draws::new(self.config.seed, ROWS, first);
        let mut xs = vec![Vec::with_capacity(n); self.config.dims];
        let mut ys = [Vec::with_capacity(n), Vec::with_capacity(n)];
        let mut x = vec![0.0; self.config.dims];
        for _ in 0..n {
            for (value, column) in x.iter_mut().zip(&mut xs) {
                // As a table and a file hold it, so that y is of the x that a model sees.
                *value = f64::from(draws.normal() as f32);
                column.push(*value);
            }
            for (weights, y) in self.weights.iter().zip(&mut ys) {
                y.push(self.mean(weights, &x) + self.config.noise * draws.normal());
            }
        }
        let named = |prefix: &str, from, columns: Vec<Vec<f64>>| {
            let name = move |(i, column)| (format!("{prefix}_{}", i + from), column);
            columns.into_iter().enumerate().map(name).collect::<Vec<_>>()
        };
        let columns = named("x", 0, xs).into_iter().chain(named("y", 1, ys.into()));
        let columns = columns.map(|(name, values)| (name, RawColumn::new(Values::Float(values))));
        Ok(Chunk::new(n, Rows::From(first + 1), columns.collect())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weights_have_the_correlation_and_the_scale() {
        for correlation in [-1.0, -0.3, 0.0, 0.9, 1.0] {
            let config = Config { correlation, scale: 2.5, dims: 7, ..Config::default() };
            let pair = Pair::new(&config).unwrap();
            let [w1, w2] = &pair.weights;
            for w in [w1, w2] {
                assert!((dot(w, w).sqrt() - 2.5).abs() < 1e-12);
            }
            assert!((dot(w1, w2) / 6.25 - correlation).abs() < 1e-12, "{correlation}");
        }
    }

    fn label_correlation(correlation: f64) -> f64 {
        let config = Config { rows: 20_000, dims: 20, correlation, ..Config::default() };
        let data = load(&config).unwrap();
        let [a, b] = ["y_1", "y_2"].map(|name| data.train.label_of(name).unwrap());
        let n = a.len() as f64;
        let mean = |y: &[f32]| y.iter().map(|&y| f64::from(y)).sum::<f64>() / n;
        let product = |a: &[f32], b: &[f32]| {
            let (ma, mb) = (mean(a), mean(b));
            a.iter().zip(b).map(|(&a, &b)| (f64::from(a) - ma) * (f64::from(b) - mb)).sum::<f64>()
        };
        product(a, b) / (product(a, a) * product(b, b)).sqrt()
    }

    #[test]
    fn labels_are_the_more_alike_the_nearer_the_tasks() {
        let found = [0.0, 0.5, 0.9, 1.0].map(label_correlation);
        // Five standard errors at 0; at 1 only the noise differs.
        assert!(found[0].abs() < 5.0 / 16_000_f64.sqrt(), "{found:?}");
        assert!(found.is_sorted() && found[3] > 0.97, "{found:?}");
    }

    #[test]
    fn a_label_is_the_formula_of_its_row_but_for_the_noise() {
        let config = Config { rows: 5000, dims: 10, noise: 0.2, ..Config::default() };
        let pair = Pair::new(&config).unwrap();
        let chunk = pair.block(0, 2000).unwrap();
        let value = |name: &str, row| match chunk.column(name).unwrap().cell(row) {
            mtl_feature::Cell::Float(value) => value,
            other => panic!("{other:?}"),
        };
        for (task, weights) in pair.weights.iter().enumerate() {
            let squares: f64 = (0..2000)
                .map(|row| {
                    let product: f64 =
                        (0..10).map(|i| weights[i] * value(&format!("x_{i}"), row)).sum();
                    let sines = pair.sines.iter().map(|(a, b)| (a * product + b).sin());
                    let mean = product + sines.sum::<f64>();
                    (value(&format!("y_{}", task + 1), row) - mean).powi(2)
                })
                .sum();
            // The variance of a squared normal is 2σ⁴: five standard errors.
            let variance = squares / 2000.0;
            assert!((variance / 0.04 - 1.0).abs() < 5.0 * (2.0_f64 / 2000.0).sqrt(), "{variance}");
        }
    }

    #[test]
    fn what_is_out_of_range_is_named() {
        let check = |config: Config, expected: &str| {
            assert_eq!(load(&config).unwrap_err().to_string(), expected);
        };
        let config = Config { correlation: 1.5, ..Config::default() };
        check(config, "correlated: `correlation` is 1.5, expected -1 to 1");
        let config = Config { dims: 1, ..Config::default() };
        check(config, "correlated: `dims` is 1, expected 2 to 10000");
        let config = Config { scale: f64::NAN, ..Config::default() };
        check(config, "correlated: `scale` is NaN, expected above 0, to 100");
    }
}
