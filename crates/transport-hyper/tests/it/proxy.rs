use http::header::{HeaderValue, PROXY_AUTHORIZATION};
use streamtable_transport::{Transport as _, TransportError};
use streamtable_transport_hyper::{HyperConfig, HyperTransport, ProxyConfig, Roots};
use tokio::io::{AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use crate::script::{self, Server, Step};
use crate::tls::TlsServer;
use crate::{get, post, run, send, transport};

/// `Basic user:sesame`, in lower case because the script converts heads to lower case.
const CREDENTIALS: &str = "proxy-authorization: basic dxnlcjpzzxnhbwu=\r\n";

fn through(proxy: &str, roots: Roots) -> HyperTransport {
    let all = Some(format!("http://user:sesame@{proxy}"));
    let no_proxy = Some("direct.example".to_owned());
    let proxies = ProxyConfig { all, no_proxy, ..ProxyConfig::default() };
    transport(HyperConfig { proxies, roots, ..HyperConfig::default() })
}

#[tokio::test]
async fn plain_http_goes_through_the_proxy() {
    let proxy = Server::start(vec![vec![Step::ok("a"), Step::ok("b")]]).await;
    let transport = through(&proxy.address.to_string(), Roots::Platform);
    assert_eq!(send(&transport, get("http://table.example/rows?a=1")).await, "200 a");
    assert_eq!(send(&transport, post("http://table.example/", "rows")).await, "200 b");

    let heads: Vec<_> = proxy.arrived().into_iter().map(|arrived| arrived.head).collect();
    assert!(heads[0].starts_with("get http://table.example/rows?a=1 http/1.1\r\n"), "{heads:?}");
    assert!(heads[0].contains("host: table.example\r\n"), "{heads:?}");
    assert!(heads.iter().all(|head| head.contains(CREDENTIALS)), "{heads:?}");
}

#[tokio::test]
async fn some_hosts_are_reached_directly() {
    let (proxy, server) =
        (Server::start(vec![]).await, Server::start(vec![vec![Step::ok("a")]]).await);
    let transport = through(&proxy.address.to_string(), Roots::Platform);
    assert_eq!(send(&transport, get(server.url())).await, "200 a");
    assert!(!server.arrived()[0].head.contains("proxy-authorization"));
    let text = send(&transport, get("http://direct.example/")).await;
    assert!(text.starts_with("cannot reach direct.example: dns error"), "{text}");
}

/// A proxy that connects every tunnel to `server` and records the `CONNECT` requests.
async fn tunnel_to(server: &TlsServer) -> (String, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (heads, asked) = tokio::sync::mpsc::unbounded_channel();
    let server = server.address;
    tokio::spawn(async move {
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            let (head, _) = script::read(&mut client, true).await.unwrap();
            heads.send(head).unwrap();
            client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").await.unwrap();
            let mut server = TcpStream::connect(server).await.unwrap();
            tokio::spawn(async move { copy_bidirectional(&mut client, &mut server).await });
        }
    });
    (address, asked)
}

#[tokio::test]
async fn https_goes_through_a_tunnel() {
    let server = TlsServer::start(&["h2", "http/1.1"]).await;
    let (proxy, mut asked) = tunnel_to(&server).await;
    let transport = through(&proxy, Roots::Only(server.pem.clone()));
    let mut request = get("https://table.example/rows");
    request.headers_mut().insert(PROXY_AUTHORIZATION, HeaderValue::from_static("mine"));
    let answer = transport.send(request).await.unwrap();
    assert_eq!((answer.version(), &answer.body()[..]), (http::Version::HTTP_2, &b"/rows"[..]));

    let head = asked.recv().await.unwrap();
    assert!(head.starts_with("connect table.example:443 http/1.1\r\n"), "{head}");
    assert!(head.contains(CREDENTIALS), "{head}");
}

/// Checks the result of an https request if the proxy answers with this step.
#[track_caller]
fn check(answer: Step, expected: fn(String) -> TransportError) {
    let (error, proxy) = run(async {
        let proxy = Server::start(vec![vec![answer]]).await;
        let address = proxy.address.to_string();
        let transport = through(&address, Roots::Platform);
        (transport.send(get("https://table.example/")).await.unwrap_err(), address)
    });
    assert_eq!(error, expected(proxy));
}

#[test]
fn a_refusing_proxy_is_an_error() {
    check(Step::answer("407 Who Are You", &[], b""), |host| TransportError::ProxyAuth { host });
    check(Step::answer("502 Bad Gateway", &[], b""), |host| TransportError::Proxy {
        host,
        reason: "tunnel error: unsuccessful".to_owned(),
    });
    check(Step::Read, |host| TransportError::Proxy {
        host,
        reason: "tunnel error: unexpected end of file".to_owned(),
    });
}

#[tokio::test]
async fn an_unreachable_proxy_is_an_error() {
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let transport = through(&address.to_string(), Roots::Platform);
    for url in ["http://table.example/", "https://table.example/"] {
        let text = send(&transport, get(url)).await;
        assert!(text.starts_with(&format!("cannot reach {address}: tcp connect error")), "{text}");
    }
}
