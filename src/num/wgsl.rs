//! The texts of the files in `shaders/`.

/// The text without comments, except for those that begin with `// ---`, with a space for each four that indent a line; and
/// its length. A page downloads the sources.
#[cfg(target_arch = "wasm32")]
pub(crate) const fn without_comments<const LEN: usize>(source: &str) -> ([u8; LEN], usize) {
    let source = source.as_bytes();
    let mut kept = [b' '; LEN];
    let (mut at, mut len, mut indents) = (0, 0, true);
    while at < source.len() {
        let comment = source[at] == b'/' && at + 3 < source.len() && source[at + 1] == b'/' && source[at + 3] != b'-';
        if comment {
            while at < source.len() && source[at] != b'\n' {
                at += 1;
            }
            continue;
        }
        indents = source[at] == b'\n' || indents && source[at] == b' ';
        if len < LEN {
            kept[len] = source[at];
        }
        let four = indents && at + 3 < source.len() && source[at] == b' ' && source[at + 3] == b' ';
        at += if four { 4 } else { 1 };
        len += 1;
    }
    (kept, len)
}

/// The text of a file in `shaders/`, by the parts of its path without the extension. It begins with a line that names the
/// file, except in a browser.
macro_rules! shader {
    ($($path:literal),+) => {{
        #[cfg(target_arch = "wasm32")]
        const TEXT: &str = {
            const SOURCE: &str = include_str!(concat!("../../shaders/", $($path),+, ".wgsl"));
            const LEN: usize = $crate::num::wgsl::without_comments::<0>(SOURCE).1;
            const KEPT: [u8; LEN] = $crate::num::wgsl::without_comments(SOURCE).0;
            match std::str::from_utf8(&KEPT) {
                Ok(text) => text,
                Err(_) => panic!("a comment is cut within a character"),
            }
        };
        #[cfg(not(target_arch = "wasm32"))]
        const TEXT: &str =
            concat!("// --- ", $($path),+, ".wgsl ---\n\n", include_str!(concat!("../../shaders/", $($path),+, ".wgsl")));
        TEXT
    }};
}

pub(crate) use shader;
