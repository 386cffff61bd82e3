//! Lists and structs in SQL.

use crate::mixed::{check, log};
use crate::support::Folder;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_and_fields_are_read_in_place() {
    let folder = Folder::new();
    let store = folder.open().await;
    let rows = [
        r#"{"k":1,"v":[1.0,0.0,2],"tags":["new","red"],"scores":{"7":0.5,"name":"ann","l":[1]},"ids":[[1,2],[3]]}"#,
        r#"{"k":2,"v":[0.0,1.0,NaN],"tags":[],"scores":{"7":2},"ids":[]}"#,
        r#"{"k":3}"#,
    ];
    log(&store, "me/shop/t", "w", &rows).await;
    log(&store, "me/shop/odd", "w", &[r#"{"n":1,"v":[3,4]}"#, r#"{"n":"x","v":[0,0]}"#]).await;
    check(
        &store,
        &[
            ("select v[1], v[3] from t order by k", "1.0 2.0, 0.0 NaN, - -"),
            ("select tags[1], tags[-1] from t order by k", "new red, - -, - -"),
            ("select sum(v[1] * 2) from t where tags[2] = 'red'", "2.0"),
            ("select array_length(v), array_length(tags) from t order by k", "3 2, 3 0, - -"),
            ("select array_has(tags, 'red') from t where k = 1", "true"),
            ("select array_to_string(tags, '+') from t where k = 1", "new+red"),
            ("select ids[1][2], array_length(ids) from t where k = 1", "2 2"),
            ("select cosine_distance(v[1:2], [0.0, 1.0]) from t where k = 1", "1.0"),
            ("select l2_distance(v, [1.0, 2.0, 2.0]) from t where k = 1", "2.0"),
            ("select t.k from t order by l2_distance(v, [1.0, 0.0, 2.0]) limit 1", "1"),
            ("select l2_distance(a.v, b.v) from t a join t b on a.k = b.k where a.k = 1", "0.0"),
            ("select scores['7'] + 1, scores['name'] from t order by k", "1.5 ann, 3.0 -, - -"),
            ("select scores -> 'l' ->> 0 from t where k = 1", "1"),
            ("select unnest(tags[1:1000]) from t", "new, red"),
            ("select v from t where k = 1", "[1.0,0.0,2]"),
            ("select l2_distance(v, [0.0, 0.0]), v[2] from odd where n + 1 > 0", "5.0 4"),
        ],
    )
    .await;
    assert_eq!(folder.files("spill", "").len(), 0);
}
