//! Reads the code of a source file: its tokens, without comments, the contents of strings, and test items.

/// Identifiers, `::`, and every other character as a token of its own.
pub fn tokens(source: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let len = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment(rest)
        } else if let Some(len) = string(rest).or_else(|| character(rest)) {
            // A placeholder, so that a path does not continue after the literal.
            tokens.push("\"".to_owned());
            len
        } else if first.is_alphanumeric() || first == '_' {
            let len = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            tokens.push(rest[..len].to_owned());
            len
        } else if rest.starts_with("::") {
            tokens.push("::".to_owned());
            2
        } else {
            if !first.is_whitespace() {
                tokens.push(first.to_string());
            }
            first.len_utf8()
        };
        rest = &rest[len..];
    }
    without_tests(&tokens)
}

/// The length of a block comment, which may contain others.
fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        let here = &text[at..];
        if here.starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if here.starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                break;
            }
        } else {
            at += here.chars().next().map_or(1, char::len_utf8);
        }
    }
    at
}

/// The length of the string literal at the beginning of the text.
fn string(text: &str) -> Option<usize> {
    let prefix = ["br", "cr", "r", "b", "c", ""].into_iter().find(|prefix| {
        let behind = text.strip_prefix(prefix).map(|text| text.trim_start_matches('#'));
        behind.is_some_and(|text| text.starts_with('"'))
    })?;
    let hashes = text[prefix.len()..].find('"')?;
    let raw = prefix.ends_with('r');
    if !raw && hashes > 0 {
        return None;
    }
    let begin = prefix.len() + hashes + 1;
    let end = format!("\"{}", "#".repeat(hashes));
    let mut at = begin;
    while !text[at..].starts_with(&end) {
        let escape = !raw && text[at..].starts_with('\\');
        let count = if escape { 2 } else { 1 };
        at += text[at..].chars().take(count).map(char::len_utf8).sum::<usize>();
    }
    Some(at + end.len())
}

/// The length of the character literal at the beginning of the text. A lifetime is not a literal.
fn character(text: &str) -> Option<usize> {
    let body = text.strip_prefix('\'')?;
    let close = if body.starts_with('\\') { 2 + body[2..].find('\'')? } else { body.chars().next()?.len_utf8() };
    body[close..].starts_with('\'').then_some(close + 2)
}

/// Removes each item under `#[cfg(test)]`.
fn without_tests(tokens: &[String]) -> Vec<String> {
    const TEST: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if tokens[at..].iter().map(String::as_str).take(TEST.len()).eq(TEST) {
            at += TEST.len() + item(&tokens[at + TEST.len()..]);
        } else {
            kept.push(tokens[at].clone());
            at += 1;
        }
    }
    kept
}

/// The number of tokens of the first item: up to a semicolon or a comma, or to the end of its braces.
fn item(tokens: &[String]) -> usize {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate() {
        match token.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" => depth -= 1,
            "}" => {
                depth -= 1;
                if depth <= 0 {
                    return at + 1;
                }
            }
            ";" | "," if depth == 0 => return at + 1,
            _ => {}
        }
    }
    tokens.len()
}

/// A path that a file uses, and the inline modules of the file that contain it.
#[derive(Debug, PartialEq)]
pub struct Used {
    pub inside: Vec<String>,
    pub path: Vec<String>,
}

/// Returns each path that begins with `crate` or `super`. A `use` of several names gives several paths.
pub fn paths(source: &str) -> Vec<Used> {
    let tokens = tokens(source);
    let token = |at: usize| tokens.get(at).map_or("", String::as_str);
    let (mut used, mut inside, mut depth) = (Vec::new(), Vec::new(), 0);
    for at in 0..tokens.len() {
        match token(at) {
            "{" => {
                depth += 1;
                if at >= 2 && token(at - 2) == "mod" {
                    inside.push((token(at - 1).to_owned(), depth));
                }
            }
            "}" => {
                inside.pop_if(|(_, opened)| *opened == depth);
                depth -= 1;
            }
            "crate" | "super" if token(at + 1) == "::" && (at == 0 || token(at - 1) != "::") => {
                let inside: Vec<String> = inside.iter().map(|(name, _)| name.clone()).collect();
                let mut found = Vec::new();
                tree(&tokens, at, Vec::new(), &mut found);
                used.extend(found.into_iter().map(|path| Used { inside: inside.clone(), path }));
            }
            _ => {}
        }
    }
    used
}

/// Collects the paths of a tree like `a::{b, c::d}`, and returns the position after it.
fn tree(tokens: &[String], mut at: usize, mut path: Vec<String>, found: &mut Vec<Vec<String>>) -> usize {
    let token = |at: usize| tokens.get(at).map_or("", String::as_str);
    loop {
        if token(at) == "{" {
            at += 1;
            while token(at) != "}" && at < tokens.len() {
                at = if token(at) == "," { at + 1 } else { tree(tokens, at, path.clone(), found) };
            }
            return at + 1;
        }
        path.push(token(at).to_owned());
        at += 1;
        let continues = token(at + 1).starts_with(|c: char| c.is_alphabetic() || "_{*".contains(c));
        if token(at) != "::" || !continues {
            break;
        }
        at += 1;
    }
    // Skips an alias.
    if token(at) == "as" {
        at += 2;
    }
    found.push(path);
    at
}

#[test]
fn comments_strings_and_tests_are_not_code() {
    let source = r##"
        // crate::a
        /* crate::b /* crate::c */ */
        const S: &str = "crate::d \" crate::e"; const R: &str = r#"crate::f " "#; const C: char = '"';
        fn g<'a>(x: &'a crate::h::H) -> crate::i::I<'a> { loop {} }
        #[cfg(test)]
        mod tests { use crate::j::J; }
        #[cfg(test)]
        const K: crate::k::K = crate::k::K { x: 1 };
        use crate::l::{m::M, n::{self, N}, o as p};
    "##;
    let found: Vec<String> = paths(source).iter().map(|used| used.path.join("::")).collect();
    let want = ["crate::h::H", "crate::i::I", "crate::l::m::M", "crate::l::n::self", "crate::l::n::N", "crate::l::o"];
    assert_eq!(found, want);
}

#[test]
fn a_path_knows_its_inline_module() {
    let found = paths("mod a { mod b { use super::super::X; } use super::Y; } use super::z::Z;");
    let inside: Vec<usize> = found.iter().map(|used| used.inside.len()).collect();
    assert_eq!(inside, [2, 1, 0]);
}
