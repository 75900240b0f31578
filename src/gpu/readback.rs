//! The asynchronous readback. It works on native and in a browser, and does not block.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::ops::RangeBounds;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

use futures_intrusive::channel::shared::oneshot_channel;
use wgpu::{
    Buffer, BufferAddress, BufferDescriptor, BufferUsages, CommandEncoderDescriptor, Device, MapMode, PollError,
    PollStatus, PollType, Queue,
};

use crate::error::Error;
use crate::gpu::error_scopes::{BROWSER, ErrorScopes};

/// A range of a buffer. Its offset and its size in bytes are multiples of 4, and the buffer has usage `COPY_SRC`.
pub(crate) struct Source<'a> {
    pub buffer: &'a Buffer,
    pub offset: u64,
    pub bytes: u64,
}

/// Submits a copy of all sources now. The future resolves to their bytes, in order, when the device has finished the
/// copy.
pub(crate) fn read(
    device: &Device,
    queue: &Queue,
    what: &'static str,
    sources: &[Source],
) -> impl Future<Output = Result<Vec<u8>, Error>> + use<> {
    let bytes = sources.iter().map(|s| s.bytes).sum::<u64>();
    let scopes = ErrorScopes::open(device);
    let staging = device.create_buffer(&BufferDescriptor {
        label: Some("wgpu-adam readback"),
        size: bytes.max(4),
        usage: BufferUsages::COPY_DST | BufferUsages::MAP_READ,
        mapped_at_creation: false,
    });
    let mut encoder = device.create_command_encoder(&CommandEncoderDescriptor { label: Some("wgpu-adam readback") });
    let mut to = 0;
    for source in sources {
        encoder.copy_buffer_to_buffer(source.buffer, source.offset, &staging, to, source.bytes);
        to += source.bytes;
    }
    queue.submit([encoder.finish()]);
    let submitted = scopes.close("reading back");
    let device = device.clone();
    async move {
        submitted.await?;
        map(&device, &staging, MapMode::Read, ..).await.map_err(|reason| Error::Readback { what, reason })?;
        let mapped = staging.slice(..bytes).get_mapped_range();
        let contents = mapped.map_err(|e| Error::Readback { what, reason: e.to_string() })?.to_vec();
        staging.unmap();
        Ok(contents)
    }
}

/// Maps a buffer. On native the callback runs only when the device is polled. So each poll of this future polls the
/// device, without waiting, and asks to be polled again. In a browser the event loop runs the callback, and polling
/// again immediately would only delay it.
pub(crate) async fn map(
    device: &Device,
    buffer: &Buffer,
    mode: MapMode,
    range: impl RangeBounds<BufferAddress>,
) -> Result<(), String> {
    let (sender, receiver) = oneshot_channel();
    let scopes = ErrorScopes::open(device);
    buffer.map_async(mode, range, move |result| {
        // The receiver is gone only if the future was dropped. Then nobody needs the result.
        let _ = sender.send(result);
    });
    scopes.close("mapping").await.map_err(|e| e.to_string())?;
    let mut mapped = pin!(receiver.receive());
    poll_fn(|context| {
        if cfg!(not(target_arch = "wasm32"))
            && let Err(reason) = polled(|| device.poll(PollType::Poll))
        {
            return Poll::Ready(Err(reason));
        }
        match mapped.as_mut().poll(context) {
            Poll::Ready(Some(result)) => Poll::Ready(result.map_err(|e| e.to_string())),
            Poll::Ready(None) => Poll::Ready(Err("the callback was dropped".to_owned())),
            Poll::Pending => {
                if cfg!(not(target_arch = "wasm32")) {
                    context.waker().wake_by_ref();
                }
                Poll::Pending
            }
        }
    })
    .await
}

/// Returns an error if the device is lost. In a browser, a lost device reports no errors: it only cannot be read from.
pub(crate) async fn alive(device: &Device, what: &'static str) -> Result<(), Error> {
    if !BROWSER {
        return Ok(());
    }
    let usage = BufferUsages::COPY_DST | BufferUsages::MAP_READ;
    let descriptor = BufferDescriptor { label: Some("wgpu-adam alive"), size: 4, usage, mapped_at_creation: false };
    let mapped = map(device, &device.create_buffer(&descriptor), MapMode::Read, ..).await;
    mapped.map_err(|reason| Error::Device { what, reason: format!("the device is lost: {reason}") })
}

/// Polls the device and turns a panic into an error: wgpu 30 panics in a poll if the driver reports that the device is
/// lost. With `panic = "abort"` this cannot be caught.
fn polled(poll: impl FnOnce() -> Result<PollStatus, PollError>) -> Result<(), String> {
    match catch_unwind(AssertUnwindSafe(poll)) {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(panic) => Err(panic_message(&*panic)),
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("the device could not be polled").to_owned()
}

#[cfg(test)]
mod tests {
    use std::panic::panic_any;

    use super::*;

    /// No software driver can be made to lose its device in this way.
    #[test]
    fn a_panic_in_a_poll_is_an_error() {
        assert_eq!(polled(|| Ok(PollStatus::QueueEmpty)), Ok(()));
        let timeout = polled(|| Err(PollError::Timeout));
        assert_eq!(timeout, Err(PollError::Timeout.to_string()));
        assert_eq!(polled(|| panic!("lost")), Err("lost".to_owned()));
        assert_eq!(polled(|| panic!("lost: {}", 7)), Err("lost: 7".to_owned()));
        assert_eq!(polled(|| panic_any(7)), Err("the device could not be polled".to_owned()));
    }
}
