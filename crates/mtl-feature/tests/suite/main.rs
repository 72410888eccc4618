//! One suite of schemas, from fitting to what a row becomes.

mod derived;
mod schema;
mod sequences;
mod time_zones;
