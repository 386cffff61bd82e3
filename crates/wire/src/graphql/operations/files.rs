//! Uploading the files of media cells.

use serde::{Deserialize, Serialize};
use streamtable_schema::TablePath;

use super::{Operation, answer, present, variables};

variables! {
    /// Announces files of a table, and asks where their bytes go.
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
    /// The answer to [`CreateRunFiles`].
    CreateRunFilesAnswer {
        /// Where the bytes go.
        #[serde(deserialize_with = "present")]
        create_run_files: Option<CreatedRunFiles>,
    }
}

answer! {
    /// Where the bytes of a table's files go.
    CreatedRunFiles {
        /// Headers of every upload, each as `Name:Value`.
        #[serde(default)]
        upload_headers: Option<Vec<String>>,
        /// The files, in any order.
        files: Vec<RunFile>,
    }
}

answer! {
    /// A file of a table.
    RunFile {
        /// Its path, as it was announced.
        name: String,
        /// The address to put its bytes to; none when the server has them.
        upload_url: Option<String>,
    }
}
