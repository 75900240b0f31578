//! What the exchange needs of the place where parameters and gradients are.

use crate::error::Error;
use crate::layout::Span;

/// Parameters or gradients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    Param,
    Grad,
}

/// Where parameters and gradients are: on the host or on a device. Reads are begun, and taken in the same order.
pub(crate) trait Memory {
    /// Begins to read spans into a piece of that many bytes. Bytes in no span are zero.
    fn read(&mut self, which: Which, spans: &[Span], bytes: u64);
    /// Lets reads go on, without waiting.
    fn poll(&mut self);
    /// Waits for the oldest read, and returns its piece.
    fn take(&mut self) -> Result<Vec<u8>, Error>;
    /// Writes spans of a piece.
    fn write(&mut self, which: Which, spans: &[Span], piece: &[u8]) -> Result<(), Error>;
}
