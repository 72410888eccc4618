//! What a behaviour graph may not be, and what the message says.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use mtl_esm::{BehaviourGraph, ChainConfig, Conditional, ConditionalLoss, Edge, Event, Preset};

/// Builds a graph of events and returns the error's message.
fn error(events: impl IntoIterator<Item = Event>) -> String {
    let builder = events.into_iter().fold(BehaviourGraph::builder(), |b, e| b.event(e));
    builder.build().unwrap_err().to_string()
}

/// Whether `message` has every one of `parts`.
fn says(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
}

fn click() -> Event {
    Event::new("click").from("impression", Edge::tower("ctr")).label("click")
}

#[test]
fn a_cycle_names_its_events_and_no_others() {
    let message = error([
        click(),
        Event::new("a").from("c", Edge::tower("t1")).from("click", Edge::tower("t4")),
        Event::new("b").from("a", Edge::tower("t2")),
        Event::new("c").from("b", Edge::tower("t3")),
        Event::new("after").from("c", Edge::tower("t5")),
    ]);
    let rotations = ["`a` → `b` → `c` → `a`", "`b` → `c` → `a` → `b`", "`c` → `a` → `b` → `c`"];
    assert!(rotations.iter().any(|r| message.contains(r)), "{message}");
    assert!(!message.contains("after") && !message.contains("click"), "{message}");
    says(&error([click(), Event::new("a").from("a", Edge::tower("t"))]), &["`a` → `a`"]);
}

#[test]
fn names_are_checked() {
    says(&error([click(), Event::new("a")]), &["`a` cannot be reached", "`impression`"]);
    let message = error([click(), Event::new("a").from("clik", Edge::tower("t"))]);
    says(&message, &["event `a` names the parent `clik`", "are `a`, `click`, `impression`"]);
    says(&error([click(), click()]), &["the event `click` is declared twice"]);
    let message = error([click(), Event::new("impression").from("click", Edge::tower("t"))]);
    says(&message, &["the event `impression` is declared twice"]);
    let message = error([click(), Event::new("a").from("click", Edge::not("b"))]);
    says(&message, &["event `a` names the event `b`, which does not exist"]);
    let message =
        error([click(), Event::new("a").from("click", Edge::tower("t")).output("p_click")]);
    says(&message, &["the output `p_click` is declared twice"]);
}

#[test]
fn a_tower_used_twice_is_an_error_unless_it_is_shared() {
    let events = [click(), Event::new("buy").from("click", Edge::tower("ctr"))];
    let message = error(events.clone());
    says(&message, &["tower `ctr`", "`impression` → `click`", "`click` → `buy`"]);
    let builder = events.into_iter().fold(BehaviourGraph::builder(), |b, e| b.event(e));
    assert!(builder.clone().share_tower("ctr").build().is_ok());
    let message = builder.share_tower("ctr").share_tower("cvr").build().unwrap_err().to_string();
    says(&message, &["shared towers", "`cvr`", "is `ctr`"]);
}

#[test]
fn independent_sigmoids_may_not_be_joined() {
    let message = error([
        click(),
        Event::new("cart").from("click", Edge::tower("cart")),
        Event::new("wish").from("click", Edge::tower("wish")),
        Event::new("buy").from("cart", Edge::tower("y3")).from("wish", Edge::tower("y4")),
    ]);
    says(&message, &["`buy` could exceed 1", "leave `click`", "tower `cart`", "tower `wish`"]);
    // Further up, through other events, and by two edges between the same events.
    let message = error([
        click(),
        Event::new("fav").from("impression", Edge::tower("fav")),
        Event::new("a").from("click", Edge::tower("t1")),
        Event::new("b").from("a", Edge::tower("t2")).from("fav", Edge::tower("t3")),
    ]);
    says(&message, &["`b` could exceed 1", "leave `impression`"]);
    let twice = Event::new("a").from("click", Edge::tower("t1")).from("click", Edge::tower("t2"));
    says(&error([click(), twice]), &["`a` could exceed 1", "leave `click`"]);
    let certain = Event::new("b").from("a", Edge::Always).from("a", Edge::tower("t2"));
    let message = error([click(), Event::new("a").from("click", Edge::tower("t1")), certain]);
    says(&message, &["`b` could exceed 1", "a certain edge"]);
}

#[test]
fn complements_are_of_one_tower_from_the_same_event() {
    let cart = || Event::new("cart").from("click", Edge::tower("y2"));
    let rest = |from: &str| Event::new("rest").from(from, Edge::not("cart"));
    says(&error([click(), cart(), rest("impression")]), &["`rest`", "no tower leads"]);
    let again = Event::new("again").from("click", Edge::not("cart"));
    says(&error([click(), cart(), rest("click"), again]), &["`again`", "complement already"]);
    let branch = Event::new("cart").from("click", Edge::softmax("g", "y2"));
    let other = Event::new("wish").from("click", Edge::softmax("g", "y3"));
    says(&error([click(), branch.clone(), other, rest("click")]), &["branch of a softmax"]);
    says(&error([click(), branch]), &["softmax `g` of `click`", "at least 2"]);
    let a = Event::new("a").from("click", Edge::otherwise("g"));
    let b = Event::new("b").from("click", Edge::otherwise("g"));
    says(&error([click(), a, b]), &["softmax `g` of `click`", "at most one without"]);
}

#[test]
fn something_uncertain_must_be_supervised() {
    let message = error([Event::new("click").from("impression", Edge::tower("t"))]);
    says(&message, &["no event is supervised", "`click`"]);
    says(&error([click().weight(0.0)]), &["no event is supervised"]);
    says(&error([click().weight(-1.0)]), &["event `click`: `weight` is -1"]);
    says(&error([click().weight(f64::NAN)]), &["`weight` is NaN"]);
    let message = error([click(), Event::new("shown").from("impression", Edge::Always)]);
    says(&message, &["`shown` has probability 1"]);
    let message = error([
        click(),
        Event::new("no_click").from("impression", Edge::not("click")),
        Event::new("either").from("click", Edge::Always).from("no_click", Edge::Always),
    ]);
    says(&message, &["`either` has probability 1"]);
}

#[test]
fn conditionals_are_checked() {
    let with =
        |c: Conditional| Preset::Esmm.builder().conditional(c).build().unwrap_err().to_string();
    says(&with(Conditional::new("x", "buy", "click")), &["conditional `x`", "event `buy`"]);
    says(&with(Conditional::new("x", "click", "conversion")), &["`x` asks for `click`", "no path"]);
    says(&with(Conditional::new("x", "click", "click")), &["`click` has probability 1"]);
    says(&with(Conditional::new("pCTR", "conversion", "click")), &["output `pCTR`"]);
    let dr = |floor, tower: &str| ConditionalLoss::DoublyRobust {
        floor,
        imputation: tower.into(),
        joint: false,
    };
    let pcvr = || Conditional::new("x", "conversion", "click");
    says(&with(pcvr().loss(dr(0.0, "imp"))), &["`floor` is 0"]);
    says(&with(pcvr().loss(dr(0.1, "cvr"))), &["tower `cvr`", "imputation of `x`"]);
    let dr_twice = Preset::Escm2Dr.builder().conditional(pcvr().loss(dr(0.1, "imputation")));
    says(&dr_twice.build().unwrap_err().to_string(), &["tower `imputation` is used twice"]);
    let from_root = Conditional::new("x", "conversion", "impression");
    says(&with(from_root.loss(dr(0.1, "imp"))), &["`given` is `impression`"]);
}

fn config(text: &str) -> Result<BehaviourGraph, String> {
    let config: ChainConfig = toml::from_str(text).map_err(|e| e.to_string())?;
    // What is written is what is read.
    let again: ChainConfig = toml::from_str(&toml::to_string(&config).unwrap()).unwrap();
    assert_eq!(config, again);
    config.build().map_err(|e| e.to_string())
}

#[test]
fn a_configuration_spells_what_the_preset_says() {
    let graph = config(
        r#"
        nesting = "multiply"
        [[event]]
        name = "click"
        from = "impression"
        tower = "y1"
        label = "click"
        output = "pCTR"
        [[event]]
        name = "action"
        from = "click"
        tower = "y2"
        label = ["cart", "wish"]
        output = "pCTAVR"
        [[event]]
        name = "other_action"
        from = "click"
        not = "action"
        [[event]]
        name = "purchase"
        paths = [{ from = "action", tower = "y3" }, { from = "other_action", tower = "y4" }]
        label = "buy"
        weight = 2.0
        output = "pCTCVR"
        [[conditional]]
        name = "pCVR"
        event = "purchase"
        given = "click"
        "#,
    );
    let preset = config(
        r#"
        preset = "esm2"
        labels = { action = ["cart", "wish"], purchase = "buy" }
        weights = { purchase = 2.0 }
        "#,
    );
    assert_eq!(graph.unwrap(), preset.unwrap());
}

#[test]
fn configurations_of_every_kind_are_read() {
    let dr = config(
        r#"
        preset = "escm2_dr"
        floor = 0.1
        weights = { pCVR = 0.5 }
        "#,
    )
    .unwrap();
    assert_eq!(dr.towers(), ["ctr", "cvr", "imputation"]);
    assert_eq!(dr.losses(), [("click", 1.0), ("conversion", 1.0), ("pCVR", 0.5)]);
    let naive = config("preset = \"naive_cvr\"").unwrap();
    assert_eq!(naive.losses(), [("click", 1.0), ("pCVR", 1.0)]);
    let graph = config(
        r#"
        root = "shown"
        shared_towers = ["buy"]
        event = [
            { name = "cart", from = "shown", softmax = "next", tower = "cart", label = "cart" },
            { name = "wish", from = "shown", softmax = "next" },
            { name = "any", paths = [
                { from = "cart", tower = "buy" },
                { from = "wish", tower = "buy" },
            ] },
            { name = "again", from = "any", always = true },
        ]
        [[conditional]]
        name = "bought"
        event = "any"
        given = "cart"
        "#,
    )
    .unwrap();
    assert_eq!(graph.towers(), ["buy", "cart"]);
    assert_eq!(graph.root(), "shown");
}

#[test]
fn wrong_configurations_are_named() {
    let message = |text: &str| config(text).unwrap_err();
    says(&message("presett = \"esmm\""), &["unknown field `presett`"]);
    says(&message("preset = \"esmn\""), &["unknown variant `esmn`", "esmm"]);
    says(&message(""), &["`preset` is not given"]);
    says(&message("preset = \"esmm\"\nfloor = 0.1"), &["`floor` is 0.1", "escm2_ips"]);
    says(
        &message("preset = \"esmm\"\nlabels = { purchase = \"buy\" }"),
        &["`labels` names the event `purchase`", "`click`, `conversion`"],
    );
    says(
        &message("preset = \"esmm\"\nweights = { buy = 1.0 }"),
        &["`weights` names the loss `buy`", "`click`, `conversion`, `pCVR`"],
    );
    says(&message("labels = { a = \"b\" }"), &["`labels` is given without `preset`"]);
    let event = |body: &str| message(&format!("[[event]]\nname = \"a\"\n{body}"));
    says(&event("from = \"impression\""), &["event `a`: `path` is none or several"]);
    says(&event("from = \"impression\"\ntower = \"t\"\nnot = \"b\""), &["none or several"]);
    says(&event("tower = \"t\""), &["`from` is not given"]);
    says(&event("from = \"impression\"\ntower = \"t\"\nlabel = []"), &["an empty list"]);
    says(
        &event("from = \"impression\"\ntower = \"t\"\npaths = [{ from = \"b\", tower = \"c\" }]"),
        &["`paths` is given beside a path of its own"],
    );
    says(&event("wieght = 1.0"), &["unknown field `wieght`"]);
    let both = "preset = \"esmm\"\n[[event]]\nname = \"a\"";
    says(&message(both), &["`event` is given beside `preset`"]);
}
