//! How a state moves between device and host.

use std::fmt;

use wgpu::WasmNotSend;

/// Options for reading and loading a [`State`](crate::State): the size of the staging buffer, and a progress callback.
///
/// ```
/// use wgpu_adam::state::Transfer;
/// let transfer = Transfer::default().with_progress(|done, total| println!("{done} of {total} bytes"));
/// assert_eq!(transfer.staging_bytes, 64 << 20);
/// ```
pub struct Transfer {
    /// The size of the staging buffer in bytes. It bounds the host-visible memory, however large the state is. It is
    /// rounded to a multiple of 4 and limited to what the device allows. Default: 64 MiB.
    pub staging_bytes: u64,
    /// The progress callback: see [`with_progress`](Self::with_progress). Default: none.
    pub progress: Progress,
}

/// A progress callback of a [`Transfer`]. Its arguments are the bytes that are done and the total. On wasm32 it need not
/// be `Send`.
#[cfg(not(target_arch = "wasm32"))]
pub type Progress = Box<dyn FnMut(u64, u64) + Send>;
/// A progress callback of a [`Transfer`]. Its arguments are the bytes that are done and the total.
#[cfg(target_arch = "wasm32")]
pub type Progress = Box<dyn FnMut(u64, u64)>;

impl Default for Transfer {
    fn default() -> Self {
        Self { staging_bytes: 64 << 20, progress: Box::new(|_, _| {}) }
    }
}

impl fmt::Debug for Transfer {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_struct("Transfer").field("staging_bytes", &self.staging_bytes).finish_non_exhaustive()
    }
}

impl Transfer {
    /// Sets the size of the staging buffer in bytes.
    #[must_use]
    pub fn with_staging_bytes(mut self, bytes: u64) -> Self {
        self.staging_bytes = bytes;
        self
    }

    /// Sets the progress callback. It is called after each piece with the bytes that are done and the total. On wasm32 it
    /// need not be `Send`.
    #[must_use]
    pub fn with_progress(mut self, progress: impl FnMut(u64, u64) + WasmNotSend + 'static) -> Self {
        self.progress = Box::new(progress);
        self
    }
}
