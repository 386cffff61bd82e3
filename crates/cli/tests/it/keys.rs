//! API keys and the netrc file.

use crate::support::{Home, mode};

fn machines(netrc: &str) -> Vec<&str> {
    netrc.lines().filter_map(|line| line.strip_prefix("machine ")).collect()
}

#[test]
fn the_first_start_stores_its_key() {
    let mut home = Home::new();
    home.write(".netrc", "machine other login a password b\nmachine 127.0.0.1 password old\n");
    let server = home.serve(&[]);
    let url = home.url.clone().unwrap();
    let authority = url.strip_prefix("http://").unwrap();
    let netrc = home.read(".netrc");
    assert_eq!(machines(&netrc), ["other login a password b", "127.0.0.1", authority]);
    assert!(!netrc.contains("old"), "{netrc}");
    assert_eq!(mode(&home.path(".netrc")), 0o600);
    home.run(&["tables"]).ok();

    let ended = server.stop();
    assert_eq!(ended.code, Some(0));
    assert!(ended.out.contains("This is its first start"), "{}", ended.out);
    assert!(ended.out.contains(home.path(".netrc").to_str().unwrap()), "{}", ended.out);
    let secret = netrc.rsplit("password ").next().unwrap().trim();
    assert!(secret.len() == 40 && !ended.out.contains(secret) && !ended.err.contains(secret));

    // A later start creates no key.
    let server = home.serve(&[]);
    assert_eq!(home.read(".netrc"), netrc);
    assert!(!server.stop().out.contains("first start"));
}

#[test]
fn the_key_is_stored_in_the_file_named_by_netrc() {
    let mut home = Home::new();
    let mut command = home.command(&["serve", "--data", "data", "--addr", "127.0.0.1:0"]);
    let mut child = command.env("NETRC", home.path("keys")).spawn().unwrap();
    crate::support::until("the key is stored", || home.path("keys").exists());
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(mode(&home.path("keys")), 0o600);
    assert!(!home.path(".netrc").exists());
    home.url = None;
}

#[test]
fn keys_are_created_and_revoked() {
    let mut home = Home::new();
    let _server = home.serve(&[]);
    let url = home.url.clone().unwrap();
    let admin = home.read(".netrc");

    let made = home.run(&["keys", "add", "--entity", "you", "--read", "reader"]);
    assert!(made.err.contains("(read) for you; it is shown only once:"), "{}", made.err);
    let key = made.ok().trim().to_owned();
    let listed = home.run(&["keys", "ls"]).ok();
    assert!(listed.contains("┆ reader ┆ you    ┆ read  ┆") && !listed.contains(&key), "{listed}");
    let json: serde_json::Value =
        serde_json::from_str(&home.run(&["keys", "ls", "--json"]).ok()).unwrap();
    let id = json[1]["id"].as_str().unwrap().to_owned();

    // The new key replaces the stored one. It may only read.
    let login = home.pipe(&["login", "--key", "-"], &format!("{key}\n"));
    assert!(login.out.starts_with(&format!("logged in to {url} as you; ")), "{login:?}");
    assert!(!login.out.contains(&key));
    assert_eq!(machines(&home.read(".netrc")), machines(&admin));
    assert_eq!(home.read(".netrc").matches(key.as_str()).count(), 2);
    home.run(&["tables"]).ok();
    let refused = home.run(&["keys", "ls"]);
    assert_eq!(
        (refused.code, refused.err.as_str()),
        (Some(1), "error: only an admin key may look after keys\n")
    );

    // Changing the data folder directly requires no key.
    let data = ["--data", "data"];
    home.run(&[&["keys", "revoke", &id][..], &data].concat()).ok();
    let again = home.run(&[&["keys", "revoke", &id][..], &data].concat());
    assert_eq!(again.code, Some(1));
    let refused = home.run(&["tables"]);
    assert!(refused.err.contains("does not accept the API key"), "{}", refused.err);
    let wrong = home.pipe(&["login", "--key", "-"], "0123456789\n");
    assert!(wrong.code == Some(1) && wrong.err.contains("does not accept the API key"));
    assert_eq!(home.read(".netrc").matches(key.as_str()).count(), 2);
}

#[test]
fn listening_beyond_loopback_requires_a_key() {
    let home = Home::new();
    let args = ["serve", "--data", "data", "--addr", "0.0.0.0:0"];
    let refused = home.run(&args);
    assert_eq!(refused.code, Some(1));
    assert!(refused.err.contains("there is no key yet"), "{}", refused.err);
    home.run(&["keys", "add", "--data", "data", "--admin"]).ok();
    assert!(home.run(&["keys", "ls", "--data", "data"]).ok().contains("admin"));
}
