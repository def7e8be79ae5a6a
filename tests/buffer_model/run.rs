//! Each operation, on a buffer and on its model.

use super::naive::{self, EOLS};
use super::op::{Kind, Op, bytes};
use super::owners::{self, STATIC};
use super::{Side, World, answer, watch};
use libevent2::buffer::{End, FileSegment, SharedBuffer};
use libevent2::{Buffer, Error, ffi};
use std::io::{BufRead, IoSlice, Read, Write};
use std::ptr;

impl World {
    pub(super) fn run(&mut self, op: Op) {
        match op.kind {
            Kind::AppendBuffer
            | Kind::PrependBuffer
            | Kind::MoveTo
            | Kind::SplitTo
            | Kind::AppendBufferReference
            | Kind::Transfer => self.run_two(op),
            Kind::Share | Kind::ShareAll | Kind::AppendSharedBuffer | Kind::DropShared => {
                self.run_shared(op);
            }
            Kind::NewSegment | Kind::AppendSegment => self.run_segment(op),
            Kind::AppendShared => {
                let bytes = bytes(op.seed, op.size());
                let owner = self.owners.owner(&bytes);
                let side = &mut self.sides[op.on];
                let frozen = side.frozen_back && !bytes.is_empty();
                if answer(side.buffer.append_shared(owner), frozen).is_some() {
                    side.model.extend(bytes);
                }
            }
            _ => self.sides[op.on].run(op),
        }
    }

    fn run_two(&mut self, op: Op) {
        let [on, other] = self.sides.get_disjoint_mut([op.on, op.other]).unwrap();
        let n = position(op.n, on.model.len());
        match op.kind {
            Kind::AppendBuffer => {
                let frozen = (on.frozen_back || other.frozen_front) && !other.model.is_empty();
                if answer(on.buffer.append_buffer(&mut other.buffer), frozen).is_some() {
                    on.model.append(&mut other.model);
                }
            }
            Kind::PrependBuffer => {
                let frozen = (on.frozen_front || other.frozen_front) && !other.model.is_empty();
                if answer(on.buffer.prepend_buffer(&mut other.buffer), frozen).is_some() {
                    on.model.splice(..0, other.model.drain(..));
                }
            }
            Kind::MoveTo => {
                let moved = n.min(on.model.len());
                let frozen = (on.frozen_front || other.frozen_back) && moved > 0;
                let result = on.buffer.move_to(&mut other.buffer, n);
                if let Some(n) = answer(result, frozen) {
                    assert_eq!(n, moved);
                    other.model.extend(on.model.drain(..n));
                }
            }
            Kind::SplitTo => {
                let moved = n.min(on.model.len());
                let frozen = on.frozen_front && moved > 0;
                if let Some(front) = answer(on.buffer.split_to(n), frozen) {
                    *other = Side::new(front, on.model.drain(..moved).collect());
                }
            }
            Kind::AppendBufferReference => {
                let frozen = (on.frozen_back || other.frozen_front) && !other.model.is_empty();
                let result = on.buffer.append_buffer_reference(&mut other.buffer);
                if answer(result, frozen).is_some() {
                    on.model.extend_from_slice(&other.model);
                }
            }
            Kind::Transfer => transfer(op, on, other),
            _ => unreachable!("{op:?}"),
        }
    }

    fn run_shared(&mut self, op: Op) {
        let side = &mut self.sides[op.on];
        let n = op.n % self.shared.len().max(1);
        match op.kind {
            Kind::Share => {
                let frozen = side.frozen_front && !side.model.is_empty();
                if let Some(shared) = answer(side.buffer.share(), frozen) {
                    self.shared.push((shared, side.model.clone()));
                }
            }
            Kind::ShareAll => {
                let side = std::mem::replace(side, Side::new(Buffer::new(), Vec::new()));
                self.shared
                    .push((SharedBuffer::from(side.buffer), side.model));
            }
            Kind::AppendSharedBuffer => {
                let Some((shared, model)) = self.shared.get(n) else {
                    return;
                };
                let frozen = side.frozen_back && !model.is_empty();
                if answer(side.buffer.append_shared_buffer(shared), frozen).is_some() {
                    side.model.extend(model);
                }
            }
            Kind::DropShared if !self.shared.is_empty() => drop(self.shared.swap_remove(n)),
            _ => {}
        }
        self.shared.truncate(8);
    }

    fn run_segment(&mut self, op: Op) {
        if matches!(op.kind, Kind::NewSegment) || self.segment.is_none() {
            let (file, contents) = owners::file();
            let start = op.n % contents.len();
            let end = start + op.m % (contents.len() - start + 1);
            let file = file.try_clone().unwrap();
            let segment = FileSegment::new(file, start as u64..end as u64).unwrap();
            let token = self.owners.token();
            segment.on_release(|| drop(token));
            self.segment = Some((segment, contents[start..end].to_vec()));
        }
        let Some((segment, contents)) = &self.segment else {
            return;
        };
        let side = &mut self.sides[op.on];
        let start = position(op.m, contents.len());
        let end = start + op.size();
        let result = side
            .buffer
            .append_segment(segment, start as u64..end as u64);
        let Some(part) = contents.get(start..end) else {
            assert!(matches!(result, Err(Error::Invalid { .. })), "{result:?}");
            return;
        };
        if answer(result, side.frozen_back && !part.is_empty()).is_some() {
            side.model.extend_from_slice(part);
        }
    }
}

/// A place in so many bytes, or the next behind them.
fn position(n: usize, len: usize) -> usize {
    n % (len + 2)
}

/// From one buffer to another, through the system.
fn transfer(op: Op, on: &mut Side, other: &mut Side) {
    let (mut reader, writer) = std::io::pipe().unwrap();
    // No more than an empty pipe takes.
    let max = position(op.n, on.model.len());
    let written = on.buffer.write_to(&writer, max);
    drop(writer);
    let wanted = max.min(on.model.len());
    if on.frozen_front && wanted > 0 {
        assert!(frozen(&written.unwrap_err()));
        return;
    }
    let written = written.unwrap();
    // It may be less: the system takes so many chunks at once.
    assert!(written <= wanted && (written > 0 || wanted == 0));
    let bytes: Vec<u8> = on.model.drain(..written).collect();

    let mut left = &bytes[..];
    loop {
        let max = 1 + op.m % 5000;
        let got = other.buffer.read_from(&reader, max);
        if other.frozen_back {
            assert!(frozen(&got.unwrap_err()));
            let mut rest = Vec::new();
            reader.read_to_end(&mut rest).unwrap();
            assert_eq!(rest, left);
            return;
        }
        let got = got.unwrap();
        assert_eq!(got, max.min(left.len()));
        if got == 0 {
            return;
        }
        other.model.extend_from_slice(&left[..got]);
        left = &left[got..];
        other.check();
    }
}

fn frozen(error: &std::io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    matches!(inner, Some(Error::Frozen { .. }))
}

impl Side {
    fn run(&mut self, op: Op) {
        let len = self.model.len();
        let n = position(op.n, len);
        match op.kind {
            Kind::Append | Kind::FromVec | Kind::AppendStatic | Kind::AppendVectored => {
                self.append(op);
            }
            Kind::Prepend => {
                let bytes = bytes(op.seed, op.size());
                let frozen = self.frozen_front && !bytes.is_empty();
                if answer(self.buffer.prepend(&bytes), frozen).is_some() {
                    self.model.splice(..0, bytes);
                }
            }
            Kind::AppendWith | Kind::AppendVectoredWith => self.append_with(op),
            Kind::Reserve => self.buffer.reserve(op.n).unwrap(),
            Kind::ReserveAndAdd => {
                self.buffer.reserve(op.m).unwrap();
                self.append(op);
            }
            Kind::Drain => {
                let frozen = self.frozen_front && n.min(len) > 0;
                if let Some(drained) = answer(self.buffer.drain(n), frozen) {
                    assert_eq!(drained, n.min(len));
                    self.model.drain(..drained);
                }
            }
            Kind::Clear => {
                if answer(self.buffer.clear(), self.frozen_front && len > 0).is_some() {
                    self.model.clear();
                }
            }
            Kind::Remove => {
                let mut target = vec![0; n];
                let frozen = self.frozen_front && n.min(len) > 0;
                if let Some(got) = answer(self.buffer.remove(&mut target), frozen) {
                    assert_eq!(got, n.min(len));
                    assert!(self.model.drain(..got).eq(target.drain(..got)));
                }
            }
            Kind::Read => {
                let mut target = vec![0; n.min(len)];
                match self.buffer.read_exact(&mut target) {
                    Ok(()) => assert!(self.model.drain(..target.len()).eq(target)),
                    Err(error) => assert!(self.frozen_front && frozen(&error), "{error}"),
                }
            }
            Kind::Consume => {
                let chunk = self.buffer.fill_buf().unwrap();
                assert_eq!(chunk, &self.model[..chunk.len()]);
                let n = op.n % (chunk.len() + 1);
                self.buffer.consume(n);
                if !self.frozen_front {
                    self.model.drain(..n);
                }
            }
            Kind::ReadLine => {
                let eol = EOLS[op.m % EOLS.len()];
                let line = naive::find_eol(&self.model, 0, eol);
                let frozen = self.frozen_front && line.is_some();
                if let Some(got) = answer(self.buffer.read_line(eol), frozen) {
                    self.take_line(line, got);
                }
            }
            Kind::ReadLineLimited => self.read_line_limited(op),
            Kind::Freeze => {
                let front = op.n.is_multiple_of(2);
                self.buffer
                    .freeze(if front { End::Front } else { End::Back });
                self.frozen_front |= front;
                self.frozen_back |= !front;
            }
            Kind::Thaw => self.thaw(),
            Kind::Replace => *self = Side::new(Buffer::new(), Vec::new()),
            Kind::ThroughC => {
                self.thaw();
                let raw = std::mem::take(&mut self.buffer).into_ptr();
                // SAFETY: nobody else has it.
                let buffer = unsafe { Buffer::from_ptr(raw) };
                *self = Side::new(buffer, std::mem::take(&mut self.model));
            }
            Kind::StopWatching => {
                self.buffer.enable_change(self.change, false).unwrap();
                self.buffer.remove_change(self.change).unwrap();
                assert!(self.buffer.remove_change(self.change).is_err());
                (self.change, self.counted) = watch(&mut self.buffer);
            }
            Kind::Format => match writeln!(self.buffer, "{}", op.n) {
                Ok(()) => {
                    assert!(!self.frozen_back);
                    self.model.extend(format!("{}\n", op.n).into_bytes());
                }
                Err(error) => assert!(self.frozen_back && frozen(&error), "{error}"),
            },
            Kind::ReserveByC => self.reserve_by_c(op),
            Kind::EmptyByC => self.empty_by_c(),
            _ => self.look(op),
        }
    }

    /// C programs may ask for space in more pieces than the safe functions do.
    fn reserve_by_c(&mut self, op: Op) {
        let mut extents = [ffi::evbuffer_iovec {
            iov_base: ptr::null_mut(),
            iov_len: 0,
        }; 8];
        let (n, pieces) = (1 + op.n as isize, 2 + (op.m % 7) as i32);
        let raw = self.buffer.as_ptr();
        // SAFETY: alive; there are as many extents. Nothing is written to them.
        let code = unsafe { ffi::evbuffer_reserve_space(raw, n, extents.as_mut_ptr(), pieces) };
        assert_eq!(code < 0, self.frozen_back);
    }

    /// C programs may add chunks without a byte.
    fn empty_by_c(&mut self) {
        let (raw, at) = (self.buffer.as_ptr(), STATIC.as_ptr().cast());
        // SAFETY: alive; there is nothing that is referred to.
        let code = unsafe { ffi::evbuffer_add_reference(raw, at, 0, None, ptr::null_mut()) };
        assert_eq!(code < 0, self.frozen_back);
    }

    fn append(&mut self, op: Op) {
        let bytes = match op.kind {
            Kind::AppendStatic => STATIC[op.m % 100..][..op.size() % 5900].to_vec(),
            _ => bytes(op.seed, op.size()),
        };
        let result = match op.kind {
            Kind::AppendStatic => {
                let bytes = &STATIC[op.m % 100..][..bytes.len()];
                self.buffer.append_static(bytes)
            }
            Kind::AppendVectored => {
                let (head, tail) = bytes.split_at(op.m % (bytes.len() + 1));
                let (tail, last) = tail.split_at(tail.len() / 3);
                let parts = [head, &[], tail, last].map(IoSlice::new);
                self.buffer.append_vectored(&parts)
            }
            Kind::FromVec => {
                let mut source = Buffer::from(bytes.clone());
                self.buffer.append_buffer(&mut source)
            }
            _ => self.buffer.append(&bytes),
        };
        if answer(result, self.frozen_back && !bytes.is_empty()).is_some() {
            self.model.extend(bytes);
        }
    }

    fn append_with(&mut self, op: Op) {
        let n = op.size();
        let bytes = bytes(op.seed, op.m % (n + 1));
        let result = match op.kind {
            Kind::AppendWith => self.buffer.append_with(n, |space| {
                assert_eq!(space, vec![0; n]);
                space[..bytes.len()].copy_from_slice(&bytes);
                bytes.len()
            }),
            _ => self.buffer.append_vectored_with(n, |space| {
                let all: Vec<u8> = space.iter().flat_map(|part| part.to_vec()).collect();
                assert_eq!(all, vec![0; n]);
                let mut left = &bytes[..];
                for part in space {
                    let (now, later) = left.split_at(left.len().min(part.len()));
                    part[..now.len()].copy_from_slice(now);
                    left = later;
                }
                bytes.len()
            }),
        };
        if let Some(written) = answer(result, self.frozen_back) {
            assert_eq!(written, bytes.len());
            self.model.extend(bytes);
        }
    }

    fn take_line(&mut self, line: Option<(usize, usize)>, got: Option<Vec<u8>>) {
        match (line, got) {
            (Some((at, len)), Some(got)) => {
                assert_eq!(got, &self.model[..at]);
                self.model.drain(..at + len);
            }
            (line, got) => assert_eq!((line, got), (None, None)),
        }
    }

    fn read_line_limited(&mut self, op: Op) {
        let eol = EOLS[op.m % EOLS.len()];
        let max = op.n % 50;
        let line = naive::find_eol(&self.model, 0, eol);
        let too_long = naive::too_long(&self.model, eol, max);
        match self.buffer.read_line_limited(eol, max) {
            Ok(got) => {
                assert_ne!(too_long, Some(true));
                assert!(!self.frozen_front || line.is_none());
                self.take_line(line, got);
            }
            Err(Error::Invalid { .. }) => assert_ne!(too_long, Some(false)),
            Err(error) => {
                assert!(matches!(error, Error::Frozen { .. }), "{error:?}");
                assert!(self.frozen_front && line.is_some());
            }
        }
    }

    /// What changes no byte.
    fn look(&mut self, op: Op) {
        let (len, model) = (self.model.len(), &self.model);
        let (n, m) = (position(op.n, len), position(op.m, len));
        match op.kind {
            Kind::Copy => {
                let mut target = vec![b'?'; n];
                let copied = self.buffer.copy_to(&mut target);
                assert_eq!(copied, n.min(len));
                assert_eq!(target[..copied], model[..copied]);

                target.fill(b'?');
                let wanted = model.get(m..).unwrap_or_default();
                let copied = self.buffer.copy_from_offset(m, &mut target);
                assert_eq!(copied, n.min(wanted.len()));
                assert_eq!(target[..copied], wanted[..copied]);
                assert!(target[copied..].iter().all(|&byte| byte == b'?'));
            }
            Kind::Chunks => {
                let chunks: Vec<&[u8]> = self.buffer.chunks_from(n).collect();
                assert!(chunks.iter().all(|chunk| !chunk.is_empty()));
                assert_eq!(chunks.concat(), model.get(n..).unwrap_or_default());
            }
            Kind::MakeContiguous => {
                let front = self.buffer.make_contiguous(n).unwrap();
                assert_eq!(front, &model[..n.min(len)]);
            }
            Kind::Find => {
                let (start, end) = (n, n.max(m));
                let at = usize::from(op.seed) * len / 256;
                let mut pattern = model[at..].to_vec();
                pattern.truncate(op.m % 7);
                if let Some(last) = pattern.last_mut().filter(|_| op.seed.is_multiple_of(4)) {
                    *last ^= 1;
                }
                let wanted = naive::find(model, &pattern, start, end);
                assert_eq!(self.buffer.find(&pattern, start..end), wanted);
                let wanted = naive::find(model, &pattern, start, len);
                assert_eq!(self.buffer.find(&pattern, start..), wanted);
            }
            Kind::FindEol => {
                for eol in EOLS {
                    let wanted = naive::find_eol(model, n, eol);
                    assert_eq!(self.buffer.find_eol(n, eol), wanted, "{eol:?} from {n}");
                }
            }
            _ => unreachable!("{op:?}"),
        }
    }
}
