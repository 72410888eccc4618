//! Data to train on, parted, and what is known beside it.

use mtl_feature::{FeatureTable, Schema};

use crate::{Beside, ColumnBeside, Part, RowSource};

/// Data to train on, encoded by a schema that was fitted to its training rows alone.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Dataset<R = FeatureTable> {
    /// The schema.
    pub schema: Schema,
    /// Rows to train on: a table, or other [`RowSource`].
    pub train: R,
    /// Rows to choose by; none if the configuration names none.
    pub validation: R,
    /// Rows to report on; none if the configuration names none.
    pub test: R,
    /// What is known about rows and no model may see: what a generator knows, or columns of a file that
    /// are [read beside it](crate::read_truth).
    pub truth: Option<Truth>,
    /// Columns that rows are told apart by, if any were [asked for](crate::Loader::beside).
    pub beside: Beside,
}

/// The truth about rows: tables that have labels and nothing else, found by name with
/// [`FeatureTable::label_of`]. Row i of `test` here is row i of the test rows, and so on.
///
/// It is not in the [`Schema`] and not in the tables of the [`Dataset`], so nothing that trains on
/// those can read it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Truth {
    /// Of the training rows.
    pub train: FeatureTable,
    /// Of the validation rows.
    pub validation: FeatureTable,
    /// Of the test rows.
    pub test: FeatureTable,
}

impl Truth {
    /// That of the rows of one part, where no more is needed.
    pub fn of(part: Part, table: FeatureTable) -> Self {
        let none = FeatureTable::default;
        let mut truth = Self { train: none(), validation: none(), test: none() };
        match part {
            Part::Train => truth.train = table,
            Part::Validation => truth.validation = table,
            Part::Test => truth.test = table,
        }
        truth
    }
}

impl<R> Dataset<R> {
    pub(crate) fn new(schema: Schema, train: R, validation: R, test: R) -> Self {
        Self { schema, train, validation, test, truth: None, beside: Beside::default() }
    }

    /// The same rows in another form.
    pub fn map<Q>(self, mut f: impl FnMut(R) -> Q) -> Dataset<Q> {
        let Self { schema, train, validation, test, truth, beside } = self;
        let (train, validation, test) = (f(train), f(validation), f(test));
        Dataset { schema, train, validation, test, truth, beside }
    }
}

/// The rows to report on.
#[derive(Clone, Copy, Debug)]
pub struct Reported<'d, R> {
    /// Which they are: `test` or `validation`.
    pub part: &'static str,
    /// The rows.
    pub rows: &'d R,
    /// The truth about them, if it is known.
    pub truth: Option<&'d FeatureTable>,
    /// Columns beside them.
    pub beside: &'d [ColumnBeside],
}

impl<R: RowSource> Dataset<R> {
    /// The test rows if there are any, else the validation rows; `None` if there are neither.
    pub fn reported(&self) -> Option<Reported<'_, R>> {
        let (truth, beside) = (self.truth.as_ref(), &self.beside);
        let test = Reported {
            part: "test",
            rows: &self.test,
            truth: truth.map(|truth| &truth.test),
            beside: &beside.test,
        };
        let validation = Reported {
            part: "validation",
            rows: &self.validation,
            truth: truth.map(|truth| &truth.validation),
            beside: &beside.validation,
        };
        [test, validation].into_iter().find(|reported| !reported.rows.is_empty())
    }
}

impl<R: RowSource + 'static> Dataset<R> {
    /// The same data with its rows behind the trait.
    pub fn boxed(self) -> Dataset<Box<dyn RowSource>> {
        self.map(|rows| Box::new(rows) as Box<dyn RowSource>)
    }
}
