/// How much an upload may have, besides the server's own limit of the body.
///
/// ```
/// use libevent2::http::multipart::Limits;
///
/// let limits = Limits::new().parts(3).part_bytes(5 << 20);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub(super) parts: usize,
    pub(super) header_bytes: usize,
    pub(super) part_bytes: u64,
    pub(super) total_bytes: u64,
}

impl Limits {
    /// 1000 parts with heads of 8 KiB, of any length.
    pub fn new() -> Self {
        Limits {
            parts: 1000,
            header_bytes: 8 << 10,
            part_bytes: u64::MAX,
            total_bytes: u64::MAX,
        }
    }

    /// The most parts.
    #[must_use]
    pub fn parts(mut self, parts: usize) -> Self {
        self.parts = parts;
        self
    }

    /// The most bytes of a part's head, which is held in memory.
    #[must_use]
    pub fn header_bytes(mut self, bytes: usize) -> Self {
        self.header_bytes = bytes;
        self
    }

    /// The most bytes of a part.
    #[must_use]
    pub fn part_bytes(mut self, bytes: u64) -> Self {
        self.part_bytes = bytes;
        self
    }

    /// The most bytes of all parts together, without their heads.
    #[must_use]
    pub fn total_bytes(mut self, bytes: u64) -> Self {
        self.total_bytes = bytes;
        self
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits::new()
    }
}
