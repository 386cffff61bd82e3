//! Media: files next to the rows.

use http::header::AUTHORIZATION;
use http::{HeaderValue, Request, StatusCode};
use streamtable_schema::{Media, MediaKind, row};
use streamtable_wire::graphql::CreateRunFiles;
use streamtable_wire::{FileStreamRequest, media_file};

use super::client::{Client, line, upload_request};
use super::{Case, Check, case, ensure};
use crate::png::png;

pub(super) const CASES: &[Case] = &[
    case!(files_are_announced_by_name),
    case!(an_image_is_uploaded_and_served),
    case!(an_upload_ignores_a_stray_key),
    case!(an_upload_may_be_repeated),
];

async fn files_are_announced_by_name(client: &Client) -> Check {
    client.open().await?;
    let names = ["media/images/a.png", "media/html/b c.html", "d"].map(str::to_owned);
    // A name may be requested again.
    for _ in 0..2 {
        let urls = announce(client, &names).await?;
        ensure!(urls.len() == names.len(), "{} files for {}", urls.len(), names.len());
    }
    Ok(())
}

async fn an_image_is_uploaded_and_served(client: &Client) -> Check {
    client.open().await?;
    let bytes = png(4, 3, 200);
    let file = media_file(MediaKind::Image, "png", &bytes);
    let path = file.path.clone();
    let image = Media::stored(MediaKind::Image, "png", Some((4, 3)), file);
    let image = image.map_err(|error| error.to_string())?.with_caption("a grey field");
    let lines = [line("w", &row! { "image" => image })?];
    // A row never waits for its image.
    client.post(&[], 0, &lines).await?;

    for (url, headers) in announce(client, std::slice::from_ref(&path)).await? {
        let url = url.ok_or("a new file has no uploadUrl")?;
        client.put(&url, headers.as_deref(), &bytes).await?;
    }
    let uploaded = FileStreamRequest { uploaded: vec![path.clone()], ..Default::default() };
    let status = client.post_bytes(&[], uploaded.to_bytes()).await?.status();
    ensure!(status == StatusCode::OK, "the report of an upload is answered {status}");
    client.expect(&lines).await?;
    expect_file(client, &path, &bytes).await
}

async fn an_upload_ignores_a_stray_key(client: &Client) -> Check {
    client.open().await?;
    let path = "media/html/stray.html".to_owned();
    for (url, headers) in announce(client, std::slice::from_ref(&path)).await? {
        let url = url.ok_or("a new file has no uploadUrl")?;
        let mut request = upload_request(&url, headers.as_deref(), b"<p>stray</p>")?;
        let stray = HeaderValue::from_static("Basic dXNlcjpub3QtYS1rZXk=");
        request.headers_mut().insert(AUTHORIZATION, stray);
        let status = client.send(None, request).await?.status();
        ensure!(status.is_success(), "an upload with a stray key is answered {status}");
    }
    expect_file(client, &path, b"<p>stray</p>").await
}

async fn an_upload_may_be_repeated(client: &Client) -> Check {
    client.open().await?;
    let path = "media/html/again.html".to_owned();
    for (url, headers) in announce(client, std::slice::from_ref(&path)).await? {
        let url = url.ok_or("a new file has no uploadUrl")?;
        for _ in 0..2 {
            client.put(&url, headers.as_deref(), b"<p>again</p>").await?;
        }
    }
    expect_file(client, &path, b"<p>again</p>").await
}

type Address = (Option<String>, Option<Vec<String>>);

async fn announce(client: &Client, names: &[String]) -> Check<Vec<Address>> {
    let answer = client.ask(&CreateRunFiles::new(&client.table, names.to_vec())).await?;
    let created = answer.create_run_files.ok_or("createRunFiles answers null")?;
    let mut files = Vec::new();
    for name in names {
        let file = created.files.iter().find(|file| file.name == *name);
        let file = file.ok_or_else(|| format!("createRunFiles does not echo {name:?}"))?;
        files.push((file.upload_url.clone(), created.upload_headers.clone()));
    }
    Ok(files)
}

/// Checks the run's file URLs (notes §9).
async fn expect_file(client: &Client, path: &str, bytes: &[u8]) -> Check {
    let uri = client.file_url(path);
    let request = Request::get(uri).body(Default::default()).map_err(|e| e.to_string())?;
    let answer = client.send(client.key(), request).await?;
    let status = answer.status();
    ensure!(status == StatusCode::OK, "the file {path} is answered {status}");
    ensure!(answer.body() == bytes, "the file {path} has other bytes");
    Ok(())
}
