//! A proxy between writers and server that injects faults.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use crate::generator::Generator;

/// The fault of a connection, in addition to the death of a process at either end.
#[derive(Clone, Copy, Debug)]
enum ConnectionFault {
    None,
    /// Breaks after this many bytes of requests.
    CutRequest(u64),
    /// Breaks after this many bytes of responses; 0 means before the first.
    CutAnswer(u64),
    /// Delays each piece by up to this time.
    Delay(Duration),
    /// Splits the data into pieces of this many bytes.
    Drip(u64),
    /// Sends all requests to the server a second time, after this delay.
    Twice(Duration),
}

/// Names of the faults, for the summary.
const NAMES: [&str; 6] =
    ["whole", "cut in a request", "cut in a response", "late", "slow", "doubled"];

impl ConnectionFault {
    fn draw(generator: &mut Generator) -> Self {
        match generator.below(8) {
            0 | 1 => Self::CutRequest(generator.below(30_000)),
            2 => Self::CutAnswer(0),
            3 => Self::CutAnswer(generator.below(3_000)),
            4 => Self::Delay(Duration::from_millis(1 + generator.below(300))),
            5 => Self::Drip(1 + generator.below(300)),
            6 => Self::Twice(Duration::from_millis(generator.below(500))),
            _ => Self::None,
        }
    }

    /// Returns the fault's index in [`NAMES`].
    fn index(self) -> usize {
        match self {
            Self::None => 0,
            Self::CutRequest(_) => 1,
            Self::CutAnswer(_) => 2,
            Self::Delay(_) => 3,
            Self::Drip(_) => 4,
            Self::Twice(_) => 5,
        }
    }
}

/// A proxy that runs until it is dropped.
#[derive(Debug)]
pub(crate) struct Proxy {
    addr: SocketAddr,
    shared: Arc<Shared>,
    listening: tokio::task::JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    /// The server's address, while a server runs.
    server: Mutex<Option<SocketAddr>>,
    generator: Mutex<Generator>,
    is_calm: AtomicBool,
    counts: [AtomicU64; NAMES.len()],
}

impl Proxy {
    pub(crate) async fn start(generator: Generator) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("no proxy: {error}");
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(failed)?;
        let addr = listener.local_addr().map_err(failed)?;
        let shared = Arc::new(Shared {
            server: Mutex::new(None),
            generator: Mutex::new(generator),
            is_calm: AtomicBool::new(false),
            counts: Default::default(),
        });
        let listening = tokio::spawn({
            let shared = Arc::clone(&shared);
            async move {
                while let Ok((client, _)) = listener.accept().await {
                    tokio::spawn(Arc::clone(&shared).pass(client));
                }
            }
        });
        Ok(Self { addr, shared, listening })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Sets the server's current address.
    pub(crate) fn set_server(&self, server: Option<SocketAddr>) {
        *self.shared.server.lock().unwrap_or_else(PoisonError::into_inner) = server;
    }

    /// Stops injecting faults into new connections.
    pub(crate) fn stop_faults(&self) {
        self.shared.is_calm.store(true, Ordering::Relaxed);
    }

    /// Returns the number of connections with each fault.
    pub(crate) fn faults(&self) -> Vec<(&'static str, u64)> {
        let counts = self.shared.counts.iter().map(|count| count.load(Ordering::Relaxed));
        NAMES.into_iter().zip(counts).collect()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl Shared {
    async fn pass(self: Arc<Self>, client: TcpStream) {
        let server = *self.server.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(addr) = server else { return };
        let Ok(server) = TcpStream::connect(addr).await else { return };
        let (fault, lifetime) = {
            let mut generator = self.generator.lock().unwrap_or_else(PoisonError::into_inner);
            (
                ConnectionFault::draw(&mut generator),
                Duration::from_millis(100 + generator.below(3_000)),
            )
        };
        let fault =
            if self.is_calm.load(Ordering::Relaxed) { ConnectionFault::None } else { fault };
        self.counts[fault.index()].fetch_add(1, Ordering::Relaxed);
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        let copy = match fault {
            ConnectionFault::Twice(later) => Some(repeat(addr, later)),
            _ => None,
        };
        let requests = pump(from_client, to_server, Pace::of_requests(fault), copy);
        let answers = pump(from_server, to_client, Pace::of_answers(fault), None);
        let both = async {
            // Close both directions when one closes: HTTP/1.1 does not use half-closed connections.
            tokio::select! {
                () = requests => {}
                () = answers => {}
            }
        };
        match fault {
            ConnectionFault::None => both.await,
            // Limit the lifetime of a connection, so that later connections get faults too.
            _ => drop(timeout(lifetime, both).await),
        }
    }
}

/// The pace of data in one direction.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// The maximum number of bytes.
    most: u64,
    piece: usize,
    pause: Duration,
}

impl Pace {
    const QUICK: Self = Self { most: u64::MAX, piece: 64 << 10, pause: Duration::ZERO };

    fn of_requests(fault: ConnectionFault) -> Self {
        match fault {
            ConnectionFault::CutRequest(most) => Self { most, ..Self::QUICK },
            ConnectionFault::Drip(bytes) => {
                Self { piece: bytes as usize, pause: Duration::from_millis(1), ..Self::QUICK }
            }
            ConnectionFault::Delay(pause) => Self { pause, ..Self::QUICK },
            ConnectionFault::None | ConnectionFault::CutAnswer(_) | ConnectionFault::Twice(_) => {
                Self::QUICK
            }
        }
    }

    fn of_answers(fault: ConnectionFault) -> Self {
        match fault {
            ConnectionFault::CutAnswer(most) => Self { most, ..Self::QUICK },
            ConnectionFault::CutRequest(_) => Self::QUICK,
            other => Self::of_requests(other),
        }
    }
}

/// Copies bytes until one side closes or the limit is reached.
async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    pace: Pace,
    copy: Option<mpsc::UnboundedSender<Vec<u8>>>,
) {
    let mut bytes = vec![0; pace.piece];
    let mut passed = 0;
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        let left = usize::try_from(pace.most - passed).unwrap_or(usize::MAX);
        let piece = &bytes[..count.min(left)];
        if !pace.pause.is_zero() {
            sleep(pace.pause).await;
        }
        if let Some(copy) = &copy {
            // The second connection may have closed before the first.
            let _ = copy.send(piece.to_vec());
        }
        if to.write_all(piece).await.is_err() || piece.len() < count {
            return;
        }
        passed += count as u64;
    }
}

/// Sends the bytes that it receives over a separate connection, after a delay, and ignores the
/// responses.
fn repeat(server: SocketAddr, later: Duration) -> mpsc::UnboundedSender<Vec<u8>> {
    let (sender, mut pieces) = mpsc::unbounded_channel::<Vec<u8>>();
    tokio::spawn(async move {
        let Ok(stream) = TcpStream::connect(server).await else { return };
        let (mut answers, mut requests) = stream.into_split();
        let listening = tokio::spawn(async move {
            // Read the responses, so that the server is not blocked.
            let mut bytes = vec![0; 64 << 10];
            let silence = Duration::from_secs(2);
            while let Ok(Ok(1..)) = timeout(silence, answers.read(&mut bytes)).await {}
        });
        while let Some(piece) = pieces.recv().await {
            sleep(later).await;
            if requests.write_all(&piece).await.is_err() {
                break;
            }
        }
        let _ = listening.await;
    });
    sender
}
