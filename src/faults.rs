//! The device's errors as ours: each use of it that could fail is under error scopes, so that none of them ends in the
//! handler of uncaptured errors, which panics.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use wgpu::{Device, ErrorFilter};

use crate::Error;

/// Does something with the device; the future says what went wrong, the worst first. On native it is ready at once.
pub(crate) fn scoped<T>(
    device: &Device,
    what: &'static str,
    f: impl FnOnce() -> T,
) -> (T, impl Future<Output = Result<(), Error>> + use<T>) {
    let memory = device.push_error_scope(ErrorFilter::OutOfMemory);
    let internal = device.push_error_scope(ErrorFilter::Internal);
    let validation = device.push_error_scope(ErrorFilter::Validation);
    let result = f();
    // The last first, as they are a stack.
    let (validation, internal, memory) = (validation.pop(), internal.pop(), memory.pop());
    let outcome = async move {
        for found in [memory.await, internal.await, validation.await] {
            match found {
                None => {}
                Some(wgpu::Error::OutOfMemory { .. }) => return Err(Error::OutOfMemory { what }),
                Some(wgpu::Error::Internal { description: reason, .. } | wgpu::Error::Validation { description: reason, .. }) => {
                    return Err(Error::Device { what, reason });
                }
            }
        }
        Ok(())
    };
    (result, outcome)
}

/// The outcome of a future that is ready, as those of error scopes are on native. In a browser it is not known yet; then
/// `None`, and an error is only logged by the browser.
pub(crate) fn at_once<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => Some(outcome),
        Poll::Pending => None,
    }
}
