//! What a request is told when it cannot be answered.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use mtl_feature::Cell;
use serde::Serialize;

/// Where in a request something is: `rows[3]`, `candidates[0]` or `user`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Part {
    Rows,
    User,
    Candidates,
}

impl Part {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Rows => "rows",
            Self::User => "user",
            Self::Candidates => "candidates",
        }
    }

    /// `candidates[3]`, or `user`.
    pub(crate) fn at(self, row: u64) -> String {
        match self {
            Self::User => self.name().to_owned(),
            _ => format!("{}[{row}]", self.name()),
        }
    }
}

/// An error as JSON: `{"error": {"message": …, "row": …, "field": …, …}}`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Problem {
    #[serde(skip)]
    pub(crate) status: StatusCode,
    /// All of it in one line.
    pub(crate) message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) part: Option<Part>,
    /// The row of `rows` or `candidates`, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) row: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) field: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) expected: Option<String>,
}

impl Problem {
    /// A problem that is of no field.
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { status, message, part: None, row: None, field: None, value: None, expected: None }
    }

    /// A request that cannot be read.
    pub(crate) fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// A field that is not there, or not what it should be; `value` as [`Cell::quoted`] has it.
    pub(crate) fn field(
        (part, row): (Part, u64),
        field: &str,
        value: Option<String>,
        expected: impl Into<String>,
    ) -> Self {
        let (expected, at) = (expected.into(), part.at(row));
        let message = match &value {
            Some(value) => format!("{at}, field `{field}`: found {value}, expected {expected}"),
            None => format!("{at} has no field `{field}`, expected {expected}"),
        };
        let row = (part != Part::User).then_some(row);
        let (status, field) = (StatusCode::BAD_REQUEST, Some(field.to_owned()));
        Self { status, message, part: Some(part), row, field, value, expected: Some(expected) }
    }

    /// What encoding a chunk of that part found.
    pub(crate) fn encoding(part: Part, error: mtl_feature::Error) -> Self {
        match error {
            mtl_feature::Error::Value { row, column, value, expected } => {
                Self::field((part, row), &column, Some(value), expected)
            }
            other => Self::bad(other.to_string()),
        }
    }

    /// A formula that does not fit the model.
    pub(crate) fn fusion(error: &mtl_model::Error) -> Self {
        let problem = Self::bad(error.to_string());
        match error {
            mtl_model::Error::Fusion { form, output, value, expected } => Self {
                field: Some(format!("fusion.{form}.{output}")),
                value: Some(value.to_string()),
                expected: Some((*expected).to_owned()),
                ..problem
            },
            _ => problem,
        }
    }

    pub(crate) fn overloaded() -> Self {
        let message = "too many requests are waiting, expected another try later";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
    }

    /// A bug: the one answer that is not the sender's fault.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, message)
    }

    fn body(&self) -> Vec<u8> {
        #[derive(Serialize)]
        struct Body<'a> {
            error: &'a Problem,
        }
        serde_json::to_vec(&Body { error: self }).unwrap_or_default()
    }
}

/// A JSON value that is none a column holds, for a message.
pub(crate) fn quoted(text: &str) -> String {
    Cell::Text(text).quoted()
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status, [(header::CONTENT_TYPE, "application/json")], self.body())
            .into_response();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
        }
        response
    }
}
