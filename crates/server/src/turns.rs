//! Turns: work on threads that may block, of which only so many take part at once.

use std::io;
use std::sync::Arc;

use tokio::sync::Semaphore;

/// Does work on a thread that may block, when it is its turn: until then it takes none. The turn
/// lasts as long as the work, whether or not somebody still waits for it.
///
/// An error says that the work has panicked, or that the runtime is ending.
pub(crate) async fn in_turn<T: Send + 'static>(
    turns: &Arc<Semaphore>,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    let turn = Arc::clone(turns).acquire_owned().await.map_err(io::Error::other)?;
    let done = tokio::task::spawn_blocking(move || {
        let result = work();
        drop(turn);
        result
    });
    done.await.map_err(io::Error::other)
}
