//! The processes of the validators, and the connections to them.

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Sender;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use chronolith_chain::encoding::List;

use super::connection::Connection;
use super::frame::{Frame, Neighbour};
use super::load::Load;

/// What a validator says, and that its connection ended.
#[derive(Debug)]
pub(super) enum Heard {
    /// It says something.
    Frame(Frame),
    /// Its connection ended; nothing of this process comes after it.
    Closed,
}

/// What is heard of the validators, by their numbers.
pub(super) type FromProcess = (u16, Heard);

/// The process of a validator, and the connection to it.
pub(super) struct Process {
    child: Child,
    port: u16,
    pub(super) connection: Connection,
}

impl Drop for Process {
    fn drop(&mut self) {
        self.connection.close();
        // It may have ended already, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(load: &Load, number: u16) -> Result<Child> {
    let mut command = Command::new(&load.program);
    command
        .args(["chain", "bench-node", "--number", &number.to_string()])
        .args(["--interval-ms", &load.interval_ms.to_string()])
        .arg("--dir")
        .arg(&load.directory);
    if load.kills > 0 {
        command.arg("--watch");
    }
    if load.terms.is_some() {
        command.arg("--candidate");
    }
    // Ctrl-C is for who measures, who ends them.
    command.process_group(0);
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    child.context("cannot start a validator")
}

/// Starts a process, kills it with SIGKILL after a time, wherever it is then, and waits for its end.
pub(super) fn start_and_kill(load: &Load, number: u16, after: Duration) -> Result<()> {
    let mut child = spawn(load, number)?;
    std::thread::sleep(after);
    child.kill()?;
    child.wait()?;
    Ok(())
}

impl Process {
    /// Starts a process, which tells `heard` of all its blocks from a height on.
    pub(super) fn start(
        load: &Load,
        number: u16,
        from: u64,
        heard: &Sender<FromProcess>,
    ) -> Result<Self> {
        let mut child = spawn(load, number)?;
        let output = child.stdout.take().context("a validator has no output")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let Ok(port) = line.trim().parse() else {
            let status = child.wait()?;
            bail!("validator {number} ended with {status} before it could be reached");
        };
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        let heard = heard.clone();
        let connection = Connection::start(stream, move |frame| {
            let what = frame.map_or(Heard::Closed, Heard::Frame);
            heard.send((number, what)).is_ok()
        })?;
        connection.send(&Frame::Hello(None));
        connection.send(&Frame::Tell(from));
        Ok(Self { child, port, connection })
    }

    /// Kills the process with SIGKILL, and waits for its end.
    pub(super) fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

/// Says to dial those that are wanted.
pub(super) fn dial(processes: &[Process], wanted: impl Fn(u16) -> bool) -> Result<Frame> {
    let all = (0..).zip(processes).filter(|(number, _)| wanted(*number));
    let neighbours = all.map(|(number, process)| Neighbour { number, port: process.port });
    Ok(Frame::Dial(List::new(neighbours.collect::<Vec<_>>())?))
}
