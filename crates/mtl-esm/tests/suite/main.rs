//! One suite of behaviour graphs: their arithmetic, their training and what is refused.

mod arithmetic;
mod common;
mod training;
mod validation;
