//! One step of a sequence, made of a few bytes: from proptest, or from a fuzzer.

/// The bytes of one operation.
pub const SIZE: usize = 7;

pub const BUFFERS: usize = 4;

/// What is done to the buffer `on`. `n` and `m` are brought into the range that fits by who runs
/// it, `seed` chooses bytes.
#[derive(Clone, Copy)]
pub struct Op {
    pub kind: Kind,
    pub on: usize,
    /// The other buffer, where the operation has two.
    pub other: usize,
    pub n: usize,
    pub m: usize,
    pub seed: u8,
}

impl Op {
    pub fn decode(bytes: [u8; SIZE]) -> Op {
        let [kind, buffers, n0, n1, m0, m1, seed] = bytes;
        let on = usize::from(buffers) % BUFFERS;
        let step = usize::from(buffers) / BUFFERS % (BUFFERS - 1) + 1;
        Op {
            kind: KINDS[usize::from(kind) % KINDS.len()],
            on,
            other: (on + step) % BUFFERS,
            n: u16::from_le_bytes([n0, n1]).into(),
            m: u16::from_le_bytes([m0, m1]).into(),
            seed,
        }
    }

    /// How many bytes to add: mostly few.
    pub fn size(&self) -> usize {
        match self.n >> 14 {
            0..3 => self.n % 40,
            _ => self.n % 6000,
        }
    }
}

impl std::fmt::Debug for Op {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Op {
            kind,
            on,
            other,
            n,
            m,
            seed,
        } = self;
        write!(
            f,
            "{kind:?} on {on}, other {other}, n {n}, m {m}, seed {seed}"
        )
    }
}

macro_rules! kinds {
    ($($kind:ident)*) => {
        #[derive(Debug, Clone, Copy)]
        pub enum Kind { $($kind),* }

        const KINDS: &[Kind] = &[$(Kind::$kind),*];
    };
}

kinds! {
    Append Prepend AppendVectored AppendStatic AppendShared FromVec
    AppendWith AppendVectoredWith Reserve ReserveAndAdd
    AppendBuffer PrependBuffer MoveTo SplitTo
    Drain Remove Read Consume Clear Replace
    ReadLine ReadLineLimited
    Copy Chunks MakeContiguous Find FindEol
    Share ShareAll AppendSharedBuffer DropShared AppendBufferReference
    NewSegment AppendSegment
    Freeze Thaw
    Transfer ThroughC StopWatching Format
    ReserveByC EmptyByC
}

/// `len` bytes with many ends of lines among them.
pub fn bytes(seed: u8, len: usize) -> Vec<u8> {
    const ALPHABET: &[u8; 16] = b"abc\r\n\0\r\nxyz\xff\n\r12";
    let mut state = u32::from(seed)
        .wrapping_mul(2_654_435_761)
        .wrapping_add(12345);
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ALPHABET[(state >> 28) as usize]
    };
    (0..len).map(|_| next()).collect()
}
