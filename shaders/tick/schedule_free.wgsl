// What `tick` does for Schedule-Free. Twin: src/tick/powers.rs and src/cpu/tick.rs.

// Adds the weight of a step to the sum of Schedule-Free: the square of the largest learning rate so far. The stored
// sum is divided by the last weight, so that it grows by 1, and is rescaled when the largest rate grows.
fn weighed(s: Settings, now: Powers, lr: f32) -> Powers {
    var next = now;
    if s.time_law != SCHEDULE_FREE {
        return next;
    }
    let before = bitcast<f32>(now.product.x);
    if lr > before {
        let ratio = (before / lr) * (before / lr);
        if ratio < 1.0 {
            next.gamma_t = product(now.gamma_t, of_f32(ratio));
        }
        next.product = vec2<u32>(bitcast<u32>(lr), 0u);
    }
    if next.product.x != 0u {
        let sum = plus(next.gamma_t, vec2<u32>(0u, 1u));
        next.gamma_t = select(sum, vec2<u32>(0xffffffffu), vec2<bool>(sum.y == 0u));
    }
    return next;
}

// The weight of the last step over the sum of the weights.
fn newest_weight(powers: Powers) -> f32 {
    if powers.gamma_t.x == 0u && powers.gamma_t.y == 0u {
        return 0.0;
    }
    return 1.0 / 4294967296.0 / fraction(powers.gamma_t);
}

// Skips a step if the params are those for evaluation, since its gradients are not those of the params for training.
fn skip_evaluation() -> bool {
    if clock.evaluating == 0u {
        return false;
    }
    skip = 1u;
    clock.clip_coef = 1.0;
    clock.last_skipped = 1u;
    clock.nonfinite_partial = NONE;
    clock.skipped += select(1u, 0u, clock.skipped == 0xffffffffu);
    return true;
}
