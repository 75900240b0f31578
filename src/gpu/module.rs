//! A WGSL module under construction: a head of constants and flags, followed by files of `shaders/`.
//!
//! Some files are templates for one buffer. Their placeholders are `NAME`, the buffer's name; `ACCESS`, its access mode;
//! `UNIT`, the type of its elements; `INDEX`, the place of a quad in it; `DTYPE`, a 16-bit float type; and for state
//! tensors `ORDINAL`, `STREAM` and `CODE`. The part after the line `// --- stores ---` is omitted if the kernel does not
//! write the buffer.

use std::fmt::Write;

use crate::gpu::binding::Binding;

const STORES: &str = "// --- stores ---\n\n";

/// A module under construction.
#[derive(Default)]
pub(crate) struct Module {
    pub head: String,
    pub files: String,
}

impl Module {
    pub fn constant(&mut self, name: &str, value: u64) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.head, "const {name}: u32 = {value}u;");
    }

    pub fn flag(&mut self, name: &str, value: bool) {
        let _ = writeln!(self.head, "const {name}: bool = {value};");
    }

    pub fn bind(&mut self, name: &str, binding: Binding) {
        self.constant(&format!("{name}_binding"), binding.number().into());
    }

    pub fn file(&mut self, wgsl: &str) {
        self.files += "\n";
        self.files += wgsl;
    }

    /// Adds a template, with its stores or without them.
    pub fn template(&mut self, wgsl: &str, stores: bool, placeholders: &[(&str, &str)]) {
        let (loads, rest) = wgsl.split_once(STORES).unwrap_or((wgsl, ""));
        let mut wgsl = if stores { format!("{loads}{rest}") } else { loads.trim_end().to_owned() + "\n" };
        for (placeholder, value) in placeholders {
            wgsl = wgsl.replace(placeholder, value);
        }
        self.file(&wgsl);
    }
}
