use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use crate::fault::NotAFault;
use crate::{Fault, RequestKind};

/// The faults to inject and the requests that they apply to, as plain data.
///
/// The text form, for printing and parsing, has one fault per line (or separated by `;`): the
/// selected requests, the number of the request among them, and the fault. `Debug` prints it, too, so
/// that a failing test prints a plan that can be run again.
///
/// ```
/// use streamtable_mock_backend::{Fault, FaultPlan, RequestKind};
///
/// let plan = FaultPlan::new()
///     .with(RequestKind::FileStream, 3, "lose-answer(timeout)".parse()?)
///     .with("StreamTableCreate", 0, Fault::status(503));
/// assert_eq!(
///     plan.to_string(),
///     "file_stream#3 lose-answer(timeout)\nStreamTableCreate#0 status(503)"
/// );
/// let shown = r#""file_stream#3 lose-answer(timeout); StreamTableCreate#0 status(503)""#;
/// assert_eq!(format!("{plan:?}"), shown);
/// assert_eq!(plan.to_string().parse(), Ok(plan));
/// # Ok::<(), streamtable_mock_backend::NotAFault>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct FaultPlan {
    /// The faults. If two are for the same request, the first applies.
    pub entries: Vec<PlannedFault>,
}

/// One fault of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PlannedFault {
    /// The requests that are counted.
    pub select: Select,
    /// The number of the request among them: 0 is the first that was ever sent to the mock.
    pub nth: u64,
    /// The fault.
    pub fault: Fault,
}

/// A selection of requests.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Select {
    /// All requests.
    Any,
    /// Requests of a kind.
    Kind(RequestKind),
    /// GraphQL requests with this operation name.
    Operation(String),
}

impl FaultPlan {
    /// Creates a plan without faults.
    pub const fn new() -> Self {
        Self { entries: Vec::new() }
    }

    /// Adds a fault for the selected request with the number `nth`; 0 is the first.
    #[must_use]
    pub fn with(mut self, select: impl Into<Select>, nth: u64, fault: Fault) -> Self {
        self.entries.push(PlannedFault { select: select.into(), nth, fault });
        self
    }

    /// Returns whether one of the faults is a delay, for which the mock needs a timer.
    pub fn has_delay(&self) -> bool {
        self.entries.iter().any(|entry| matches!(entry.fault, Fault::Delay(_)))
    }
}

impl Select {
    fn matches(&self, kind: RequestKind, operation: Option<&str>) -> bool {
        match self {
            Self::Any => true,
            Self::Kind(selected) => *selected == kind,
            Self::Operation(name) => Some(name.as_str()) == operation,
        }
    }
}

impl From<RequestKind> for Select {
    fn from(kind: RequestKind) -> Self {
        Self::Kind(kind)
    }
}

impl From<&str> for Select {
    /// Selects an operation by its name.
    fn from(operation: &str) -> Self {
        Self::Operation(operation.to_owned())
    }
}

impl fmt::Display for Select {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::Kind(kind) => kind.fmt(f),
            Self::Operation(name) => f.write_str(name),
        }
    }
}

impl FromStr for Select {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let kind = RequestKind::ALL.into_iter().find(|kind| kind.as_str() == text);
        Ok(match (text, kind) {
            ("any", _) => Self::Any,
            (_, Some(kind)) => Self::Kind(kind),
            (name, None) => Self::Operation(name.to_owned()),
        })
    }
}

impl fmt::Display for PlannedFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{} {}", self.select, self.nth, self.fault)
    }
}

impl FromStr for PlannedFault {
    type Err = NotAFault;

    fn from_str(text: &str) -> Result<Self, NotAFault> {
        let not_a_fault = || NotAFault { text: text.to_owned() };
        let (whom, fault) = text.split_once(' ').ok_or_else(not_a_fault)?;
        let (select, nth) = whom.split_once('#').ok_or_else(not_a_fault)?;
        let Ok(select) = select.parse();
        let nth = nth.parse().map_err(|_| not_a_fault())?;
        Ok(Self { select, nth, fault: fault.trim().parse()? })
    }
}

impl fmt::Display for FaultPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, entry) in self.entries.iter().enumerate() {
            let line_end = if i == 0 { "" } else { "\n" };
            write!(f, "{line_end}{entry}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for FaultPlan {
    /// Writes the text form in one line, in quotes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.to_string().replace('\n', "; "))
    }
}

impl FromStr for FaultPlan {
    type Err = NotAFault;

    fn from_str(text: &str) -> Result<Self, NotAFault> {
        let entries = text.split(['\n', ';']).map(str::trim).filter(|entry| !entry.is_empty());
        Ok(Self { entries: entries.map(str::parse).collect::<Result<_, _>>()? })
    }
}

/// Decides for each request which fault applies.
#[derive(Debug, Default)]
pub(crate) struct Schedule {
    plan: FaultPlan,
    queue: VecDeque<(Select, Fault)>,
    all: u64,
    by_kind: [u64; RequestKind::ALL.len()],
    by_operation: HashMap<String, u64>,
}

impl Schedule {
    pub(crate) fn new(plan: FaultPlan) -> Self {
        Self { plan, ..Self::default() }
    }

    pub(crate) fn push(&mut self, select: Select, fault: Fault) {
        self.queue.push_back((select, fault));
    }

    /// Counts a request and returns its fault.
    pub(crate) fn next(&mut self, kind: RequestKind, operation: Option<&str>) -> Option<Fault> {
        let [all, of_kind] = [&mut self.all, &mut self.by_kind[kind as usize]].map(count);
        let of_operation =
            operation.map(|name| count(self.by_operation.entry(name.to_owned()).or_default()));
        let planned = self.plan.entries.iter().find(|entry| {
            let nth = match &entry.select {
                Select::Any => Some(all),
                Select::Kind(_) => Some(of_kind),
                Select::Operation(_) => of_operation,
            };
            entry.select.matches(kind, operation) && nth == Some(entry.nth)
        });
        if let Some(planned) = planned {
            return Some(planned.fault.clone());
        }
        let queued = self.queue.iter().position(|(select, _)| select.matches(kind, operation))?;
        self.queue.remove(queued).map(|(_, fault)| fault)
    }
}

fn count(counter: &mut u64) -> u64 {
    *counter += 1;
    *counter - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str) {
        let plan: FaultPlan = text.parse().unwrap();
        assert_eq!(plan.to_string(), text);
    }

    #[track_caller]
    fn refuses(text: &str) {
        assert!(text.parse::<FaultPlan>().is_err(), "{text}");
    }

    #[test]
    fn plans_as_text() {
        check("");
        check("any#0 unreachable");
        check("graphql#1 lose-request(interrupted)\nfile_stream#2 lose-answer(timeout)");
        check("upload#3 delay(1500ms)\ndownload#4 duplicate\nother#5 late");
        check("StreamTableFind#6 status(429,7000ms)\nany#7 status(400)\nany#8 status-after(504)");
        check("any#9 html\nany#10 cut-body\nany#11 redirect");
        assert_eq!("any#0 late; ;any#1 late".parse::<FaultPlan>().unwrap().entries.len(), 2);

        refuses("any#0");
        refuses("any late");
        refuses("any#x late");
        refuses("any#0 late(1ms)");
        refuses("any#0 delay(1s)");
        refuses("any#0 status(1000)");
        refuses("any#0 lose-answer(unreachable)");
    }

    #[test]
    fn counts_among_the_selected() {
        let plan = "file_stream#1 late; A#0 html; any#3 duplicate".parse().unwrap();
        let mut schedule = Schedule::new(plan);
        schedule.push(RequestKind::Upload.into(), Fault::CutBody);
        schedule.push(Select::Any, Fault::Redirect);
        let mut next = |kind, operation| schedule.next(kind, operation);
        assert_eq!(next(RequestKind::FileStream, None), Some(Fault::Redirect));
        assert_eq!(next(RequestKind::Graphql, Some("B")), None);
        assert_eq!(next(RequestKind::Graphql, Some("A")), Some(Fault::HtmlErrorPage));
        assert_eq!(next(RequestKind::FileStream, None), Some(Fault::Late));
        assert_eq!(next(RequestKind::Upload, None), Some(Fault::CutBody));
        assert_eq!(next(RequestKind::Graphql, Some("A")), None);
    }
}
