#![doc = include_str!("../README.md")]

mod comparison;
mod curves;
mod error;
mod figure;
mod gates;
mod html;
mod page;
mod shared;
mod sweep;
mod theme;
mod training;

pub use comparison::compared;
pub use error::{Error, Result};
pub use figure::{
    Figure, HeatMap, Interval, IntervalPlot, LinePlot, ParetoPlot, ParetoPoint, ReliabilityDiagram,
    Series,
};
pub use page::Report;
pub use sweep::swept;
pub use training::trained;
