//! A parser for server-sent events, as the tail of a table is sent.

/// Maximum size of an event in bytes.
const MAX_EVENT_BYTES: usize = 64 << 20;

/// An event: its `data` and its `id`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// The id: the position of the row.
    pub id: String,
    /// The data: the row.
    pub data: String,
}

/// Assembles events from chunks of a response.
#[derive(Debug, Default)]
pub struct Events {
    buffer: Vec<u8>,
    event: Event,
    has_data: bool,
}

impl Events {
    /// Parses a chunk and calls `each` for every completed event. Returns `None` if an unfinished
    /// event exceeds the size limit.
    pub fn push(&mut self, piece: &[u8], mut each: impl FnMut(Event)) -> Option<()> {
        // The bytes buffered so far contain no line end.
        let mut searched = self.buffer.len();
        self.buffer.extend_from_slice(piece);
        let mut start = 0;
        while let Some(end) = self.buffer[searched..].iter().position(|&byte| byte == b'\n') {
            let end = searched + end;
            let line = String::from_utf8_lossy(&self.buffer[start..end]).into_owned();
            (start, searched) = (end + 1, end + 1);
            if let Some(event) = self.line(line.strip_suffix('\r').unwrap_or(&line)) {
                each(event);
            }
        }
        self.buffer.drain(..start);
        (self.buffer.len() + self.event.data.len() <= MAX_EVENT_BYTES).then_some(())
    }

    fn line(&mut self, line: &str) -> Option<Event> {
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            // An id applies until the next one.
            self.event.id.clone_from(&event.id);
            return std::mem::take(&mut self.has_data).then_some(event);
        }
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "id" => self.event.id = value.to_owned(),
            "data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
            }
            // A line that begins with a colon is a keep-alive.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[(&str, &str)]) {
        let expected: Vec<Event> = expected
            .iter()
            .map(|(id, data)| Event { id: (*id).to_owned(), data: (*data).to_owned() })
            .collect();
        for size in [1, 3, text.len().max(1)] {
            let (mut events, mut found) = (Events::default(), Vec::new());
            for piece in text.as_bytes().chunks(size) {
                events.push(piece, |event| found.push(event)).unwrap();
            }
            assert_eq!(found, expected, "in chunks of {size}");
        }
    }

    #[test]
    fn events_are_parsed_from_any_chunks() {
        check("id: 7\ndata: {\"a\":1}\n\n", &[("7", "{\"a\":1}")]);
        check("data:a\r\ndata: b\r\n\r\n", &[("", "a\nb")]);
        check(":\n\n: hello\n\nid: 1\ndata: é\n\ndata: y\n\n", &[("1", "é"), ("1", "y")]);
        check("event: x\nretry: 3\n\n", &[]);
        check("data: never whole", &[]);
    }

    #[test]
    fn oversized_events_are_rejected() {
        let piece = vec![b'x'; 1 << 20];
        let mut events = Events::default();
        let taken = (0..100).take_while(|_| events.push(&piece, |_| {}).is_some()).count();
        assert_eq!(taken, 64);
    }
}
