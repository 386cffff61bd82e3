//! What users of the public API do, with each version of the SDK.

use super::{Lab, found};
use crate::proxy::Fault;

/// Rows have no place for the boxes and masks of an image; summaries keep them.
const OVERLAYS: &str = "boxes";

/// Runs a program of cases. Those in `known` have another result than expected.
async fn cases(venv: &str, program: &str, least: u64, known: &[&str]) {
    let lab = Lab::new(venv, |_, _| Fault::None).await;
    let found = found(&lab.run(program, &["me", "p"]).await);
    let differences: Vec<&String> = found["differences"].as_object().unwrap().keys().collect();
    let mut known = known.to_vec();
    known.sort_unstable();
    assert_eq!(differences, known, "{found:#}");
    assert!(found["count"].as_u64() >= Some(least), "{found:#}");
}

/// The current SDK reads the rows of given keys with floats for all numbers.
const FLOATS: [&str; 3] = ["value big by key", "value bigger by key", "value np int by key"];

/// Declares a test for each version and program, so that they run in parallel.
macro_rules! tests {
    ($($name:ident: $venv:literal $program:literal $least:literal $known:expr;)*) => {$(
        #[tokio::test]
        #[ignore = "needs the real Python clients; run by `cargo xtask clients`"]
        async fn $name() {
            cases($venv, $program, $least, &$known).await;
        }
    )*};
}

tests! {
    wandb_0_31_cases_of_runs: "wandb-0.31" "cases_runs.py" 150 FLOATS;
    wandb_0_22_cases_of_runs: "wandb-0.22" "cases_runs.py" 150 [];
    wandb_0_19_cases_of_runs: "wandb-0.19" "cases_runs.py" 150 [];
    wandb_0_31_cases_of_files: "wandb-0.31" "cases_files.py" 50 [OVERLAYS];
    wandb_0_22_cases_of_files: "wandb-0.22" "cases_files.py" 50 [OVERLAYS];
    wandb_0_19_cases_of_files: "wandb-0.19" "cases_files.py" 50 [OVERLAYS];
    wandb_0_31_cases_of_artifacts: "wandb-0.31" "cases_artifacts.py" 35 [];
    wandb_0_22_cases_of_artifacts: "wandb-0.22" "cases_artifacts.py" 35 [];
    wandb_0_19_cases_of_artifacts: "wandb-0.19" "cases_artifacts.py" 35 [];
}
