//! Lets a test run itself in another process.

use std::process::Command;

/// Returns the command that runs one test of this binary, given its function.
pub fn test<F: Fn()>(_: F) -> Command {
    let (_, name) = std::any::type_name::<F>().split_once("::").expect("the path of a function in this crate");
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", name, "--nocapture"]);
    command
}
