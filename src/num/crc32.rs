//! The checksum CRC-32 of ISO 3309. crc32fast has a table of 16 KiB that does not compress. Every page would download it,
//! so that a browser has the table of 1 KiB of another crate instead.

#[cfg(not(target_arch = "wasm32"))]
pub(crate) use crc32fast::Hasher as Crc32;
#[cfg(target_arch = "wasm32")]
pub(crate) use small::Crc32;

/// The checksum of some bytes.
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = Crc32::new();
    crc.update(bytes);
    crc.finalize()
}

#[cfg(target_arch = "wasm32")]
mod small {
    use crc::{CRC_32_ISO_HDLC, Crc, Digest};

    static TABLE: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

    pub(crate) struct Crc32(Digest<'static, u32>);

    impl Crc32 {
        pub(crate) fn new() -> Self {
            Self(TABLE.digest())
        }

        pub(crate) fn update(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }

        pub(crate) fn finalize(self) -> u32 {
            self.0.finalize()
        }
    }
}
