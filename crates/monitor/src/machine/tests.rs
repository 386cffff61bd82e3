use proptest::prelude::*;

use super::*;
use crate::Bounds;

const BOUNDS: Bounds = Bounds { above: Some(10.0), below: None, recover: Some(5.0) };

fn rule(hold: u64) -> Rule {
    Rule { hold: Span::from_secs(hold), no_data: NoData::NoData, is_grouped: false, max_groups: 1 }
}

fn grouped(max_groups: usize, no_data: NoData) -> Rule {
    Rule { hold: Span::default(), no_data, is_grouped: true, max_groups }
}

fn one(reading: Reading) -> Outcome {
    Outcome::Groups(vec![(String::new(), reading)])
}

/// Runs a schedule of seconds and values, and returns the states after each of them.
fn states(rule: &Rule, schedule: &[(i64, Option<f64>)]) -> Vec<State> {
    let mut machine = Machine::default();
    let step = |&(second, value): &(i64, Option<f64>)| {
        let reading = value.map_or(Reading::NoData, |value| Reading::of(value, &BOUNDS));
        machine.step(rule, &one(reading), second * 1000);
        machine.state()
    };
    schedule.iter().map(step).collect()
}

#[test]
fn a_condition_must_hold_without_interruption() {
    use State::*;
    let (high, low, middle) = (Some(11.0), Some(1.0), Some(7.0));
    #[track_caller]
    fn check(schedule: &[(i64, Option<f64>)], expected: &[State]) {
        assert_eq!(states(&rule(60), schedule), expected);
    }
    check(&[(0, high), (59, high), (60, high)], &[Pending, Pending, Firing]);
    check(&[(0, high), (30, low), (60, high), (119, high)], &[Pending, Ok, Pending, Pending]);
    check(&[(0, high), (30, middle), (60, high)], &[Pending, Ok, Pending]);
    check(&[(0, high), (30, None), (60, high)], &[Pending, NoData, Pending]);
    // A gap in the evaluations is no interruption.
    check(&[(0, high), (3600, high)], &[Pending, Firing]);
    // A clock that goes back fires nothing.
    check(&[(100, high), (0, high), (160, high)], &[Pending, Pending, Firing]);
    // A monitor that fires does not recover by having no value or one within the hysteresis.
    check(
        &[(0, high), (60, high), (61, middle), (62, None), (63, middle), (64, Some(5.0))],
        &[Pending, Firing, Firing, NoData, Firing, Ok],
    );
}

#[test]
fn a_missing_value_means_what_the_document_says() {
    let run = |no_data| {
        let rule = Rule { no_data, ..rule(0) };
        states(&rule, &[(0, Some(11.0)), (1, None), (2, Some(1.0)), (3, None)])
    };
    use State::*;
    assert_eq!(run(crate::NoData::NoData), [Firing, NoData, Ok, NoData]);
    assert_eq!(run(crate::NoData::Ok), [Firing, Ok, Ok, Ok]);
    assert_eq!(run(crate::NoData::Keep), [Firing, Firing, Ok, Ok]);
}

#[test]
fn an_error_of_a_monitor_with_groups_is_one_state() {
    let rule = grouped(10, NoData::NoData);
    let mut machine = Machine::default();
    let readings = ["a", "b"].map(|name| (name.to_owned(), Reading::Breach(1.0)));
    let found = Outcome::Groups(readings.to_vec());
    assert_eq!(machine.step(&rule, &found, 0).len(), 2);
    let failed = Outcome::Failed("no such column".to_owned());
    let transitions = machine.step(&rule, &failed, 1);
    assert_eq!(transitions.len(), 1);
    assert_eq!((transitions[0].group.as_str(), transitions[0].to), ("", State::Error));
    assert_eq!(machine.step(&rule, &Outcome::Failed("another".to_owned()), 2), []);
    let again = machine.step(&rule, &found, 3);
    assert_eq!((again.len(), again[0].from, again[0].to), (1, State::Error, State::Ok));
    machine.take_notices(&[], 3);
    machine.tidy();
    assert_eq!(machine.groups().count(), 2);
}

#[test]
fn groups_are_bounded_and_idle_ones_make_room() {
    let rule = grouped(3, NoData::Ok);
    let mut machine = Machine::default();
    let clear = |names: &[&str]| {
        let reading = |name: &&str| ((*name).to_owned(), Reading::Clear(0.0));
        Outcome::Groups(names.iter().map(reading).collect())
    };
    machine.step(&rule, &clear(&["a", "b", "c", "d"]), 0);
    assert_eq!((machine.groups().count(), machine.ignored()), (3, 1));
    machine.step(&rule, &clear(&["b", "d"]), 10);
    let names: Vec<&str> = machine.groups().map(|(name, _)| name).collect();
    assert_eq!((names, machine.ignored()), (vec!["b", "c", "d"], 0));
    // A group that fires stays.
    let firing = Outcome::Groups(vec![("b".to_owned(), Reading::Breach(1.0))]);
    let rule = grouped(1, NoData::Keep);
    let mut machine = Machine::default();
    machine.step(&rule, &firing, 0);
    machine.step(&rule, &clear(&["z"]), 10);
    assert_eq!((machine.state(), machine.ignored()), (State::Firing, 1));
}

#[test]
fn silenced_groups_are_reported_when_the_silence_ends() {
    let rule = rule(0);
    let mut machine = Machine::default();
    let silence = [Silence { until: 100, group: None, reason: String::new(), by: "me".to_owned() }];
    let step = |machine: &mut Machine, value: f64, now: i64| {
        machine.step(&rule, &one(Reading::of(value, &BOUNDS)), now);
        let notices = machine.take_notices(&silence, now);
        notices.iter().map(|it| (it.from, it.to)).collect::<Vec<_>>()
    };
    use State::{Firing, Ok};
    // What begins and ends during a silence is not reported.
    assert_eq!(step(&mut machine, 11.0, 10), []);
    assert_eq!(step(&mut machine, 1.0, 20), []);
    assert_eq!(step(&mut machine, 11.0, 30), []);
    assert_eq!(step(&mut machine, 11.0, 99), []);
    assert_eq!(step(&mut machine, 11.0, 100), [(Ok, Firing)]);
    assert_eq!(step(&mut machine, 11.0, 101), []);
    assert_eq!(step(&mut machine, 1.0, 102), [(Firing, Ok)]);
}

#[derive(Clone, Debug)]
enum Event {
    Value(Option<f64>),
    Failure,
    Restart,
}

fn events() -> impl Strategy<Value = Vec<(i64, Event)>> {
    let event = prop_oneof![
        6 => prop_oneof![Just(11.0), Just(10.0), Just(7.0), Just(5.0), Just(1.0), Just(f64::INFINITY)]
            .prop_map(|value| Event::Value(Some(value))),
        1 => Just(Event::Value(None)),
        1 => Just(Event::Failure),
        1 => Just(Event::Restart),
    ];
    prop::collection::vec((0..40_000_i64, event), 0..80)
}

fn no_data() -> impl Strategy<Value = NoData> {
    prop_oneof![Just(NoData::NoData), Just(NoData::Ok), Just(NoData::Keep)]
}

proptest! {
    /// Transitions form a chain, reports alternate, `for` is respected at any sampling, values within
    /// the hysteresis change nothing, and a restart at any moment changes nothing.
    #[test]
    fn laws(hold in 0_u64..90, no_data in no_data(), events in events()) {
        let rule = Rule { no_data, ..rule(hold) };
        let (mut machine, mut now) = (Machine::default(), 0);
        let (mut state, mut reported) = (State::Ok, State::Ok);
        // Since when each value has been a breach.
        let mut breach_since: Option<i64> = None;
        for (pause, event) in events {
            now += pause;
            let value = match event {
                Event::Restart => {
                    let text = serde_json::to_string(&machine).unwrap();
                    let restored: Machine = serde_json::from_str(&text).unwrap();
                    prop_assert_eq!(&restored, &machine);
                    machine = restored;
                    continue;
                }
                Event::Failure => None,
                Event::Value(value) => value,
            };
            let outcome = match event {
                Event::Failure => Outcome::Failed("failed".to_owned()),
                _ => one(value.map_or(Reading::NoData, |value| Reading::of(value, &BOUNDS))),
            };
            let interrupts = match value {
                Some(value) => value <= 10.0,
                None => no_data != NoData::Keep || matches!(event, Event::Failure),
            };
            if interrupts {
                breach_since = None;
            } else if value.is_some() {
                breach_since.get_or_insert(now);
            }
            let was = state;
            let transitions = machine.step(&rule, &outcome, now);
            prop_assert!(transitions.len() <= 1);
            for transition in &transitions {
                prop_assert_eq!(transition.from, state);
                prop_assert_ne!(transition.to, state);
                state = transition.to;
            }
            prop_assert_eq!(machine.state(), state);
            // The same outcome at the same moment changes nothing more.
            prop_assert_eq!(machine.clone().step(&rule, &outcome, now), vec![]);

            if state == State::Firing && was != State::Firing && was != State::NoData && was != State::Error {
                let since = breach_since.expect("fires only while the condition is met");
                prop_assert!(now - since >= rule.hold.as_millis());
            }
            if value.is_some_and(|value| value > 5.0 && value <= 10.0) {
                // No flapping: a value within the hysteresis neither fires nor recovers.
                prop_assert!(was != State::Ok || state == State::Ok);
                prop_assert!(was != State::Firing || state == State::Firing);
            }
            for notice in machine.take_notices(&[], now) {
                prop_assert_eq!(notice.from, reported);
                prop_assert_ne!(notice.to, reported);
                reported = notice.to;
            }
            prop_assert_eq!(reported, state.to_report());
        }
    }
}

#[test]
fn a_monitor_whose_groups_are_others_ends_its_states() {
    let rule = grouped(10, NoData::NoData);
    let mut machine = Machine::default();
    let readings =
        vec![("a".to_owned(), Reading::Breach(1.0)), ("b".to_owned(), Reading::Clear(0.0))];
    machine.step(&rule, &Outcome::Groups(readings), 0);
    machine.take_notices(&[], 0);
    let ended = machine.clear(5);
    assert_eq!((ended.len(), ended[0].from, ended[0].to), (1, State::Firing, State::Ok));
    assert_eq!(machine.take_notices(&[], 5).len(), 1);
    machine.tidy();
    assert_eq!(machine.groups().count(), 0);
}
