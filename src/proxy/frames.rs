//! The boundaries of WebSocket frames (RFC 6455 5.2).
//!
//! Only headers are inspected: a tunnel forwards frames unchanged, but may insert one of its own only at a boundary.

/// Follows one direction of a WebSocket connection.
#[derive(Debug)]
pub(crate) struct FrameTracker {
    state: FrameState,
    closes: bool,
}

#[derive(Debug)]
enum FrameState {
    /// `have` bytes of a header have been read; none at a boundary.
    Header { bytes: [u8; LENGTH_END], have: usize },
    /// `left` bytes of masking key and payload are outstanding.
    Payload { left: u64, is_activity: bool },
}

/// The inspected part of a header: two fixed bytes and up to eight bytes of length. The masking key counts as payload.
const LENGTH_END: usize = 10;

/// The maximum payload of a heartbeat, in bytes: applications keep their sockets open with such data frames.
const HEARTBEAT: u64 = 2;

const BOUNDARY: FrameState = FrameState::Header { bytes: [0; LENGTH_END], have: 0 };

/// A piece of a frame, or the rest of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FramePiece {
    /// Its length in bytes.
    pub(crate) length: usize,
    /// Whether it belongs to a data frame that counts as activity of the user. Control frames do not, nor do heartbeats
    /// of at most [`HEARTBEAT`] bytes; `false` if that is not known yet.
    pub(crate) is_activity: bool,
}

impl FrameTracker {
    /// A tracker before the first frame.
    pub(crate) fn at_start() -> Self {
        Self { state: BOUNDARY, closes: false }
    }

    /// Whether the bytes so far are complete frames.
    pub(crate) fn at_boundary(&self) -> bool {
        matches!(self.state, FrameState::Header { have: 0, .. })
    }

    /// Whether a Close frame has begun: an end after that is a regular one.
    pub(crate) fn closes(&self) -> bool {
        self.closes
    }

    /// Reads the part of `bytes` that belongs to the current frame; all of it if the frame does not end there.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> FramePiece {
        let mut rest = bytes;
        while let Some((&first, after)) = rest.split_first() {
            match &mut self.state {
                FrameState::Header { bytes: header, have } => {
                    if let Some(place) = header.get_mut(*have) {
                        *place = first;
                    }
                    *have += 1;
                    rest = after;
                    if let Some(payload) = payload_of(header, *have) {
                        self.closes |= header[0] & 0x0f == CLOSE;
                        self.state = payload;
                    }
                }
                FrameState::Payload { left, .. } => {
                    let step = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                    *left -= step as u64;
                    rest = rest.get(step..).unwrap_or_default();
                }
            }
            if let FrameState::Payload { left: 0, is_activity } = self.state {
                self.state = BOUNDARY;
                return FramePiece { length: bytes.len() - rest.len(), is_activity };
            }
        }
        FramePiece {
            length: bytes.len(),
            is_activity: matches!(self.state, FrameState::Payload { is_activity: true, .. }),
        }
    }

    /// Reads all of `bytes`. Returns whether any of them count as activity.
    pub(crate) fn take_all(&mut self, mut bytes: &[u8]) -> bool {
        let mut any_activity = false;
        while !bytes.is_empty() {
            let piece = self.take(bytes);
            any_activity |= piece.is_activity;
            bytes = bytes.get(piece.length..).unwrap_or_default();
        }
        any_activity
    }
}

/// The opcode of a Close frame.
const CLOSE: u8 = 8;

/// The payload state after a header of which `have` bytes have been read; `None` while its length is unknown.
fn payload_of(header: &[u8; LENGTH_END], have: usize) -> Option<FrameState> {
    let [first, second, extended @ ..] = header;
    let (length, end) = match second & 0x7f {
        126 => (u64::from(u16::from_be_bytes([extended[0], extended[1]])), 4),
        127 => (u64::from_be_bytes(*extended), LENGTH_END),
        short => (u64::from(short), 2),
    };
    let masking_key = if second & 0x80 == 0 { 0 } else { 4 };
    // Control frames have the highest bit of the opcode set (5.5); reserved non-control opcodes count as data.
    let is_activity = first & 0x08 == 0 && length > HEARTBEAT;
    (have >= end).then_some(FrameState::Payload { left: length.saturating_add(masking_key), is_activity })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(opcode: u8, masked: bool, payload: usize) -> Vec<u8> {
        let mask_bit = if masked { 0x80 } else { 0 };
        let mut bytes = vec![0x80 | opcode];
        match payload {
            0..=125 => bytes.push(mask_bit | payload as u8),
            126..=0xffff => {
                bytes.push(mask_bit | 126);
                bytes.extend((payload as u16).to_be_bytes());
            }
            _ => {
                bytes.push(mask_bit | 127);
                bytes.extend((payload as u64).to_be_bytes());
            }
        }
        let body = payload + if masked { 4 } else { 0 };
        // If the tracker loses count, 0x81 looks like a header.
        bytes.extend(std::iter::repeat_n(0x81, body));
        bytes
    }

    #[test]
    fn each_kind_of_length_ends_where_it_ends() {
        for payload in [0, 1, 125, 126, 127, 65_535, 65_536, 70_000] {
            for masked in [false, true] {
                let one = frame(2, masked, payload);
                let mut two = one.clone();
                two.extend(frame(9, masked, 3));
                let mut tracker = FrameTracker::at_start();
                let piece = tracker.take(&two);
                assert_eq!(piece, FramePiece { length: one.len(), is_activity: payload > 2 }, "{payload} {masked}");
                assert!(tracker.at_boundary());
                assert!(!tracker.take_all(&two[one.len()..]));
                assert!(tracker.at_boundary());
            }
        }
    }

    #[test]
    fn data_and_control_frames_are_distinguished() {
        for opcode in 0..16 {
            let mut tracker = FrameTracker::at_start();
            assert_eq!(tracker.take_all(&frame(opcode, true, 20)), opcode < 8, "opcode {opcode}");
            assert_eq!(tracker.closes(), opcode == 8, "opcode {opcode}");
        }
    }

    #[test]
    fn the_largest_length_does_not_overflow() {
        let mut tracker = FrameTracker::at_start();
        let mut bytes = vec![0x82, 0xff];
        bytes.extend([0xff; 8]);
        tracker.take_all(&bytes);
        tracker.take_all(&[0; 100]);
        assert!(!tracker.at_boundary());
    }

    proptest! {
        #[test]
        fn boundaries_do_not_depend_on_the_reads(
            frames in prop::collection::vec(
                (0u8..16, any::<bool>(), prop_oneof![0usize..300, 65_000usize..66_000]),
                1..6,
            ),
            cuts in prop::collection::vec(1usize..5000, 1..40),
        ) {
            let frames: Vec<_> = frames.iter().map(|&(opcode, masked, length)| frame(opcode, masked, length)).collect();
            let mut expected = Vec::new();
            let mut at = 0;
            for frame in &frames {
                at += frame.len();
                expected.push(at);
            }
            let stream = frames.concat();
            let mut tracker = FrameTracker::at_start();
            let (mut found, mut at, mut cut) = (Vec::new(), 0, cuts.iter().cycle());
            while at < stream.len() {
                let end = (at + cut.next().unwrap()).min(stream.len());
                while at < end {
                    at += tracker.take(&stream[at..end]).length;
                    if tracker.at_boundary() {
                        found.push(at);
                    }
                }
            }
            prop_assert_eq!(found, expected);
        }
    }
}
