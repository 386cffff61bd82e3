//! Creating a table and finding it again.

use streamtable_wire::StreamTableArtifact;
use streamtable_wire::graphql::{CreateTable, FindTable, ReadRows, ServerFeatures};

use super::client::{Client, lines};
use super::{Case, Check, case, ensure};

pub(super) const CASES: &[Case] = &[
    case!(features_are_told),
    case!(an_unknown_table_is_null),
    case!(a_new_table_is_empty),
    case!(a_known_table_is_found),
    case!(making_a_table_again_changes_nothing),
    case!(a_table_half_made_is_finished_by_another),
    case!(names_with_blanks_and_letters),
];

async fn features_are_told(client: &Client) -> Check {
    let answer = client.ask(&ServerFeatures {}).await?;
    ensure!(!answer.has("NO_SUCH_FEATURE"), "an unknown feature is enabled");
    Ok(())
}

async fn an_unknown_table_is_null(client: &Client) -> Check {
    let found = client.find().await?;
    ensure!(found.run().is_none(), "a run exists that was never created");
    ensure!(!found.has_artifact(), "an artifact exists that was never created");
    let rows = client.ask(&ReadRows::new(&client.table, 0, 1, 1)).await?;
    let run = rows.project.and_then(|project| project.run);
    ensure!(run.is_none(), "a run that was never created has rows");
    Ok(())
}

async fn a_new_table_is_empty(client: &Client) -> Check {
    client.open().await?;
    client.expect::<&str>(&[]).await
}

async fn a_known_table_is_found(client: &Client) -> Check {
    client.open().await?;
    let found = client.find().await?;
    ensure!(found.has_artifact(), "the artifact is not found by its digest");
    let mut other = FindTable::new(&client.table, &StreamTableArtifact::new(&client.table));
    other.digest = "0".repeat(32);
    ensure!(!client.ask(&other).await?.has_artifact(), "any digest finds the artifact");
    Ok(())
}

async fn making_a_table_again_changes_nothing(client: &Client) -> Check {
    client.open().await?;
    let lines = lines("w", 3)?;
    client.post(&[], 0, &lines).await?;
    let content = StreamTableArtifact::new(&client.table);
    let created = client.ask(&CreateTable::new(&client.table, &content)).await?;
    let artifact = created.artifact().ok_or("createArtifact answers no artifact")?;
    ensure!(artifact.is_committed(), "the same artifact is {} again", artifact.state);
    client.open().await?;
    client.expect(&lines).await
}

async fn a_table_half_made_is_finished_by_another(client: &Client) -> Check {
    let content = StreamTableArtifact::new(&client.table);
    client.ask(&CreateTable::new(&client.table, &content)).await?;
    ensure!(!client.find().await?.has_artifact(), "an artifact without files is committed");
    client.open().await?;
    ensure!(client.find().await?.has_artifact(), "the artifact is not whole");
    Ok(())
}

async fn names_with_blanks_and_letters(client: &Client) -> Check {
    let project = format!("{} été & co", client.prefix());
    let client = client.of_table(&project, "Table.v1-2_x")?;
    client.open().await?;
    let lines = lines("w", 2)?;
    client.post(&[], 0, &lines).await?;
    client.expect(&lines).await
}
