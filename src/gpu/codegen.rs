//! How a word of each buffer is loaded and stored: the WGSL that is generated for each kind of tensor.

use crate::config::dtype::Stored;
use crate::config::precision::{Master, Rounding, StateFormat};
use crate::config::rule::Memory;
use crate::num::block8::SIGNED;
use crate::plan::storage::Kind;

/// What is bound where. A binding that an entry point does not use is not in its list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    Uniform,
    Read,
    Write,
}

/// The binding of a launch's param or grad, where the first launch has it there.
pub(crate) fn binding_of(binding: u32, launch: u32) -> u32 {
    // Behind all others.
    if launch == 0 { binding } else { 16 + 2 * launch + binding }
}

/// Where a word is, in terms of `word`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum At {
    /// All in one piece.
    Word(&'static str),
    /// Its first element, and the others behind it.
    Element(&'static str),
}

/// One buffer.
#[derive(Clone, Copy)]
pub(crate) struct Access<'a> {
    pub name: &'a str,
    pub binding: u32,
    pub bound: Bound,
    pub stored: Stored,
    pub at: At,
    /// A word may be shared with a neighbour. Its elements are then not written, not even with their own values, since
    /// another workgroup may be writing them.
    pub edges: bool,
}

impl Access<'_> {
    /// The same of as many launches, each with a binding of its own, and the functions of one that choose among them by
    /// `which`.
    pub fn of_launches(self, launches: u32) -> String {
        if launches == 1 {
            return self.wgsl();
        }
        let name = self.name;
        let mut wgsl: String = (0..launches)
            .map(|i| Access { name: &format!("{name}{i}"), binding: binding_of(self.binding, i), ..self }.wgsl())
            .collect();
        let mut choose = |function: &str, given: &str, passed: &str, result: &str| {
            let call = |i: u32| match result {
                "" => format!("{{ {function}_{name}{i}({passed}); }}"),
                _ => format!("{{ return {function}_{name}{i}({passed}); }}"),
            };
            let cases: String = (1..launches).map(|i| format!("case {i}u: {} ", call(i))).collect();
            let switch = format!("switch which {{ {cases}default: {} }}", call(0));
            let arrow = if result.is_empty() { String::new() } else { format!(" -> {result}") };
            wgsl += &format!("fn {function}_{name}({given}){arrow} {{ {switch} }}\n");
        };
        choose("load", "word: u32", "word", "Word");
        if self.stored.is_half() {
            choose("bits", "word: u32", "word", "Bits");
        }
        if self.bound == Bound::Write {
            choose("store", &format!("word: u32, x: {}, mask: Mask", self.given()), "word, x, mask", "");
        }
        wgsl
    }

    /// What is stored.
    fn given(&self) -> &'static str {
        if self.stored.is_half() { "Bits" } else { "Word" }
    }

    /// The binding; `load_name(word)`, a `Word`, and of 16 bits `bits_name(word)` as well; and where it is written
    /// `store_name(word, x, mask)`, where `x` is a `Word`, or of 16 bits the `Bits`.
    pub fn wgsl(&self) -> String {
        let Self { name, binding, stored, .. } = self;
        let access = if self.bound == Bound::Write { "read_write" } else { "read" };
        let (at, whole) = match self.at {
            At::Word(at) => (at, true),
            At::Element(at) => (at, false),
        };
        let element = match (stored, whole) {
            (Stored::F32, true) => "Word",
            (Stored::F32, false) => "f32",
            (Stored::I32, true) => "vec4<i32>",
            (Stored::I32, false) => "i32",
            (Stored::F16 | Stored::Bf16, true) => "vec2<u32>",
            (Stored::F16 | Stored::Bf16, false) => "u32",
        };
        let four = |of: &str, element: &dyn Fn(usize) -> String| {
            format!("{of}({})", (0..4).map(element).collect::<Vec<_>>().join(", "))
        };
        let each = |of| if whole { format!("{name}[at]") } else { four(of, &|i| format!("{name}[at + {i}u]")) };
        let mut wgsl = format!("@group(0) @binding({binding}) var<storage, {access}> {name}: array<{element}>;\n");
        let load = match stored {
            Stored::F32 => each("Word"),
            Stored::I32 => format!("from_i32({})", each("vec4<i32>")),
            Stored::F16 | Stored::Bf16 => {
                let half = |i| format!("{name}[(at + {i}u) >> 1u] >> (((at + {i}u) & 1u) * 16u)");
                let bits = if whole {
                    format!("halves_of({name}[at])")
                } else {
                    format!("{} & Bits(0xffffu)", four("Bits", &half))
                };
                wgsl += &format!("fn bits_{name}(word: u32) -> Bits {{ let at = {at}; return {bits}; }}\n");
                format!("from_{}(bits_{name}(word))", half_name(*stored))
            }
        };
        wgsl += &format!("fn load_{name}(word: u32) -> Word {{ let at = {at}; return {load}; }}\n");
        if self.bound == Bound::Write {
            let given = self.given();
            let store = self.store(whole);
            wgsl += &format!("fn store_{name}(word: u32, x: {given}, mask: Mask) {{ let at = {at}; {store} }}\n");
        }
        wgsl
    }

    fn store(&self, whole: bool) -> String {
        let name = self.name;
        if self.stored.is_half() {
            let pair = |i: usize| {
                let (low, high) = [("x", "y"), ("z", "w")][i];
                let word =
                    if whole { format!("{name}[at].{}", ["x", "y"][i]) } else { format!("{name}[(at >> 1u) + {i}u]") };
                let merged = format!("merged({word}, pair_of(x).{}, mask.{low}, mask.{high})", ["x", "y"][i]);
                format!("if mask.{low} || mask.{high} {{ {word} = {merged}; }} ")
            };
            let pairs = pair(0) + &pair(1);
            return match (whole, self.edges) {
                (true, false) => format!("{name}[at] = pair_of(x);"),
                (true, true) => format!("if all(mask) {{ {name}[at] = pair_of(x); return; }} {pairs}"),
                (false, _) => pairs,
            };
        }
        let (all, one) = if self.stored == Stored::I32 { ("vec4<i32>(x)", "i32") } else { ("x", "") };
        let lane = |i: usize| {
            let lane = ["x", "y", "z", "w"][i];
            let element = if whole { format!("[at].{lane}") } else { format!("[at + {i}u]") };
            let x = if one.is_empty() { format!("x.{lane}") } else { format!("{one}(x.{lane})") };
            format!("if mask.{lane} {{ {name}{element} = {x}; }} ")
        };
        let lanes: String = (0..4).map(lane).collect();
        match (whole, self.edges) {
            (true, false) => format!("{name}[at] = {all};"),
            (true, true) => format!("if all(mask) {{ {name}[at] = {all}; return; }} {lanes}"),
            (false, _) => lanes,
        }
    }
}

fn half_name(stored: Stored) -> &'static str {
    if stored == Stored::F16 { "f16" } else { "bf16" }
}

/// The bindings of what a kind remembers, with `State`: param and what the rule remembers, a word of each in f32. `load` and
/// the stores have the word of param and the one of the state, `at`; between them are the conversions and roundings.
pub(crate) fn state(kind: &Kind) -> String {
    let mut wgsl = String::new();
    let (in_blocks, memories) = (kind.in_blocks(), kind.rule.memories());
    for memory in kind.memories() {
        if let Some(code) = code_name(memory).filter(|_| in_blocks) {
            wgsl += &blocks(memory, code);
            continue;
        }
        let stored = match memory {
            Memory::Master => Stored::F32,
            Memory::Remainder => Stored::Bf16,
            _ if kind.state == StateFormat::Bf16 => Stored::Bf16,
            _ => Stored::F32,
        };
        let (name, binding, bound, at) = (memory.name(), memory.binding(), Bound::Write, At::Word("word"));
        wgsl += &Access { name, binding, bound, stored, at, edges: false }.wgsl();
    }
    let each = |f: &dyn Fn(usize, &str) -> String| {
        memories.iter().enumerate().map(|(i, memory)| f(i, memory.name())).collect::<String>()
    };
    let chance = |rounding, which: usize| match rounding {
        Rounding::Nearest => "Bits(0u), false".to_owned(),
        Rounding::Stochastic => format!("noise(at, {which}u, s), true"),
    };
    wgsl += &format!("struct State {{ param: Word, {} }}\n", each(&|_, name| format!("{name}: Word, ")));
    let loads = each(&|_, name| format!("load_{name}(at), "));
    let half = half_name(kind.param);
    let (param, param_stores) = match (kind.param.is_half(), kind.master) {
        (false, _) => ("load_param(word)".to_owned(), "store_param(word, param, mask);".to_owned()),
        (true, Master::None) => {
            let rounded = format!("to_{half}(param, {})", chance(kind.rounding, 0));
            ("load_param(word)".to_owned(), format!("store_param(word, {rounded}, mask);"))
        }
        (true, Master::F32) => {
            let rounded = |of: &str| format!("to_{half}({of}, Bits(0u), false)");
            let known = format!("{} == bits_param(word)", rounded("load_master(at)"));
            let param = format!("select(load_param(word), load_master(at), {known})");
            let after = rounded("param");
            (param, format!("store_master(at, param, mask); store_param(word, {after}, mask);"))
        }
        (true, Master::Remainder) => (
            "joined(bits_param(word), bits_remainder(at))".to_owned(),
            "let bits = plain_nan(param); store_remainder(at, bits & Bits(0xffffu), mask); \
             store_param(word, (bits + Bits(0x8000u)) >> Bits(16u), mask);"
                .to_owned(),
        ),
    };
    let store = |i: usize, name: &str| match kind.state {
        StateFormat::F32 => format!("store_{name}(at, after.{name}, mask); "),
        StateFormat::Bf16 => {
            let rounded = format!("to_bf16(after.{name}, {})", chance(kind.state_rounding, i + 1));
            format!("store_{name}(at, {rounded}, mask); ")
        }
        StateFormat::Block8 => {
            let (of, chance) = (memories.len(), chance(kind.state_rounding, i + 1));
            format!(
                "{{ let scale = atomicLoad(&scales[{of}u*block + {i}u]); store_{name}(at, after.{name}, scale, {chance}); }} "
            )
        }
    };
    wgsl += &format!("fn load(word: u32, at: u32) -> State {{ return State({param}, {loads}); }}\n");
    wgsl += "fn store_moved(s: Scalars, word: u32, at: u32, param: Word, mask: Mask) {\n";
    wgsl += &format!("{param_stores} }}\n");
    if !in_blocks {
        let first = each(&|i, name| if i == 0 { store(i, name) } else { String::new() });
        let others = each(&|i, name| if i > 0 { store(i, name) } else { String::new() });
        wgsl += &format!("fn store_first(s: Scalars, at: u32, after: State, mask: Mask) {{ {first} }}\n");
        return wgsl + &format!("fn store_others(s: Scalars, at: u32, after: State, mask: Mask) {{ {others} }}\n");
    }
    let of = memories.len();
    let notes = each(&|i, name| format!("atomicMax(&scales[{of}u*block + {i}u], block_scale(after.{name}, mask)); "));
    let scales = each(&|i, name| {
        format!("{name}[launch.first_scale + at / WORDS_A_BLOCK] = atomicLoad(&scales[{of}u*block + {i}u]); ")
    });
    wgsl += &format!("const MEMORIES: u32 = {of}u;\n");
    wgsl += &format!("fn note(block: u32, after: State, mask: Mask) {{ {notes} }}\n");
    wgsl += &format!("fn store_scales(at: u32, block: u32) {{ {scales} }}\n");
    wgsl += "fn store_memories(s: Scalars, at: u32, block: u32, after: State, mask: Mask) {\n";
    wgsl + &format!("{} }}\n", each(&store))
}

/// The code of a moment in blocks of 8 bits.
fn code_name(memory: Memory) -> Option<&'static str> {
    memory.scale().map(|_| if memory.code() == SIGNED { "SIGNED" } else { "UNSIGNED" })
}

/// The binding of codes with their scales behind them, a word of codes in 32 bits. Behind a tensor's end they mean nothing.
fn blocks(memory: Memory, code: &str) -> String {
    let (name, binding) = (memory.name(), memory.binding());
    format!(
        "@group(0) @binding({binding}) var<storage, read_write> {name}: array<u32>;\n\
         fn load_{name}(at: u32) -> Word {{\n\
         return decoded({code}, unpacked_codes({name}[at]), {name}[launch.first_scale + at / WORDS_A_BLOCK]); }}\n\
         fn store_{name}(at: u32, x: Word, scale: u32, noise: Bits, stochastic: bool) {{\n\
         {name}[at] = packed_codes(encoded({code}, x, scale, noise, stochastic)); }}\n"
    )
}
