//! The pair of correlated tasks in memory and in files.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use mtl_data::correlated::{self, Config};
use mtl_data::{DataConfig, load};
use mtl_feature::FeatureTable;

fn small() -> Config {
    Config { rows: 35_000, dims: 6, ..Config::default() }
}

#[test]
fn a_file_reads_back_as_the_tables() {
    let config = small();
    let in_memory = correlated::load(&config).unwrap();
    let sizes = [&in_memory.train, &in_memory.validation, &in_memory.test];
    assert_eq!(sizes.map(FeatureTable::n_rows).iter().sum::<usize>(), 35_000);
    let folder = tempfile::tempdir().unwrap();
    for name in ["pair.parquet", "pair.csv"] {
        let path = folder.path().join(name);
        correlated::write(&config, &path, |_| ()).unwrap();
        let read = DataConfig::new(&path).split(correlated::split(&config));
        let data = load(&read, correlated::features(&config), correlated::labels()).unwrap();
        for (part, read, made) in [
            ("train", &data.train, &in_memory.train),
            ("validation", &data.validation, &in_memory.validation),
            ("test", &data.test, &in_memory.test),
        ] {
            assert!(read == made, "{name}: {part}");
        }
    }
}

#[test]
fn a_seed_is_a_pair_and_threads_are_none() {
    let one = correlated::load(&small()).unwrap();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    assert!(pool.install(|| correlated::load(&small())).unwrap() == one);
    let other = correlated::load(&Config { seed: 2, ..small() }).unwrap();
    assert_ne!(other.train.label_of("y_1"), one.train.label_of("y_1"));
}
