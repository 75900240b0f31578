//! Makes plain JavaScript objects. Unlike JSON, they can hold NaN, which a gradient norm may be.

use js_sys::{Object, Reflect};
use wasm_bindgen::JsValue;

/// Returns an object with these properties.
pub fn object<const N: usize>(properties: [(&str, JsValue); N]) -> JsValue {
    let object = Object::new();
    for (name, value) in properties {
        // A new object takes every property.
        let _ = Reflect::set(&object, &name.into(), &value);
    }
    object.into()
}
