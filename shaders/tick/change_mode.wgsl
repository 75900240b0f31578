// Makes the scalars of a change between the params for training, y, and those for evaluation, x: see
// `Variant::ScheduleFree` in src/config/variant.rs. Twin: src/cpu/modes.rs.

// What is added to y, as a multiple of z - y, and subtracted from x.
fn change_of(i: u32) -> f32 {
    let before = clock.clocks[i].to_average;
    if !TO_EVAL {
        clock.clocks[i].to_average = 0.0;
        return -before;
    }
    if clock.evaluating != 0u || settings[i].time_law != SCHEDULE_FREE {
        return 0.0;
    }
    let change = -complement(settings[i].beta1) / fraction(settings[i].beta1);
    clock.clocks[i].to_average = change;
    return change;
}

@compute @workgroup_size(WORKGROUP)
fn change_mode(@builtin(local_invocation_index) index: u32) {
    for (var i = index; i < control.clocks; i += WORKGROUP) {
        let change = change_of(i);
        scalar_slots[i].scalars.do_step = select(0u, 1u, change != 0.0);
        scalar_slots[i].scalars.newest_weight = change;
    }
    storageBarrier();
    if index == 0u {
        clock.evaluating = select(0u, 1u, TO_EVAL);
    }
}
