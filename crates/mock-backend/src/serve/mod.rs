//! The mock on a real socket.

mod connection;
mod http1;
mod timer;

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::MockBackend;
use connection::Connection;

pub use timer::SleepTimer;

/// Maximum number of open connections. A further one is closed at once.
const MAX_CONNECTIONS: usize = 256;

/// How long a drop waits for its threads. A thread that still sleeps then ends by itself later.
const STOP_LIMIT: Duration = Duration::from_secs(2);

/// A mock on a socket, served until this is dropped.
///
/// HTTP/1.1 without TLS, with keep-alive and one thread per connection. Faults behave as on a
/// network: connections close without a response or in the middle of one, or stay silent until the
/// client gives up. Only [`Fault::Unreachable`](crate::Fault::Unreachable) is not possible on an
/// open connection: the response has status 503. Delays use the mock's timer, for which
/// [`SleepTimer`] is the natural choice here.
#[derive(Debug)]
pub struct Served {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    is_stopping: AtomicBool,
    connections: Mutex<Vec<Open>>,
}

/// An open connection.
#[derive(Debug)]
struct Open {
    stream: TcpStream,
    thread: JoinHandle<()>,
}

impl MockBackend {
    /// Serves the mock on a socket. Port 0 selects a free port.
    ///
    /// ```
    /// use std::io::{Read, Write};
    /// use std::net::TcpStream;
    /// use streamtable_mock_backend::MockBackend;
    ///
    /// let served = MockBackend::default().serve("127.0.0.1:0")?;
    /// let mut stream = TcpStream::connect(served.address())?;
    /// stream.write_all(b"GET /graphql HTTP/1.0\r\nhost: mock\r\n\r\n")?;
    /// let mut answer = String::new();
    /// stream.read_to_string(&mut answer)?;
    /// assert!(answer.starts_with("HTTP/1.1 405 Method Not Allowed\r\n"));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn serve(&self, address: impl ToSocketAddrs) -> io::Result<Served> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let acceptor = {
            let (mock, shared) = (self.clone(), Arc::clone(&shared));
            let name = format!("mock-backend {address}");
            thread::Builder::new().name(name).spawn(move || accept(&listener, &mock, &shared))?
        };
        Ok(Served { address, shared, acceptor: Some(acceptor) })
    }

    /// Serves the mock on a free port of this machine.
    ///
    /// ```
    /// use streamtable_mock_backend::MockBackend;
    ///
    /// let served = MockBackend::default().serve_local()?;
    /// assert!(served.address().ip().is_loopback());
    /// println!("a client's base URL is {}", served.base_url());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn serve_local(&self) -> io::Result<Served> {
        self.serve((Ipv4Addr::LOCALHOST, 0))
    }
}

impl Served {
    /// Returns the base URL of the mock.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the socket address of the mock.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Served {
    /// Closes all connections and waits for the threads, at most two seconds.
    fn drop(&mut self) {
        let deadline = Instant::now() + STOP_LIMIT;
        self.shared.is_stopping.store(true, Ordering::SeqCst);
        // Wakes the acceptor. If that fails, it has ended, or ends with the process.
        let _ = TcpStream::connect_timeout(&reachable(self.address), STOP_LIMIT);
        if let Some(acceptor) = self.acceptor.take() {
            join(acceptor, deadline);
        }
        let connections = std::mem::take(&mut *self.shared.connections());
        for open in &connections {
            // A connection that the client has closed cannot be closed again.
            let _ = open.stream.shutdown(Shutdown::Both);
        }
        for open in connections {
            join(open.thread, deadline);
        }
    }
}

impl Shared {
    fn connections(&self) -> MutexGuard<'_, Vec<Open>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn accept(listener: &TcpListener, mock: &MockBackend, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.is_stopping.load(Ordering::SeqCst) {
            return;
        }
        let mut connections = shared.connections();
        connections.retain(|open| !open.thread.is_finished());
        if connections.len() >= MAX_CONNECTIONS {
            continue;
        }
        // An error affects only one client's connection, and that client notices it.
        let Ok(stream) = stream else { continue };
        let Ok(own) = stream.try_clone() else { continue };
        let mock = mock.clone();
        let spawned = thread::Builder::new().spawn(move || {
            let _ = Connection::new(stream).serve(&mock);
        });
        if let Ok(thread) = spawned {
            connections.push(Open { stream: own, thread });
        }
    }
}

/// Waits for a thread until a deadline, but not longer.
fn join(thread: JoinHandle<()>, deadline: Instant) {
    while !thread.is_finished() {
        if Instant::now() >= deadline {
            return;
        }
        thread::sleep(Duration::from_millis(1));
    }
    // The thread has reported its panic.
    let _ = thread.join();
}

/// Returns an address that reaches a listener from this machine, even if it listens on all
/// addresses.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}
