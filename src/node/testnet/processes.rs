//! The nodes of a network as processes of this machine.
//!
//! Beside the configuration of each node are `pid`, the number of the process that was started last,
//! and `log`, what it told.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::node::{NodeError, NodeSettings};

/// How often it is looked whether a process has begun or ended.
const LOOK: Duration = Duration::from_millis(20);
/// The most of a log that is read back: bytes.
const LOG_MOST: u64 = 16 << 20;

/// One node of a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodePlace {
    /// Its number.
    pub number: usize,
    place: PathBuf,
}

/// How a process is asked to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It stops in order.
    Stop,
    /// It is killed, and can do nothing more.
    Kill,
}

impl End {
    const fn signal(self) -> &'static str {
        match self {
            Self::Stop => "-TERM",
            Self::Kill => "-KILL",
        }
    }
}

/// Why a process could not be begun or ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessError {
    /// There is no such network or node.
    #[error("{} holds no node {number}; `chronolith testnet init` makes networks", place.display())]
    NoNode {
        /// The directory of the network.
        place: PathBuf,
        /// Which node was meant.
        number: usize,
    },
    /// There is no network.
    #[error("{} holds no network: {source}; `chronolith testnet init` makes one", place.display())]
    NoNetwork {
        /// The directory.
        place: PathBuf,
        /// What the disk said.
        source: io::Error,
    },
    /// A file of a node cannot be read or written.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// No process could be begun.
    #[error("node {number} cannot be started: {source}")]
    Spawn {
        /// Which node.
        number: usize,
        /// What the system said.
        source: io::Error,
    },
    /// It ended before it was up.
    #[error("node {number} ended again: {last}")]
    Ended {
        /// Which node.
        number: usize,
        /// The last line of its log.
        last: String,
    },
    /// It does not do what was asked in time.
    #[error("node {number} is not {what} after {seconds} s; its log is {}", log.display())]
    Late {
        /// Which node.
        number: usize,
        /// What was waited for.
        what: &'static str,
        /// For how long.
        seconds: u64,
        /// Where it tells what it does.
        log: PathBuf,
    },
}

/// The nodes of the network in a directory, by their numbers.
///
/// # Errors
/// Where there is no network.
pub fn nodes(directory: &Path) -> Result<Vec<NodePlace>, ProcessError> {
    let place = directory.join("nodes");
    let none = |source| ProcessError::NoNetwork { place: directory.to_owned(), source };
    let mut nodes = Vec::new();
    for entry in fs::read_dir(&place).map_err(none)? {
        let entry = entry.map_err(none)?;
        let number = entry.file_name().to_str().and_then(|name| name.parse().ok());
        if let Some(number) = number {
            nodes.push(NodePlace { number, place: entry.path() });
        }
    }
    nodes.sort_by_key(|node| node.number);
    Ok(nodes)
}

/// Those of the network that are meant: all where none is named.
///
/// # Errors
/// Where there is no network, or no such node.
pub fn chosen(directory: &Path, numbers: &[usize]) -> Result<Vec<NodePlace>, ProcessError> {
    let all = nodes(directory)?;
    if numbers.is_empty() {
        return Ok(all);
    }
    let find = |number: &usize| {
        let found = all.iter().find(|node| node.number == *number).cloned();
        found.ok_or_else(|| ProcessError::NoNode { place: directory.to_owned(), number: *number })
    };
    numbers.iter().map(find).collect()
}

impl NodePlace {
    /// Its configuration.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.place.join("node.toml")
    }

    /// What it told.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.place.join("log")
    }

    fn pid(&self) -> PathBuf {
        self.place.join("pid")
    }

    /// Its configuration, read.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn settings(&self) -> Result<NodeSettings, NodeError> {
        NodeSettings::read(&self.config())
    }

    /// The number of its process, where one runs.
    #[must_use]
    pub fn process(&self) -> Option<u32> {
        let pid: u32 = fs::read_to_string(self.pid()).ok()?.trim().parse().ok()?;
        (signal(pid, "-0") && self.is_own(pid)).then_some(pid)
    }

    /// Whether a process that has a number is the node, and not one that was given it later. Where
    /// the system does not say, it is.
    fn is_own(&self, pid: u32) -> bool {
        let Ok(command) = fs::read(format!("/proc/{pid}/cmdline")) else { return true };
        let config = self.config();
        // A process that has ended and is not yet waited for has no command.
        command.split(|byte| *byte == 0).any(|word| word == config.as_os_str().as_encoded_bytes())
    }

    /// Begins its process, unless it runs, and waits until it listens or has ended. Whether it was
    /// begun.
    ///
    /// # Errors
    /// Why it does not run.
    pub fn start(&self, program: &Path, longest: Duration) -> Result<bool, ProcessError> {
        if self.process().is_some() {
            return Ok(false);
        }
        let failed = |source| ProcessError::Spawn { number: self.number, source };
        let log = OpenOptions::new().create(true).append(true).open(self.log()).map_err(failed)?;
        let begins = log.metadata().map_err(failed)?.len();
        let mut child = Command::new(program)
            .args(["serve", "--json", "--config"])
            .arg(self.config())
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(failed)?)
            .stderr(log)
            // Ctrl-C on the terminal is not meant for it.
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        fs::write(self.pid(), format!("{}\n", child.id())).map_err(failed)?;
        let until = Instant::now() + longest;
        loop {
            let told = self.told_since(begins).map_err(failed)?;
            if told.lines().any(|line| line.starts_with("{\"listening\"")) {
                return Ok(true);
            }
            if child.try_wait().map_err(failed)?.is_some() {
                let last = told.lines().last().unwrap_or("it said nothing").to_owned();
                return Err(ProcessError::Ended { number: self.number, last });
            }
            if Instant::now() >= until {
                return Err(self.late("up", longest));
            }
            sleep(LOOK);
        }
    }

    fn late(&self, what: &'static str, longest: Duration) -> ProcessError {
        let (number, seconds) = (self.number, longest.as_secs());
        ProcessError::Late { number, what, seconds, log: self.log() }
    }

    /// Ends its process and waits until it is gone. Whether one ran.
    ///
    /// # Errors
    /// Where it is not gone in time.
    pub fn end(&self, how: End, longest: Duration) -> Result<bool, ProcessError> {
        let Some(pid) = self.process() else { return Ok(false) };
        signal(pid, how.signal());
        let until = Instant::now() + longest;
        while self.process().is_some() {
            if Instant::now() >= until {
                return Err(self.late("gone", longest));
            }
            sleep(LOOK);
        }
        Ok(true)
    }

    /// The last lines of its log.
    ///
    /// # Errors
    /// What the disk says; a node that was never started has no log.
    pub fn last_lines(&self, count: usize) -> Result<Vec<String>, NodeError> {
        let read = self.told_since(0).map_err(NodeError::disk("read", self.log()))?;
        let lines: Vec<&str> = read.lines().collect();
        Ok(lines[lines.len().saturating_sub(count)..].iter().map(ToString::to_string).collect())
    }

    /// What is in the log from a place on, at most so much of its end.
    fn told_since(&self, begins: u64) -> io::Result<String> {
        let mut file = File::open(self.log())?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(begins.max(length.saturating_sub(LOG_MOST))))?;
        let mut told = Vec::new();
        file.take(LOG_MOST).read_to_end(&mut told)?;
        Ok(String::from_utf8_lossy(&told).into_owned())
    }
}

/// Sends a signal by the program that every Unix has for it; whether there is such a process.
fn signal(pid: u32, which: &str) -> bool {
    let sent = Command::new("kill").args([which, &pid.to_string()]).stderr(Stdio::null()).status();
    sent.is_ok_and(|status| status.success())
}
