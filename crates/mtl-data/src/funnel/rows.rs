//! Rows of the funnel, block by block.

use mtl_feature::{Chunk, RawColumn, Rows as Numbers, Values};

use super::probability::{COLUMNS, Hidden, Scores, intercept, of_action, shared};
use super::world::{World, affinity, four_digits};
use super::{Config, FACTORS};
use crate::Result;
use crate::draw::Draws;
use crate::generate::Generate;

/// What is drawn whether there is a click or not.
pub(crate) const DRAWN: [&str; 2] = ["truth.action_if_clicked", "truth.purchase_if_clicked"];

/// Impressions of one list, to one user.
const LIST: u64 = 10;

/// Days of a run, each of as many rows.
const DAYS: u64 = 10;

/// Purposes of draws, beside those of the world.
const ROWS: u64 = 3;
const PILOT: u64 = 4;

/// Rows that the intercepts are fitted on: the mean of a probability over them has a standard error
/// of about .001.
const PILOT_ROWS: usize = 1 << 14;

/// The rows of a configuration.
pub(crate) struct Rows {
    config: Config,
    world: World,
    hidden: Hidden,
    intercepts: Scores,
}

/// Who sees what, where and when.
#[derive(Clone, Copy)]
struct Impression {
    user: usize,
    item: usize,
    position: u64,
    /// m_v(t).
    trend: f64,
}

/// What follows an impression; an action and a purchase only if there is a click.
#[derive(Clone, Copy)]
struct Outcome {
    click: bool,
    action_if_clicked: bool,
    purchase_if_clicked: bool,
}

impl Rows {
    pub(crate) fn new(config: &Config) -> Result<Self> {
        config.check()?;
        let intercepts = Scores { click: 0.0, action: 0.0, purchase: 0.0 };
        let (world, hidden) = (World::new(config), Hidden::new(config));
        let mut rows = Self { config: config.clone(), world, hidden, intercepts };
        rows.fit_intercepts();
        Ok(rows)
    }

    /// Finds the intercepts that give the wanted rates on rows drawn for it.
    fn fit_intercepts(&mut self) {
        let mut draws = Draws::new(self.config.seed, PILOT, 0);
        let pilot: Vec<(Scores, f64)> = (0..PILOT_ROWS)
            .map(|i| {
                let time = draws.uniform();
                let user = self.world.draw_user(&mut draws);
                let impression = self.impression(user, i as u64, time, &mut draws);
                (self.scores(impression), draws.normal())
            })
            .collect();
        let mean = |f: &dyn Fn(Scores, f64) -> f64| {
            pilot.iter().map(|&(scores, h)| f(scores, h)).sum::<f64>() / PILOT_ROWS as f64
        };
        let plus = |scores: Scores, by: Scores| Scores {
            click: scores.click + by.click,
            action: scores.action + by.action,
            purchase: scores.purchase + by.purchase,
        };
        let hidden = &self.hidden;
        let mut by = self.intercepts;
        by.click = intercept(self.config.click_rate, |click| {
            mean(&|scores, h| hidden.events(plus(scores, Scores { click, ..by }), h).click)
        });
        by.action = intercept(self.config.action_rate, |action| {
            mean(&|scores, h| hidden.events(plus(scores, Scores { action, ..by }), h).action)
        });
        by.purchase = intercept(self.config.purchase_rate, |purchase| {
            mean(&|scores, h| {
                let e = hidden.events(plus(scores, Scores { purchase, ..by }), h);
                e.action * e.purchase_with + (1.0 - e.action) * e.purchase_without
            })
        });
        self.intercepts = by;
    }

    fn impression(&self, user: usize, row: u64, time: f64, draws: &mut Draws) -> Impression {
        let item = self.world.draw_item(time, draws);
        let trend = self.world.popularity(item, time);
        Impression { user, item, position: row % LIST, trend }
    }

    /// The log-odds of everything but h.
    fn scores(&self, impression: Impression) -> Scores {
        let (user, item) = (self.world.user(impression.user), self.world.item(impression.item));
        let observed = f64::from(user.main + item.main) * std::f64::consts::FRAC_1_SQRT_2;
        let shared = shared(&self.config, observed);
        let position = (1.0 + impression.position as f64).ln();
        Scores {
            click: self.intercepts.click + affinity(user, item, 0) + impression.trend
                - 0.5
                - self.config.position_bias * position
                + self.config.selection_strength * shared,
            action: self.intercepts.action + affinity(user, item, 1) + of_action(shared),
            purchase: self.intercepts.purchase + affinity(user, item, 2) + shared,
        }
    }

    fn outcome(&self, scores: Scores, draws: &mut Draws) -> Outcome {
        let events = self.hidden.events(scores, draws.normal());
        let click = draws.happens(events.click);
        let action_if_clicked = draws.happens(events.action);
        let purchase = match action_if_clicked {
            true => events.purchase_with,
            false => events.purchase_without,
        };
        Outcome { click, action_if_clicked, purchase_if_clicked: draws.happens(purchase) }
    }
}

impl Generate for Rows {
    const NAME: &'static str = "funnel";
    /// Whole lists.
    const BLOCK_ROWS: u64 = 8000;

    fn n_rows(&self) -> u64 {
        self.config.rows
    }

    fn block(&self, first: u64, n: usize) -> Result<Chunk> {
        let mut draws = Draws::new(self.config.seed, ROWS, first);
        let mut columns = Columns::default();
        let mut user = 0;
        for row in first..first + n as u64 {
            if row % LIST == 0 {
                user = self.world.draw_user(&mut draws);
            }
            let time = row as f64 / self.config.rows as f64;
            let impression = self.impression(user, row, time, &mut draws);
            let scores = self.scores(impression);
            let outcome = self.outcome(scores, &mut draws);
            columns.push_features(&self.world, impression);
            // In whole numbers: no rounding may move a row to the next day.
            columns
                .day
                .push((u128::from(row) * u128::from(DAYS) / u128::from(self.config.rows)) as i64);
            columns.push_outcome(outcome);
            for (column, p) in
                columns.probabilities.iter_mut().zip(self.hidden.truth(scores).columns())
            {
                column.push(p);
            }
        }
        Ok(Chunk::new(n, Numbers::From(first + 1), columns.named())?)
    }
}

/// A block under way.
#[derive(Default)]
struct Columns {
    user_id: Vec<i64>,
    item_id: Vec<i64>,
    position: Vec<i64>,
    day: Vec<i64>,
    tastes: [Vec<i64>; FACTORS],
    traits: [Vec<i64>; FACTORS],
    user_intent: Vec<f64>,
    item_appeal: Vec<f64>,
    item_trend: Vec<f64>,
    click: Vec<i64>,
    action: Vec<i64>,
    purchase: Vec<i64>,
    probabilities: [Vec<f64>; COLUMNS.len()],
    drawn: [Vec<i64>; DRAWN.len()],
}

impl Columns {
    fn push_features(&mut self, world: &World, impression: Impression) {
        let (user, item) = (world.user(impression.user), world.item(impression.item));
        self.user_id.push(impression.user as i64);
        self.item_id.push(impression.item as i64);
        self.position.push(impression.position as i64);
        for k in 0..FACTORS {
            self.tastes[k].push(user.deciles[k].into());
            self.traits[k].push(item.deciles[k].into());
        }
        self.user_intent.push(four_digits(user.shown.into()));
        self.item_appeal.push(four_digits(item.shown.into()));
        self.item_trend.push(four_digits(impression.trend));
    }

    fn push_outcome(&mut self, outcome: Outcome) {
        let Outcome { click, action_if_clicked, purchase_if_clicked } = outcome;
        self.click.push(click.into());
        self.action.push((click && action_if_clicked).into());
        self.purchase.push((click && purchase_if_clicked).into());
        self.drawn[0].push(action_if_clicked.into());
        self.drawn[1].push(purchase_if_clicked.into());
    }

    fn named(self) -> Vec<(String, RawColumn)> {
        let integers = |values| RawColumn::new(Values::Integer(values));
        let floats = |values| RawColumn::new(Values::Float(values));
        let numbered = |name: &str, columns: [Vec<i64>; FACTORS]| {
            let name = name.to_owned();
            let column = move |(k, values)| (format!("{name}_{k}"), integers(values));
            columns.into_iter().enumerate().map(column)
        };
        let unclicked = self.click.iter().map(|click| *click == 0).collect();
        let given_click =
            RawColumn::with_missing(Values::Integer(self.purchase.clone()), Some(unclicked));
        let mut columns = vec![
            ("user_id".to_owned(), integers(self.user_id)),
            ("item_id".to_owned(), integers(self.item_id)),
        ];
        columns.extend(numbered("user_taste", self.tastes));
        columns.extend(numbered("item_trait", self.traits));
        let rest = [
            ("user_intent", floats(self.user_intent)),
            ("item_appeal", floats(self.item_appeal)),
            ("item_trend", floats(self.item_trend)),
            ("position", integers(self.position)),
            ("day", integers(self.day)),
            ("click", integers(self.click)),
            ("action", integers(self.action)),
            ("purchase", integers(self.purchase)),
            ("purchase_given_click", given_click),
        ];
        let probabilities = COLUMNS.into_iter().zip(self.probabilities.map(floats));
        let drawn = DRAWN.into_iter().zip(self.drawn.map(integers));
        let rest = rest.into_iter().chain(probabilities).chain(drawn);
        columns.extend(rest.map(|(name, column)| (name.to_owned(), column)));
        columns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intercepts_meet_the_rates_whatever_the_selection() {
        for (selection_strength, unobserved_share) in [(0.0, 0.0), (3.0, 0.5), (-2.0, 1.0)] {
            let config = Config { selection_strength, unobserved_share, ..Config::default() };
            let rows = Rows::new(&config).unwrap();
            let chunk = rows.block(8000, 8000).unwrap();
            let mean = |name: &str| {
                let column = chunk.column(name).unwrap();
                let Values::Float(values) = column.values() else { panic!("{name}") };
                values.iter().sum::<f64>() / values.len() as f64
            };
            for (name, rate) in [
                ("truth.p_click", config.click_rate),
                ("truth.p_action_if_clicked", config.action_rate),
                ("truth.p_purchase_if_clicked", config.purchase_rate),
            ] {
                // 800 lists, so 800 users, and 2,000 items: their spread, not the pilot's, rules.
                assert!((mean(name) / rate - 1.0).abs() < 0.12, "{name}: {}", mean(name));
            }
        }
    }
}
