//! What Mesa's compiler makes of the kernels for AMD's cards, none of which needs to be there.

mod cards;
mod classes;
mod driver;
mod spirv;
mod table;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use driver::Driver;
use table::{Measured, Table};

const FAMILIES: [&str; 3] = ["GFX1100", "NAVI21", "VEGA20"];

const USAGE: &str = "usage: isa [--write | --check | FILE.wgsl ...]
  --write   compiles shaders/composed and writes benches/ISA.md
  --check   compiles shaders/composed, and fails if a kernel spills registers or has over 5 % more instructions than there
  FILE      prints the same tables for these modules";

fn main() -> ExitCode {
    let benches = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let record = benches.join("ISA.md");
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let composed = || snapshots(&benches.join("../shaders/composed"));
    let result = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--write"] => composed().and_then(|files| measured(&files)).and_then(|table| {
            std::fs::write(&record, table.page()).map_err(|error| format!("{}: {error}", record.display()))
        }),
        ["--check"] => composed().and_then(|files| measured(&files)).and_then(|table| {
            let page = std::fs::read_to_string(&record).map_err(|error| format!("{}: {error}", record.display()))?;
            table.check(&page)
        }),
        [] => Err(USAGE.into()),
        [first, ..] if first.starts_with('-') => Err(USAGE.into()),
        _ => measured(&arguments.iter().map(PathBuf::from).collect::<Vec<_>>())
            .map(|table| print!("{}", table.kernels())),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn snapshots(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = std::fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort();
    Ok(files)
}

fn measured(files: &[PathBuf]) -> Result<Table, String> {
    let mut table = Table::default();
    for family in FAMILIES {
        let driver = Driver::new(family)?;
        table.driver = driver.name.clone();
        for file in files {
            let wgsl = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
            let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let compiled = driver.compile(&spirv::translate(&wgsl)).map_err(|error| format!("{name}: {error}"))?;
            if let Some(folder) = std::env::var_os("ASSEMBLY") {
                let path = Path::new(&folder).join(format!("{name}.{family}.s"));
                std::fs::write(&path, &compiled.assembly).map_err(|error| format!("{}: {error}", path.display()))?;
            }
            table.rows.push(Measured::new(family, name, &compiled));
        }
    }
    Ok(table)
}
