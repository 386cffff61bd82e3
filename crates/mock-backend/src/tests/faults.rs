//! What each fault does to a request, seen from both sides.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use streamtable_transport::Timer;
use streamtable_wire::{REQUEST_HEADER, SentPost, SentUpload};

use super::*;
use crate::{Fault, FaultPlan, NoAck, NoTimer, RequestKind};

const ROW: &str = r#"{"x":1,"_client_id":"w"}"#;

/// Tells what a client sees, in a word or two.
fn seen(answered: Answered) -> String {
    match answered {
        Ok((status, _)) => status.as_u16().to_string(),
        Err(TransportError::Timeout { .. }) => "timeout".to_owned(),
        Err(TransportError::Interrupted { .. }) => "interrupted".to_owned(),
        Err(TransportError::Unreachable { .. }) => "unreachable".to_owned(),
        Err(error) => error.to_string(),
    }
}

/// Posts a row under a fault: what the client sees, how often the post arrived, and how many rows
/// there are.
#[track_caller]
fn check(fault: &str, expected: &str, arrived: usize, rows: usize) {
    let bench = Bench::new();
    bench.mock.push_fault(RequestKind::FileStream, fault.parse().unwrap()).unwrap();
    assert_eq!(seen(bench.post_rows(0, &[ROW])), expected, "{fault}");
    let journal = bench.mock.journal();
    assert_eq!(bench.mock.count(RequestKind::FileStream), arrived, "{fault}: {journal:?}");
    assert_eq!(bench.texts().len(), rows, "{fault}");
    assert!(journal.iter().all(|arrival| arrival.fault == Some(fault.parse().unwrap())));

    // Nothing is left of it for the next request, and what was stored is stored once.
    assert_eq!(seen(bench.post_rows(0, &[ROW])), "200");
    assert_eq!(bench.texts(), [ROW]);
    bench.mock.assert_no_violations();
}

#[test]
fn what_client_and_backend_see() {
    check("unreachable", "unreachable", 0, 0);
    check("lose-request(interrupted)", "interrupted", 0, 0);
    check("lose-request(timeout)", "timeout", 0, 0);
    check("lose-answer(interrupted)", "interrupted", 1, 1);
    check("lose-answer(timeout)", "timeout", 1, 1);
    check("duplicate", "200", 2, 1);
    check("late", "timeout", 0, 0);
    check("status(503)", "503", 1, 0);
    check("status(429,1500ms)", "429", 1, 0);
    check("status-after(504)", "504", 1, 1);
    check("html", "502", 1, 0);
    check("cut-body", "interrupted", 1, 1);
    check("redirect", "307", 1, 0);
    check("no-ack(page)", "200", 1, 0);
    check("no-ack(no-content)", "204", 1, 0);
    check("no-ack(empty)", "200", 1, 0);
    check("no-ack(truncated)", "200", 1, 1);
    check("no-ack(wrong-shape)", "200", 1, 0);
    check("no-ack(other-answer)", "200", 1, 0);
    // One row has no half.
    check("partial-ack", "200", 1, 1);
}

/// Posts two rows under a fault, and returns what the one rule makes of the answer.
fn ack_under(fault: Option<Fault>, acks: bool) -> Result<Option<u64>, String> {
    let bench = Bench::with(MockConfig { acks, ..MockConfig::default() });
    if let Some(fault) = fault {
        bench.mock.push_fault(RequestKind::FileStream, fault).unwrap();
    }
    let path = file_stream_path(&bench.table);
    let body = streamtable_wire::history_body(3, [ROW, r#"{"x":2,"_client_id":"w"}"#]);
    let request = Request::post(format!("{}{path}", bench.mock.base_url()))
        .header(AUTHORIZATION.0, AUTHORIZATION.1)
        .header(JSON.0, JSON.1)
        .header(ASYNC.0, ASYNC.1)
        .header(REQUEST_HEADER, "r");
    let answer = ready(bench.mock.send(request.body(body.into()).unwrap())).unwrap();
    let sent = SentPost { rows: Some(3..5), request: "r", must_state: acks };
    let acked = sent.ack(&answer).map(|answer| answer.acked).map_err(|error| error.to_string());
    if let Ok(end) = acked {
        assert_eq!(bench.texts().len() as u64, end.map_or(2, |end| end - 3));
    }
    acked
}

#[test]
fn no_false_answer_is_an_ack() {
    assert_eq!(ack_under(None, true), Ok(Some(5)));
    assert_eq!(ack_under(None, false), Ok(None));
    assert_eq!(ack_under(Some(Fault::PartialAck), true), Ok(Some(4)));
    assert_eq!(ack_under(Some(Fault::PartialAck), false), Ok(None));
    for kind in NoAck::ALL {
        for acks in [false, true] {
            let error = ack_under(Some(Fault::NoAck(kind)), acks).unwrap_err();
            assert!(error.contains("not an acknowledgement"), "{kind}: {error}");
        }
    }
}

#[test]
fn no_false_answer_to_an_upload_is_an_ack() {
    for acks in [false, true] {
        let bench = Bench::with(MockConfig { acks, ..MockConfig::default() });
        let names = vec!["media/html/a.html".to_owned()];
        let create = streamtable_wire::graphql::CreateRunFiles::new(&bench.table, names);
        let files = bench.ask(&create).create_run_files.unwrap().files;
        let url = files[0].upload_url.clone().unwrap();
        let put = || {
            let (name, value) = crate::upload::UPLOAD_HEADER;
            let request = Request::put(&url).header(name, value).body("bytes".into()).unwrap();
            let answer = ready(bench.mock.send(request)).unwrap();
            SentUpload { bytes: b"bytes", must_state: acks }.ack(&answer)
        };
        for kind in NoAck::ALL {
            // An object store answers without a body, of which nothing can be missing.
            if kind != NoAck::Truncated || acks {
                bench.mock.push_fault(RequestKind::Upload, Fault::NoAck(kind)).unwrap();
                assert!(put().is_err(), "{kind}");
            }
        }
        assert_eq!(put(), Ok(()));
    }
}

#[test]
fn a_late_request_arrives_behind_the_next_of_its_kind() {
    let bench = Bench::new();
    let row = |i: u64| format!(r#"{{"i":{i},"_client_id":"w"}}"#);
    let post = |i: u64| seen(bench.post_rows(i, &[&row(i)]));
    bench.mock.push_fault(RequestKind::FileStream, Fault::Late).unwrap();
    assert_eq!(post(0), "timeout");
    bench.ask(&streamtable_wire::graphql::WhoAmI {});
    assert_eq!(bench.texts().len(), 0);
    assert_eq!(post(1), "200");
    assert_eq!(bench.texts(), [row(1), row(0)]);

    bench.mock.push_fault(RequestKind::FileStream, Fault::Late).unwrap();
    assert_eq!(post(2), "timeout");
    assert_eq!((bench.mock.settle(), bench.mock.settle()), (1, 0));
    assert_eq!(bench.texts(), [row(1), row(0), row(2)]);
    let offsets: Vec<_> = bench.mock.journal().iter().filter_map(|a| a.offset).collect();
    assert_eq!(offsets, [1, 0, 2]);
}

#[test]
fn headers_of_refusals() {
    let bench = Bench::new();
    let header = |fault: Fault, name: &str| {
        bench.mock.push_fault(RequestKind::Other, fault).unwrap();
        let request = Request::get("http://mock.invalid/").body(Bytes::new()).unwrap();
        let answer = ready(bench.mock.send(request)).unwrap();
        answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned())
    };
    let after = |millis| Fault::retry_after(429, Duration::from_millis(millis));
    assert_eq!(header(after(7000), "retry-after").as_deref(), Some("7"));
    assert_eq!(header(after(1500), "retry-after").as_deref(), Some("1.5"));
    assert_eq!(header(Fault::status(503), "retry-after"), None);
    assert_eq!(header(Fault::HtmlErrorPage, "content-type").as_deref(), Some("text/html"));
    assert!(header(Fault::Redirect, "location").is_some());
}

#[test]
fn a_plan_strikes_by_number() {
    let faults: FaultPlan = "file_stream#1 html; StreamTableWhoAmI#0 status(500)".parse().unwrap();
    let bench = Bench::with(MockConfig { faults, ..MockConfig::default() });
    let who = || request_body(&streamtable_wire::graphql::WhoAmI {});
    assert_eq!(seen(bench.post_rows(0, &[ROW])), "200");
    assert_eq!(seen(bench.post_graphql(who())), "500");
    assert_eq!(seen(bench.post_rows(0, &[ROW])), "502");
    assert_eq!(seen(bench.post_rows(0, &[ROW])), "200");
    assert_eq!(seen(bench.post_graphql(who())), "200");
}

/// Notes for how long somebody slept, without sleeping.
#[derive(Clone, Debug, Default)]
struct Noted(Arc<Mutex<Vec<Duration>>>);

#[async_trait]
impl Timer for Noted {
    async fn sleep(&self, duration: Duration) {
        self.0.lock().unwrap().push(duration);
    }
}

#[test]
fn waiting_takes_a_timer() {
    let delay = Fault::Delay(Duration::from_secs(5));
    let faults = FaultPlan::new().with(RequestKind::FileStream, 0, delay.clone());
    let without = MockConfig { faults: faults.clone(), ..MockConfig::default() };
    assert_eq!(MockBackend::new(without).err(), Some(NoTimer));
    assert_eq!(Bench::new().mock.push_fault(RequestKind::Other, delay), Err(NoTimer));

    let noted = Noted::default();
    let timer: Option<Arc<dyn Timer>> = Some(Arc::new(noted.clone()));
    let bench = Bench::with(MockConfig { faults, timer, ..MockConfig::default() });
    assert_eq!(seen(bench.post_rows(0, &[ROW])), "200");
    bench.mock.push_fault(RequestKind::FileStream, Fault::Late).unwrap();
    assert_eq!(seen(bench.post_rows(0, &[ROW])), "timeout");
    assert_eq!(*noted.0.lock().unwrap(), [5, 30].map(Duration::from_secs));
}
