use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use streamtable_transport::{AnyTransport, ApiKey, Origin, Transport as _, TransportExt as _};
use streamtable_transport_hyper::{HyperConfig, ProxyConfig, Roots};
use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber, span};

use crate::script::{Server, Step};
use crate::tls::TlsServer;
use crate::{get, run, shown, transport};

/// Captures everything that hyper, its dependencies and this crate log at any level while requests
/// succeed and fail, and the output of `Debug` and errors.
#[test]
fn secrets_are_never_logged_or_displayed() {
    let log = Log::default();
    tracing::subscriber::with_default(log.clone(), || {
        run(async {
            let server = TlsServer::start(&["h2"]).await;
            let steps = vec![Step::ok("a"), Step::Read];
            let proxy = Server::start(vec![steps, vec![Step::answer("407 No", &[], b"")]]).await;
            let all = Some(format!("http://user:sesame@{}", proxy.address));
            let config = HyperConfig {
                proxies: ProxyConfig { all, ..ProxyConfig::default() },
                roots: Roots::Only(server.pem.clone()),
                ..HyperConfig::default()
            };
            log.line(format!("{config:?}"));
            let key = ApiKey::new("sesame").unwrap();
            let transport = AnyTransport::new(transport(config));
            let (plain, secure) = ("http://table.example", "https://table.example");
            let own = format!("https://localhost:{}", server.address.port());
            for base in [plain, plain, secure, &own] {
                let origin: Origin = base.parse().unwrap();
                let transport = transport.clone().with_auth(origin, &key).traced();
                let answer = transport.send(get(format!("{base}/rows?signature=sesame"))).await;
                log.line(format!("{transport:?} {answer:?}"));
                log.line(shown(answer));
            }
            assert!(proxy.arrived()[0].head.contains("authorization: basic yxbponn"));
        });
    });
    let lines = log.0.lock().unwrap();
    let outcomes: Vec<_> = lines.iter().filter(|line| line.contains(" sent=0 ")).collect();
    assert_eq!(outcomes.len(), 4, "{outcomes:?}");
    for secret in ["sesame", "YXBpOnNlc2FtZQ", "dXNlcjpzZXNhbWU"] {
        let leak = lines.iter().find(|line| line.contains(secret));
        assert_eq!(leak, None, "{secret}");
    }
}

#[test]
fn unencrypted_credentials_cause_one_warning() {
    let log = Log::default();
    tracing::subscriber::with_default(log.clone(), || {
        run(async {
            let here = Server::start(vec![vec![Step::ok("a")]]).await;
            let transport = transport(HyperConfig::default());
            for url in [here.url(), "http://a.invalid/".to_owned(), "http://b.invalid/".to_owned()]
            {
                let mut request = get(url);
                request.headers_mut().insert("authorization", "Bearer x".parse().unwrap());
                let _ = transport.send(request).await;
            }
        });
    });
    let lines = log.0.lock().unwrap();
    let warnings: Vec<_> = lines.iter().filter(|line| line.starts_with("WARN")).collect();
    assert_eq!(
        warnings,
        ["WARN message=credentials travel unencrypted: use https beyond this machine \
          host=\"a.invalid\""]
    );
}

/// A subscriber that keeps all spans and events.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn line(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }
}

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &span::Attributes<'_>) -> span::Id {
        let mut line = Line(span.metadata().name().to_owned());
        span.record(&mut line);
        self.line(line.0);
        span::Id::from_u64(1)
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        self.line(line.0);
    }

    fn record(&self, _: &span::Id, values: &span::Record<'_>) {
        let mut line = Line(String::new());
        values.record(&mut line);
        self.line(line.0);
    }

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.push_str(&format!(" {field}={value:?}"));
    }
}
