//! From scores to probabilities, and the truth about a row.

use super::Config;

/// The names of [`Truth::columns`], in order.
pub(crate) const COLUMNS: [&str; 7] = [
    "truth.p_click",
    "truth.p_action_given_click",
    "truth.p_purchase_given_action",
    "truth.p_purchase_given_no_action",
    "truth.p_purchase_given_click",
    "truth.p_action_if_clicked",
    "truth.p_purchase_if_clicked",
];

/// Log-odds of a purchase that an action adds.
const ACTION_LIFT: f64 = 1.0;

/// How much of s an action feels; a purchase feels all of it.
const ACTION_SHARE: f64 = 0.5;

/// The log-odds of a row's events, apart from the hidden h.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scores {
    pub(crate) click: f64,
    pub(crate) action: f64,
    pub(crate) purchase: f64,
}

/// The events' probabilities at one h.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Events {
    pub(crate) click: f64,
    /// If clicked.
    pub(crate) action: f64,
    /// If clicked, with the action.
    pub(crate) purchase_with: f64,
    /// If clicked, without it.
    pub(crate) purchase_without: f64,
}

/// What h does to the log-odds, and the numbers over which its distribution is averaged.
pub(crate) struct Hidden {
    click: f64,
    action: f64,
    purchase: f64,
    /// Values of h with their weights, which sum to 1.
    nodes: Vec<(f64, f64)>,
}

impl Hidden {
    pub(crate) fn new(config: &Config) -> Self {
        let share = config.unobserved_share.sqrt();
        let (click, action, purchase) =
            (config.selection_strength * share, ACTION_SHARE * share, share);
        Self { click, action, purchase, nodes: nodes(share > 0.0) }
    }

    pub(crate) fn events(&self, scores: Scores, h: f64) -> Events {
        let purchase = scores.purchase + self.purchase * h;
        Events {
            click: sigmoid(scores.click + self.click * h),
            action: sigmoid(scores.action + self.action * h),
            purchase_with: sigmoid(purchase + ACTION_LIFT),
            purchase_without: sigmoid(purchase),
        }
    }

    /// The truth given the features: h averaged over, as it is among those whom each condition
    /// leaves.
    pub(crate) fn truth(&self, scores: Scores) -> Truth {
        let mut sums = Sums::default();
        for &(h, weight) in &self.nodes {
            sums.add(self.events(scores, h), weight);
        }
        sums.truth()
    }
}

/// s without its hidden part.
pub(crate) fn shared(config: &Config, observed: f64) -> f64 {
    (1.0 - config.unobserved_share).sqrt() * observed
}

/// The log-odds of an action that s adds.
pub(crate) fn of_action(shared: f64) -> f64 {
    ACTION_SHARE * shared
}

/// The trapezoid rule over N(0, 1) from −7 to 7. For a product of logistic functions of slope c its
/// error falls as exp(−2π²/(c·step)): below 1e-9 up to slopes of 2, below 1e-5 at the largest
/// selection allowed, 5.
fn nodes(is_hidden: bool) -> Vec<(f64, f64)> {
    if !is_hidden {
        return vec![(0.0, 1.0)];
    }
    let at = |i: i32| f64::from(i) * 0.35;
    let density = |h: f64| (-0.5 * h * h).exp();
    let sum: f64 = (-20..=20).map(|i| density(at(i))).sum();
    (-20..=20).map(|i| (at(i), density(at(i)) / sum)).collect()
}

/// Means over h of products of the events' probabilities.
#[derive(Default)]
struct Sums {
    click: f64,
    click_action: f64,
    click_no_action: f64,
    click_action_purchase: f64,
    click_no_action_purchase: f64,
    action: f64,
    purchase: f64,
}

impl Sums {
    fn add(&mut self, events: Events, weight: f64) {
        let Events { click, action, purchase_with, purchase_without } = events;
        let (with, without) = (action * purchase_with, (1.0 - action) * purchase_without);
        self.click += weight * click;
        self.click_action += weight * click * action;
        self.click_no_action += weight * click * (1.0 - action);
        self.click_action_purchase += weight * click * with;
        self.click_no_action_purchase += weight * click * without;
        self.action += weight * action;
        self.purchase += weight * (with + without);
    }

    fn truth(&self) -> Truth {
        Truth {
            click: self.click,
            action_given_click: self.click_action / self.click,
            purchase_given_action: self.click_action_purchase / self.click_action,
            purchase_given_no_action: self.click_no_action_purchase / self.click_no_action,
            purchase_given_click: (self.click_action_purchase + self.click_no_action_purchase)
                / self.click,
            action_if_clicked: self.action,
            purchase_if_clicked: self.purchase,
        }
    }
}

/// The true probabilities of a row given its features.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Truth {
    click: f64,
    action_given_click: f64,
    purchase_given_action: f64,
    purchase_given_no_action: f64,
    purchase_given_click: f64,
    action_if_clicked: f64,
    purchase_if_clicked: f64,
}

impl Truth {
    /// The values of [`COLUMNS`].
    pub(crate) fn columns(&self) -> [f64; COLUMNS.len()] {
        [
            self.click,
            self.action_given_click,
            self.purchase_given_action,
            self.purchase_given_no_action,
            self.purchase_given_click,
            self.action_if_clicked,
            self.purchase_if_clicked,
        ]
    }
}

fn sigmoid(z: f64) -> f64 {
    1.0 / (1.0 + (-z).exp())
}

/// The number to add to log-odds so that the mean of `rate` of it is the one wanted.
pub(crate) fn intercept(wanted: f64, mean: impl Fn(f64) -> f64) -> f64 {
    let (mut low, mut high) = (-40.0, 40.0);
    // 2⁻⁴⁰ of 80 is far below what the sample behind the mean is good for.
    for _ in 0..40 {
        let middle = 0.5 * (low + high);
        if mean(middle) < wanted { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCORES: Scores = Scores { click: -1.0, action: 0.3, purchase: -1.5 };

    fn truth(selection_strength: f64, unobserved_share: f64) -> Truth {
        let config = Config { selection_strength, unobserved_share, ..Config::default() };
        Hidden::new(&config).truth(SCORES)
    }

    #[test]
    fn without_hidden_selection_given_and_if_are_the_same() {
        for (strength, share) in [(3.0, 0.0), (0.0, 0.0), (0.0, 0.7)] {
            let truth = truth(strength, share);
            let difference = truth.purchase_given_click - truth.purchase_if_clicked;
            assert!(difference.abs() < 1e-14, "{strength} {share}: {difference}");
        }
        let seen = truth(3.0, 0.0);
        assert!((seen.click - sigmoid(-1.0)).abs() < 1e-15);
        assert!((seen.purchase_given_action - sigmoid(-0.5)).abs() < 1e-15);
        assert!((seen.purchase_given_no_action - sigmoid(-1.5)).abs() < 1e-15);
    }

    #[test]
    fn hidden_selection_makes_clickers_buy_more_often() {
        let differences = [0.5, 1.0, 2.0].map(|strength| {
            let truth = truth(strength, 0.5);
            truth.purchase_given_click - truth.purchase_if_clicked
        });
        assert!(differences[0] > 0.01, "{differences:?}");
        assert!(differences.is_sorted(), "{differences:?}");
    }

    #[test]
    fn an_intercept_gives_the_rate() {
        assert!((sigmoid(intercept(0.2, sigmoid)) - 0.2).abs() < 1e-9);
    }

    #[test]
    fn esm2_composes_the_same_conversion() {
        for share in [0.0, 0.4, 1.0] {
            let t = truth(2.0, share);
            let composed = t.action_given_click * t.purchase_given_action
                + (1.0 - t.action_given_click) * t.purchase_given_no_action;
            assert!((composed - t.purchase_given_click).abs() < 1e-14);
        }
    }

    /// The reference integrates the same by Simpson's rule with a step of 1/1000.
    #[test]
    fn averaging_over_the_hidden_part_is_exact() {
        for (strength, tolerance) in [(1.0, 1e-10), (2.0, 1e-9), (5.0, 1e-5)] {
            let config =
                Config { selection_strength: strength, unobserved_share: 1.0, ..Config::default() };
            let hidden = Hidden::new(&config);
            let product = |h: f64| {
                let events = hidden.events(SCORES, h);
                events.click * events.purchase_with * (-0.5 * h * h).exp()
            };
            let weight = |i: i32| if i % 2 == 0 { 2.0 } else { 4.0 };
            let sum: f64 =
                (-9999..10_000).map(|i| weight(i) * product(f64::from(i) / 1000.0)).sum();
            let reference = sum / 3000.0 / std::f64::consts::TAU.sqrt();
            let of_node = |(h, weight): &(f64, f64)| {
                let events = hidden.events(SCORES, *h);
                weight * events.click * events.purchase_with
            };
            let found: f64 = hidden.nodes.iter().map(of_node).sum();
            assert!((found - reference).abs() < tolerance, "{strength}: {found} {reference}");
        }
    }
}
