// A launch, and what each of its workgroups owns. `LaunchUniform` in uniforms.rs, `Piece` in launch.rs. Twin: src/launch.rs.
// Words and elements are counted from the beginning of the param window.

struct Launch {
    word: u32,          // the first word, where all elements are of one span
    begin: u32,         // the span: elements begin..end
    end: u32,
    grad_shift: u32,    // what to add to a word to get that of the grad window
    pieces: u32,        // entries in the table, where there is one; of the norm kernel, which leaves a partial for each, anyway
    workgroup: u32,     // its first one, where the dispatch has several launches
    partial: u32,       // where its partials begin
    bad_bits: u32,      // magnitudes from here on are bad: all bits of an f32 but the sign
    grad_scale: f32,    // what an integer stands for
    salt: u32,          // of its noise: of the seed, and of each launch another
    first_scale: u32,   // where the scales begin in a buffer of 8-bit codes, in words of 4 bytes
    state: u32,         // where its words of the state begin
}

// What a workgroup owns: those elements of begin..end that are in its words, of which `word` is the first.
struct Piece {
    word: u32,
    begin: u32,
    end: u32,
    group: u32,
    shift: u32,         // what to add to a word to get that of the state, which has no gaps
}

fn inside(word: u32, begin: u32, end: u32) -> Mask {
    let e = elements(word);
    return (e >= Bits(begin)) & (e < Bits(end));
}
