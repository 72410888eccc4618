//! One suite over every architecture × preset × float: what must hold whatever the architecture.

mod counts;
mod differences;
mod isolation;
mod model;
mod permutation;
mod shapes;
mod threads;
