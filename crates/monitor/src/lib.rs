//! Monitors of tables: documents, conditions, states and messages.
//!
//! A [`Monitor`] is a document: which rows to look at, a [`Condition`], and how long it must hold. A
//! server evaluates its values by queries, and passes them with the time to a [`Machine`], which
//! returns each transition between states exactly once. [`Target`] describes where messages go, and
//! [`Message`] is rendered in the form that each kind of target expects.
//!
//! This crate does no I/O, knows no SQL and reads no clock.
//!
//! ```
//! use streamtable_monitor::{DocumentError, Machine, Monitor, Outcome, Reading, State};
//!
//! fn main() -> Result<(), DocumentError> {
//!     let monitor = Monitor::parse(br#"{
//!         "format": 1, "title": "Slow", "table": "me/shop/requests", "window": {"last": "5m"},
//!         "condition": {"kind": "threshold", "value": "avg(ms)", "above": 100, "recover": 80}
//!     }"#)?;
//!     let mut machine = Machine::default();
//!     let mut step = |value: f64, now| {
//!         let reading = Reading::of(value, monitor.condition.bounds().unwrap());
//!         machine.step(&monitor.rule(), &Outcome::Groups(vec![(String::new(), reading)]), now)
//!     };
//!     assert_eq!(step(120.0, 0)[0].to, State::Firing);
//!     assert_eq!(step(90.0, 1_000), []);
//!     assert_eq!(step(80.0, 2_000)[0].to, State::Ok);
//!     Ok(())
//! }
//! ```

mod bounds;
mod document;
pub mod drift;
mod machine;
mod message;
mod secret;
mod silence;
mod span;
mod target;

pub use bounds::{Bounds, Reading};
pub use document::{
    Against, Condition, DocumentError, DriftMethod, Measure, Monitor, NoData, Severity, Window,
};
pub use machine::{GroupState, Machine, Notice, Outcome, Rule, State, Transition};
pub use message::{Event, MAX_EVENTS, Message};
pub use secret::Secret;
pub use silence::Silence;
pub use span::Span;
pub use target::{Email, Security, Target, Webhook};
