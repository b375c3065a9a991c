//! The serialised form of a vault in a store: byte strings preceded by their length, numbers of eight bytes (big
//! endian), lists preceded by their count. The first byte is the version of the format.

use zeroize::Zeroizing;

/// The current version of the format.
const FORM: u8 = 1;
/// The maximum number of entries of a list: far more than the limits of a vault allow.
const MAX_ENTRIES: u64 = 1024;

/// A serialiser. Its output is secret, so it is overwritten when it is dropped.
pub(super) struct Encoder(Zeroizing<Vec<u8>>);

/// A parser for the output of an [`Encoder`]. Its methods return `None` if the data is damaged.
pub(super) struct Decoder<'a>(&'a [u8]);

impl Encoder {
    pub(super) fn new() -> Self {
        Self(Zeroizing::new(vec![FORM]))
    }

    pub(super) fn put_number(&mut self, number: u64) {
        self.0.extend_from_slice(&number.to_be_bytes());
    }

    pub(super) fn put_bytes(&mut self, bytes: &[u8]) {
        self.put_number(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    pub(super) fn put_list<'e, E: 'e>(
        &mut self,
        entries: impl IntoIterator<Item = &'e E, IntoIter: ExactSizeIterator>,
        mut put: impl FnMut(&'e E, &mut Self),
    ) {
        let entries = entries.into_iter();
        self.put_number(entries.len() as u64);
        entries.for_each(|entry| put(entry, self));
    }

    pub(super) fn into_bytes(self) -> Zeroizing<Vec<u8>> {
        self.0
    }
}

impl<'a> Decoder<'a> {
    /// `None` if the format is of another version.
    pub(super) fn new(saved: &'a [u8]) -> Option<Self> {
        saved.strip_prefix(&[FORM]).map(Self)
    }

    pub(super) fn number(&mut self) -> Option<u64> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_be_bytes(*number))
    }

    pub(super) fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    pub(super) fn list<E>(&mut self, mut entry: impl FnMut(&mut Self) -> Option<E>) -> Option<Vec<E>> {
        let count = self.number().filter(|count| *count <= MAX_ENTRIES)?;
        (0..count).map(|_| entry(self)).collect()
    }

    /// Whether all data was read.
    pub(super) fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }
}
