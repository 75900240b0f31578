//! The bar that shows how far a training is.

use indicatif::{ProgressBar, ProgressStyle};

pub fn progress(minibatches: u64) -> ProgressBar {
    let template = "{bar:40} {pos}/{len} minibatches, {eta} left";
    ProgressBar::new(minibatches).with_style(ProgressStyle::with_template(template).expect("a valid template"))
}
