//! How an example ends early.

use std::fmt::Display;
use std::process::ExitCode;

/// Why the program ends early: a message and an exit code. The code is 2 if the arguments or the files of the user are
/// wrong.
pub struct Stop {
    line: String,
    pub code: u8,
}

impl Stop {
    pub fn user(problem: impl Display) -> Self {
        Self { line: problem.to_string(), code: 2 }
    }

    pub fn failure(problem: impl Display) -> Self {
        Self { line: problem.to_string(), code: 1 }
    }
}

/// The exit code of a program. A message goes to the terminal, behind the program's name.
pub fn exit_code(program: &str, outcome: Result<(), Stop>) -> ExitCode {
    let Err(Stop { line, code }) = outcome else { return ExitCode::SUCCESS };
    if !line.is_empty() {
        eprintln!("{program}: {line}");
    }
    ExitCode::from(code)
}
