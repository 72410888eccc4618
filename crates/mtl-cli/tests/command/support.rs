//! Generated data, a configuration for it, and the command.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use tempfile::TempDir;

/// Columns of the generated file, in its order.
pub(crate) const COLUMNS: [&str; 9] =
    ["user", "city", "device", "age", "price", "click", "buy", "rating", "w"];

/// Numbers and names, a rare task, a regression, labels that are missing, weights and a group.
pub(crate) const CONFIG: &str = r#"
[data]
train = "log.csv"
split = { by = "random", validation = 0.15, test = 0.15, seed = 1 }
group = "user"
weight = "w"

[[feature]]
name = "user"
kind = "categorical"

[[feature]]
name = "city"
kind = "categorical"
min_count = 2

[[feature]]
name = "device"
kind = "categorical"
hash_buckets = 50

[[feature]]
name = "age"
kind = "numeric"
transform = "quantiles"
buckets = 5

[[feature]]
name = "price"
kind = "numeric"
transform = "log1p_standardise"
missing_indicator = true

[[task]]
name = "click"

[[task]]
name = "buy"

[[task]]
name = "rating"
kind = "regression"
loss = "huber"

[model]
name = "mmoe"
expert_units = [16, 8]
gate_units = [8]
tower_units = [8]

[train]
epochs = 8
batch_size = 64
learning_rate = 0.02
monitor = "loss"
"#;

/// A folder of its own for a test, with the data and the configuration in it.
pub(crate) struct Home(TempDir);

impl Home {
    /// `log.csv` and `run.toml`.
    pub(crate) fn new() -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        home.write("log.csv", &csv(&rows(1_200)));
        home.write("run.toml", CONFIG);
        home
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: &str) {
        fs::write(self.path(name), content).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub(crate) fn text(&self, name: &str) -> String {
        String::from_utf8(self.read(name)).unwrap()
    }

    /// Runs `mtl` with arguments separated by blanks.
    pub(crate) fn mtl(&self, arguments: &str) -> Ran {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mtl"));
        command.current_dir(self.0.path()).args(arguments.split(' '));
        Ran { arguments: arguments.to_owned(), output: command.output().unwrap() }
    }
}

/// What a run of the command left.
pub(crate) struct Ran {
    arguments: String,
    output: Output,
}

impl Ran {
    pub(crate) fn stderr(&self) -> String {
        String::from_utf8(self.output.stderr.clone()).unwrap()
    }

    /// It succeeded and said nothing on standard error; its standard output.
    pub(crate) fn ok(&self) -> String {
        let error = self.stderr();
        assert_eq!(self.output.status.code(), Some(0), "{}: {error}", self.arguments);
        assert_eq!(error, "", "{}: no progress and no warning", self.arguments);
        String::from_utf8(self.output.stdout.clone()).unwrap()
    }

    pub(crate) fn stdout(&self) -> String {
        String::from_utf8(self.output.stdout.clone()).unwrap()
    }

    /// It succeeded, and had something to note; what that was.
    pub(crate) fn noted(&self) -> String {
        let error = self.stderr();
        assert_eq!(self.output.status.code(), Some(0), "{}: {error}", self.arguments);
        assert!(error.starts_with("note: "), "{}: found {error}", self.arguments);
        error
    }

    /// Its standard output as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.ok()).unwrap()
    }

    /// It said what it found and failed with code 2 and one line that has this in it; its standard output.
    pub(crate) fn refused(&self, expected: &str) -> String {
        let error = self.stderr();
        assert_eq!(self.output.status.code(), Some(2), "{}: {error}", self.arguments);
        assert!(error.starts_with("error: ") && error.contains(expected), "{error}");
        assert_eq!(error.lines().count(), 1, "{}: {error}", self.arguments);
        String::from_utf8(self.output.stdout.clone()).unwrap()
    }

    /// It failed with code 2, nothing on standard output, and one line that has this in it.
    pub(crate) fn fails(&self, expected: &str) {
        let error = self.stderr();
        assert_eq!(self.output.status.code(), Some(2), "{}: {error}", self.arguments);
        assert!(self.output.stdout.is_empty(), "{}: a failure prints no result", self.arguments);
        assert!(error.starts_with("error: ") && error.ends_with('\n'), "{error}");
        assert_eq!(error.lines().count(), 1, "{}: {error}", self.arguments);
        assert!(
            error.contains(expected),
            "{}\nfound    {error}expected {expected}",
            self.arguments
        );
    }
}

/// A folder that all tests may read: the model `m`, trained once.
pub(crate) fn trained() -> &'static Home {
    static TRAINED: OnceLock<Home> = OnceLock::new();
    TRAINED.get_or_init(|| {
        let home = Home::new();
        home.mtl("train run.toml --out m").ok();
        home
    })
}

/// A folder of its own with a copy of the trained model.
pub(crate) fn with_model() -> Home {
    let home = Home::new();
    copy(&trained().path("m"), &home.path("m"));
    home
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// A row of fields, in the order of [`COLUMNS`]; "" is missing.
pub(crate) type Row = [String; COLUMNS.len()];

/// Rows in which the user says most of the click, the city of the purchase (one in a hundred), and
/// the age of the rating. Numbers are quarters, so that text and floats are the same.
pub(crate) fn rows(n: usize) -> Vec<Row> {
    let mut random = Lcg(7);
    let row = |_| {
        let (user, city, age) = (random.below(40), random.below(4), 18 + random.below(60));
        let is = |yes: bool| u32::from(yes).to_string();
        let click = random.below(100) < if user % 3 == 0 { 80 } else { 20 };
        let buy = city == 0 && random.below(100) < 4;
        let rating = f64::from(1 + age / 20) + f64::from(random.below(4)) / 4.0;
        let price = f64::from(random.below(400)) / 4.0;
        let or_missing = |missing: bool, text: String| if missing { String::new() } else { text };
        [
            user.to_string(),
            ["Rome", "Oslo", "Lima", ""][city as usize].to_owned(),
            format!("d{}", random.below(200)),
            age.to_string(),
            or_missing(random.below(10) == 0, price.to_string()),
            or_missing(random.below(20) == 0, is(click)),
            is(buy),
            or_missing(random.below(3) == 0, rating.to_string()),
            ["0.5", "1", "2"][random.below(3) as usize].to_owned(),
        ]
    };
    (0..n).map(row).collect()
}

/// Rows as a CSV file with the header [`COLUMNS`].
pub(crate) fn csv(rows: &[Row]) -> String {
    csv_of(rows, &(0..COLUMNS.len()).collect::<Vec<_>>())
}

/// The columns at these places, in this order.
pub(crate) fn csv_of(rows: &[Row], places: &[usize]) -> String {
    let line = |fields: &[&str]| places.iter().map(|&i| fields[i]).collect::<Vec<_>>().join(",");
    let mut text = line(&COLUMNS) + "\n";
    for row in rows {
        let fields = row.each_ref().map(String::as_str);
        writeln!(text, "{}", line(&fields)).unwrap();
    }
    text
}

/// A linear congruential generator: enough for data, and no crate.
struct Lcg(u64);

impl Lcg {
    fn below(&mut self, n: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        ((self.0 >> 33) % u64::from(n)) as u32
    }
}
