//! Tools that log to W&B, unmodified: what they log is what the server stores.

use serde_json::{Value, json};

use super::{Lab, found};
use crate::proxy::Fault;

/// Trains a small model with a tool, and returns what the public API reads of its run.
async fn train(venv: &str, tool: &str) -> Value {
    let lab = Lab::new(venv, |_, _| Fault::None).await;
    let found = found(&lab.run("nightly/trainers.py", &["me", "p", tool]).await);
    assert_eq!(found["state"], "finished", "{found:#}");
    found
}

/// Returns the values of a column, in order, from the rows that have it.
fn column<'a>(found: &'a Value, name: &str) -> Vec<&'a Value> {
    let rows = found["rows"].as_array().unwrap();
    rows.iter().filter_map(|row| row.get(name)).collect()
}

/// Returns whether all values of a column are numbers, and there are `count` of them.
#[track_caller]
fn check_numbers(found: &Value, name: &str, count: usize) {
    let values = column(found, name);
    assert!(values.len() == count && values.iter().all(|it| it.is_number()), "{name}: {found:#}");
}

#[tokio::test]
#[ignore = "needs the real tools; run by `cargo xtask clients --nightly`"]
async fn accelerate() {
    let found = train("trainers", "accelerate").await;
    assert_eq!(column(&found, "loss"), [1.0, 1.0 / 2.0, 1.0 / 3.0, 0.25, 0.2]);
    assert_eq!((&found["config"]["lr"], &found["config"]["layers"]), (&json!(0.1), &json!(2)));
    assert_eq!(column(&found, "predictions")[0]["nrows"], 2);
    assert_eq!(found["artifacts"], json!(["run_table/run-accelerate-predictions:v0"]));
}

#[tokio::test]
#[ignore = "needs the real tools; run by `cargo xtask clients --nightly`"]
async fn transformers() {
    let found = train("trainers", "transformers").await;
    // Two epochs of four steps, each with an evaluation.
    check_numbers(&found, "train/loss", 8);
    check_numbers(&found, "eval/loss", 2);
    let steps: Vec<_> = (1..=8).collect();
    let mut logged: Vec<_> =
        column(&found, "train/global_step").iter().filter_map(|it| it.as_i64()).collect();
    logged.dedup();
    assert_eq!(logged, steps);
    assert_eq!(found["config"]["model_type"], "bert");
    assert_eq!(found["config"]["num_train_epochs"], 2);
    assert!(found["summary"].as_array().unwrap().contains(&json!("train_runtime")), "{found:#}");
}

#[tokio::test]
#[ignore = "needs the real tools; run by `cargo xtask clients --nightly`"]
async fn xgboost() {
    let found = train("trainers", "xgboost").await;
    assert_eq!(column(&found, "epoch"), [0, 1, 2, 3]);
    check_numbers(&found, "train-logloss", 4);
    assert_eq!(found["config"]["depth"], 2);
    assert_eq!(found["config"]["learner"]["learner_train_param"]["objective"], "binary:logistic");
    assert!(found["artifacts"].to_string().contains("model/xgboost_model.json:v0"), "{found:#}");
}

#[tokio::test]
#[ignore = "needs the real tools; run by `cargo xtask clients --nightly`"]
async fn lightgbm() {
    let found = train("trainers", "lightgbm").await;
    assert_eq!(column(&found, "iteration"), [0, 1, 2, 3]);
    check_numbers(&found, "train_binary_logloss", 4);
    assert_eq!(found["config"]["objective"], "binary");
    assert!(found["artifacts"].to_string().contains("model/model_lightgbm:v0"), "{found:#}");
    assert!(found["summary"].as_array().unwrap().contains(&json!("best_score")), "{found:#}");
}

#[tokio::test]
#[ignore = "needs the real tools; run by `cargo xtask clients --nightly`"]
async fn sklearn() {
    let found = train("trainers", "sklearn").await;
    assert_eq!(column(&found, "confusion_matrix")[0]["nrows"], 4);
    for table in ["roc_table", "precision_recall_table"] {
        assert_eq!(column(&found, table)[0]["_type"], "table-file", "{found:#}");
    }
}

#[tokio::test]
#[ignore = "needs the real tools; run by `cargo xtask clients --nightly`"]
async fn keras() {
    let found = train("keras", "keras").await;
    for name in ["epoch/loss", "epoch/accuracy", "epoch/val_loss", "epoch/val_accuracy"] {
        check_numbers(&found, name, 3);
    }
    assert_eq!(column(&found, "epoch/epoch"), [0, 1, 2]);
    assert_eq!(found["config"]["units"], 3);
}
