//! What goes wrong in a world, found while it runs, and what is done about it.
//!
//! A monitored world keeps vital signs: what each actor had used at the beginning of a window of ticks, and what it did since. At
//! the end of each window the [`ErrorDetectionSystem`] compares; what it finds is told to observers, and if a recovery action
//! is bound to it, that acts on the actor between the ticks, as an [`Intervention`](crate::inspect::Intervention). All but the
//! storms of wrong guesses depends on the state of the world alone, so the same world is acted on in the same ticks. Native code
//! comes and goes with time; so about storms nothing can be bound.
//!
//! | file | what it holds |
//! |---|---|
//! | `anomaly` | what can go wrong, from when on, and what is recommended |
//! | `vitals` | what a monitored world remembers |
//! | `detect` | the patterns |
//! | `cycles` | senders that wait for each other |
//! | `metrics` | counters, gauges and histograms for Prometheus |

mod anomaly;
mod cycles;
mod detect;
mod metrics;
mod vitals;

pub use anomaly::{AnomalyPattern, DetectedAnomaly, MonitoringThresholds, RecoveryAction, Remedy};
pub use detect::ErrorDetectionSystem;
pub(crate) use metrics::Gauges;
pub use metrics::Metrics;
pub(crate) use vitals::Monitoring;
