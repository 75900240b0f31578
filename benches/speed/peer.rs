//! The optimizer of another program, in a separate process that is stopped while other subjects are measured.
//!
//! The peer reads lines and answers each with one line. `tensors 1000 1000 …` lists lengths and asks for an AdamW of
//! them; the answer is `ready` and a short description. Without lengths the peer frees everything. `run 5` asks for
//! five steps; the answer is the milliseconds until they have finished. If the peer cannot do it, it answers `no` and
//! the reason.

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::str::FromStr;

use rustix::process::{Pid, Signal, kill_process};

use crate::shapes::Shape;
use crate::subject::{Subject, Time};

/// How to start a peer.
#[derive(Clone, Debug)]
pub struct Command {
    pub name: String,
    words: Vec<String>,
}

impl FromStr for Command {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, command) = text.split_once('=').ok_or("must have the form name=command")?;
        let words: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
        if words.is_empty() {
            return Err("the command is missing".to_owned());
        }
        Ok(Self { name: name.to_owned(), words })
    }
}

pub struct Peer {
    pub name: String,
    /// The peer's description of itself.
    pub about: String,
    process: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Peer {
    pub fn start(command: &Command) -> Result<Self, Box<dyn Error>> {
        let mut process = std::process::Command::new(&command.words[0])
            .args(&command.words[1..])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{}: {}: {error}", command.name, command.words[0]))?;
        let (to, from) = process.stdin.take().zip(process.stdout.take()).ok_or("no pipes")?;
        Ok(Self { name: command.name.clone(), about: String::new(), process, to, from: BufReader::new(from) })
    }

    fn ask(&mut self, line: &str) -> Result<String, Box<dyn Error>> {
        self.signal(Signal::CONT)?;
        writeln!(self.to, "{line}")?;
        self.to.flush()?;
        let mut answer = String::new();
        self.from.read_line(&mut answer)?;
        self.signal(Signal::STOP)?;
        match answer.trim() {
            "" => Err(format!("{}: no answer", self.name).into()),
            answer => Ok(answer.to_owned()),
        }
    }

    /// Stops or continues the peer. It is stopped while others are measured, because some peers poll their device all
    /// the time.
    fn signal(&self, signal: Signal) -> Result<(), Box<dyn Error>> {
        let process = Pid::from_child(&self.process);
        kill_process(process, signal).map_err(|error| format!("{}: {error}", self.name))?;
        Ok(())
    }

    /// Prepares the peer for these tensors. Returns its reason if it cannot.
    pub fn prepare(&mut self, shapes: &[Shape]) -> Result<(), Box<dyn Error>> {
        let lens: String = shapes.iter().map(|shape| format!(" {}", shape.len)).collect();
        let answer = self.ask(&format!("tensors{lens}"))?;
        match answer.strip_prefix("ready") {
            Some(about) => self.about = about.trim().to_owned(),
            None => return Err(format!("{}: {answer}", self.name).into()),
        }
        Ok(())
    }
}

impl Subject for &mut Peer {
    fn run(&mut self, steps: u32) -> Result<Time, Box<dyn Error>> {
        let answer = self.ask(&format!("run {steps}"))?;
        let wall = answer.parse().map_err(|_| format!("{}: {answer}", self.name))?;
        Ok(Time { wall, device: None })
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Errors do not matter: the peer may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
