//! Reads what JavaScript gives. An error names the way to the value.

use serde::de::DeserializeOwned;
use serde_json::Value;
use wasm_bindgen::JsError;

/// Reads a value of JSON; `what` is the beginning of the way, `groups` for example.
pub fn parse<T: DeserializeOwned>(what: &str, json: &str) -> Result<T, JsError> {
    // Errors of a `Value` do not mention lines and columns of the JSON, which nobody wrote.
    let value: Value = serde_json::from_str(json)?;
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = match error.path().to_string() {
            path if path == "." => String::new(),
            path if path.starts_with('[') => path,
            path => format!(".{path}"),
        };
        JsError::new(&format!("{what}{path}: {}", error.inner()))
    })
}
