//! `mtl-feature` alone: a schema fitted to some rows, and what it makes of others.
//!
//! `cargo run --release -p mtl-examples --example features`

use mtl_feature::{
    Chunk, FeatureSpec, RawColumn, Rows, SchemaFitter, SchemaSpec, Targets, Transform, Values,
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
    sequences()
}

/// A history that shares the ids of the item it is compared with.
fn sequences() -> Result<(), mtl_feature::Error> {
    let features = vec![
        FeatureSpec::categorical("item"),
        FeatureSpec::sequence("history").shares("item").max_length(3).din("item"),
    ];
    let columns = vec![
        ("item".into(), RawColumn::text(["hat", "shoe", "hat"])),
        ("history".into(), RawColumn::text(["", "hat|sock", "hat|sock|hat|shoe"])),
    ];
    let rows = Chunk::new(3, Rows::From(1), columns)?;
    let mut fitter = SchemaFitter::new(SchemaSpec::new(features, vec![]))?;
    fitter.observe(&rows)?;
    let table = fitter.finish()?.encode(&rows, Targets::Ignored)?;
    println!("items {:?}", table.ids_of("item"));
    for (name, lists) in table.lists() {
        println!("{name} {:?} (the last three)", lists.iter().collect::<Vec<_>>());
    }
    Ok(())
}
