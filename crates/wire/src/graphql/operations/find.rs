//! Operation that looks up a table.

use serde::{Deserialize, Serialize};
use streamtable_schema::TablePath;

use super::{Operation, answer, present, variables};
use crate::{HistoryKeys, StreamTableArtifact};

variables! {
    /// Looks up a table: its rows, its columns, and whether its artifact is committed.
    FindTable {
        /// The entity.
        entity: String,
        /// The project.
        project: String,
        /// The table.
        table: String,
        /// The digest of the table's artifact.
        digest: String,
    }
}

impl FindTable {
    /// Looks up a table with this artifact.
    pub fn new(table: &TablePath, artifact: &StreamTableArtifact) -> Self {
        Self {
            entity: table.entity().to_owned(),
            project: table.project().to_owned(),
            table: table.table().to_owned(),
            digest: artifact.digest.clone(),
        }
    }
}

impl Operation for FindTable {
    const NAME: &'static str = "StreamTableFind";
    const DOCUMENT: &'static str = include_str!("../documents/find_table.graphql");
    type Answer = FindTableAnswer;
}

answer! {
    /// The response to [`FindTable`].
    FindTableAnswer {
        /// The project, if it exists.
        #[serde(deserialize_with = "present")]
        project: Option<FoundProject>,
    }
}

answer! {
    /// A project in the response to [`FindTable`].
    FoundProject {
        /// The table's run.
        run: Option<FoundRun>,
        /// The collection of the table's artifacts.
        artifact_collection: Option<FoundCollection>,
    }
}

answer! {
    /// A table's run in the response to [`FindTable`].
    FoundRun {
        /// Its rows and columns.
        history_keys: Option<HistoryKeys>,
    }
}

answer! {
    /// A table's artifact collection in the response to [`FindTable`].
    FoundCollection {
        /// The artifact with the requested digest.
        artifact_membership: Option<FoundMembership>,
    }
}

answer! {
    /// An artifact's membership in its collection, in the response to [`FindTable`].
    FoundMembership {
        /// The hash of the commit; absent until the artifact is committed.
        commit_hash: Option<String>,
    }
}

impl FindTableAnswer {
    /// Returns the table's run, if it exists.
    pub fn run(&self) -> Option<&FoundRun> {
        self.project.as_ref()?.run.as_ref()
    }

    /// Returns whether the artifact is committed.
    pub fn has_artifact(&self) -> bool {
        let project = self.project.as_ref();
        let collection = project.and_then(|project| project.artifact_collection.as_ref());
        let membership = collection.and_then(|found| found.artifact_membership.as_ref());
        membership.is_some_and(|membership| membership.commit_hash.is_some())
    }
}
