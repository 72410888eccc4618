//! How fast do files become encoded tables?
//!
//! One log of 200,000 rows × 30 columns (a user, an item, 20 categorical columns of which half are
//! text, 5 numeric ones, 3 labels) as CSV, as `.csv.gz` and as Parquet. `fitted` reads by a schema
//! that is there; `fit_too` fits vocabularies and encodes, as training does.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::{ArrayRef, Float32Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use flate2::{Compression, write::GzEncoder};
use mtl_benches::{Zipf, uniform};
use mtl_data::{DataConfig, ReadOptions, load, read_table};
use mtl_feature::{FeatureSpec, LabelSpec, Targets};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression as ParquetCompression;
use parquet::file::properties::WriterProperties;

const ROWS: usize = 200_000;
const LABELS: [&str; 3] = ["is_click", "is_like", "long_view"];

enum Cells {
    Integers(Vec<i64>),
    Texts(Vec<String>),
    Floats(Vec<f32>),
}

fn ids(n: usize, key: u64) -> impl Iterator<Item = i64> {
    let zipf = Zipf::new(n, 1.05, key);
    (0..ROWS).map(move |row| i64::from(zipf.draw(row)))
}

fn log() -> Vec<(String, Cells)> {
    let mut columns = vec![
        ("user_id".to_owned(), Cells::Integers(ids(27_000, 1).collect())),
        ("video_id".to_owned(), Cells::Integers(ids(7_500, 2).map(|id| 4_000_000 + id).collect())),
    ];
    for i in 0..20 {
        let values = ids([10, 100, 1_000][i % 3], 3 + i as u64);
        let cells = match i % 2 {
            0 => Cells::Integers(values.collect()),
            _ => Cells::Texts(values.map(|id| format!("level_{id}")).collect()),
        };
        columns.push((format!("category_{i}"), cells));
    }
    for i in 0..5 {
        let value = |row| (uniform(100 + i, row) * 1e4).round() as f32 / 1e2;
        columns.push((format!("number_{i}"), Cells::Floats((0..ROWS).map(value).collect())));
    }
    for (i, label) in LABELS.iter().enumerate() {
        let one = |row| i64::from(uniform(200 + i as u64, row) < 0.2);
        columns.push(((*label).to_owned(), Cells::Integers((0..ROWS).map(one).collect())));
    }
    columns
}

fn csv_text(columns: &[(String, Cells)]) -> String {
    let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
    let mut text = names.join(",");
    for row in 0..ROWS {
        for (i, (_, cells)) in columns.iter().enumerate() {
            text.push(if i == 0 { '\n' } else { ',' });
            let written = match cells {
                Cells::Integers(values) => write!(text, "{}", values[row]),
                Cells::Texts(values) => write!(text, "{}", values[row]),
                Cells::Floats(values) => write!(text, "{}", values[row]),
            };
            written.expect("a text grows");
        }
    }
    text.push('\n');
    text
}

fn write_parquet(path: &Path, columns: &[(String, Cells)]) {
    let field = |(name, cells): &(String, Cells)| {
        let kind = match cells {
            Cells::Integers(_) => DataType::Int64,
            Cells::Texts(_) => DataType::Utf8,
            Cells::Floats(_) => DataType::Float32,
        };
        Field::new(name, kind, false)
    };
    let array = |(_, cells): &(String, Cells)| -> ArrayRef {
        match cells {
            Cells::Integers(values) => Arc::new(Int64Array::from(values.clone())),
            Cells::Texts(values) => Arc::new(StringArray::from(values.clone())),
            Cells::Floats(values) => Arc::new(Float32Array::from(values.clone())),
        }
    };
    let schema = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns.iter().map(array).collect());
    let properties =
        WriterProperties::builder().set_compression(ParquetCompression::SNAPPY).build();
    let file = File::create(path).expect("a temporary file");
    let mut writer = ArrowWriter::try_new(file, schema, Some(properties)).expect("a writer");
    writer.write(&batch.expect("columns of one length")).expect("a row group");
    writer.close().expect("a footer");
}

fn features(columns: &[(String, Cells)]) -> Vec<FeatureSpec> {
    let inputs = columns.iter().filter(|(name, _)| !LABELS.contains(&name.as_str()));
    let feature = |(name, cells): &(String, Cells)| match cells {
        Cells::Floats(_) => FeatureSpec::numeric(name),
        _ => FeatureSpec::categorical(name),
    };
    inputs.map(feature).collect()
}

fn reading(c: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let columns = log();
    let text = csv_text(&columns);
    let [csv, gz, parquet] =
        ["log.csv", "log.csv.gz", "log.parquet"].map(|name| folder.path().join(name));
    std::fs::write(&csv, &text).expect("a temporary file");
    let mut packed =
        GzEncoder::new(File::create(&gz).expect("a temporary file"), Compression::default());
    packed.write_all(text.as_bytes()).and_then(|()| packed.finish().map(drop)).expect("a gz file");
    write_parquet(&parquet, &columns);
    let features = features(&columns);
    let labels: Vec<LabelSpec> = LABELS.iter().map(|label| LabelSpec::binary(*label)).collect();

    let mut group = c.benchmark_group("reading");
    group.sample_size(10).measurement_time(Duration::from_secs(3));
    group.warm_up_time(Duration::from_millis(500));
    for (name, path) in [("csv", &csv), ("csv_gz", &gz), ("parquet", &parquet)] {
        // Bytes of text, rows of Parquet: the units in which readers are compared.
        group.throughput(match name {
            "parquet" => Throughput::Elements(ROWS as u64),
            _ => Throughput::Bytes(text.len() as u64),
        });
        let config: DataConfig =
            toml::from_str(&format!("train = '{}'", path.display())).expect("a configuration");
        let all = || load(&config, features.clone(), labels.clone()).expect("rows");
        group.bench_function(BenchmarkId::new("fit_too", name), |b| b.iter(all));
        let schema = all().schema;
        let options = ReadOptions::default();
        group.bench_function(BenchmarkId::new("fitted", name), |b| {
            b.iter(|| read_table(path, &schema, &options, Targets::Required).expect("rows"));
        });
    }
    group.finish();
}

criterion_group!(benches, reading);
criterion_main!(benches);
