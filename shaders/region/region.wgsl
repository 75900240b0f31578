// A region, and what each of its workgroups owns. `RegionUniform` in uniforms.rs, `Tile` in region.rs. Twin: src/region.rs.
// Words and elements are counted from the beginning of the param window.

struct Region {
    quad: u32,          // the first quad, where all elements are of one span
    begin: u32,         // the span: elements begin..end
    end: u32,
    grad_shift: u32,    // what to add to a quad to get that of the grad window
    tiles: u32,        // entries in the table, where there is one; of the norm kernel, which leaves a partial for each, anyway
    workgroup: u32,     // its first one, where the dispatch has several regions
    partial: u32,       // where its partials begin
    nonfinite_bits: u32,      // magnitudes from here on are bad: all bits of an f32 but the sign
    grad_scale: f32,    // what an integer stands for
    stream_seed: u32,          // of its noise: of the seed, and of each region another
    first_scale: u32,   // where the scales begin in a buffer of 8-bit codes, in quads of 4 bytes
    state: u32,         // where its quads of the state begin
}

// What a workgroup owns: those elements of begin..end that are in its quads, of which `quad` is the first.
struct Tile {
    quad: u32,
    begin: u32,
    end: u32,
    clock: u32,
    shift: u32,         // what to add to a quad to get that of the state, which has no gaps
}

fn inside(quad: u32, begin: u32, end: u32) -> Mask {
    let e = elements(quad);
    return (e >= Bits(begin)) & (e < Bits(end));
}
