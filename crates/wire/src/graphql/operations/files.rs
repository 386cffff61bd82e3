//! Operation that uploads the files of media cells.

use serde::{Deserialize, Serialize};
use streamtable_schema::TablePath;

use super::{Operation, answer, present, variables};

variables! {
    /// Announces files of a table and requests their upload URLs.
    CreateRunFiles {
        /// The entity.
        entity: String,
        /// The project.
        project: String,
        /// The table's run.
        table: String,
        /// The files' paths.
        files: Vec<String>,
    }
}

impl CreateRunFiles {
    /// Announces files of a table.
    pub fn new(table: &TablePath, files: Vec<String>) -> Self {
        Self {
            entity: table.entity().to_owned(),
            project: table.project().to_owned(),
            table: table.table().to_owned(),
            files,
        }
    }
}

impl Operation for CreateRunFiles {
    const NAME: &'static str = "StreamTableRunFiles";
    const DOCUMENT: &'static str = include_str!("../documents/create_run_files.graphql");
    type Answer = CreateRunFilesAnswer;
}

answer! {
    /// The response to [`CreateRunFiles`].
    CreateRunFilesAnswer {
        /// The upload URLs.
        #[serde(deserialize_with = "present")]
        create_run_files: Option<CreatedRunFiles>,
    }
}

answer! {
    /// The upload URLs of a table's files.
    CreatedRunFiles {
        /// Headers of every upload request, each as `Name:Value`.
        #[serde(default)]
        upload_headers: Option<Vec<String>>,
        /// The files, in any order.
        files: Vec<RunFile>,
    }
}

answer! {
    /// A file of a table.
    RunFile {
        /// Its path, as announced.
        name: String,
        /// The URL to PUT its bytes to; `None` if the server already has them.
        upload_url: Option<String>,
    }
}
