//! A simulated bucket with nodes, writers and an external ledger.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;

use super::rows::{Answer, Batch, Rows, decode};
use super::{Fate, Schedule, Step};
use crate::bucket::{
    Append, BaseView, Key, Operation as _, Read, Request, Response, Trim, encode_base, frame_of,
};
use crate::{Action, Appended, FIRST, LogError, Replica};

/// A node repeats a request without a response after this time.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// A node repeats a request that had no useful response after this time.
const PAUSE: Duration = Duration::from_millis(200);

/// A writer sends a batch again, to another node, after this time.
const WRITER_TIMEOUT: Duration = Duration::from_secs(20);

/// How often a node reads what others have appended, and trims.
const TICK: Duration = Duration::from_secs(4 * 60);

/// How long after the last step everything must be acked and read by all nodes.
const PATIENCE: Duration = Duration::from_secs(3 * 60 * 60);

const NODES: usize = 3;
pub(super) const WRITERS: usize = 3;

/// The largest batch of a writer.
const MAX_BATCH: u32 = 4;

pub(super) struct World {
    now: Duration,
    events: BTreeMap<(Duration, u64), Event>,
    count: u64,
    objects: BTreeMap<Key, (Bytes, u64)>,
    /// The object that each number had first. The log is dense, so these are its true frames.
    truth: BTreeMap<u64, Bytes>,
    /// Flushed states, by the number of the first frame that is not in them.
    flushed: BTreeMap<u64, Rows>,
    nodes: Vec<Node>,
    writers: Vec<Writer>,
    fates: std::vec::IntoIter<Fate>,
    steps: std::vec::IntoIter<Step>,
    pub(super) figures: Figures,
}

/// What happened in a schedule.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Figures {
    pub(super) acked: u64,
    pub(super) lost: u64,
    pub(super) trimmed: u64,
    pub(super) deleted: u64,
    pub(super) faults: u64,
}

struct Node {
    replica: Replica<Rows>,
    operation: Option<Operation>,
    trim: Option<Trim<u64>>,
    view: BaseView,
    /// The writers of the requests of the replica.
    waiting: Vec<(usize, u64)>,
    /// The attempts that responses are awaited of.
    awaited: [u64; 2],
    awake_at: Duration,
    /// Counts restarts.
    life: u64,
}

enum Operation {
    Append(u64, Append),
    Read(Read),
}

#[derive(Default)]
struct Writer {
    acked: u32,
    goal: u32,
    node: usize,
    /// The lines that are sent, and the number of the attempt.
    sent: Option<(u32, u64)>,
    attempts: u64,
}

/// The part of a node that sent a request.
#[derive(Clone, Copy, Debug)]
struct Origin {
    node: usize,
    life: u64,
    slot: usize,
    attempt: u64,
    asked_at: Duration,
}

const LOG: usize = 0;
const TRIM: usize = 1;

enum Event {
    Step,
    Tick {
        node: usize,
    },
    /// A request reaches the bucket.
    Request {
        from: Origin,
        request: Request<u64>,
        back: Option<Duration>,
    },
    /// A response reaches the node.
    Response {
        to: Origin,
        response: Response<u64>,
    },
    Send {
        node: usize,
        life: u64,
        slot: usize,
    },
    /// A batch reaches a node.
    Batch {
        node: usize,
        writer: usize,
        attempt: u64,
        batch: Batch,
    },
    Answer {
        writer: usize,
        attempt: u64,
        answer: Answer,
    },
    WriterTimeout {
        writer: usize,
        attempt: u64,
    },
    /// A flushed state becomes durable.
    Commit {
        node: usize,
        life: u64,
        next: u64,
        rows: Rows,
    },
}

type Check<T = ()> = Result<T, String>;

impl Node {
    fn new((rows, next): (Rows, u64), now: Duration, life: u64) -> Self {
        Self {
            replica: Replica::new(rows, next),
            operation: None,
            trim: None,
            view: BaseView::default(),
            waiting: Vec::new(),
            awaited: [0; 2],
            awake_at: now,
            life,
        }
    }
}

impl World {
    pub(super) fn new(schedule: Schedule) -> Self {
        let now = Duration::ZERO;
        let mut world = Self {
            now,
            events: BTreeMap::new(),
            count: 0,
            objects: BTreeMap::from([(Key::Base, (encode_base(FIRST), 0))]),
            truth: BTreeMap::new(),
            flushed: BTreeMap::from([(FIRST, Rows::default())]),
            nodes: Vec::new(),
            writers: (0..WRITERS).map(|_| Writer::default()).collect(),
            fates: schedule.fates.into_iter(),
            steps: schedule.steps.into_iter(),
            figures: Figures::default(),
        };
        for _ in 0..NODES {
            world.join();
        }
        world.at(now, Event::Step);
        world
    }

    fn join(&mut self) {
        let node = self.nodes.len();
        self.nodes.push(Node::new(self.newest_flushed(), self.now, 0));
        self.at(self.now + TICK + Duration::from_secs(7 * node as u64), Event::Tick { node });
    }

    fn newest_flushed(&self) -> (Rows, u64) {
        let (next, rows) = self.flushed.last_key_value().expect("the empty state is flushed");
        (rows.clone(), *next)
    }

    fn at(&mut self, time: Duration, event: Event) {
        self.count += 1;
        self.events.insert((time, self.count), event);
    }

    /// Runs the schedule, then without faults until everything is acked and read by all nodes.
    pub(super) fn run(&mut self) -> Check {
        while self.steps.len() > 0 {
            self.next_event()?;
        }
        self.fates = Vec::new().into_iter();
        for node in 0..self.nodes.len() {
            self.nodes[node].awake_at = self.now;
        }
        self.join();
        let end = self.now + PATIENCE;
        while !self.is_settled() {
            if self.now > end {
                return Err(self.describe_standstill());
            }
            self.next_event()?;
        }
        self.check_ledger()
    }

    fn describe_standstill(&self) -> String {
        let acked: Vec<_> = self.writers.iter().map(|it| (it.acked, it.goal)).collect();
        let next: Vec<_> = self.nodes.iter().map(|it| it.replica.next()).collect();
        format!("no progress: acked of goal {acked:?}, nodes at {next:?}")
    }

    fn is_settled(&self) -> bool {
        let head = self.truth.last_key_value().map_or(FIRST, |(number, _)| number + 1);
        self.writers.iter().all(|it| it.acked == it.goal)
            && self.nodes.iter().all(|it| it.replica.next() == head)
    }

    fn next_event(&mut self) -> Check {
        let Some(((time, _), event)) = self.events.pop_first() else {
            return Err("nothing more happens".to_owned());
        };
        self.now = time;
        if let Some(awake_at) = self.sleeps_until(&event) {
            self.at(awake_at, event);
            return Ok(());
        }
        match event {
            Event::Step => self.step(),
            Event::Tick { node } => {
                self.at(self.now + TICK, Event::Tick { node });
                self.nodes[node].replica.follow();
                self.trim(node);
                self.pump(node)
            }
            Event::Request { from, request, back } => {
                let response = self.execute(request);
                if let Some(back) = back {
                    self.at(self.now + back, Event::Response { to: from, response });
                }
                Ok(())
            }
            Event::Response { to, response } => self.respond(to, response),
            Event::Send { node, life, slot } => {
                if self.nodes[node].life == life {
                    self.send(node, slot);
                }
                Ok(())
            }
            Event::Batch { node, writer, attempt, batch } => {
                self.nodes[node].waiting.push((writer, attempt));
                self.nodes[node].replica.request(batch);
                self.pump(node)
            }
            Event::Answer { writer, attempt, answer } => self.answer(writer, attempt, answer),
            Event::WriterTimeout { writer, attempt } => {
                let it = &mut self.writers[writer];
                if it.sent.is_some_and(|(_, current)| current == attempt) {
                    it.node = (it.node + 1) % NODES;
                    it.sent = None;
                    self.write(writer);
                }
                Ok(())
            }
            Event::Commit { node, life, next, rows } => {
                if self.nodes[node].life == life {
                    self.flushed.insert(next, rows);
                    self.nodes[node].replica.record_flushed(next);
                    self.trim(node);
                }
                Ok(())
            }
        }
    }

    /// Returns the time when the node of an event wakes up, if it sleeps.
    fn sleeps_until(&self, event: &Event) -> Option<Duration> {
        let node = match event {
            Event::Response { to, .. } => to.node,
            Event::Tick { node }
            | Event::Send { node, .. }
            | Event::Batch { node, .. }
            | Event::Commit { node, .. } => *node,
            _ => return None,
        };
        Some(self.nodes[node].awake_at).filter(|&awake_at| awake_at > self.now)
    }

    fn step(&mut self) -> Check {
        let Some((step, pause)) = self.steps.next().map(|step| (step.what, step.pause)) else {
            return Ok(());
        };
        match step {
            super::What::Write { writer, node, lines } => {
                let (writer, node) = (writer as usize % WRITERS, node as usize % NODES);
                self.writers[writer].goal += u32::from(lines);
                self.writers[writer].node = node;
                self.write(writer);
            }
            super::What::Sleep { node, time } => {
                self.figures.faults += 1;
                let awake_at = self.now + time;
                self.nodes[node as usize % NODES].awake_at = awake_at;
            }
            super::What::Restart { node } => {
                self.figures.faults += 1;
                let node = node as usize % NODES;
                let life = self.nodes[node].life + 1;
                self.nodes[node] = Node::new(self.newest_flushed(), self.now, life);
            }
            super::What::Flush { node, takes } => {
                let node = node as usize % NODES;
                let it = &self.nodes[node];
                if it.awake_at <= self.now {
                    let (next, rows) = (it.replica.next(), it.replica.fold().clone());
                    let commit = Event::Commit { node, life: it.life, next, rows };
                    self.at(self.now + takes, commit);
                }
            }
        }
        self.at(self.now + pause, Event::Step);
        Ok(())
    }

    fn fate(&mut self) -> Fate {
        let fate = self.fates.next().unwrap_or_default();
        self.figures.faults += u64::from(fate.is_fault());
        fate
    }

    // The bucket.

    fn execute(&mut self, request: Request<u64>) -> Response<u64> {
        self.count += 1;
        let version = self.count;
        match request {
            Request::Create(key, object) => {
                if self.objects.contains_key(&key) {
                    return Response::Refused;
                }
                if let Key::Frame(number) = key {
                    self.truth.entry(number).or_insert_with(|| object.clone());
                }
                self.objects.insert(key, (object, version));
                Response::Done
            }
            Request::Replace(key, object, expected) => match self.objects.get_mut(&key) {
                Some(stored) if stored.1 == expected => {
                    *stored = (object, version);
                    Response::Done
                }
                _ => Response::Refused,
            },
            Request::Get(key) => match self.objects.get(&key) {
                Some((object, version)) => Response::Found(object.clone(), *version),
                None => Response::Absent,
            },
            Request::List(below) => {
                let numbers = self.objects.keys().filter_map(|key| match key {
                    Key::Frame(number) if *number < below => Some(*number),
                    _ => None,
                });
                Response::Listed(numbers.take(100).collect())
            }
            Request::Delete(numbers) => {
                for number in numbers {
                    self.figures.deleted += 1;
                    self.objects.remove(&Key::Frame(number));
                }
                Response::Done
            }
        }
    }

    fn base(&self) -> u64 {
        let (object, version) = &self.objects[&Key::Base];
        Response::Found(object.clone(), *version).base().expect("the base is a number")
    }

    // The nodes.

    fn send(&mut self, node: usize, slot: usize) {
        let it = &self.nodes[node];
        let request = match (slot, &it.operation, &it.trim) {
            (LOG, Some(Operation::Append(_, append)), _) => append.request(),
            (LOG, Some(Operation::Read(read)), _) => read.request(),
            (TRIM, _, Some(trim)) => trim.request(),
            _ => return,
        };
        let fate = self.fate();
        self.count += 1;
        let (attempt, life, asked_at) = (self.count, self.nodes[node].life, self.now);
        let from = Origin { node, life, slot, attempt, asked_at };
        self.nodes[node].awaited[slot] = attempt;
        let is_conditional = matches!(request, Request::Create(..) | Request::Replace(..));
        let arrives = self.now + fate.out;
        if fate.is_conflict && is_conditional {
            let response = Response::Refused;
            self.at(arrives + fate.back, Event::Response { to: from, response });
        } else {
            let back = (!fate.loses_response).then_some(fate.back);
            if let Some(again) = fate.again {
                let request = request.clone();
                self.at(arrives + again, Event::Request { from, request, back: None });
            }
            if !fate.loses_request {
                self.at(arrives, Event::Request { from, request, back });
            }
        }
        let timeout = Event::Response { to: from, response: Response::Unknown };
        self.at(self.now + REQUEST_TIMEOUT, timeout);
    }

    fn respond(&mut self, to: Origin, response: Response<u64>) -> Check {
        let (now, base) = (self.now, self.base());
        let it = &mut self.nodes[to.node];
        if it.life != to.life || it.awaited[to.slot] != to.attempt {
            return Ok(());
        }
        it.awaited[to.slot] = 0;
        let pause = match response {
            Response::Unknown | Response::Refused => PAUSE,
            _ => Duration::ZERO,
        };
        let again = Event::Send { node: to.node, life: to.life, slot: to.slot };
        if to.slot == TRIM {
            let Some(trim) = &mut it.trim else { return Ok(()) };
            match trim.handle(response, to.asked_at, now, &mut it.view) {
                None => self.at(now + pause, again),
                Some(verdict) => {
                    it.trim = None;
                    verdict.map_err(|error| error.to_string())?;
                }
            }
            return Ok(());
        }
        let verdict = match &mut it.operation {
            None => return Ok(()),
            Some(Operation::Append(number, append)) => {
                let (number, object) = (*number, append.object());
                let verdict = append.handle(response, to.asked_at, now, &mut it.view);
                if let Some(Ok(Appended::Lost)) = verdict {
                    self.figures.lost += 1;
                    let first = self.truth.get(&number);
                    if base <= number && first.is_none_or(|first| *first == object) {
                        return Err(format!("frame {number} was not lost to another node"));
                    }
                }
                verdict.map(|it| it.map(|it| self.nodes[to.node].replica.appended(it)))
            }
            Some(Operation::Read(read)) => {
                let verdict = read.handle(response, to.asked_at, now, &mut it.view);
                verdict.map(|frames| frames.map(|frames| it.replica.read(&frames)))
            }
        };
        match verdict {
            None => self.at(now + pause, again),
            Some(Ok(())) => self.nodes[to.node].operation = None,
            Some(Err(LogError::Trimmed { base, .. })) => {
                self.figures.trimmed += 1;
                self.nodes[to.node].operation = None;
                self.nodes[to.node].replica.trimmed(base);
            }
            Some(Err(error)) => return Err(error.to_string()),
        }
        self.pump(to.node)
    }

    /// Lets a node do what it can do next.
    fn pump(&mut self, node: usize) -> Check {
        while self.nodes[node].operation.is_none() {
            let it = &mut self.nodes[node];
            match it.replica.action() {
                Action::Wait => return Ok(()),
                Action::Read { from } => it.operation = Some(Operation::Read(Read::new(from))),
                Action::Append { at, id, frame } => {
                    it.operation = Some(Operation::Append(at, Append::new(at, id, &frame)));
                }
                Action::Restore { base } => {
                    let (rows, next) = self.newest_flushed();
                    if next < base {
                        return Err(format!("the log starts at {base}, but {next} is not flushed"));
                    }
                    self.nodes[node].replica.restored(rows, next);
                    continue;
                }
                Action::Answer(answer) => {
                    it.replica.answered();
                    let (writer, attempt) = it.waiting.remove(0);
                    self.check_fold(node)?;
                    let fate = self.fate();
                    if !fate.loses_response {
                        let answer = Event::Answer { writer, attempt, answer };
                        self.at(self.now + fate.back, answer);
                    }
                    continue;
                }
            }
            self.send(node, LOG);
        }
        Ok(())
    }

    fn trim(&mut self, node: usize) {
        let it = &mut self.nodes[node];
        if it.trim.is_none() {
            it.trim = Some(Trim::new(it.replica.trimmable()));
            self.send(node, TRIM);
        }
    }

    // The writers.

    fn write(&mut self, writer: usize) {
        let it = &mut self.writers[writer];
        let count = (it.goal - it.acked).min(MAX_BATCH);
        if it.sent.is_some() || count == 0 {
            return;
        }
        it.attempts += 1;
        it.sent = Some((count, it.attempts));
        let (node, attempt) = (it.node, it.attempts);
        let batch = Batch { writer: writer as u8, first: it.acked, count };
        let fate = self.fate();
        if !fate.loses_request {
            self.at(self.now + fate.out, Event::Batch { node, writer, attempt, batch });
        }
        self.at(self.now + WRITER_TIMEOUT, Event::WriterTimeout { writer, attempt });
    }

    fn answer(&mut self, writer: usize, attempt: u64, answer: Answer) -> Check {
        let it = &mut self.writers[writer];
        let Some((count, _)) = it.sent.filter(|(_, current)| *current == attempt) else {
            return Ok(());
        };
        if let Answer::Refused = answer {
            let first = it.acked;
            return Err(format!("line {first} of writer {writer} is refused as out of order"));
        }
        it.sent = None;
        it.acked += count;
        self.figures.acked += u64::from(count);
        self.write(writer);
        Ok(())
    }

    // The ledger.

    /// Returns the rows of the log: those of each number's first object.
    fn true_rows(&self) -> Check<Vec<(u8, u32)>> {
        let mut rows = Vec::new();
        for (expected, (number, object)) in (FIRST..).zip(&self.truth) {
            if *number != expected {
                return Err(format!("frame {expected} is missing"));
            }
            let frame = frame_of(*number, object).ok_or("a frame is damaged")?;
            let (position, batch) = decode(&frame).ok_or("a frame is damaged")?;
            if position != rows.len() as u64 {
                return Err(format!("frame {number} has position {position}, not {}", rows.len()));
            }
            rows.extend(batch.rows());
        }
        Ok(rows)
    }

    /// Checks that a node has read what is in the log.
    fn check_fold(&self, node: usize) -> Check {
        let (fold, truth) = (self.nodes[node].replica.fold(), self.true_rows()?);
        if !truth.starts_with(fold.rows()) {
            return Err(format!("node {node} has rows that are not in the log"));
        }
        Ok(())
    }

    /// Checks that every acked line is in the log once, in its writer's order, and that all nodes,
    /// one of which joined at the end, have the same rows.
    fn check_ledger(&self) -> Check {
        let rows = self.true_rows()?;
        for (writer, it) in self.writers.iter().enumerate() {
            let of_writer = rows.iter().filter(|(of, _)| usize::from(*of) == writer);
            let lines: Vec<u32> = of_writer.map(|&(_, line)| line).collect();
            if lines.len() < it.acked as usize {
                return Err(format!("writer {writer}: {} acked, {} stored", it.acked, lines.len()));
            }
            if !lines.iter().copied().eq(0..lines.len() as u32) {
                return Err(format!("writer {writer} has the lines {lines:?}"));
            }
        }
        for (node, it) in self.nodes.iter().enumerate() {
            if it.replica.fold().rows() != rows {
                return Err(format!("node {node} has other rows than the log"));
            }
        }
        Ok(())
    }
}
