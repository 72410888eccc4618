//! Parts of instants in time zones, equal to those of Python's zoneinfo (`golden/time_zones.py`).
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use mtl_feature::{
    Chunk, DatePart, FIRST_KNOWN, FeatureSpec, FeatureTable, RawColumn, Rows, Schema, SchemaFitter,
    SchemaSpec, Targets, TimeZone, Values,
};

const GOLDEN: &str = include_str!("../golden/time_zones.csv");

/// A zone, its instants and, for each, hour, weekday, day and month.
type Golden = (&'static str, Vec<i64>, Vec<[u32; 4]>);

fn golden() -> Vec<Golden> {
    let mut zones: Vec<Golden> = Vec::new();
    for line in GOLDEN.lines().skip(1) {
        let (zone, numbers) = line.split_once(',').unwrap();
        let numbers: Vec<i64> = numbers.split(',').map(|n| n.parse().unwrap()).collect();
        if zones.last().is_none_or(|(name, ..)| *name != zone) {
            zones.push((zone, Vec::new(), Vec::new()));
        }
        let (_, instants, parts) = zones.last_mut().unwrap();
        instants.push(numbers[0]);
        parts.push([1, 2, 3, 4].map(|i| numbers[i] as u32));
    }
    zones
}

fn encoded(schema: &Schema, cells: RawColumn) -> FeatureTable {
    let chunk = Chunk::new(cells.len(), Rows::From(2), vec![("at".to_owned(), cells)]).unwrap();
    schema.encode(&chunk, Targets::Ignored).unwrap()
}

#[test]
fn local_times_are_those_of_python() {
    use DatePart::{Day, Hour, HourOfWeek, Month, Weekday};
    for (name, instants, parts) in golden() {
        let zone = TimeZone::try_from(name.to_owned()).unwrap();
        let spec = FeatureSpec::datetime("at", [Hour, Weekday, HourOfWeek, Day, Month]);
        let spec = SchemaSpec::new(vec![spec.time_zone(zone)], vec![]);
        let mut fitter = SchemaFitter::new(spec).unwrap();
        let texts: Vec<String> = instants.iter().map(i64::to_string).collect();
        let texts = RawColumn::text(texts.iter().map(String::as_str));
        let chunk = vec![("at".to_owned(), texts.clone())];
        fitter.observe(&Chunk::new(instants.len(), Rows::From(2), chunk).unwrap()).unwrap();
        let schema = fitter.finish().unwrap();
        // A zone is kept by its name.
        let schema: Schema = bincode::deserialize(&bincode::serialize(&schema).unwrap()).unwrap();
        for cells in [texts, RawColumn::new(Values::Integer(instants.clone()))] {
            let table = encoded(&schema, cells);
            let of = |part: &str, row: usize| table.ids_of(part).unwrap()[row] - FIRST_KNOWN;
            for (row, &[hour, weekday, day, month]) in parts.iter().enumerate() {
                let found = ["at.hour", "at.weekday", "at.day", "at.month"].map(|p| of(p, row));
                let expected = [hour, weekday, day - 1, month - 1];
                assert_eq!(found, expected, "{name} {}", instants[row]);
                assert_eq!(of("at.hour_of_week", row), weekday * 24 + hour);
            }
        }
    }
    assert_eq!(golden().len(), 13);
}
