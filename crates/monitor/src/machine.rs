//! The states of a monitor, one for each group.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{NoData, Reading, Silence, Span};

/// Maximum length of a group's name in characters; longer ones are cut.
const MAX_GROUP: usize = 200;

/// Maximum length of the reason of an error in characters.
const MAX_REASON: usize = 500;

/// The state of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The condition is not met.
    Ok,
    /// The condition is met, but not for long enough.
    Pending,
    /// The condition is met.
    Firing,
    /// There is no value.
    NoData,
    /// The value cannot be evaluated.
    Error,
}

/// The settings of a monitor that its states depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// How long the condition must be met before the state is [`State::Firing`].
    pub hold: Span,
    /// The meaning of a missing value.
    pub no_data: NoData,
    /// Whether there is one state for each group, or only one.
    pub is_grouped: bool,
    /// Maximum number of groups.
    pub max_groups: usize,
}

/// What one evaluation found.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// A reading for each group that has rows. A monitor without groups has one, named `""`.
    Groups(Vec<(String, Reading)>),
    /// The evaluation failed, for a reason that its author can understand.
    Failed(String),
}

/// A change of a state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Transition {
    /// The group, `""` for a monitor without groups.
    pub group: String,
    /// The former state.
    pub from: State,
    /// The new state.
    pub to: State,
    /// The value, if there is one.
    pub value: Option<f64>,
    /// Why the evaluation failed, if it did.
    pub reason: String,
    /// When, in milliseconds since 1970.
    pub at: i64,
}

/// Something to report about a group: what changed since its last report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    /// The group.
    pub group: String,
    /// The state that was last reported.
    pub from: State,
    /// The state to report.
    pub to: State,
    /// The last value.
    pub value: Option<f64>,
    /// Why the evaluation failed, if it did.
    pub reason: String,
    /// When the state began, in milliseconds since 1970.
    pub since: i64,
}

/// The state of one group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupState {
    phase: Phase,
    fault: Option<Fault>,
    /// When the state began, in milliseconds since 1970.
    pub since: i64,
    /// The last value.
    #[serde(with = "number")]
    pub value: Option<f64>,
    /// The state that was last reported; never [`State::Pending`].
    reported: State,
}

/// The phase according to the last values. It is kept while there is no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Phase {
    Ok,
    /// The condition is met without interruption since this time.
    Pending(i64),
    Firing,
}

/// Why there is no value now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Fault {
    NoData,
    Error(String),
}

/// The states of a monitor.
///
/// Invariant: each transition's `from` is the `to` of the group's transition before it, and differs from
/// its own `to`; a new group begins as [`State::Ok`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    groups: BTreeMap<String, GroupState>,
    /// Groups of the last evaluation for which there was no room.
    #[serde(default)]
    ignored: usize,
}

impl State {
    /// Returns the name, as documents and rows have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Pending => "pending",
            Self::Firing => "firing",
            Self::NoData => "no_data",
            Self::Error => "error",
        }
    }

    /// Returns the state as far as it is reported: a pending monitor counts as one that is well.
    fn to_report(self) -> Self {
        if self == Self::Pending { Self::Ok } else { self }
    }
}

impl GroupState {
    fn new(now: i64) -> Self {
        Self { phase: Phase::Ok, fault: None, since: now, value: None, reported: State::Ok }
    }

    /// Returns the state.
    pub fn state(&self) -> State {
        match (&self.fault, self.phase) {
            (Some(Fault::NoData), _) => State::NoData,
            (Some(Fault::Error(_)), _) => State::Error,
            (None, Phase::Ok) => State::Ok,
            (None, Phase::Pending(_)) => State::Pending,
            (None, Phase::Firing) => State::Firing,
        }
    }

    /// Returns why the evaluation failed; empty if it did not.
    pub fn reason(&self) -> &str {
        match &self.fault {
            Some(Fault::Error(reason)) => reason,
            _ => "",
        }
    }

    fn apply(&mut self, rule: &Rule, reading: Reading, now: i64) {
        match (reading, rule.no_data) {
            (Reading::NoData, NoData::Keep) => return,
            (Reading::NoData, NoData::NoData) => {
                // The condition may have been met in the meantime. A group that fires does not
                // recover because it has no value.
                if self.phase != Phase::Firing {
                    self.phase = Phase::Ok;
                }
                self.fault = Some(Fault::NoData);
                self.value = None;
                return;
            }
            _ => {}
        }
        self.fault = None;
        self.value = reading.value();
        self.phase = match (reading, self.phase) {
            (Reading::Breach(_) | Reading::Between(_), Phase::Firing) => Phase::Firing,
            (Reading::Breach(_), phase) => {
                let since = if let Phase::Pending(since) = phase { since } else { now };
                match now.saturating_sub(since) >= rule.hold.as_millis() {
                    true => Phase::Firing,
                    false => Phase::Pending(since),
                }
            }
            (Reading::Clear(_) | Reading::Between(_) | Reading::NoData, _) => Phase::Ok,
        };
    }

    fn fail(&mut self, reason: &str) {
        if self.phase != Phase::Firing {
            self.phase = Phase::Ok;
        }
        // The first reason is kept: a text that changes is no transition.
        if !matches!(self.fault, Some(Fault::Error(_))) {
            self.fault = Some(Fault::Error(cut(reason, MAX_REASON)));
        }
    }

    /// Returns whether nothing is lost if the group is forgotten.
    fn is_forgettable(&self) -> bool {
        self.state() == State::Ok && self.reported == State::Ok
    }
}

impl Machine {
    /// Returns the groups that have a state, sorted by name.
    pub fn groups(&self) -> impl Iterator<Item = (&str, &GroupState)> {
        self.groups.iter().map(|(name, state)| (name.as_str(), state))
    }

    /// Returns the number of groups of the last evaluation for which there was no room.
    pub fn ignored(&self) -> usize {
        self.ignored
    }

    /// Returns the worst state of all groups; [`State::Ok`] if there are none.
    pub fn state(&self) -> State {
        let rank = |state: &State| match state {
            State::Ok => 0,
            State::NoData => 1,
            State::Pending => 2,
            State::Error => 3,
            State::Firing => 4,
        };
        self.groups.values().map(GroupState::state).max_by_key(rank).unwrap_or(State::Ok)
    }

    /// Applies the outcome of an evaluation, and returns the transitions, sorted by group.
    pub fn step(&mut self, rule: &Rule, outcome: &Outcome, now: i64) -> Vec<Transition> {
        let before: BTreeMap<String, State> =
            self.groups.iter().map(|(name, group)| (name.clone(), group.state())).collect();
        match outcome {
            Outcome::Groups(readings) => self.apply(rule, readings, now),
            // Of a monitor with groups, only one state says so, not each.
            Outcome::Failed(reason) => {
                let group =
                    self.groups.entry(String::new()).or_insert_with(|| GroupState::new(now));
                group.fail(reason);
            }
        }
        let mut transitions = Vec::new();
        for (name, group) in &mut self.groups {
            let from = before.get(name).copied().unwrap_or(State::Ok);
            let to = group.state();
            if from == to {
                continue;
            }
            group.since = now;
            transitions.push(Transition {
                group: name.clone(),
                from,
                to,
                value: group.value,
                reason: group.reason().to_owned(),
                at: now,
            });
        }
        transitions
    }

    fn apply(&mut self, rule: &Rule, readings: &[(String, Reading)], now: i64) {
        let mut found: BTreeMap<String, Reading> =
            readings.iter().map(|(name, reading)| (cut(name, MAX_GROUP), *reading)).collect();
        if !rule.is_grouped {
            found.retain(|name, _| name.is_empty());
            found.entry(String::new()).or_insert(Reading::NoData);
        } else if let Some(failed) = self.groups.get_mut("")
            && !found.contains_key("")
        {
            // It only said that an evaluation had failed.
            failed.apply(rule, Reading::Clear(0.0), now);
            failed.value = None;
        }
        for (name, group) in &mut self.groups {
            if name.is_empty() && rule.is_grouped && !found.contains_key("") {
                continue;
            }
            let reading = found.remove(name).unwrap_or(Reading::NoData);
            group.apply(rule, reading, now);
        }
        self.make_room(rule, found.len(), now);
        self.ignored = 0;
        for (name, reading) in found {
            if self.groups.len() >= rule.max_groups {
                self.ignored += 1;
                continue;
            }
            let mut group = GroupState::new(now);
            group.apply(rule, reading, now);
            self.groups.insert(name, group);
        }
    }

    /// Forgets groups that have had no value and are not reported as anything else, the oldest first,
    /// if new groups need room.
    fn make_room(&mut self, rule: &Rule, new: usize, now: i64) {
        let excess = (self.groups.len() + new).saturating_sub(rule.max_groups);
        let mut idle: Vec<(i64, String)> = self
            .groups
            .iter()
            // A transition of this evaluation must not be lost.
            .filter(|(_, group)| group.value.is_none() && group.since < now)
            .filter(|(_, group)| {
                group.is_forgettable()
                    || (group.state() == State::NoData && group.phase == Phase::Ok)
            })
            .map(|(name, group)| (group.since, name.clone()))
            .collect();
        idle.sort();
        for (_, name) in idle.into_iter().take(excess) {
            self.groups.remove(&name);
        }
    }

    /// Ends all states, as if each condition were no longer met, and returns the transitions. For a
    /// monitor whose groups are now others.
    pub fn clear(&mut self, now: i64) -> Vec<Transition> {
        let mut transitions = Vec::new();
        for (name, group) in &mut self.groups {
            let from = group.state();
            (group.phase, group.fault, group.value) = (Phase::Ok, None, None);
            if from != State::Ok {
                group.since = now;
                let (group, reason) = (name.clone(), String::new());
                let to = State::Ok;
                transitions.push(Transition { group, from, to, value: None, reason, at: now });
            }
        }
        transitions
    }

    /// Returns what is to be reported now, and counts it as reported.
    ///
    /// A group is reported if its state differs from the one that was last reported. Call it after
    /// each [`step`](Self::step), and when a silence ends: a silenced group is reported then.
    pub fn take_notices(&mut self, silences: &[Silence], now: i64) -> Vec<Notice> {
        let mut notices = Vec::new();
        for (name, group) in &mut self.groups {
            let to = group.state().to_report();
            if to == group.reported || silences.iter().any(|it| it.holds(name, now)) {
                continue;
            }
            notices.push(Notice {
                group: name.clone(),
                from: group.reported,
                to,
                value: group.value,
                reason: group.reason().to_owned(),
                since: group.since,
            });
            group.reported = to;
        }
        notices
    }

    /// Forgets groups that are well and have no value. Call it after
    /// [`take_notices`](Self::take_notices).
    pub fn tidy(&mut self) {
        self.groups.retain(|_, group| !(group.value.is_none() && group.is_forgettable()));
    }
}

fn cut(text: &str, max: usize) -> String {
    text.chars().take(max).collect()
}

/// Numbers as JSON, which has no infinities: those are texts.
mod number {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Form {
        Number(f64),
        Text(String),
    }

    pub(super) fn serialize<S: Serializer>(value: &Option<f64>, to: S) -> Result<S::Ok, S::Error> {
        let form = |value: f64| match value.is_finite() {
            true => Form::Number(value),
            false => Form::Text(value.to_string()),
        };
        value.map(form).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
        match Option::<Form>::deserialize(from)? {
            None => Ok(None),
            Some(Form::Number(value)) => Ok(Some(value)),
            Some(Form::Text(text)) => text.parse().map(Some).map_err(serde::de::Error::custom),
        }
    }
}

#[cfg(test)]
mod tests;
