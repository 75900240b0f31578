//! How a quad of each buffer is loaded and stored: the WGSL that is generated for each storage of tensor.

use crate::config::dtype::Dtype;
use crate::config::precision::{Master, Rounding, StateDtype};
use crate::config::rule::StateKind;
use crate::num::block8::SIGNED;
use crate::plan::storage::Storage;

/// What is bound where. A binding that an entry point does not use is not in its list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    Uniform,
    Read,
    Write,
}

/// The binding of a region's param or grad, where the first region has it there.
pub(crate) fn binding_of(binding: u32, region: u32) -> u32 {
    // Behind all others.
    if region == 0 { binding } else { 16 + 2 * region + binding }
}

/// Where a quad is, in terms of `quad`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum At {
    /// All in one tile.
    Quad(&'static str),
    /// Its first element, and the others behind it.
    Element(&'static str),
}

/// One buffer.
#[derive(Clone, Copy)]
pub(crate) struct Access<'a> {
    pub name: &'a str,
    pub binding: u32,
    pub bound: Bound,
    pub stored: Dtype,
    pub at: At,
    /// A quad may be shared with a neighbour. Its elements are then not written, not even with their own values, since
    /// another workgroup may be writing them.
    pub edges: bool,
}

impl Access<'_> {
    /// The same of as many regions, each with a binding of its own, and the functions of one that choose among them by
    /// `which`.
    pub fn of_regions(self, regions: u32) -> String {
        if regions == 1 {
            return self.wgsl();
        }
        let name = self.name;
        let mut wgsl: String = (0..regions)
            .map(|i| Access { name: &format!("{name}{i}"), binding: binding_of(self.binding, i), ..self }.wgsl())
            .collect();
        let mut choose = |function: &str, given: &str, passed: &str, result: &str| {
            let call = |i: u32| match result {
                "" => format!("{{ {function}_{name}{i}({passed}); }}"),
                _ => format!("{{ return {function}_{name}{i}({passed}); }}"),
            };
            let cases: String = (1..regions).map(|i| format!("case {i}u: {} ", call(i))).collect();
            let switch = format!("switch which {{ {cases}default: {} }}", call(0));
            let arrow = if result.is_empty() { String::new() } else { format!(" -> {result}") };
            wgsl += &format!("fn {function}_{name}({given}){arrow} {{ {switch} }}\n");
        };
        choose("load", "quad: u32", "quad", "Quad");
        if self.stored.is_half() {
            choose("bits", "quad: u32", "quad", "Bits");
        }
        if self.bound == Bound::Write {
            choose("store", &format!("quad: u32, x: {}, mask: Mask", self.given()), "quad, x, mask", "");
        }
        wgsl
    }

    /// What is stored.
    fn given(&self) -> &'static str {
        if self.stored.is_half() { "Bits" } else { "Quad" }
    }

    /// The binding; `load_name(quad)`, a `Quad`, and of 16 bits `bits_name(quad)` as well; and where it is written
    /// `store_name(quad, x, mask)`, where `x` is a `Quad`, or of 16 bits the `Bits`.
    pub fn wgsl(&self) -> String {
        let Self { name, binding, stored, .. } = self;
        let access = if self.bound == Bound::Write { "read_write" } else { "read" };
        let (at, whole) = match self.at {
            At::Quad(at) => (at, true),
            At::Element(at) => (at, false),
        };
        let element = match (stored, whole) {
            (Dtype::F32, true) => "Quad",
            (Dtype::F32, false) => "f32",
            (Dtype::I32, true) => "vec4<i32>",
            (Dtype::I32, false) => "i32",
            (_, true) => "vec2<u32>",
            (_, false) => "u32",
        };
        let four = |of: &str, element: &dyn Fn(usize) -> String| {
            format!("{of}({})", (0..4).map(element).collect::<Vec<_>>().join(", "))
        };
        let each = |of| if whole { format!("{name}[at]") } else { four(of, &|i| format!("{name}[at + {i}u]")) };
        let mut wgsl = format!("@group(0) @binding({binding}) var<storage, {access}> {name}: array<{element}>;\n");
        let load = match stored {
            Dtype::F32 => each("Quad"),
            Dtype::I32 => format!("from_i32({})", each("vec4<i32>")),
            _ => {
                let half = |i| format!("{name}[(at + {i}u) >> 1u] >> (((at + {i}u) & 1u) * 16u)");
                let bits = if whole {
                    format!("halves_of({name}[at])")
                } else {
                    format!("{} & Bits(0xffffu)", four("Bits", &half))
                };
                wgsl += &format!("fn bits_{name}(quad: u32) -> Bits {{ let at = {at}; return {bits}; }}\n");
                format!("from_{}(bits_{name}(quad))", half_name(*stored))
            }
        };
        wgsl += &format!("fn load_{name}(quad: u32) -> Quad {{ let at = {at}; return {load}; }}\n");
        if self.bound == Bound::Write {
            let given = self.given();
            let store = self.store(whole);
            wgsl += &format!("fn store_{name}(quad: u32, x: {given}, mask: Mask) {{ let at = {at}; {store} }}\n");
        }
        wgsl
    }

    fn store(&self, whole: bool) -> String {
        let name = self.name;
        if self.stored.is_half() {
            let pair = |i: usize| {
                let (low, high) = [("x", "y"), ("z", "w")][i];
                let quad =
                    if whole { format!("{name}[at].{}", ["x", "y"][i]) } else { format!("{name}[(at >> 1u) + {i}u]") };
                let merged = format!("merged({quad}, pair_of(x).{}, mask.{low}, mask.{high})", ["x", "y"][i]);
                format!("if mask.{low} || mask.{high} {{ {quad} = {merged}; }} ")
            };
            let pairs = pair(0) + &pair(1);
            return match (whole, self.edges) {
                (true, false) => format!("{name}[at] = pair_of(x);"),
                (true, true) => format!("if all(mask) {{ {name}[at] = pair_of(x); return; }} {pairs}"),
                (false, _) => pairs,
            };
        }
        let (all, one) = if self.stored == Dtype::I32 { ("vec4<i32>(x)", "i32") } else { ("x", "") };
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

fn half_name(stored: Dtype) -> &'static str {
    if stored == Dtype::F16 { "f16" } else { "bf16" }
}

/// The bindings of what a storage remembers, with `State`: param and what the rule remembers, a quad of each in f32. `load` and
/// the stores have the quad of param and the one of the state, `at`; between them are the conversions and roundings.
pub(crate) fn state(storage: &Storage) -> String {
    let mut wgsl = String::new();
    let (in_blocks, state) = (storage.in_blocks(), storage.rule.state_kinds());
    for kind in storage.state_kinds() {
        if let Some(code) = code_name(kind).filter(|_| in_blocks) {
            wgsl += &blocks(kind, code);
            continue;
        }
        let stored = match kind {
            StateKind::Master => Dtype::F32,
            StateKind::Remainder => Dtype::Bf16,
            _ if storage.state == StateDtype::Bf16 => Dtype::Bf16,
            _ => Dtype::F32,
        };
        let (name, binding, bound, at) = (kind.name(), kind.binding(), Bound::Write, At::Quad("quad"));
        wgsl += &Access { name, binding, bound, stored, at, edges: false }.wgsl();
    }
    let each = |f: &dyn Fn(usize, &str) -> String| {
        state.iter().enumerate().map(|(i, kind)| f(i, kind.name())).collect::<String>()
    };
    let chance = |rounding, which: usize| match rounding {
        Rounding::Nearest => "Bits(0u), false".to_owned(),
        Rounding::Stochastic => format!("noise(at, {which}u, s), true"),
    };
    wgsl += &format!("struct State {{ param: Quad, {} }}\n", each(&|_, name| format!("{name}: Quad, ")));
    let loads = each(&|_, name| format!("load_{name}(at), "));
    let half = half_name(storage.param);
    let (param, param_stores) = match (storage.param.is_half(), storage.master) {
        (false, _) => ("load_param(quad)".to_owned(), "store_param(quad, param, mask);".to_owned()),
        (true, Master::None) => {
            let rounded = format!("to_{half}(param, {})", chance(storage.rounding, 0));
            ("load_param(quad)".to_owned(), format!("store_param(quad, {rounded}, mask);"))
        }
        (true, Master::F32) => {
            let rounded = |of: &str| format!("to_{half}({of}, Bits(0u), false)");
            let known = format!("{} == bits_param(quad)", rounded("load_master(at)"));
            let param = format!("select(load_param(quad), load_master(at), {known})");
            let after = rounded("param");
            (param, format!("store_master(at, param, mask); store_param(quad, {after}, mask);"))
        }
        (true, Master::Remainder) => (
            "joined(bits_param(quad), bits_remainder(at))".to_owned(),
            "let bits = plain_nan(param); store_remainder(at, bits & Bits(0xffffu), mask); \
             store_param(quad, (bits + Bits(0x8000u)) >> Bits(16u), mask);"
                .to_owned(),
        ),
    };
    let store = |i: usize, name: &str| match storage.state {
        StateDtype::F32 => format!("store_{name}(at, after.{name}, mask); "),
        StateDtype::Bf16 => {
            let rounded = format!("to_bf16(after.{name}, {})", chance(storage.state_rounding, i + 1));
            format!("store_{name}(at, {rounded}, mask); ")
        }
        StateDtype::Block8 => {
            let (of, chance) = (state.len(), chance(storage.state_rounding, i + 1));
            format!(
                "{{ let scale = atomicLoad(&scales[{of}u*block + {i}u]); store_{name}(at, after.{name}, scale, {chance}); }} "
            )
        }
    };
    wgsl += &format!("fn load(quad: u32, at: u32) -> State {{ return State({param}, {loads}); }}\n");
    wgsl += "fn store_moved(s: Scalars, quad: u32, at: u32, param: Quad, mask: Mask) {\n";
    wgsl += &format!("{param_stores} }}\n");
    if !in_blocks {
        let first = each(&|i, name| if i == 0 { store(i, name) } else { String::new() });
        let others = each(&|i, name| if i > 0 { store(i, name) } else { String::new() });
        wgsl += &format!("fn store_first(s: Scalars, at: u32, after: State, mask: Mask) {{ {first} }}\n");
        return wgsl + &format!("fn store_others(s: Scalars, at: u32, after: State, mask: Mask) {{ {others} }}\n");
    }
    let of = state.len();
    let notes = each(&|i, name| format!("atomicMax(&scales[{of}u*block + {i}u], block_scale(after.{name}, mask)); "));
    let scales = each(&|i, name| {
        format!("{name}[region.first_scale + at / BLOCK_QUADS] = atomicLoad(&scales[{of}u*block + {i}u]); ")
    });
    wgsl += &format!("const MEMORIES: u32 = {of}u;\n");
    wgsl += &format!("fn note(block: u32, after: State, mask: Mask) {{ {notes} }}\n");
    wgsl += &format!("fn store_scales(at: u32, block: u32) {{ {scales} }}\n");
    wgsl += "fn store_memories(s: Scalars, at: u32, block: u32, after: State, mask: Mask) {\n";
    wgsl + &format!("{} }}\n", each(&store))
}

/// The code of a moment in blocks of 8 bits.
fn code_name(kind: StateKind) -> Option<&'static str> {
    kind.scale().map(|_| if kind.code() == SIGNED { "SIGNED" } else { "UNSIGNED" })
}

/// The binding of codes with their scales behind them, a quad of codes in 32 bits. Behind a tensor's end they mean nothing.
fn blocks(kind: StateKind, code: &str) -> String {
    let (name, binding) = (kind.name(), kind.binding());
    format!(
        "@group(0) @binding({binding}) var<storage, read_write> {name}: array<u32>;\n\
         fn load_{name}(at: u32) -> Quad {{\n\
         return decoded({code}, unpacked_codes({name}[at]), {name}[region.first_scale + at / BLOCK_QUADS]); }}\n\
         fn store_{name}(at: u32, x: Quad, scale: u32, noise: Bits, stochastic: bool) {{\n\
         {name}[at] = packed_codes(encoded({code}, x, scale, noise, stochastic)); }}\n"
    )
}
