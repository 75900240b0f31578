//! The order of the files in src/. An import names the file that defines the item, folders import in one direction, and
//! files do not import each other.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

mod source;

/// Each folder may import from itself and from the folders before it. Every file may import error.rs.
const ORDER: [&str; 8] = ["num", "config", "tick", "state", "plan", "report", "cpu", "gpu"];

/// The only files that may import each other: a type and its builder.
const PAIR: [&str; 2] = ["gpu/adam.rs", "gpu/builder.rs"];

/// Source texts by path within src/.
type Sources = BTreeMap<String, String>;

/// The imports of each file.
type Graph = BTreeMap<String, BTreeSet<String>>;

/// Reads the files under a folder, without tests.
fn read(folder: &Path, name: &str, sources: &mut Sources) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = format!("{name}{}", path.file_name().unwrap().to_str().unwrap());
        if path.is_dir() {
            read(&path, &format!("{name}/"), sources);
        } else if name.ends_with(".rs") && path.file_name() != Some("tests.rs".as_ref()) {
            sources.insert(name, fs::read_to_string(path).unwrap());
        }
    }
}

/// The path of the module that a file defines.
fn module(file: &str) -> Vec<String> {
    let path = file.trim_end_matches(".rs").trim_end_matches("/mod");
    path.split('/').filter(|name| *name != "lib").map(str::to_owned).collect()
}

/// Returns the imports, and the errors in single imports.
fn graph(sources: &Sources) -> (Graph, Vec<String>) {
    let files: BTreeMap<Vec<String>, &str> = sources.keys().map(|file| (module(file), file.as_str())).collect();
    let (mut graph, mut wrong) = (Graph::new(), Vec::new());
    for (file, source) in sources {
        let imports = graph.entry(file.clone()).or_default();
        for used in source::paths(source) {
            let supers = used.path.iter().take_while(|segment| *segment == "super").count();
            let mut from = [module(file), used.inside.clone()].concat();
            from.truncate(from.len().saturating_sub(supers));
            let absolute = used.path[0] == "crate";
            let path = if absolute { used.path[1..].to_vec() } else { [&from, &used.path[supers..]].concat() };
            // The longest prefix of the path that is the module of a file.
            let Some(target) = (0..=path.len()).rev().find_map(|len| files.get(&path[..len])) else { continue };
            if target == file {
                continue;
            }
            if target.ends_with("mod.rs") || *target == "lib.rs" {
                wrong.push(format!("{file}: `{}` goes through {target} and not to a file", used.path.join("::")));
            }
            imports.insert((*target).to_owned());
        }
    }
    (graph, wrong)
}

/// Returns the imports that violate the order of the folders.
fn out_of_order(graph: &Graph) -> Vec<String> {
    let place = |file: &str| {
        let folder = file.split_once('/').map(|(folder, _)| folder);
        folder.map(|folder| ORDER.iter().position(|name| *name == folder))
    };
    let mut wrong = Vec::new();
    for (file, imports) in graph {
        match place(file) {
            Some(None) => wrong.push(format!("{file} is in a folder that is not in the order")),
            // lib.rs re-exports. Every file may import error.rs, so error.rs imports none.
            None if file != "lib.rs" && !imports.is_empty() => wrong.push(format!("{file} imports {imports:?}")),
            None => {}
            Some(own) => {
                let against = imports.iter().filter(|import| place(import).is_some_and(|other| other > own));
                wrong.extend(against.map(|import| format!("{file} imports {import}")));
            }
        }
    }
    wrong
}

/// All files that a file imports, directly or through others.
fn reachable<'a>(graph: &'a Graph, file: &'a str) -> BTreeSet<&'a str> {
    let (mut seen, mut next) = (BTreeSet::new(), vec![file]);
    while let Some(file) = next.pop() {
        let new = graph.get(file).into_iter().flatten().map(String::as_str).filter(|file| seen.insert(*file));
        next.extend(new.collect::<Vec<_>>());
    }
    seen
}

/// Groups of files that import each other, directly or through others. Each group occurs once.
fn cycles(graph: &Graph) -> BTreeSet<Vec<&str>> {
    let reach: BTreeMap<&str, BTreeSet<&str>> =
        graph.keys().map(|file| (file.as_str(), reachable(graph, file))).collect();
    let cycle = |file: &str| {
        let mutual = reach[file].iter().filter(|other| reach.get(*other).is_some_and(|reach| reach.contains(file)));
        mutual.copied().collect::<Vec<_>>()
    };
    reach.keys().map(|file| cycle(file)).filter(|cycle| !cycle.is_empty()).collect()
}

/// The longest chain of imports that begins at a file. The files of a cycle count each time they are passed.
fn chain<'a>(graph: &'a Graph, file: &'a str, known: &mut BTreeMap<&'a str, Vec<&'a str>>) -> Vec<&'a str> {
    if let Some(known) = known.get(file) {
        return known.clone();
    }
    // This entry ends a cycle.
    known.insert(file, vec![file]);
    let chains = graph.get(file).into_iter().flatten().map(|import| chain(graph, import, known));
    let longest = chains.collect::<Vec<_>>().into_iter().max_by_key(Vec::len).unwrap_or_default();
    let chain = [vec![file], longest].concat();
    known.insert(file, chain.clone());
    chain
}

fn wrong(sources: &Sources) -> Vec<String> {
    let (graph, mut wrong) = graph(sources);
    wrong.extend(out_of_order(&graph));
    let cycles = cycles(&graph);
    wrong.extend(cycles.iter().filter(|cycle| **cycle != PAIR).map(|cycle| format!("a cycle: {}", cycle.join(", "))));
    wrong
}

#[test]
fn imports_follow_the_order() {
    let mut sources = Sources::new();
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), "", &mut sources);
    assert!(sources.len() > 50 && sources.contains_key(PAIR[0]), "{:?}", sources.keys());
    let (graph, _) = graph(&sources);
    let root: Vec<&String> = sources.keys().filter(|file| !file.contains('/')).collect();
    let mut known = BTreeMap::new();
    let chains = graph.keys().map(|file| chain(&graph, file, &mut known)).collect::<Vec<_>>();
    let longest = chains.iter().max_by_key(|chain| chain.len()).unwrap();
    println!("{} files, {} of them at the root of src/: {root:?}", sources.len(), root.len());
    println!("cycles: {:?}", cycles(&graph));
    println!("the longest chain of imports has {} files: {}", longest.len(), longest.join(" -> "));
    let wrong = wrong(&sources);
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Returns what is wrong with these files, given by path and source.
fn house(files: &[(&str, &str)]) -> Vec<String> {
    wrong(&files.iter().map(|(file, source)| ((*file).to_owned(), (*source).to_owned())).collect())
}

#[test]
fn an_orderly_house_passes() {
    let files = [
        ("lib.rs", "mod error; pub mod num; pub use num::a::A;"),
        ("error.rs", "pub enum Error {}"),
        ("num/mod.rs", "pub mod a; pub mod b;"),
        ("num/a.rs", "use super::b::{B, C as D}; // use crate::gpu::adam::Adam;"),
        ("num/b.rs", "fn b() -> crate::error::Error { mod inner { use super::B; } }"),
        ("gpu/adam.rs", "use crate::gpu::builder::Builder; use crate::num::a;"),
        ("gpu/builder.rs", "use crate::gpu::adam::Adam;"),
    ];
    assert_eq!(house(&files), Vec::<String>::new());
}

#[test]
fn disorder_is_rejected() {
    let cycle =
        [("num/a.rs", "use crate::num::b::B;"), ("num/b.rs", "use super::c::C;"), ("num/c.rs", "use super::a::A;")];
    assert_eq!(house(&cycle), ["a cycle: num/a.rs, num/b.rs, num/c.rs"]);
    // Only these two files may import each other, and no third file may join them.
    let larger = [
        ("gpu/adam.rs", "use crate::gpu::builder::B;"),
        ("gpu/builder.rs", "use crate::gpu::adam::A; use crate::gpu::c::C;"),
        ("gpu/c.rs", "use crate::gpu::adam::A;"),
    ];
    assert_eq!(house(&larger), ["a cycle: gpu/adam.rs, gpu/builder.rs, gpu/c.rs"]);
    let re_exported = [("num/mod.rs", "pub use a::A;"), ("num/a.rs", ""), ("config/b.rs", "use crate::num::A;")];
    assert_eq!(house(&re_exported), ["config/b.rs: `crate::num::A` goes through num/mod.rs and not to a file"]);
    let root = [("lib.rs", ""), ("num/a.rs", "fn f(x: crate::Config) {}")];
    assert_eq!(house(&root), ["num/a.rs: `crate::Config` goes through lib.rs and not to a file"]);
    let upwards = [("num/a.rs", "use crate::cpu::b::B;"), ("cpu/b.rs", "")];
    assert_eq!(house(&upwards), ["num/a.rs imports cpu/b.rs"]);
    assert_eq!(house(&[("utils/a.rs", "")]), ["utils/a.rs is in a folder that is not in the order"]);
    assert_eq!(house(&[("error.rs", "use crate::num::a::A;"), ("num/a.rs", "")]), [r#"error.rs imports {"num/a.rs"}"#]);
}
