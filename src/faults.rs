//! The device's errors as ours: each use of it that could fail is under error scopes, so that none of them ends in the
//! handler of uncaptured errors, which panics.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use wgpu::{Device, ErrorFilter, ErrorScopeGuard};

use crate::Error;

/// Error scopes of all kinds, open until they are closed. They nest, and are of the thread that opened them.
pub(crate) struct Scopes {
    // In the order in which they are closed, also where they are dropped: they are a stack.
    validation: ErrorScopeGuard,
    internal: ErrorScopeGuard,
    memory: ErrorScopeGuard,
}

impl Scopes {
    pub fn open(device: &Device) -> Self {
        let memory = device.push_error_scope(ErrorFilter::OutOfMemory);
        let internal = device.push_error_scope(ErrorFilter::Internal);
        Self { validation: device.push_error_scope(ErrorFilter::Validation), internal, memory }
    }

    /// What went wrong since they were opened, the worst first; `what` says what was being done. On native the future is
    /// ready at once.
    pub fn close(self, what: &'static str) -> impl Future<Output = Result<(), Error>> + use<> {
        let (validation, internal, memory) = (self.validation.pop(), self.internal.pop(), self.memory.pop());
        async move {
            for found in [memory.await, internal.await, validation.await] {
                match found {
                    None => {}
                    Some(wgpu::Error::OutOfMemory { .. }) => return Err(Error::OutOfMemory { what }),
                    Some(
                        wgpu::Error::Internal { description: reason, .. }
                        | wgpu::Error::Validation { description: reason, .. },
                    ) => return Err(Error::Device { what, reason }),
                }
            }
            Ok(())
        }
    }
}

/// The outcome of a future that is ready, as those of error scopes are on native. In a browser it is not known yet; then
/// `None`, and an error is only logged by the browser.
pub(crate) fn at_once<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => Some(outcome),
        Poll::Pending => None,
    }
}
