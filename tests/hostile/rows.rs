//! Hostile rows.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::generator::Generator;

/// The widest row, in columns.
const MAX_WIDTH: usize = 300;

const NUMBERS: &[&str] = &[
    "9223372036854775808",
    "-9223372036854775809",
    "1e308",
    "1e309",
    "-0",
    "-0.0",
    "1e-400",
    "123456789012345678901234567890",
    "0.1e1",
    "1E+2",
    "00",
    "+1",
    ".5",
    "0x10",
    "NaN",
    "1_000",
];

/// Chooses the body of a post of rows.
pub(crate) fn body(random: &mut Generator) -> Vec<u8> {
    let n = [1, 20, 200, 2_000, 50_000][random.below(5) as usize];
    let text = match random.below(12) {
        0 => format!("{{\"a\":{}1{}}}\n", "[".repeat(n), "]".repeat(n)),
        1 => format!("{}1{}\n", "{\"a\":".repeat(n), "}".repeat(n)),
        2 => {
            let number = NUMBERS[random.below(NUMBERS.len() as u64) as usize];
            format!("{{\"x\":{number}}}\n").repeat(n.min(2_000))
        }
        3 => wide(n.min(MAX_WIDTH), random.below(4) as usize),
        4 => format!("{{\"x\":\"{}\"}}\n", "\\u0000é\u{202e}".repeat(n)),
        5 => (0..n.min(2_000)).map(|i| kinds(i, random)).collect(),
        6 => format!("{{{}}}\n", "\"x\":1,".repeat(n) + "\"x\":2"),
        7 => "[".to_owned() + &"{\"x\":1},".repeat(n),
        8 => "{}\n".repeat(n),
        9 => format!("{{\"{}\":1}}\n", "k".repeat(n)),
        10 => (0..n.min(2_000))
            .map(|i| format!("{{\"_client_id\":\"w{}\",\"x\":{i}}}\n", i % 2))
            .collect(),
        _ => {
            let mut bytes = b"{\"x\":\"".to_vec();
            bytes.extend((0..n).map(|_| random.below(256) as u8));
            bytes.extend(b"\"}\n");
            return bytes;
        }
    };
    text.into_bytes()
}

fn wide(columns: usize, rows: usize) -> String {
    let row: Vec<String> = (0..columns).map(|i| format!("\"c{i}\":{i}")).collect();
    format!("{{{}}}\n", row.join(",")).repeat(rows + 1)
}

fn kinds(i: usize, random: &mut Generator) -> String {
    let values = ["1", "1.5", "\"a\"", "true", "null", "[1]", "{\"a\":1}", "[[]]", "[{}]", "\"\""];
    format!("{{\"k{}\":{}}}\n", i % 7, values[random.below(values.len() as u64) as usize])
}

/// Makes a body of zeros that is a thousandth of its size.
pub(crate) fn bomb(mib: usize) -> Vec<u8> {
    let mut bomb = GzEncoder::new(Vec::new(), Compression::fast());
    let piece = vec![b' '; 1 << 20];
    for _ in 0..mib {
        if bomb.write_all(&piece).is_err() {
            break;
        }
    }
    bomb.finish().unwrap_or_default()
}

/// Chooses the body of a post to a file stream.
pub(crate) fn file_stream(random: &mut Generator) -> Vec<u8> {
    let n = [1, 100, 5_000][random.below(3) as usize];
    let lines = vec!["\"{\\\"a\\\":1}\""; n].join(",");
    let offset = ["0", "-1", "1e9", "18446744073709551614", "9223372036854775807", "\"0\""];
    let offset = offset[random.below(6) as usize];
    let text = match random.below(6) {
        0 => format!(
            "{{\"files\":{{\"wandb-history.jsonl\":{{\"offset\":{offset},\"content\":[{lines}]}}}}}}"
        ),
        1 => format!("{{\"files\":{}1{}}}", "[".repeat(n), "]".repeat(n)),
        2 => format!("{{\"files\":{{\"{}\":{{}}}}}}", "../".repeat(n)),
        3 => format!("{{\"complete\":1,\"exitcode\":{offset}}}"),
        4 => "{\"files\":{\"wandb-history.jsonl\":{\"content\":[null,1,{},[]]}}}".to_owned(),
        _ => "{\"dropped\":".repeat(n),
    };
    text.into_bytes()
}
