//! `mtl-feature` alone: a schema fitted to some rows, and what it makes of others.
//!
//! `cargo run --release -p mtl-examples --example features`

use mtl_feature::{
    Chunk, DatePart, FeatureSpec, RawColumn, Rows, SchemaFitter, SchemaSpec, Targets, Transform,
    Values,
};

fn main() -> Result<(), mtl_feature::Error> {
    let features = vec![
        FeatureSpec::categorical("city").min_count(2),
        FeatureSpec::numeric("age").transform(Transform::Standardise),
    ];
    let rows = |cities: [&str; 4], ages| {
        let age = RawColumn::new(Values::Integer(ages));
        let columns = vec![("city".into(), RawColumn::text(cities)), ("age".into(), age)];
        Chunk::new(4, Rows::From(1), columns)
    };
    let mut fitter = SchemaFitter::new(SchemaSpec::new(features, vec![]))?;
    fitter.observe(&rows(["Rome", "Oslo", "Rome", "Lima"], vec![20, 30, 40, 50])?)?;
    let schema = fitter.finish()?;
    let new = rows(["Rome", "Oslo", "Quito", "Rome"], vec![35, 35, 35, 80])?;
    let table = schema.encode(&new, Targets::Ignored)?;
    println!("ids {:?} (0: not seen often enough)", table.ids_of("city"));
    println!("ages {:?}", table.values_of("age"));
    lists_times_and_pairs()
}

/// A history that shares the ids of the item it is compared with, the parts of a time, and a cross.
fn lists_times_and_pairs() -> Result<(), mtl_feature::Error> {
    let features = vec![
        FeatureSpec::categorical("item"),
        FeatureSpec::sequence("history").shares("item").max_length(3).din("item"),
        FeatureSpec::datetime("time", [DatePart::Hour, DatePart::Weekday]),
        FeatureSpec::cross("item_by_city", ["item", "city"]),
    ];
    let columns = vec![
        ("item".into(), RawColumn::text(["hat", "shoe", "hat"])),
        ("city".into(), RawColumn::text(["Rome", "Oslo", "Oslo"])),
        ("history".into(), RawColumn::text(["", "hat|sock", "hat|sock|hat|shoe"])),
        ("time".into(), RawColumn::text(["2026-11-24T08:00", "2026-11-24T21:30", "2026-11-28"])),
    ];
    let rows = Chunk::new(3, Rows::From(1), columns)?;
    let mut fitter = SchemaFitter::new(SchemaSpec::new(features, vec![]))?;
    fitter.observe(&rows)?;
    let table = fitter.finish()?.encode(&rows, Targets::Ignored)?;
    for (name, lists) in table.lists() {
        println!("{name}: {:?} (the last three)", lists.iter().collect::<Vec<_>>());
    }
    for (name, ids) in table.ids() {
        println!("{name}: {ids:?}");
    }
    Ok(())
}
