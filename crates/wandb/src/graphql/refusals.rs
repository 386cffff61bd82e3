//! Why the server lacks a mutation that clients send.

/// Each feature that the server lacks: its mutations, and what to do instead.
const LACKS: &[(&[&str], &str)] = &[
    (
        &[
            "linkArtifact",
            "unlinkArtifact",
            "createArtifactPortfolio",
            "updateArtifactPortfolio",
            "deleteArtifactPortfolio",
        ],
        "this server has no registry, so artifacts cannot be linked: use the artifact's own name, \
         or give it an alias",
    ),
    (
        &["upsertSweep", "agentHeartbeat", "createAgent", "enqueueSweepRun"],
        "this server has no sweeps: start the runs yourself, for example with Optuna",
    ),
    (
        &["rewindRun"],
        "this server cannot rewind runs, since rows are never removed: start a new run",
    ),
    (
        &["deleteRun"],
        "this server does not delete runs: their rows are a table, which is append-only",
    ),
    (
        &["deleteModel", "renameProject"],
        "this server cannot delete or rename projects, since they contain append-only tables",
    ),
    (
        &[
            "deleteArtifactSequence",
            "moveArtifactSequence",
            "createArtifactCollectionTagAssignments",
            "deleteArtifactCollectionTagAssignments",
        ],
        "this server cannot delete, move or tag whole collections: delete their artifacts, or tag \
         those",
    ),
    (
        &[
            "createRunQueue",
            "deleteRunQueues",
            "upsertRunQueue",
            "pushToRunQueue",
            "pushToRunQueueByName",
            "popFromRunQueue",
            "ackRunQueueItem",
            "deleteFromRunQueue",
            "failRunQueueItem",
            "updateRunQueueItemWarning",
            "createLaunchAgent",
            "updateLaunchAgent",
            "createDefaultResourceConfig",
        ],
        "this server has no launch queues: start the job yourself",
    ),
    (
        &[
            "createFilterTrigger",
            "updateFilterTrigger",
            "deleteTrigger",
            "createGenericWebhookIntegration",
        ],
        "this server has no W&B automations: use its monitors",
    ),
    (&["upsertView", "deleteView"], "this server has no reports: save a board instead"),
    (&["createCustomChart"], "this server has no custom chart presets: save a board instead"),
    (
        &[
            "createUser",
            "createTeam",
            "createInvite",
            "deleteInvite",
            "createServiceAccount",
            "createProjectMembers",
            "updateProjectMember",
            "deleteProjectMembers",
            "updateProjectTeamMember",
            "generateApiKey",
            "deleteApiKey",
            "createAnonymousEntity",
        ],
        "this server has no user accounts: manage its keys with `streamtable keys`",
    ),
    (
        &["completeMultipartUploadArtifact"],
        "this server has no multipart uploads: upload the file in one request",
    ),
    (
        &["stopRun", "updateRunState"],
        "this server cannot change the state of a run that a client \
        logs: finish the run in its own process",
    ),
];

/// Returns the message for a mutation that the schema lacks.
pub(super) fn of(mutation: &str) -> String {
    let found = LACKS.iter().find(|(names, _)| names.contains(&mutation));
    let reason = found.map_or("this server lacks it, and nothing was changed", |(_, why)| why);
    format!("{mutation} was refused: {reason}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_name_the_mutation_and_the_alternative() {
        assert!(
            of("linkArtifact").contains("linkArtifact was refused: this server has no registry")
        );
        assert!(of("somethingNew").contains("nothing was changed"));
        let mut names: Vec<&str> = LACKS.iter().flat_map(|(names, _)| *names).copied().collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count, "a mutation is listed twice");
    }
}
