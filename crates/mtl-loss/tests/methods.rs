//! Closed forms and fixed points of single methods, and what configurations accept.

use approx::assert_abs_diff_eq;
use mtl_loss::{Error, Gram, Setup, StepInput, Weigher, WeightingConfig, Weights};

fn names(n: usize) -> Vec<String> {
    ["click", "like", "buy"][..n].iter().map(|name| (*name).to_owned()).collect()
}

fn configure(toml: &str, n: usize) -> Result<Weigher, Error> {
    let config: WeightingConfig = toml::from_str(toml).expect(toml);
    config.build(&Setup::new(&names(n)).initial_losses(&[0.5; 3][..n]))
}

fn weigh(weigher: &mut Weigher, losses: &[f64], gram: &[f64]) -> Vec<f64> {
    let n = losses.len();
    let gram = (!gram.is_empty()).then(|| Gram::new(n, gram).expect("a square matrix"));
    let input = StepInput { step: 0, epoch: 0, losses, present: &vec![true; n], gram };
    let (mut shared, mut own) = (vec![0.0; n], vec![0.0; n]);
    weigher
        .weigh(&input, &mut Weights { shared: &mut shared, own: &mut own })
        .expect("a valid step");
    shared
}

/// Descends the learned state's own gradient with losses fixed, returns the state.
fn descend(weigher: &mut Weigher, losses: &[f64]) -> Vec<f64> {
    for _ in 0..4_000 {
        weigh(weigher, losses, &[]);
        let learned = weigher.learned().expect("learned state");
        for (value, gradient) in learned.values.iter_mut().zip(learned.gradient) {
            *value -= 0.1 * gradient;
        }
        weigher.project();
    }
    weigher.learned().expect("learned state").values.to_vec()
}

#[test]
fn uncertainty_comes_to_rest_at_its_closed_form() {
    let losses = [0.1, 0.7, 3.0];
    let mut regression = configure("method = 'uncertainty'", 3).expect("valid");
    for (s, loss) in descend(&mut regression, &losses).iter().zip(losses) {
        assert_abs_diff_eq!(s.exp(), loss, epsilon = 1e-9);
    }
    let mut mixed = configure(
        "method = 'uncertainty'\nform = 'classification'\nforms = { buy = 'regression' }",
        3,
    )
    .expect("valid");
    let s = descend(&mut mixed, &losses);
    for (s, expected) in s.iter().zip([0.2, 1.4, 3.0]) {
        assert_abs_diff_eq!(s.exp(), expected, epsilon = 1e-9);
    }
}

#[test]
fn imtl_l_brings_every_loss_to_one() {
    let losses = [0.1, 0.7, 3.0];
    let mut weigher = configure("method = 'imtl_l'", 3).expect("valid");
    for (s, loss) in descend(&mut weigher, &losses).iter().zip(losses) {
        assert_abs_diff_eq!(s.exp() * loss, 1.0, epsilon = 1e-9);
    }
}

#[test]
fn learned_weights_start_at_rest_for_the_base_rates() {
    let initial = [0.1, 0.7, 3.0];
    let weights = |toml: &str| {
        let config: WeightingConfig = toml::from_str(toml).expect(toml);
        let mut weigher =
            config.build(&Setup::new(&names(3)).initial_losses(&initial)).expect("valid");
        let gram = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0];
        weigh(&mut weigher, &initial, &gram)
    };
    for (w, loss) in weights("method = 'uncertainty'").iter().zip(initial) {
        assert_abs_diff_eq!(w * loss, 0.5, epsilon = 1e-12);
    }
    let classification = weights("method = 'uncertainty'\nform = 'classification'");
    for (w, loss) in classification.iter().zip(initial) {
        assert_abs_diff_eq!(w * loss, 0.5, epsilon = 1e-12);
    }
    for (w, loss) in weights("method = 'imtl_l'").iter().zip(initial) {
        assert_abs_diff_eq!(w * loss, 1.0, epsilon = 1e-12);
    }
    let gradnorm = weights("method = 'gradnorm'");
    assert_abs_diff_eq!(gradnorm.iter().sum::<f64>(), 3.0, epsilon = 1e-12);
    assert_abs_diff_eq!(gradnorm[0] * 0.1, gradnorm[2] * 3.0, epsilon = 1e-12);
    for method in ["imtl_l", "gradnorm"] {
        assert_eq!(weights(&format!("method = '{method}'\nstart = 'one'")), [1.0; 3]);
    }
    assert_eq!(weights("method = 'uncertainty'\nstart = 'one'"), [0.5; 3]);
}

#[test]
fn mgda_of_two_tasks_is_the_closed_form() {
    // ‖g1‖² = 4, ‖g2‖² = 1, ⟨g1, g2⟩ = 0.5: w1 = (1 − 0.5)/(4 + 1 − 1) = ⅛.
    let mut weigher = configure("method = 'mgda'", 2).expect("valid");
    let weights = weigh(&mut weigher, &[1.0, 1.0], &[4.0, 0.5, 0.5, 1.0]);
    assert_abs_diff_eq!(weights[0], 0.125, epsilon = 1e-15);
    // The longer gradient reaches beyond the shorter one: all weight on the shorter.
    let weights = weigh(&mut weigher, &[1.0, 1.0], &[4.0, 1.5, 1.5, 1.0]);
    assert_eq!(weights, [0.0, 1.0]);
}

#[test]
fn pareto_keeps_the_minimum_weights() {
    let mut weigher =
        configure("method = 'pareto'\nmin_weights = { click = 0.3 }", 2).expect("valid");
    let weights = weigh(&mut weigher, &[1.0, 1.0], &[4.0, 0.5, 0.5, 1.0]);
    assert_abs_diff_eq!(weights[0], 0.3, epsilon = 1e-15);
    assert_abs_diff_eq!(weights[1], 0.7, epsilon = 1e-15);
}

#[test]
fn a_task_without_a_gradient_keeps_its_minimum_weight_under_pareto() {
    let gram = [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0];
    for (settings, expected) in [("", 1.0 / 3.0), ("\nmin_weights = { like = 0.6 }", 0.6)] {
        for form in ["exact", "relaxed"] {
            let toml = format!("method = 'pareto'\nform = '{form}'{settings}");
            let mut weigher = configure(&toml, 3).expect("valid");
            let w = weigh(&mut weigher, &[1.0; 3], &gram);
            for (w, expected) in w.iter().zip([0.5, expected, 0.5]) {
                assert_abs_diff_eq!(*w, expected, epsilon = 1e-14);
            }
        }
    }
}

#[test]
fn cagrad_meets_mean_and_common_descent_at_its_ends() {
    let gram = [4.0, -1.0, -1.0, 1.0];
    let mut mean = configure("method = 'cagrad'\nc = 0.0", 2).expect("valid");
    assert_eq!(weigh(&mut mean, &[1.0, 1.0], &gram), [0.5, 0.5]);
    // By hand: u = (½, ½), ‖g_0‖² = 0.75. With c = 0.4 d keeps to the ball.
    let mut weigher = configure("method = 'cagrad'", 2).expect("valid");
    let w = weigh(&mut weigher, &[1.0, 1.0], &gram);
    let d = [w[0] - 0.5, w[1] - 0.5];
    let squared = 4.0 * d[0] * d[0] - 2.0 * d[0] * d[1] + d[1] * d[1];
    assert_abs_diff_eq!(squared.sqrt(), 0.4 * 0.75_f64.sqrt(), epsilon = 1e-12);
    // ⟨g_i, g_0⟩ = (1.5, 0): the second task is worst off, and it alone is helped: d along g_2.
    assert_abs_diff_eq!(d[0], 0.0, epsilon = 1e-12);
    assert!(weigher.solve().expect("an inner solve").residual <= 1e-8);
}

#[test]
fn nash_does_not_take_a_stationary_point_for_a_solution() {
    let mut weigher = configure("method = 'nash_mtl'", 2).expect("valid");
    let w = weigh(&mut weigher, &[1.0, 1.0], &[1.0, -2.0, -2.0, 4.0]);
    assert!(weigher.solve().expect("an inner solve").fallback);
    assert_abs_diff_eq!(w[0], 2.0 / 3.0, epsilon = 1e-9);
}

#[test]
fn imtl_g_takes_equal_weights_for_what_it_cannot_solve() {
    // Opposed, and of one length: ½ each cancels them.
    let mut weigher = configure("method = 'imtl_g'", 2).expect("valid");
    let weights = weigh(&mut weigher, &[1.0, 1.0], &[1.0, -1.0, -1.0, 1.0]);
    assert_abs_diff_eq!(weights[0], 0.5, epsilon = 1e-12);
    assert!(!weigher.solve().expect("an inner solve").fallback);
    // Three in a plane, two of them 1e-6 apart: what cancels them has Σ w of 4e-7 of its size, too
    // little to divide by, and what projects equally without it is 3e-7 off.
    let angles = [0.0, 1e-6, 1.0_f64];
    let gram: Vec<f64> =
        angles.iter().flat_map(|a| angles.iter().map(move |b| (a - b).cos())).collect();
    let mut weigher = configure("method = 'imtl_g'", 3).expect("valid");
    assert_eq!(weigh(&mut weigher, &[1.0; 3], &gram), [1.0 / 3.0; 3]);
    let solve = weigher.solve().expect("an inner solve");
    assert!(solve.fallback, "{solve:?}");
    assert_eq!(solve.residual, 0.0);
}

#[test]
fn a_step_without_any_gradient_solves_nothing() {
    let mut weigher = configure("method = 'mgda'", 2).expect("valid");
    weigh(&mut weigher, &[1.0, 1.0], &[1.0, 0.0, 0.0, 1.0]);
    assert!(weigher.solve().is_some());
    weigh(&mut weigher, &[1.0, 1.0], &[0.0; 4]);
    assert!(weigher.solve().is_none());
}

#[test]
fn nash_limits_the_norm_when_asked() {
    let mut weigher = configure("method = 'nash_mtl'\nmax_norm = 0.5", 2).expect("valid");
    let w = weigh(&mut weigher, &[1.0, 1.0], &[1.0, 0.0, 0.0, 4.0]);
    // G w = 1/w gives (1, ½) and an update of length √2; scaled to ½.
    assert_abs_diff_eq!(w[0], 0.5 / 2.0_f64.sqrt(), epsilon = 1e-12);
    assert_abs_diff_eq!(w[1], 0.25 / 2.0_f64.sqrt(), epsilon = 1e-12);
}

#[test]
fn pcgrad_of_two_tasks_opposes_neither() {
    let mut weigher = configure("method = 'pcgrad'", 2).expect("valid");
    let w = weigh(&mut weigher, &[1.0, 1.0], &[4.0, -1.0, -1.0, 1.0]);
    // p1 = g1 + g2, p2 = g2 + ¼ g1.
    assert_eq!(w, [1.25, 2.0]);
}

#[test]
fn rlw_sums_to_one_and_changes_with_step_and_seed() {
    let draw = |seed: u64, step: u64| {
        let mut weigher = configure(&format!("method = 'rlw'\nseed = {seed}"), 3).expect("valid");
        let (mut shared, mut own) = ([0.0; 3], [0.0; 3]);
        let present = &[true; 3];
        let input = StepInput { step, epoch: 0, losses: &[1.0; 3], present, gram: None };
        let mut weights = Weights { shared: &mut shared, own: &mut own };
        weigher.weigh(&input, &mut weights).expect("a valid step");
        shared
    };
    assert_abs_diff_eq!(draw(0, 0).iter().sum::<f64>(), 1.0, epsilon = 1e-15);
    assert_eq!(draw(0, 3), draw(0, 3));
    assert_ne!(draw(0, 3), draw(0, 4));
    assert_ne!(draw(0, 3), draw(1, 3));
}

#[test]
fn configurations_round_trip_and_names_agree() {
    for name in WeightingConfig::NAMES {
        let config: WeightingConfig = toml::from_str(&format!("method = '{name}'")).expect(name);
        assert_eq!(config, WeightingConfig::from_name(name).expect(name));
        assert_eq!(config.name(), *name);
        let json = serde_json::to_string(&config).expect(name);
        assert_eq!(serde_json::from_str::<WeightingConfig>(&json).expect(name), config);
        let weigher = config.build(&Setup::new(&names(3)).initial_losses(&[0.5; 3])).expect(name);
        assert_eq!(weigher.method(), *name);
    }
}

#[test]
fn unknown_keys_and_methods_are_errors() {
    for name in WeightingConfig::NAMES {
        let text = format!("method = '{name}'\nstrength = 2");
        let error = toml::from_str::<WeightingConfig>(&text).expect_err(name).to_string();
        assert!(error.contains("strength"), "{name}: {error}");
    }
    assert!(toml::from_str::<WeightingConfig>("method = 'gradnrom'").is_err());
    let error = WeightingConfig::from_name("gradnrom").expect_err("no such method").to_string();
    assert!(error.contains("gradnrom") && error.contains("gradnorm"), "{error}");
}

#[test]
fn settings_out_of_range_are_errors_that_name_them() {
    for (toml, part) in [
        ("method = 'fixed'\nweights = { click = -1 }", "weights.click is -1"),
        ("method = 'fixed'\nweights = { sale = 1 }", "task \"sale\""),
        ("method = 'gradnorm'\nalpha = -0.5", "alpha is -0.5"),
        ("method = 'gradnorm'\nlearning_rate = 0.0", "learning_rate is 0"),
        ("method = 'pareto'\nmin_weight = 0.4", "sum of min_weights is 1.2"),
        ("method = 'pareto'\nmin_weights = { buy = -0.1 }", "min_weights.buy is -0.1"),
        ("method = 'pareto'\nmin_weight = nan", "min_weight is NaN"),
        ("method = 'dwa'\ntemperature = 0.0", "temperature is 0"),
        ("method = 'gradvac'\nbeta = 1.5", "beta is 1.5"),
        ("method = 'cagrad'\nc = 1.0", "c is 1"),
        ("method = 'nash_mtl'\nmax_norm = 0.0", "max_norm is 0"),
        ("method = 'famo'\ngamma = -1.0", "gamma is -1"),
        ("method = 'db_mtl'\nbeta = 1.0", "beta is 1"),
        ("method = 'fairgrad'\nalpha = 0.0", "alpha is 0"),
        ("method = 'stch'\nmu = 0.0", "mu is 0"),
        ("method = 'stch'\nideal = { sale = 0.1 }", "task \"sale\""),
    ] {
        let error = configure(toml, 3).expect_err(toml).to_string();
        assert!(error.contains(part), "{toml}: {error}");
    }
}

#[test]
fn gradnorm_wants_its_initial_losses() {
    let config = WeightingConfig::from_name("gradnorm").expect("gradnorm");
    let tasks = names(2);
    let error = config.build(&Setup::new(&tasks)).expect_err("none given").to_string();
    assert!(error.contains("initial losses"), "{error}");
    let error = config
        .build(&Setup::new(&tasks).initial_losses(&[0.5, 0.0]))
        .expect_err("a label without positives")
        .to_string();
    assert!(error.contains("initial loss of like is 0"), "{error}");
}

#[test]
fn wrong_inputs_are_errors() {
    let mut weigher = configure("method = 'mgda'", 2).expect("valid");
    let (mut shared, mut own) = ([0.0; 2], [0.0; 2]);
    let mut weights = Weights { shared: &mut shared, own: &mut own };
    let present = &[true, true];
    let mut input = StepInput { step: 0, epoch: 0, losses: &[1.0, 1.0], present, gram: None };
    let error = weigher.weigh(&input, &mut weights).expect_err("no Gram matrix");
    assert_eq!(error.to_string(), "mgda needs the Gram matrix, which was not given");
    input.losses = &[1.0];
    let error = weigher.weigh(&input, &mut weights).expect_err("one loss");
    assert_eq!(error.to_string(), "losses has 1 values, expected 2");
    assert!(Gram::new(2, &[1.0; 3]).is_err());
    let mut logs = configure("method = 'gls'", 2).expect("valid");
    input.losses = &[1.0, -0.5];
    let error = logs.weigh(&input, &mut weights).expect_err("a negative loss").to_string();
    assert!(error.contains("gls: loss of task \"like\" is -0.5"), "{error}");
}

#[test]
fn state_of_another_run_is_refused() {
    let uncertainty = configure("method = 'uncertainty'", 2).expect("valid").state();
    let mut weigher = configure("method = 'gradnorm'", 2).expect("valid");
    let error = weigher.restore(&uncertainty).expect_err("another method").to_string();
    assert!(error.contains("uncertainty") && error.contains("gradnorm"), "{error}");
    let mut state = configure("method = 'gradnorm'", 3).expect("valid").state();
    let error = weigher.restore(&state).expect_err("other tasks").to_string();
    assert!(error.contains("click, like, buy"), "{error}");
    state = weigher.state();
    state.values.remove("weights");
    assert!(weigher.restore(&state).is_err());
}

#[test]
fn tasks_must_be_distinct() {
    let tasks = ["click".to_owned(), "click".to_owned()];
    let config = WeightingConfig::from_name("equal").expect("equal");
    assert!(config.build(&Setup::new(&tasks)).is_err());
    assert!(config.build(&Setup::new(&[])).is_err());
}

#[test]
fn db_mtl_asks_for_running_gradients_only_with_beta() {
    assert!(configure("method = 'db_mtl'", 2).expect("valid").needs().running.is_none());
    let needs = configure("method = 'db_mtl'\nbeta = 0.9", 2).expect("valid").needs();
    let running = needs.running.expect("running gradients");
    assert_abs_diff_eq!(running.decay(0), 0.9, epsilon = 1e-15);
    assert_abs_diff_eq!(running.decay(3), 0.45, epsilon = 1e-15);
}
