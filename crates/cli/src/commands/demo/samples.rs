//! Made-up rows of a web shop and of an assistant, so that the demo has a table for each kind of
//! board. Row `i` is always the same.

use streamtable::{Row, Value, row};

/// The table of the shop's requests.
pub(super) const REQUESTS: &str = "demo/shop/requests";

/// The table of the assistant's calls of language models.
pub(super) const CALLS: &str = "demo/assistant/calls";

/// How many requests there are between two slow spells of the shop's search, and how many are slow.
const SPELL: (u64, u64) = (900, 120);

/// Paths of the shop: how often each is requested, of 100 requests, and its usual milliseconds.
const PATHS: [(&str, &str, u64, f64); 5] = [
    ("GET", "/", 40, 12.0),
    ("GET", "/search", 25, 45.0),
    ("GET", "/products/{id}", 20, 18.0),
    ("POST", "/cart", 10, 30.0),
    ("POST", "/checkout", 5, 120.0),
];

/// Models: how often each is called, of 100 calls, dollars per million tokens of input and output,
/// and seconds per 100 tokens of output.
const MODELS: [(&str, u64, f64, f64, f64); 3] =
    [("nano", 60, 0.1, 0.4, 0.3), ("standard", 30, 1.0, 4.0, 0.9), ("expert", 10, 10.0, 30.0, 2.4)];

/// Questions of customers, and the assistant's answers.
const TALKS: [(&str, &str); 4] = [
    ("Where is my order?", "It left our warehouse this morning and arrives tomorrow."),
    ("Can I return the lamp?", "Yes: within 30 days, in its box. I have sent you a label."),
    ("Do you have this chair in green?", "Not at the moment. It comes in blue, grey and oak."),
    ("My code does not work.", "It was valid until Sunday. I have sent you a new one."),
];

/// Numbers that look random.
struct Dice(u64);

impl Dice {
    /// Starts a sequence for a row of a table.
    fn new(table: u64, row: u64) -> Self {
        Self(row.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ table.wrapping_mul(0xD1B5_4A32_D192_ED03))
    }

    /// Returns a number below `n`. This is the generator SplitMix64.
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % n.max(1)
    }

    /// Returns a factor around 1 that is sometimes much larger, as durations are.
    fn spread(&mut self) -> f64 {
        let uniform = (self.below(10_000) as f64 + 1.0) / 10_001.0;
        (-uniform.ln()).powf(1.5).mul_add(0.6, 0.5)
    }

    /// Returns the index of a share that is chosen by its weight; the weights sum up to 100.
    fn choose(&mut self, weights: impl IntoIterator<Item = u64>) -> usize {
        let mut left = self.below(100);
        let is_it = |weight: &u64| match left.checked_sub(*weight) {
            Some(rest) => {
                left = rest;
                false
            }
            None => true,
        };
        weights.into_iter().collect::<Vec<_>>().iter().position(is_it).unwrap_or(0)
    }
}

/// Makes a request of the shop. For a while its search is slow and fails more often.
pub(super) fn request(i: u64) -> Row {
    let mut dice = Dice::new(1, i);
    let (method, path, _, usual) = PATHS[dice.choose(PATHS.map(|it| it.2)).min(PATHS.len() - 1)];
    let is_slow = path == "/search" && i % SPELL.0 > SPELL.0 - SPELL.1;
    let latency = usual * dice.spread() * if is_slow { 8.0 } else { 1.0 };
    let status = match dice.below(1_000) {
        n if n < if is_slow { 200 } else { 6 } => 503,
        6..=25 => 404,
        _ => 200,
    };
    row! {
        "method" => method,
        "path" => path,
        "status" => status,
        "latency_ms" => (latency * 10.0).round() / 10.0,
        "bytes" => dice.below(40_000) + 400,
        "region" => ["eu", "us", "asia"][dice.below(3) as usize],
    }
}

/// Makes a call of a language model.
pub(super) fn call(i: u64) -> Row {
    let mut dice = Dice::new(2, i);
    let place = dice.choose(MODELS.map(|it| it.1)).min(MODELS.len() - 1);
    let (model, _, input_price, output_price, seconds) = MODELS[place];
    let (question, answer) = TALKS[dice.below(TALKS.len() as u64) as usize];
    let is_late = dice.below(100) < 2;
    let input_tokens = 180 + dice.below(600);
    let output_tokens = if is_late { 0 } else { 20 + dice.below(240) };
    let cost = (input_tokens as f64 * input_price + output_tokens as f64 * output_price) / 1e6;
    let latency = if is_late { 30.0 } else { 0.2 + seconds * output_tokens as f64 / 100.0 };
    let message =
        |role: &str, content: &str| Value::from(row! { "role" => role, "content" => content });
    row! {
        "model" => model,
        "messages" => Value::from(vec![
            message("system", "You help the customers of a furniture shop."),
            message("user", question),
        ]),
        "output" => if is_late { "" } else { answer },
        "input_tokens" => input_tokens,
        "output_tokens" => output_tokens,
        "cost_usd" => cost,
        "latency" => latency * dice.spread().min(3.0),
        "error" => if is_late { "the model did not answer in time" } else { "" },
        "trace_id" => format!("{:016x}", Dice::new(3, i / 3).below(u64::MAX)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(row: &Row, column: &str) -> f64 {
        match row.get(column) {
            Some(Value::Float(number)) => *number,
            Some(Value::Int(number)) => *number as f64,
            other => panic!("{column}: {other:?}"),
        }
    }

    #[test]
    fn requests_have_errors_and_slow_spells() {
        let rows: Vec<Row> = (0..2 * SPELL.0).map(request).collect();
        let failed = rows.iter().filter(|row| number(row, "status") >= 500.0).count();
        assert!((5..100).contains(&failed), "{failed}");
        let slow = rows.iter().filter(|row| number(row, "latency_ms") > 300.0).count();
        assert!((20..200).contains(&slow), "{slow}");
        assert_eq!(request(7), request(7));
        assert_ne!(request(7), request(8));
    }

    #[test]
    fn calls_use_all_models_and_some_fail() {
        let rows: Vec<Row> = (0..500).map(call).collect();
        for (model, ..) in MODELS {
            let of_model = |row: &&Row| row.get("model") == Some(&Value::from(model));
            assert!(rows.iter().filter(of_model).count() > 20, "{model}");
        }
        let failed = rows.iter().filter(|row| row.get("error") != Some(&Value::from("")));
        assert!((1..50).contains(&failed.count()));
        assert!(rows.iter().all(|row| number(row, "cost_usd") > 0.0));
    }
}
