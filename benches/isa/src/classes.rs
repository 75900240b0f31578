//! Counts the instructions of a kernel by class, in the machine code as text.

/// Instructions of one invocation. What is in a loop counts once.
#[derive(Clone, Copy, Default)]
pub struct Counts {
    /// Arithmetic, comparisons and conversions of f32.
    pub float: u32,
    /// All other vector arithmetic: integers, selects and moves.
    pub integer: u32,
    /// Products of integers, which AMD's cards compute at a quarter of the rate.
    pub product: u32,
    /// Roots and reciprocals.
    pub transcendental: u32,
    /// Loads and stores of buffers and of workgroup memory.
    pub memory: u32,
    /// What a wave does once for all of its invocations, with branches and waits.
    pub scalar: u32,
}

impl Counts {
    pub fn of(assembly: &str) -> Self {
        let mut counts = Self::default();
        for name in assembly.lines().filter_map(|line| line.strip_prefix('\t')?.split_whitespace().next()) {
            let class = match name {
                _ if name.starts_with("s_") => &mut counts.scalar,
                _ if !name.starts_with("v_") => &mut counts.memory,
                _ if ["v_rcp", "v_rsq", "v_sqrt", "v_exp", "v_log"].iter().any(|slow| name.starts_with(slow)) => {
                    &mut counts.transcendental
                }
                _ if ["v_mul_lo", "v_mul_hi", "v_mad_u64"].iter().any(|slow| name.starts_with(slow)) => {
                    &mut counts.product
                }
                _ if name.contains("_f32") => &mut counts.float,
                _ => &mut counts.integer,
            };
            *class += 1;
        }
        counts
    }

    pub fn each(self) -> [u32; 6] {
        [self.float, self.integer, self.product, self.transcendental, self.memory, self.scalar]
    }
}
