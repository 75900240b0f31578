//! Turns the device's errors into [`Error`]s. Each fallible use of the device is inside error scopes. Otherwise an
//! error would reach the handler of uncaptured errors, which panics.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use wgpu::{Device, ErrorFilter, ErrorScopeGuard};

use crate::error::Error;

/// Whether the device is that of a browser, which reports errors only after a turn of the event loop.
pub(crate) const BROWSER: bool = cfg!(target_arch = "wasm32");

/// Error scopes of all kinds. They nest, and belong to the thread that opened them.
pub(crate) struct ErrorScopes {
    // Scopes are a stack. Fields are dropped in this order, which is the reverse of the order in which scopes are
    // opened.
    validation: ErrorScopeGuard,
    /// None in a browser: wgpu 30 panics there when an internal error reaches a scope.
    internal: Option<ErrorScopeGuard>,
    memory: ErrorScopeGuard,
}

impl ErrorScopes {
    pub fn open(device: &Device) -> Self {
        let memory = device.push_error_scope(ErrorFilter::OutOfMemory);
        let internal = (!BROWSER).then(|| device.push_error_scope(ErrorFilter::Internal));
        Self { validation: device.push_error_scope(ErrorFilter::Validation), internal, memory }
    }

    /// What went wrong since they were opened, the worst first; `what` says what was being done. On native the future
    /// is ready at once.
    pub fn close(self, what: &'static str) -> impl Future<Output = Result<(), Error>> + use<> {
        let validation = self.validation.pop();
        let internal = self.internal.map(ErrorScopeGuard::pop);
        let memory = self.memory.pop();
        async move {
            let internal = match internal {
                Some(internal) => internal.await,
                None => None,
            };
            for found in [memory.await, internal, validation.await] {
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

/// The outcome of a future that is ready, as the futures of error scopes are on native.
pub(crate) fn now_or_none<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => Some(outcome),
        Poll::Pending => None,
    }
}
