//! How a state moves between device and host.

use std::fmt;

/// How a state is read or loaded.
///
/// ```
/// use wgpu_adam::state::Transfer;
/// let transfer = Transfer::default().with_progress(|done, total| println!("{done} of {total} bytes"));
/// assert_eq!(transfer.staging_bytes, 64 << 20);
/// ```
pub struct Transfer {
    /// Bytes of the staging buffer, which is all that is mapped at once, however large the state: 64 MiB. It is rounded to
    /// a multiple of 4, and kept within what the device allows a buffer.
    pub staging_bytes: u64,
    /// Called after each piece with the bytes that are done and those that there are.
    pub progress: Progress,
}

/// See [`Transfer`].
pub type Progress = Box<dyn FnMut(u64, u64) + Send>;

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
    /// With another size of the staging buffer.
    #[must_use]
    pub fn with_staging_bytes(mut self, bytes: u64) -> Self {
        self.staging_bytes = bytes;
        self
    }

    /// With that callback.
    #[must_use]
    pub fn with_progress(mut self, progress: impl FnMut(u64, u64) + Send + 'static) -> Self {
        self.progress = Box::new(progress);
        self
    }
}
