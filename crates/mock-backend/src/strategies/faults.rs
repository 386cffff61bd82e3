use std::time::Duration;

use http::StatusCode;
use proptest::prelude::*;

use crate::{Fault, FaultPlan, Loss, NoAck, PlannedFault, RequestKind, Select};

/// The upper bound of all delays, in milliseconds. A client that waits as the server asks is done
/// within seconds, even in real time.
const MAX_DELAY: u64 = 1000;

/// Transient faults: a client that continues loses no row and stores none twice.
///
/// With `delays`, some of them only take time; these need a timer. Delays and `Retry-After` are
/// below a second. Without [a timer](crate::MockConfig::timer), timeouts happen at once.
pub fn passing_fault(delays: bool) -> impl Strategy<Value = Fault> {
    let loss = prop::sample::select(vec![Loss::Interrupted, Loss::Timeout]);
    let code = prop::sample::select(vec![408_u16, 429, 500, 502, 503, 504]);
    let code = code.prop_map(|code| StatusCode::from_u16(code).expect("a status"));
    let after = prop::option::of((0..MAX_DELAY).prop_map(Duration::from_millis));
    let status =
        (code.clone(), after).prop_map(|(code, retry_after)| Fault::Status { code, retry_after });
    let delay = (0..MAX_DELAY).prop_map(move |millis| match delays {
        true => Fault::Delay(Duration::from_millis(millis)),
        false => Fault::Duplicate,
    });
    prop_oneof![
        1 => Just(Fault::Unreachable),
        2 => loss.clone().prop_map(Fault::LoseRequest),
        3 => loss.prop_map(Fault::LoseAnswer),
        2 => delay,
        2 => Just(Fault::Duplicate),
        3 => Just(Fault::Late),
        3 => status,
        2 => code.prop_map(Fault::StatusAfter),
        1 => Just(Fault::HtmlErrorPage),
        2 => Just(Fault::CutBody),
        3 => prop::sample::select(NoAck::ALL.to_vec()).prop_map(Fault::NoAck),
        1 => Just(Fault::PartialAck),
    ]
}

/// Statuses after which a client stops: the request, the key or the table is invalid.
pub fn fatal_fault() -> impl Strategy<Value = Fault> {
    prop::sample::select(vec![400_u16, 401, 403, 404, 409]).prop_map(Fault::status)
}

/// Plans of up to `most` such faults among the first `requests` requests of a kind.
pub fn fault_plan(
    fault: impl Strategy<Value = Fault>,
    requests: u64,
    most: usize,
) -> impl Strategy<Value = FaultPlan> {
    let select = prop_oneof![
        4 => Just(Select::Kind(RequestKind::FileStream)),
        2 => Just(Select::Kind(RequestKind::Graphql)),
        1 => Just(Select::Kind(RequestKind::Upload)),
        1 => Just(Select::Any),
    ];
    let entry = (select, 0..requests.max(1), fault);
    prop::collection::vec(entry, 0..=most).prop_map(|entries| {
        let entries = entries.into_iter();
        FaultPlan {
            entries: entries
                .map(|(select, nth, fault)| PlannedFault { select, nth, fault })
                .collect(),
        }
    })
}
