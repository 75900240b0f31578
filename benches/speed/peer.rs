//! Another program's optimizer, in a process of its own that is stopped while others are measured.
//!
//! It reads lines and answers each with one: `tensors 1000 1000 …` (lengths; make AdamW for them, or for none, let all
//! go) with `ready` and a few words on what it is; `run 5` (so many steps, and wait for their end) with the milliseconds
//! that they took; anything that it cannot do with `no` and the reason.

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::str::FromStr;

use rustix::process::{Pid, Signal, kill_process};

use crate::shapes::Shape;
use crate::subject::{Subject, Time};

/// How to start one.
#[derive(Clone, Debug)]
pub struct Command {
    pub name: String,
    words: Vec<String>,
}

impl FromStr for Command {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, command) = text.split_once('=').ok_or("not of the form name=command")?;
        let words: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
        if words.is_empty() {
            return Err("there is no command".to_owned());
        }
        Ok(Self { name: name.to_owned(), words })
    }
}

pub struct Peer {
    pub name: String,
    /// What it says that it is.
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

    /// While others are measured it is stopped: some poll their device all the time.
    fn signal(&self, signal: Signal) -> Result<(), Box<dyn Error>> {
        let process = Pid::from_child(&self.process);
        kill_process(process, signal).map_err(|error| format!("{}: {error}", self.name))?;
        Ok(())
    }

    /// Makes it ready for these tensors, or says why it cannot be.
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
        // It is of no more use, whether it has ended already or not.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
