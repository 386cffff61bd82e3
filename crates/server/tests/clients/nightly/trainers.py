"""Trains small models with tools that log to W&B, each unmodified.

Arguments: entity, project, the name of the tool. Nothing is downloaded: models are initialized at
random. The test compares what the server has stored.
"""
import json
import os
import sys

import numpy as np

entity, project, tool = sys.argv[1:4]
os.environ |= {"WANDB_ENTITY": entity, "WANDB_PROJECT": project, "HF_HUB_OFFLINE": "1", "USE_TF": "0"}
import wandb

rng = np.random.default_rng(7)
features = rng.normal(size=(64, 4)).astype(np.float32)
labels = (features[:, 0] > 0).astype(np.int64)


def accelerate():
    from accelerate import Accelerator

    accelerator = Accelerator(log_with="wandb", cpu=True)
    accelerator.init_trackers(project, config={"lr": 0.1, "layers": 2}, init_kwargs={"wandb": {"entity": entity, "id": tool}})
    for step in range(5):
        accelerator.log({"loss": 1 / (step + 1)}, step=step)
    tracker = accelerator.get_tracker("wandb")
    tracker.log_table("predictions", columns=["x", "y"], data=[[1, 2], [3, 4]], step=5)
    accelerator.end_training()


def transformers():
    import torch
    from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments

    os.environ["WANDB_RUN_ID"] = tool
    config = BertConfig(vocab_size=50, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8)
    data = [{"input_ids": torch.arange(1, 7), "labels": torch.tensor(i % 2)} for i in range(32)]
    arguments = TrainingArguments(
        "out", report_to=["wandb"], num_train_epochs=2, per_device_train_batch_size=8, logging_steps=1,
        evaluation_strategy="epoch", use_cpu=True, run_name="bert", save_strategy="no",
    )
    Trainer(BertForSequenceClassification(config), arguments, train_dataset=data, eval_dataset=data[:8]).train()
    wandb.finish()


def xgboost():
    import xgboost
    from wandb.integration.xgboost import WandbCallback

    with wandb.init(id=tool, config={"depth": 2}):
        data = xgboost.DMatrix(features, labels)
        xgboost.train(
            {"max_depth": 2, "objective": "binary:logistic", "eval_metric": "logloss"}, data, num_boost_round=4,
            evals=[(data, "train")], callbacks=[WandbCallback(log_model=True)],
        )


def lightgbm():
    import lightgbm
    from wandb.integration.lightgbm import log_summary, wandb_callback

    with wandb.init(id=tool):
        data = lightgbm.Dataset(features, labels)
        model = lightgbm.train(
            {"objective": "binary", "metric": "binary_logloss", "verbose": -1, "min_data_in_leaf": 2}, data,
            num_boost_round=4, valid_sets=[data], valid_names=["train"], callbacks=[wandb_callback()],
        )
        log_summary(model, save_model_checkpoint=True)


def sklearn():
    from sklearn.linear_model import LogisticRegression

    with wandb.init(id=tool):
        model = LogisticRegression().fit(features, labels)
        probabilities = model.predict_proba(features)
        wandb.sklearn.plot_confusion_matrix(labels, model.predict(features), ["no", "yes"])
        wandb.sklearn.plot_roc(labels, probabilities, ["no", "yes"])
        wandb.sklearn.plot_precision_recall(labels, probabilities, ["no", "yes"])
        wandb.sklearn.plot_summary_metrics(model, features, labels, features, labels)


def keras():
    import tensorflow
    from wandb.integration.keras import WandbMetricsLogger

    layers = tensorflow.keras.layers
    with wandb.init(id=tool, config={"units": 3}):
        model = tensorflow.keras.Sequential([layers.Input((4,)), layers.Dense(3), layers.Dense(1, activation="sigmoid")])
        model.compile(optimizer="sgd", loss="binary_crossentropy", metrics=["accuracy"])
        model.fit(features, labels, epochs=3, verbose=0, validation_split=0.25, callbacks=[WandbMetricsLogger()])


globals()[tool]()
run = wandb.Api().run(f"{entity}/{project}/{tool}")


found = {
    "state": run.state,
    "rows": [{key: value for key, value in row.items() if not key.startswith("_")} for row in run.scan_history()],
    "config": run.config,
    "summary": sorted(key for key in run.summary.keys() if not key.startswith("_")),
    "artifacts": sorted(f"{artifact.type}/{artifact.name}" for artifact in run.logged_artifacts()),
}
print("FOUND " + json.dumps(found))
