//! A WGSL module under construction: a head of constants and flags, followed by files of `shaders/`.
//!
//! Some files are templates for one buffer. Their placeholders are `NAME`, the buffer's name; `ACCESS`, its access mode;
//! `UNIT`, the type of its elements; `INDEX`, the place of a quad in it; `DTYPE`, a 16-bit float type; and for state
//! tensors `ORDINAL`, `STREAM` and `CODE`. The part after the line `// --- stores ---` is omitted if the kernel does not
//! write the buffer.

use std::fmt::Write;

use crate::gpu::binding::Binding;

/// The text without comments, except for those that begin with `// ---`, and its length: a page downloads the sources.
#[cfg(target_arch = "wasm32")]
pub(crate) const fn without_comments<const LEN: usize>(source: &str) -> ([u8; LEN], usize) {
    let source = source.as_bytes();
    let mut kept = [b' '; LEN];
    let (mut at, mut len) = (0, 0);
    while at < source.len() {
        let comment = source[at] == b'/' && at + 3 < source.len() && source[at + 1] == b'/' && source[at + 3] != b'-';
        if comment {
            while at < source.len() && source[at] != b'\n' {
                at += 1;
            }
        } else {
            if len < LEN {
                kept[len] = source[at];
            }
            at += 1;
            len += 1;
        }
    }
    (kept, len)
}

/// The text of a file in `shaders/`, by its path without the extension.
macro_rules! shader {
    ($path:literal) => {{
        const SOURCE: &str =
            concat!("// --- ", $path, ".wgsl ---\n\n", include_str!(concat!("../../shaders/", $path, ".wgsl")));
        #[cfg(target_arch = "wasm32")]
        const SOURCE_IN_USE: &str = {
            const LEN: usize = $crate::gpu::module::without_comments::<0>(SOURCE).1;
            const KEPT: [u8; LEN] = $crate::gpu::module::without_comments(SOURCE).0;
            match std::str::from_utf8(&KEPT) {
                Ok(text) => text,
                Err(_) => panic!("a comment is cut within a character"),
            }
        };
        #[cfg(not(target_arch = "wasm32"))]
        const SOURCE_IN_USE: &str = SOURCE;
        SOURCE_IN_USE
    }};
}

pub(crate) use shader;

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
