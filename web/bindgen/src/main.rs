//! Makes a module for a browser of a program in wasm: `bindgen IN.wasm FOLDER` writes `FOLDER/IN.js` and
//! `FOLDER/IN_bg.wasm`.

use std::process::ExitCode;

fn main() -> ExitCode {
    let Ok([input, folder]) = <[String; 2]>::try_from(std::env::args().skip(1).collect::<Vec<_>>()) else {
        eprintln!("usage: bindgen IN.wasm FOLDER");
        return ExitCode::from(2);
    };
    let mut bindgen = wasm_bindgen_cli_support::Bindgen::new();
    // The default export loads the wasm beside the module if it is given no other.
    bindgen.input_path(input).typescript(false).omit_default_module_path(false);
    let done = bindgen.web(true).and_then(|bindgen| bindgen.generate(folder));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bindgen: {error:?}");
            ExitCode::FAILURE
        }
    }
}
