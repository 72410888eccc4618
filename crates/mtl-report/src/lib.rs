#![doc = include_str!("../README.md")]

mod comparison;
mod curves;
mod error;
mod evaluated;
mod figure;
mod gates;
mod html;
mod image;
mod importance;
mod metrics;
mod page;
mod segments;
mod shared;
mod sweep;
mod theme;
mod training;

pub use comparison::compared;
pub use error::{Error, Result};
pub use evaluated::evaluated;
pub use figure::{
    Bar, BarPlot, Figure, FigureFormat, HeatMap, Interval, IntervalPlot, LinePlot, ParetoPlot,
    ParetoPoint, ReliabilityDiagram, Series,
};
pub use page::Report;
pub use sweep::swept;
pub use training::trained;
