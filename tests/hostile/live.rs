//! Hostile messages to the connection of a live page.

use crate::generator::Generator;
use crate::sql;

/// Writes the handshake of a WebSocket.
pub(crate) fn handshake(key: &str) -> Vec<u8> {
    format!(
        "GET /api/live HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\nConnection: \
         Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: \
         dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    .into_bytes()
}

/// Chooses a frame.
pub(crate) fn frame(random: &mut Generator) -> Vec<u8> {
    match random.below(8) {
        0 => (0..random.below(200)).map(|_| random.below(256) as u8).collect(),
        1 => framed(
            0x82,
            &(0..random.below(500)).map(|_| random.below(256) as u8).collect::<Vec<_>>(),
        ),
        2 => framed(0x81, "[".repeat(random.below(10_000) as usize).as_bytes()),
        // A length that does not come.
        3 => vec![0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        4 => framed(0x89, &[0; 125]),
        _ => framed(0x82, &request(random)),
    }
}

/// A masked frame; the mask is zero.
fn framed(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![opcode];
    match payload.len() {
        short @ 0..126 => frame.push(0x80 | short as u8),
        middle @ 126..0x1_0000 => {
            frame.push(0x80 | 126);
            frame.extend((middle as u16).to_be_bytes());
        }
        long => {
            frame.push(0x80 | 127);
            frame.extend((long as u64).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

/// A request of Perspective's protocol.
fn request(random: &mut Generator) -> Vec<u8> {
    let mut config = Vec::new();
    for i in 0..=random.below(3) {
        let text = sql::expression(random);
        let entry = [field(1, format!("e{i}").as_bytes()), field(2, text.as_bytes())].concat();
        config.extend(field(6, &entry));
    }
    match random.below(4) {
        0 => config.extend(field(1, b"e0")),
        1 => {
            for i in 0..[20, 2_000][random.below(2) as usize] {
                let value = field(6, format!("v{i}").as_bytes());
                let filter = [field(1, b"s"), field(2, b"=="), field(3, &value)].concat();
                config.extend(field(4, &filter));
            }
        }
        2 => {
            let mut filter = [field(1, b"s"), field(2, b"in")].concat();
            for i in 0..1_000 {
                filter.extend(field(3, &field(6, format!("v{i}").as_bytes())));
            }
            config.extend(field(4, &filter));
        }
        _ => {}
    }
    let table = field(2, b"me/p/t");
    let number = [&[0x08][..], &varint(random.below(1 << 20))].concat();
    let ask = match random.below(3) {
        0 => field(41, &field(1, &config)),
        1 => {
            let view = format!("v{}", random.below(1 << 40));
            field(6, &[field(1, view.as_bytes()), field(2, &config)].concat())
        }
        _ => field(random.below(45) + 1, &[]),
    };
    [number, table, ask].concat()
}

/// A field of bytes, as protobuf writes it.
fn field(tag: u64, bytes: &[u8]) -> Vec<u8> {
    [varint((tag << 3) | 2), varint(bytes.len() as u64), bytes.to_vec()].concat()
}

fn varint(mut n: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while n >= 0x80 {
        bytes.push(n as u8 | 0x80);
        n >>= 7;
    }
    bytes.push(n as u8);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_and_fields() {
        assert_eq!(framed(0x82, b"ab"), [0x82, 0x82, 0, 0, 0, 0, b'a', b'b']);
        assert_eq!(framed(0x82, &[0; 300])[..4], [0x82, 0xfe, 1, 44]);
        assert_eq!(field(6, b"ab"), [50, 2, b'a', b'b']);
        assert_eq!(field(41, &[0; 200])[..4], [202, 2, 200, 1]);
    }
}
