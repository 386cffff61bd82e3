//! One run: a server, a writer, a probe and attackers.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::sleep;

use crate::attack::attack;
use crate::http::{Answer, Script, request, send};
use crate::options::Options;
use crate::server::Server;
use crate::tally::Tally;
use crate::writer::{count, probe, write};

/// How many attackers there are.
const ATTACKERS: u64 = 4;

/// How many rows the table has that queries are about.
const ROWS: usize = 1_000;

pub(crate) async fn run(options: &Options) -> Result<Tally, String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let mut server = Server::start(&options.server, folder.path(), options.memory_mib).await?;
    let (addr, key) = (server.addr, server.key.clone());
    prepare(addr, &key).await?;
    let (stop, stopped) = watch::channel(false);
    let tally = Arc::new(Mutex::new(Tally { seed: options.seed, ..Tally::default() }));
    let writer = tokio::spawn(write(addr, key.clone(), stopped.clone()));
    let probe = tokio::spawn(probe(addr, stopped.clone()));
    let attackers: Vec<_> = (0..ATTACKERS)
        .map(|i| {
            let seed = options.seed.wrapping_mul(ATTACKERS).wrapping_add(i);
            tokio::spawn(attack(addr, key.clone(), seed, Arc::clone(&tally), stopped.clone()))
        })
        .collect();
    let started = Instant::now();
    let mut died = None;
    while started.elapsed() < options.time && died.is_none() {
        sleep(Duration::from_millis(200)).await;
        died = server.ended().map(|status| status.to_string());
    }
    let peak = server.peak_mib();
    // A sender without receivers is no reason to stop here.
    let _ = stop.send(true);
    for attacker in attackers {
        attacker.await.map_err(|error| error.to_string())?;
    }
    let written = writer.await.map_err(|error| error.to_string())?;
    if let Some(answer) = &written.refused {
        return Err(format!("the server refused rows without a fault: {answer}"));
    }
    let health = probe.await.map_err(|error| error.to_string())?;
    let counted = match died {
        None => count(addr, &key).await,
        Some(_) => Ok([0; 3]),
    };
    died = died.or_else(|| server.ended().map(|status| status.to_string()));
    let peak = peak.max(server.peak_mib());
    let stopped = died.is_none() && server.stop().await.is_ok_and(|status| status.success());
    let log = std::fs::read_to_string(folder.path().join("server.log")).unwrap_or_default();
    let mut tally = std::mem::take(&mut *tally.lock().unwrap_or_else(PoisonError::into_inner));
    if died.is_some() {
        let end: Vec<&str> = log.lines().rev().take(5).collect();
        died = died.map(|how| format!("{how}; its last lines, newest first: {end:?}"));
    }
    tally.panics = log.matches("panicked at").count();
    tally.peak_mib = peak.unwrap_or(0);
    (tally.health, tally.written, tally.died, tally.stopped) = (health, written, died, stopped);
    tally.counted = counted?;
    Ok(tally)
}

/// Makes the table that queries are about, and a run.
async fn prepare(addr: std::net::SocketAddr, key: &str) -> Result<(), String> {
    let rows: String = (0..ROWS).map(|i| format!("{{\"n\":{i},\"s\":\"row {i}\"}}\n")).collect();
    let table = request("POST", "/api/tables/me/p/t/rows", key, &[], rows.as_bytes());
    let document = "mutation{upsertBucket(input:{entityName:\"me\",modelName:\"p\",name:\"run\"})\
                    {inserted}}";
    let document = serde_json::json!({ "query": document }).to_string();
    let headers = [("Content-Type", "application/json")];
    let run = request("POST", "/graphql", key, &headers, document.as_bytes());
    for request in [table, run] {
        match send(addr, Script::once(request), Duration::from_secs(30)).await {
            Answer::Status(200, body) if !body.starts_with(b"{\"errors") => {}
            other => return Err(format!("the server cannot be prepared: {other:?}")),
        }
    }
    Ok(())
}
