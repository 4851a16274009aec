//! Generators and oracles that tests, fuzz targets and benchmarks share.
//!
//! | file | what it holds |
//! |---|---|
//! | `programs` | arbitrary programs, well-formed but not verified; one sample with everything in it |
//! | `fibers` | fibers in every kind of state, and surroundings for them |
//! | `fuzz` | the bodies of the fuzz targets: what must hold for any bytes |
//! | `generate` | programs that verify, end, and do much before |
//! | `differential` | generated programs in every tier, compared wherever they stop |
//! | `histories` | states of worlds and files of histories from any bytes |
//! | `shrink` | small witnesses of faults |
//! | `mutate` | damaged forms of an input: truncations, flipped bits, checksums made to fit |

pub mod differential;
pub mod fibers;
pub mod fuzz;
pub mod generate;
pub mod histories;
pub mod mutate;
pub mod programs;
pub mod shrink;
