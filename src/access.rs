//! How a word of a buffer is loaded and stored: the WGSL that is generated for each binding.

/// What is bound where. A binding that an entry point does not use is not in its list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    Uniform,
    Read,
    Write,
}

/// Where a word is, in terms of `word`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum At {
    /// All in one piece.
    Word(&'static str),
    /// Its first element, and the others behind it.
    Element(&'static str),
}

/// One buffer of f32.
pub(crate) struct Access {
    pub name: &'static str,
    pub binding: u32,
    pub bound: Bound,
    pub at: At,
    /// A word may be shared with a neighbour. Its elements are then not written, not even with their own values, since
    /// another workgroup may be writing them.
    pub edges: bool,
}

impl Access {
    /// The binding, `load_name(word)`, and `store_name(word, x, mask)` where it is written.
    pub fn wgsl(&self) -> String {
        let Self { name, binding, .. } = self;
        let access = if self.bound == Bound::Write { "read_write" } else { "read" };
        let (element, at, load) = match self.at {
            At::Word(at) => ("Word", at, format!("{name}[at]")),
            At::Element(at) => {
                ("f32", at, format!("Word({name}[at], {name}[at + 1u], {name}[at + 2u], {name}[at + 3u])"))
            }
        };
        let mut wgsl = format!("@group(0) @binding({binding}) var<storage, {access}> {name}: array<{element}>;\n");
        wgsl += &format!("fn load_{name}(word: u32) -> Word {{ let at = {at}; return {load}; }}\n");
        if self.bound == Bound::Write {
            wgsl += &format!("fn store_{name}(word: u32, x: Word, mask: Mask) {{ let at = {at}; {} }}\n", self.store());
        }
        wgsl
    }

    fn store(&self) -> String {
        let name = self.name;
        let lane = |i: usize| {
            let lane = ["x", "y", "z", "w"][i];
            let element = match self.at {
                At::Word(_) => format!("[at].{lane}"),
                At::Element(_) => format!("[at + {i}u]"),
            };
            format!("if mask.{lane} {{ {name}{element} = x.{lane}; }} ")
        };
        let lanes: String = (0..4).map(lane).collect();
        match self.at {
            At::Word(_) if !self.edges => format!("{name}[at] = x;"),
            At::Word(_) => format!("if all(mask) {{ {name}[at] = x; return; }} {lanes}"),
            At::Element(_) => lanes,
        }
    }
}
