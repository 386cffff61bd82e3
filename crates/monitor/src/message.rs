//! Messages about monitors, in the form that each kind of target expects.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use streamtable_schema::Timestamp;

use crate::{Severity, State};

/// Maximum number of events of one message.
pub const MAX_EVENTS: usize = 50;

/// Maximum length of a text in characters: what Discord accepts.
const MAX_CHARS: usize = 2_000;

/// A change that is reported: of a monitor's group, or an alert of a program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Identifies the event; a message that is sent again has the same.
    pub id: String,
    /// The monitor: `entity/project/name`, or the run of an alert.
    pub monitor: String,
    /// What it watches.
    pub title: String,
    /// The group; empty if there is none.
    pub group: String,
    /// The state that was last reported; none for an alert of a program.
    pub from: Option<State>,
    /// The state now.
    pub to: State,
    /// The value, if it is finite.
    pub value: Option<f64>,
    /// How urgent it is.
    pub severity: Severity,
    /// A text.
    pub message: String,
    /// When, in milliseconds since 1970.
    pub at: i64,
}

/// The events of one evaluation that go to one target.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// The events, at most [`MAX_EVENTS`].
    pub events: Vec<Event>,
}

impl Event {
    fn word(&self) -> &'static str {
        match self.to {
            State::Ok | State::Pending => "RECOVERED",
            State::Firing if self.from.is_none() => "ALERT",
            State::Firing => "FIRING",
            State::NoData => "NO DATA",
            State::Error => "ERROR",
        }
    }

    /// Returns the event as a line of text.
    pub fn line(&self) -> String {
        let mut line = format!("{} [{}] {}", self.word(), self.severity.as_str(), self.title);
        if !self.group.is_empty() {
            line.push_str(&format!(" ({})", self.group));
        }
        if let Some(value) = self.value {
            line.push_str(&format!(": {value}"));
        }
        if !self.message.is_empty() {
            line.push_str(&format!(" – {}", self.message));
        }
        line
    }

    fn json(&self) -> Value {
        json!({
            "id": self.id,
            "monitor": self.monitor,
            "title": self.title,
            "group": self.group,
            "from": self.from.map(State::as_str),
            "to": self.to.as_str(),
            "value": self.value,
            "severity": self.severity.as_str(),
            "message": self.message,
            "time": Timestamp::from_millis(self.at).to_string(),
        })
    }
}

impl Message {
    /// Returns `firing` if an event says that something is wrong, otherwise `resolved`.
    pub fn status(&self) -> &'static str {
        match self.events.iter().any(|event| event.to != State::Ok) {
            true => "firing",
            false => "resolved",
        }
    }

    /// Returns the subject of an e-mail: one line.
    pub fn subject(&self) -> String {
        let first = self.events.first().map(Event::line).unwrap_or_default();
        let first: String = first.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let first: String = first.chars().take(200).collect();
        match self.events.len() {
            0 | 1 => first,
            count => format!("{first} and {} more", count - 1),
        }
    }

    /// Returns all events as text, one per line.
    pub fn text(&self) -> String {
        let lines: Vec<String> = self.events.iter().map(Event::line).collect();
        cut(&lines.join("\n"))
    }

    /// Returns the body for a webhook without a template.
    pub fn webhook(&self) -> Value {
        let events: Vec<Value> = self.events.iter().map(Event::json).collect();
        json!({ "version": 1, "status": self.status(), "text": self.text(), "events": events })
    }

    /// Fills a template in: `{{title}}`, `{{text}}`, `{{status}}`, `{{severity}}`, `{{group}}`,
    /// `{{value}}`, `{{monitor}}` and `{{count}}`. Texts are escaped as in JSON strings. All but
    /// `text`, `status` and `count` are those of the first event.
    pub fn fill(&self, template: &str) -> String {
        let first = self.events.first();
        let of = |get: fn(&Event) -> String| first.map(get).unwrap_or_default();
        let value = first.and_then(|event| event.value);
        let values = [
            ("title", of(|event| event.title.clone())),
            ("text", self.text()),
            ("status", self.status().to_owned()),
            ("severity", of(|event| event.severity.as_str().to_owned())),
            ("group", of(|event| event.group.clone())),
            ("value", value.map_or("null".to_owned(), |value| value.to_string())),
            ("monitor", of(|event| event.monitor.clone())),
            ("count", self.events.len().to_string()),
        ];
        let mut out = String::new();
        let mut rest = template;
        // Values are not searched for placeholders.
        while let Some((before, after)) = rest.split_once("{{") {
            out.push_str(before);
            let known = values.iter().find_map(|(name, value)| {
                Some((after.strip_prefix(name)?.strip_prefix("}}")?, value))
            });
            match known {
                Some((after, value)) => {
                    out.push_str(&escape(value));
                    rest = after;
                }
                None => {
                    out.push_str("{{");
                    rest = after;
                }
            }
        }
        out.push_str(rest);
        out
    }

    /// Returns the body for Slack's incoming webhooks.
    pub fn slack(&self) -> Value {
        let text = self.text().replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        json!({ "text": text })
    }

    /// Returns the body for Discord's webhooks. Mentions in it are disabled.
    pub fn discord(&self) -> Value {
        json!({ "content": self.text(), "allowed_mentions": { "parse": [] } })
    }

    /// Returns the body for workflows of Microsoft Teams.
    pub fn teams(&self) -> Value {
        let colour = |event: &Event| if event.to == State::Ok { "Good" } else { "Attention" };
        let blocks: Vec<Value> = self
            .events
            .iter()
            .map(|event| {
                json!({ "type": "TextBlock", "wrap": true, "color": colour(event), "text": cut(&event.line()) })
            })
            .collect();
        json!({
            "type": "message",
            "attachments": [{
                "contentType": "application/vnd.microsoft.card.adaptive",
                "content": { "type": "AdaptiveCard", "version": "1.4", "body": blocks },
            }],
        })
    }

    /// Returns the bodies for PagerDuty's events, one per event. A repetition has the same key, so it
    /// opens no second incident.
    pub fn pagerduty(&self, routing_key: &str) -> Vec<Value> {
        let body = |event: &Event| {
            let key = match event.from {
                Some(_) => format!("{}/{}", event.monitor, event.group),
                None => event.id.clone(),
            };
            // PagerDuty's limit is 255.
            let key: String = key.chars().take(255).collect();
            let action = if event.to == State::Ok { "resolve" } else { "trigger" };
            let summary: String = event.line().chars().take(1024).collect();
            json!({
                "routing_key": routing_key,
                "event_action": action,
                "dedup_key": key,
                "payload": {
                    "summary": summary,
                    "source": event.monitor,
                    "severity": event.severity.as_str(),
                    "timestamp": Timestamp::from_millis(event.at).to_string(),
                    "custom_details": event.json(),
                },
            })
        };
        self.events.iter().map(body).collect()
    }
}

/// Escapes a text as in a JSON string, without the quotes.
fn escape(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

fn cut(text: &str) -> String {
    match text.chars().count() > MAX_CHARS {
        true => text.chars().take(MAX_CHARS - 1).chain(['…']).collect(),
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(to: State) -> Event {
        Event {
            id: "w/7".to_owned(),
            monitor: "me/shop/slow".to_owned(),
            title: "Slow <b> \"x\"".to_owned(),
            group: "/a".to_owned(),
            from: Some(State::Ok),
            to,
            value: Some(12.5),
            severity: Severity::Critical,
            message: "see {{title}}\nrunbook".to_owned(),
            at: 1_700_000_000_000,
        }
    }

    #[test]
    fn templates_are_filled_as_json_strings() {
        let message = Message { events: vec![event(State::Firing), event(State::Ok)] };
        let template =
            r#"{"t":"{{title}}","all":"{{text}}","v":{{value}},"n":{{count}},"odd":"{{x}} {{"}"#;
        let filled: Value = serde_json::from_str(&message.fill(template)).unwrap();
        assert_eq!(filled["t"], "Slow <b> \"x\"");
        assert_eq!((&filled["v"], &filled["n"]), (&json!(12.5), &json!(2)));
        assert_eq!(filled["odd"], "{{x}} {{");
        // A placeholder in a value is text.
        assert!(filled["all"].as_str().unwrap().contains("see {{title}}\nrunbook"));
    }

    #[test]
    fn each_service_gets_its_form() {
        let message = Message { events: vec![event(State::Firing), event(State::Ok)] };
        assert_eq!(message.status(), "firing");
        let webhook = message.webhook();
        assert_eq!(webhook["events"][0]["to"], "firing");
        assert_eq!(webhook["events"][0]["time"], "2023-11-14T22:13:20Z");
        assert!(message.slack()["text"].as_str().unwrap().contains("Slow &lt;b&gt;"));
        assert_eq!(message.discord()["allowed_mentions"], json!({ "parse": [] }));
        let card = &message.teams()["attachments"][0]["content"];
        assert_eq!(card["body"].as_array().unwrap().len(), 2);
        let events = message.pagerduty("k");
        assert_eq!(
            (&events[0]["event_action"], &events[1]["event_action"]),
            (&json!("trigger"), &json!("resolve"))
        );
        assert_eq!(events[0]["dedup_key"], events[1]["dedup_key"]);
        assert!(!message.subject().contains('\n'), "{}", message.subject());
        let long = Event { message: "x".repeat(9_000), ..event(State::Ok) };
        let long = Message { events: vec![long] };
        assert_eq!(long.discord()["content"].as_str().unwrap().chars().count(), MAX_CHARS);
        assert_eq!(long.status(), "resolved");
    }
}
