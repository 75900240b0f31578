//! The optimizer in a browser: GPU and twin run side by side in one page, and must be equal to the last bit. The scenes are
//! those of the native tests.

use wasm_bindgen::prelude::*;

mod faults;
mod parity;
#[allow(dead_code, unused_imports, reason = "the native tests use more of it")]
#[path = "../../../tests/it/scene/mod.rs"]
mod scene;
mod state;

macro_rules! tests {
    ($($module:ident: $($name:ident)*;)*) => {
        /// The names of the tests.
        #[wasm_bindgen]
        pub fn tests() -> Vec<String> {
            vec![$($(stringify!($name).to_owned()),*),*]
        }

        /// Runs a test on a device of its own. One that fails panics, and the page must be loaded again.
        #[wasm_bindgen]
        pub async fn run(name: String) {
            let gpu = scene::Gpu::new().await;
            match name.as_str() {
                $($(stringify!($name) => $module::$name(&gpu).await,)*)*
                _ => panic!("there is no test {name}"),
            }
            gpu.device.destroy();
        }
    };
}

tests! {
    parity:
        every_variant_agrees_with_the_twin
        every_format_agrees_with_the_twin
        every_format_with_8_bit_moments_agrees_with_the_twin
        every_clipping_agrees_with_the_twin
        a_nan_skips_the_step_and_is_named
        every_schedule_has_the_same_rates
        a_loss_scale_moves_alike
        two_optimizers_share_a_loss_scale
        inactive_tensors_stay_as_they_are
        parameters_stay_within_their_bounds
        a_probe_measures_alike
        tensors_come_and_go
        a_large_tensor_agrees_in_many_steps_of_one_submission;
    state:
        a_state_is_transferred_in_pieces
        damaged_bytes_are_an_error_and_change_nothing;
    faults:
        an_error_that_arrives_later_is_returned
        a_refused_allocation_is_out_of_memory
        a_change_that_fails_later_is_taken_back
        an_unchecked_error_reaches_the_scope_of_the_caller
        a_destroyed_buffer_leaves_the_state_intact
        a_lost_device_is_an_error;
}

#[wasm_bindgen(start)]
fn start() {
    std::panic::set_hook(Box::new(|panic| web_sys::console::error_1(&panic.to_string().into())));
}
