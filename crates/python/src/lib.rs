//! The native module of the Python package `streamtable`.
//!
//! A thin layer over [`streamtable::blocking`]: it reads rows directly from Python objects, and
//! releases the GIL during waits. The package's public API is Python code in `python/streamtable`.
//!
//! No lock is held while Python code runs. A fork, which happens only while the GIL is held,
//! therefore finds every lock released.

mod arrow;
mod errors;
mod fetch;
mod local;
mod log;
mod open;
mod plain;
mod process;
mod report;
mod spool;
mod stats;
mod table;
mod value;
mod views;

use pyo3::prelude::*;

#[pymodule]
mod _native {
    use super::*;
    #[pymodule_export]
    use crate::arrow::{arrow_without_views, rows_of_arrow};
    #[pymodule_export]
    use crate::fetch::Stream;
    #[pymodule_export]
    use crate::local::is_row_time;
    #[pymodule_export]
    use crate::process::{after_fork, finish_all};
    #[pymodule_export]
    use crate::spool::{spool_entries, sync_spool};
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
