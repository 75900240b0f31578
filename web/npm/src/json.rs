//! Reads what JavaScript gives. An error names the way to the value.

use serde::de::DeserializeOwned;
use serde_json::Deserializer;
use wasm_bindgen::JsError;

/// Reads a value of JSON; `what` is the beginning of the way, `groups[0].config` for example.
pub fn parse<T: DeserializeOwned>(what: &str, json: &str) -> Result<T, JsError> {
    // The crate reads states with this deserializer, so that the code for it is in the wasm anyway.
    serde_path_to_error::deserialize(&mut Deserializer::from_str(json)).map_err(|error| {
        let path = match error.path().to_string() {
            path if path == "." => String::new(),
            path => format!(".{path}"),
        };
        let reason = error.inner().to_string();
        // Nobody wrote the JSON, so its lines and columns are of no use.
        let reason = reason.split(" at line ").next().unwrap_or_default();
        JsError::new(&format!("{what}{path}: {reason}"))
    })
}
