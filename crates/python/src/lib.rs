//! The Python package `streamtable`: its native half.
//!
//! Thin over [`streamtable::blocking`]: rows are taken from Python objects as they are, waits give
//! the interpreter to others. What a person sees of the package is Python, in `python/streamtable`.
//!
//! Nothing here keeps a lock while Python code runs, so that a fork, which only ever happens while
//! the interpreter is held, finds every lock free.

mod arrow;
mod errors;
mod fetch;
mod log;
mod open;
mod plain;
mod process;
mod report;
mod stats;
mod table;
mod value;

use pyo3::prelude::*;

#[pymodule]
mod _native {
    use super::*;
    #[pymodule_export]
    use crate::arrow::rows_of_arrow;
    #[pymodule_export]
    use crate::process::{after_fork, finish_all};
    #[pymodule_export]
    use crate::stats::{MediaStats, Recovered, Stats};
    #[pymodule_export]
    use crate::table::Table;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        crate::report::begin();
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
