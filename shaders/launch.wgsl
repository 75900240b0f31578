// One launch: which elements it owns, and where its spans are listed if they are several. `Launch` in kernels.rs.

struct Launch {
    begin: u32,         // elements begin..end of the launch, counted from its first word
    end: u32,
    words: u32,
    param_word: u32,    // words before the first one in the param window
    grad_word: u32,     // and in the grad window
    blocks: u32,        // entries in the table before the spans
    partial: u32,       // where the norm's partials of this launch begin
    workgroups: u32,    // the norm's workgroups
    bad_bits: u32,      // magnitudes from here on are bad: all bits of an f32 but the sign
    pad0: u32,
    pad1: u32,
    pad2: u32,
}

@group(0) @binding(0) var<uniform> launch: Launch;

// For each block of TABLE_WORDS words the first span that ends after the block's first element; then begin, end and
// group of each span; then a span that begins after everything.
@group(0) @binding(7) var<storage, read> table: array<u32>;

fn first_span(word: u32) -> u32 {
    return launch.blocks + 3u * table[word / TABLE_WORDS];
}

fn inside(word: u32, begin: u32, end: u32) -> Mask {
    let e = elements(word);
    return (e >= Bits(begin)) & (e < Bits(end));
}
