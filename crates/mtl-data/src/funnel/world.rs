//! Users and items: what they are, what features show of it, and when items are popular.

use rayon::prelude::*;

use super::{Config, FACTORS};
use crate::draw::Draws;

/// A user or an item.
pub(crate) struct Entity {
    /// N(0, 1) each.
    pub(crate) factors: [f32; FACTORS],
    /// w of a user or r of an item, N(0, 1): how readily a purchase follows.
    pub(crate) main: f32,
    /// When an item is most popular; training ends at .8, the last day at 1.
    peak: f32,
    /// The decile of a noisy look at each factor.
    pub(crate) deciles: [u8; FACTORS],
    /// A noisy look at `main`, with four digits.
    pub(crate) shown: f32,
}

/// The quantiles of the normal distribution that cut it into ten equal parts.
const DECILES: [f64; 9] = [
    -1.281_551_6,
    -0.841_621_2,
    -0.524_400_5,
    -0.253_347_1,
    0.0,
    0.253_347_1,
    0.524_400_5,
    0.841_621_2,
    1.281_551_6,
];

/// The width of an item's time of popularity, in runs of the generator.
const TREND_WIDTH: f64 = 0.2;

impl Entity {
    fn new(seed: u64, purpose: u64, number: u64, correlation: f64) -> Self {
        let mut draws = Draws::new(seed, purpose, number);
        let noise = (1.0 - correlation * correlation).sqrt();
        let main = draws.normal();
        let shown = four_digits(correlation * main + noise * draws.normal()) as f32;
        // Beyond both ends, so that at any time some items rise and others fall.
        let peak = (1.4 * draws.uniform() - 0.2) as f32;
        let (mut factors, mut deciles) = ([0.0; FACTORS], [0; FACTORS]);
        for (factor, decile) in factors.iter_mut().zip(&mut deciles) {
            let value = draws.normal();
            let look = correlation * value + noise * draws.normal();
            *factor = value as f32;
            *decile = DECILES.iter().filter(|cut| look >= **cut).count() as u8;
        }
        Self { factors, main: main as f32, peak, deciles, shown }
    }

    /// m_v(t) in [1 − drift, 1].
    pub(crate) fn popularity(&self, time: f64, drift: f64) -> f64 {
        let distance = (time - f64::from(self.peak)) / TREND_WIDTH;
        1.0 - drift + drift * (-0.5 * distance * distance).exp()
    }
}

/// A number with four digits behind the point, whose 32-bit form reads back as the same number.
pub(crate) fn four_digits(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

/// A(u, v) of the four factors from `first` on: half of its variance of main effects, half of
/// interactions; N(0, 1) in its first two moments.
pub(crate) fn affinity(user: &Entity, item: &Entity, first: usize) -> f64 {
    let factors = first..first + 4;
    let products: f32 = factors.map(|k| user.factors[k] * item.factors[k]).sum();
    let main = user.factors[first] + item.factors[first + 1];
    f64::from(products) / 8_f64.sqrt() + f64::from(main) / 2.0
}

/// All users and items.
pub(crate) struct World {
    users: Vec<Entity>,
    items: Vec<Entity>,
    drift: f64,
}

const USERS: u64 = 1;
const ITEMS: u64 = 2;

impl World {
    pub(crate) fn new(config: &Config) -> Self {
        let entity = |purpose| {
            move |i: usize| Entity::new(config.seed, purpose, i as u64, config.feature_correlation)
        };
        let users = (0..config.users).into_par_iter().map(entity(USERS)).collect();
        let items = (0..config.items).into_par_iter().map(entity(ITEMS)).collect();
        Self { users, items, drift: config.drift }
    }

    pub(crate) fn user(&self, id: usize) -> &Entity {
        &self.users[id]
    }

    pub(crate) fn item(&self, id: usize) -> &Entity {
        &self.items[id]
    }

    /// m_v(t).
    pub(crate) fn popularity(&self, item: usize, time: f64) -> f64 {
        self.items[item].popularity(time, self.drift)
    }

    /// Some users are there more often: the density falls as 1/√id.
    pub(crate) fn draw_user(&self, draws: &mut Draws) -> usize {
        skewed(self.users.len(), draws)
    }

    /// An item as often as its popularity at the time says. The chance of a refusal is at most
    /// `drift`, so this ends, and it costs the same however many items there are.
    pub(crate) fn draw_item(&self, time: f64, draws: &mut Draws) -> usize {
        loop {
            let item = skewed(self.items.len(), draws);
            if draws.happens(self.popularity(item, time)) {
                return item;
            }
        }
    }
}

fn skewed(n: usize, draws: &mut Draws) -> usize {
    let u = draws.uniform();
    ((u * u * n as f64) as usize).min(n - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feature_has_its_correlation_with_the_factor() {
        let n = 20_000;
        let entities: Vec<Entity> = (0..n).map(|i| Entity::new(3, USERS, i, 0.9)).collect();
        let product = |e: &Entity| f64::from(e.main * e.shown);
        let correlation = entities.iter().map(product).sum::<f64>() / n as f64;
        // Five standard errors of a product of normals, √(1 + ρ²) each.
        let error = 5.0 * (1.81 / n as f64).sqrt();
        assert!((correlation - 0.9).abs() < error, "{correlation}");
        for decile in 0..10 {
            let share = entities.iter().filter(|e| e.deciles[2] == decile).count() as f64;
            assert!((share - 2000.0).abs() < 5.0 * (n as f64 * 0.09).sqrt(), "{decile}: {share}");
        }
    }

    #[test]
    fn affinities_have_mean_0_and_variance_1() {
        let world = World::new(&Config { users: 300, items: 300, ..Config::default() });
        let pairs = || (0..300).flat_map(|u| (0..300).map(move |v| (u, v)));
        for first in 0..3 {
            let values = pairs().map(|(u, v)| affinity(world.user(u), world.item(v), first));
            let (sum, squares) =
                values.fold((0.0, 0.0), |(sum, squares), a| (sum + a, squares + a * a));
            let (mean, square) = (sum / 9e4, squares / 9e4);
            // 300 users and 300 items bound how close this can be.
            assert!(mean.abs() < 0.25 && (square - 1.0).abs() < 0.3, "{first}: {mean} {square}");
        }
    }

    #[test]
    fn popular_items_are_shown_and_they_change() {
        let world = World::new(&Config { items: 100, ..Config::default() });
        let trend_now = |time: f64, shown: f64| {
            let mut draws = Draws::new(1, 99, 0);
            let items = (0..4000).map(|_| world.draw_item(shown, &mut draws));
            items.map(|item| world.popularity(item, time)).sum::<f64>() / 4000.0
        };
        assert!(trend_now(0.1, 0.1) > trend_now(0.1, 0.9) + 0.2);
        assert!(trend_now(0.9, 0.9) > trend_now(0.9, 0.1) + 0.2);
    }
}
