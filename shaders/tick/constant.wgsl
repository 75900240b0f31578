// The learning rate's factor where no group has a schedule. `schedule.wgsl` is for those that have.

fn factor(s: Settings, t: u32) -> f32 {
    return 1.0;
}
