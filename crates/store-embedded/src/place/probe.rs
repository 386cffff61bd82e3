//! The probe of a bucket at start: whether it can be used, and whether it creates an object at most
//! once, which the commits of tables need.

use std::io;
use std::sync::Arc;

use futures_util::future::join_all;
use object_store::path::Path as Key;
use object_store::{Error, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions};

use super::bucket::{Bucket, below, reason};

/// How many writers race to create one object.
const WRITERS: u8 = 8;

/// How many races there are: a store without atomic creation does not fail each one.
const RACES: usize = 3;

/// The result of a race.
enum Race {
    Fair,
    /// The store confirmed this number of creations of one object.
    Winners(usize),
    /// The store confirmed a creation, and the object has the content of another writer.
    WrongWinner,
    /// The store refuses conditional writes.
    Refused,
}

/// Lets writers race to create the same object. Fails if the bucket cannot be used, or if it lets
/// more than one of them succeed.
pub(super) fn probe(bucket: &Bucket, prefix: &Key) -> io::Result<()> {
    for _ in 0..RACES {
        let name = format!("_streamtable/probe-{}", uuid::Uuid::new_v4().simple());
        let key = below(prefix, &name);
        let found = match bucket.wait(|objects| race(objects, key))? {
            Race::Fair => continue,
            Race::Winners(count) => {
                format!("{count} of {WRITERS} writers created the same object")
            }
            Race::WrongWinner => {
                "an object has the content of a writer that was refused".to_owned()
            }
            Race::Refused => "it refuses them".to_owned(),
        };
        return Err(io::Error::other(format!(
            "the store has no atomic conditional writes (PUT with If-None-Match: *): {found}; \
             tables need them, so use another store or a newer version of it"
        )));
    }
    Ok(())
}

async fn race(objects: Arc<dyn ObjectStore>, key: Key) -> Result<Race, Error> {
    let put = |writer: u8| {
        let options = PutOptions::from(PutMode::Create);
        let (objects, key) = (Arc::clone(&objects), key.clone());
        async move { objects.put_opts(&key, vec![writer; 64].into(), options).await }
    };
    let answers = join_all((0..WRITERS).map(put)).await;
    let mut winners = Vec::new();
    for (writer, answer) in (0..WRITERS).zip(answers) {
        match answer {
            Ok(_) => winners.push(writer),
            Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => {}
            Err(Error::NotFound { .. }) => return Err(no_bucket()),
            Err(Error::NotImplemented { .. } | Error::NotSupported { .. }) => {
                return Ok(Race::Refused);
            }
            Err(error) if reason(&error).contains("501 Not Implemented") => {
                return Ok(Race::Refused);
            }
            Err(error) => return Err(error),
        }
    }
    let content = match objects.get(&key).await {
        Ok(found) => found.bytes().await?,
        // Each request met another one, and none was made.
        Err(Error::NotFound { .. }) if winners.is_empty() => return Ok(Race::Fair),
        Err(error) => return Err(error),
    };
    objects.delete(&key).await?;
    Ok(match winners[..] {
        // The winner's answer was lost, and its request repeated.
        [] => Race::Fair,
        [winner] if content == vec![winner; 64] => Race::Fair,
        [_] => Race::WrongWinner,
        _ => Race::Winners(winners.len()),
    })
}

fn no_bucket() -> Error {
    Error::Generic { store: "bucket", source: "there is no such bucket".into() }
}
