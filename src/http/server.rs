//! The server: a socket, the threads behind it, and its end.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener as StdListener, ToSocketAddrs as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::{Extension, Router};
use chronolith_engine::Db;
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::callers;
use super::chain::ASKING;
use super::connection::serve;
use super::market::DISPUTING;
use super::router::router;
use super::state::{HttpState, Listener, ServedNode};
use super::tls::acceptor;
use super::tokens::Tokens;
use super::{HttpError, HttpSettings};
use crate::identity::certificate::PeerCertificate;

/// How long the socket rests when the system gives no more connections.
const REST: Duration = Duration::from_millis(50);

/// A server that runs. It stops when this is dropped, in order by [`HttpServer::stop`].
pub struct HttpServer {
    address: SocketAddr,
    has_tls: bool,
    stop: watch::Sender<bool>,
    connections: Arc<Semaphore>,
    most: u32,
    stop_time: Duration,
    runtime: Option<Runtime>,
    /// Dropped last, outside of the runtime: what answers SQL has a runtime of its own.
    state: HttpState,
}

impl HttpServer {
    /// Listens and serves the database of a directory, which others of the same process may use
    /// meanwhile. `tell` hears what an operator should know.
    ///
    /// # Errors
    /// What is wrong with the settings, or what the system says. An address beyond loopback is refused
    /// without tokens and TLS, unless the settings allow it.
    pub fn start(
        db: Db,
        place: &Path,
        settings: &HttpSettings,
        tell: impl Fn(&str) + Send + Sync + 'static,
    ) -> Result<Self, HttpError> {
        let tell: Listener = Arc::new(tell);
        let tls = acceptor(settings)?;
        let tokens = settings.tokens.as_deref().map(Tokens::open).transpose()?;
        let listener = listen(settings, tokens.as_ref(), tls.is_some())?;
        let refused = |source| HttpError::Listen { address: settings.listen.clone(), source };
        let address = listener.local_addr().map_err(refused)?;
        let runtime = Builder::new_multi_thread()
            .thread_name("chronolith-http")
            .enable_all()
            .max_blocking_threads(waiting_threads(settings))
            .build()
            .map_err(HttpError::Threads)?;
        let (stop, stopping) = watch::channel(false);
        let state = {
            let runtime = runtime.handle();
            HttpState::new(db, place, runtime, settings.clone(), tokens, stopping, tell)?
        };
        let kept = state.clone();
        let most = u32::try_from(settings.connections.clamp(1, Semaphore::MAX_PERMITS >> 3));
        let most = most.unwrap_or(u32::MAX >> 3);
        let connections = Arc::new(Semaphore::new(most as usize));
        let has_tls = tls.is_some();
        let listener = {
            let _inside = runtime.enter();
            TcpListener::from_std(listener).map_err(refused)?
        };
        let accepting = Accepting {
            listener,
            tls,
            router: router(state.clone()),
            state,
            places: Arc::clone(&connections),
            by_source: Arc::default(),
        };
        runtime.spawn(accepting.run());
        let stop_time = HttpSettings::time(settings.stop_time_s);
        let runtime = Some(runtime);
        Ok(Self { address, has_tls, stop, connections, most, stop_time, runtime, state: kept })
    }

    /// Tells it that it is of a node, which it is told of later: until then it asks to come again.
    pub fn expect_node(&self) {
        self.state.expect_node();
    }

    /// Tells it of which node it is, so that it answers for the node, too.
    pub fn connect(&self, node: ServedNode) {
        self.state.connect(node);
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it is reached, for a person.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.has_tls { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Takes no more connections, answers the requests that are there within
    /// [`HttpSettings::stop_time_s`], and ends; whether all were answered.
    pub fn stop(mut self) -> bool {
        self.end(self.stop_time)
    }

    fn end(&mut self, longest: Duration) -> bool {
        let Some(runtime) = self.runtime.take() else { return true };
        self.stop.send_replace(true);
        let all = Arc::clone(&self.connections).acquire_many_owned(self.most);
        let ended = runtime.block_on(async { tokio::time::timeout(longest, all).await.is_ok() });
        // What runs on other threads, such as a query, looks whether somebody listens.
        runtime.shutdown_timeout(longest);
        ended
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.end(Duration::ZERO);
    }
}

/// Threads beyond those that write and ask: for bodies to be unpacked.
const SPARE_THREADS: usize = 4;
/// Threads for webhooks: the system's look-up of a name cannot be broken off, and one that was given up
/// may still run when the next begins.
#[cfg(feature = "continuous")]
const WEBHOOK_THREADS: usize = 2 * crate::webhook::HOOKS;
#[cfg(not(feature = "continuous"))]
const WEBHOOK_THREADS: usize = 0;

/// How many threads there may be that wait: as many as can at a time, so that neither a busy chain nor
/// a network without an answer takes one from those who write. They are there only while they are needed.
fn waiting_threads(settings: &HttpSettings) -> usize {
    let asking = settings.queries().saturating_add(ASKING + callers::ASKING + DISPUTING);
    settings.writes().saturating_add(asking).saturating_add(WEBHOOK_THREADS + SPARE_THREADS)
}

fn listen(
    settings: &HttpSettings,
    tokens: Option<&Tokens>,
    has_tls: bool,
) -> Result<StdListener, HttpError> {
    let wrong = || HttpError::Address(settings.listen.clone());
    let mut addresses = settings.listen.to_socket_addrs().map_err(|_| wrong())?;
    let address = addresses.next().ok_or_else(wrong)?;
    if !address.ip().is_loopback() {
        let is_guarded =
            !settings.authorities.is_empty() || tokens.is_some_and(|tokens| tokens.count() > 0);
        if !settings.allow_all && !is_guarded {
            return Err(HttpError::NoTokens(address.to_string()));
        }
        if !settings.allow_plain && !has_tls {
            return Err(HttpError::NoTls(address.to_string()));
        }
    }
    let refused = |source| HttpError::Listen { address: address.to_string(), source };
    let listener = StdListener::bind(address).map_err(refused)?;
    listener.set_nonblocking(true).map_err(refused)?;
    Ok(listener)
}

/// How many connections there are from each address.
type BySource = Arc<Mutex<HashMap<IpAddr, usize>>>;

/// A connection's place; free when it is dropped.
struct Place {
    _permit: OwnedSemaphorePermit,
    by_source: BySource,
    source: IpAddr,
    state: HttpState,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.state.measures().closed();
        let mut all = self.by_source.lock();
        if let Some(count) = all.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                all.remove(&self.source);
            }
        }
    }
}

/// The loop that takes connections.
struct Accepting {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    router: Router,
    state: HttpState,
    places: Arc<Semaphore>,
    by_source: BySource,
}

impl Accepting {
    async fn run(self) {
        let state = self.state.clone();
        let until = state.stopping();
        let mut until = std::pin::pin!(until);
        loop {
            let accepting = std::pin::pin!(self.listener.accept());
            let accepted = match futures::future::select(accepting, until.as_mut()).await {
                futures::future::Either::Left((accepted, _)) => accepted,
                futures::future::Either::Right(_) => return,
            };
            match accepted {
                Ok((stream, source)) => match self.place(source.ip()) {
                    Some(place) => self.take(stream, place),
                    // Closed at once, so that who comes later need not wait for who came first.
                    None => self.state.measures().turned_away(),
                },
                Err(error) if is_of_one(&error) => {}
                Err(error) => {
                    self.state.tell(&format!("no connection can be taken: {error}"));
                    tokio::time::sleep(REST).await;
                }
            }
        }
    }

    fn place(&self, source: IpAddr) -> Option<Place> {
        let permit = Arc::clone(&self.places).try_acquire_owned().ok()?;
        {
            let mut all = self.by_source.lock();
            let count = all.entry(source).or_default();
            if *count >= self.state.settings().connections_per_source.max(1) {
                return None;
            }
            *count += 1;
        }
        self.state.measures().opened();
        let (by_source, state) = (Arc::clone(&self.by_source), self.state.clone());
        Some(Place { _permit: permit, by_source, source, state })
    }

    fn take(&self, stream: TcpStream, place: Place) {
        let (router, state, tls) = (self.router.clone(), self.state.clone(), self.tls.clone());
        tokio::spawn(async move {
            let _place = place;
            // Answers are small, and somebody waits for them.
            let _ = stream.set_nodelay(true);
            let Some(tls) = tls else { return serve(stream, router, state).await };
            let most = HttpSettings::time(state.settings().head_time_s);
            // Who does not speak TLS is told nothing.
            if let Ok(Ok(stream)) = tokio::time::timeout(most, tls.accept(stream)).await {
                let router = match caller(&stream) {
                    Some(caller) => router.layer(Extension(Arc::new(caller))),
                    None => router,
                };
                serve(stream, router, state).await;
            }
        });
    }
}

/// Who is at the other end, where he came with a certificate of an account: TLS has shown that he has its key.
fn caller(stream: &TlsStream<TcpStream>) -> Option<PeerCertificate> {
    let (_, session) = stream.get_ref();
    PeerCertificate::parse(session.peer_certificates()?.first()?).ok()
}

/// Whether an error is of the connection that was to be taken, not of all.
fn is_of_one(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use std::io::{Read as _, Write as _};

    use chronolith_engine::Options;

    use super::*;

    /// A server whose disk had been full refused every write and said that it was ready, so that nobody
    /// started it again.
    #[test]
    fn a_database_that_takes_no_records_is_not_ready() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("db");
        let db = Db::open(&place, Options::default()).unwrap();
        let settings = HttpSettings { listen: "127.0.0.1:0".to_owned(), ..HttpSettings::default() };
        let told = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&told);
        let tell = move |what: &str| heard.lock().push(what.to_owned());
        let server = HttpServer::start(db.clone(), &place, &settings, tell).unwrap();
        let status = |request: &str, body: &str| {
            let mut stream = std::net::TcpStream::connect(server.address()).unwrap();
            let length = body.len();
            let head = format!("{request} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}");
            stream
                .write_all(format!("{head}\r\nConnection: close\r\n\r\n{body}").as_bytes())
                .unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            answer.split(' ').nth(1).unwrap().to_owned()
        };
        assert_eq!(status("POST /api/v2/write", "m v=1 1"), "204");
        assert_eq!(status("GET /ready", ""), "200");
        // As when its log has failed: it is there, and takes nothing more.
        db.close().unwrap();
        for _ in 0..2 {
            assert_eq!(status("POST /api/v2/write", "m v=1 2"), "503");
            // A new metric, too.
            assert_eq!(status("POST /api/v2/write", "m other=1 2"), "503");
            assert_eq!(status("GET /ready", ""), "503");
        }
        let told = told.lock();
        let said = told.iter().filter(|what| what.contains("no records are taken"));
        assert_eq!(said.count(), 1, "{told:?}");
    }
}
