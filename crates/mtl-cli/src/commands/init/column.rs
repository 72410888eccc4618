//! What the values of one column look like.

use std::collections::{HashMap, HashSet};

use mtl_feature::{Cell, Key, RawColumn, Rows, is_datetime};

/// Distinct values that are kept: more are "many", whatever their number.
const MOST: usize = 50_000;

/// What stands between the items of a list, the likeliest first.
pub(super) const SEPARATORS: [char; 4] = ['|', ';', ',', ' '];

/// A column of which some rows were seen.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) rows: usize,
    pub(super) missing: usize,
    /// Cells that are whole numbers, and cells that are numbers.
    pub(super) integers: usize,
    pub(super) numbers: usize,
    pub(super) zeros: usize,
    pub(super) ones: usize,
    /// The rows that hold 1, counted from 0.
    pub(super) ones_at: Vec<usize>,
    /// The first cell that holds neither 0 nor 1: its row in the file, and its value.
    pub(super) first_other: Option<(u64, String)>,
    pub(super) smallest: f64,
    pub(super) largest: f64,
    /// Texts that are a date, and those with a time of day.
    pub(super) dates: usize,
    pub(super) times: usize,
    /// Cells that are lists, in Parquet.
    pub(super) lists: usize,
    /// Cells that hold each of [`SEPARATORS`].
    pub(super) separated: [usize; SEPARATORS.len()],
    pub(super) keys: HashSet<Key>,
    /// Items of the cells, by separator; those of lists under the first.
    pub(super) items: HashMap<char, HashSet<Key>>,
}

impl Column {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            rows: 0,
            missing: 0,
            integers: 0,
            numbers: 0,
            zeros: 0,
            ones: 0,
            ones_at: Vec::new(),
            first_other: None,
            smallest: f64::INFINITY,
            largest: f64::NEG_INFINITY,
            dates: 0,
            times: 0,
            lists: 0,
            separated: [0; SEPARATORS.len()],
            keys: HashSet::new(),
            items: HashMap::new(),
        }
    }

    /// Cells that hold something.
    pub(super) fn present(&self) -> usize {
        self.rows - self.missing
    }

    /// Cells that hold something else than 0 and 1.
    pub(super) fn others(&self) -> usize {
        self.present() - self.zeros - self.ones
    }

    pub(super) fn observe(&mut self, column: &RawColumn, rows: &Rows) {
        for i in 0..column.len() {
            let (row, others, ones) = (self.rows, self.others(), self.ones);
            self.observe_cell(column.cell(i));
            if self.ones > ones {
                self.ones_at.push(row);
            }
            if self.first_other.is_none() && self.others() > others {
                self.first_other = Some((rows.number(i), column.cell(i).quoted()));
            }
        }
    }

    fn observe_cell(&mut self, cell: Cell<'_>) {
        self.rows += 1;
        match cell {
            Cell::Missing => self.missing += 1,
            Cell::List(list) => {
                self.lists += 1;
                list.iter().for_each(|item| self.add_item(SEPARATORS[0], item));
            }
            Cell::Text(text) => self.observe_text(text),
            Cell::Integer(value) => self.observe_number(value as f64, true),
            Cell::Unsigned(value) => self.observe_number(value as f64, true),
            Cell::Float(value) => self.observe_number(value, value.fract() == 0.0),
            Cell::Boolean(value) => self.observe_number(f64::from(u8::from(value)), true),
        }
        if self.keys.len() < MOST
            && let Ok(Some(key)) = cell.key()
        {
            self.keys.insert(key);
        }
    }

    fn observe_text(&mut self, text: &str) {
        if let Ok(value) = text.parse::<f64>() {
            let is_integer = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
            return self.observe_number(value, is_integer);
        }
        let is_date = is_datetime(Cell::Text(text));
        self.dates += usize::from(is_date);
        self.times += usize::from(is_date && text.len() > 12);
        for (i, separator) in SEPARATORS.into_iter().enumerate() {
            if text.contains(separator) {
                self.separated[i] += 1;
            }
            for item in text.split(separator) {
                self.add_item(separator, Cell::Text(item.trim()));
            }
        }
    }

    fn observe_number(&mut self, value: f64, is_integer: bool) {
        self.numbers += 1;
        self.integers += usize::from(is_integer);
        self.zeros += usize::from(value == 0.0);
        self.ones += usize::from(value == 1.0);
        self.smallest = self.smallest.min(value);
        self.largest = self.largest.max(value);
    }

    fn add_item(&mut self, separator: char, item: Cell<'_>) {
        let items = self.items.entry(separator).or_default();
        if items.len() < MOST
            && let Ok(Some(key)) = item.key()
        {
            items.insert(key);
        }
    }
}
