//! What the tests of filters share.

#![allow(dead_code, reason = "each test binary uses its own part")]

use crate::common::{Bump, Count};
use libevent2::stream::{Callbacks, Filter, FilterIo, Handler, StreamEvent, filter_fn};
use libevent2::{BoxError, Buffer};
use std::cell::RefCell;
use std::net::{TcpListener, TcpStream};
use std::rc::Rc;

pub type Text = Rc<RefCell<Vec<u8>>>;

pub fn idle() -> impl Handler {
    Callbacks::new().on_event(|_, _| {})
}

/// Collects what comes, and counts the ends.
pub fn collect(text: &Text, ends: &Count) -> impl Handler + use<> {
    let (text, ends) = (text.clone(), ends.clone());
    Callbacks::new()
        .on_read(move |stream| text.borrow_mut().extend(stream.input().take().to_vec()))
        .on_event(move |_, event| {
            assert!(matches!(event, StreamEvent::Eof), "{event:?}");
            ends.bump();
        })
}

pub fn add(source: &mut Buffer, out: &mut Buffer, n: u8) -> libevent2::Result<()> {
    let bytes: Vec<u8> = source.to_vec().iter().map(|b| b.wrapping_add(n)).collect();
    source.clear()?;
    out.append(&bytes)
}

/// Adds one to each byte that is sent, and takes one from each that comes.
pub fn plus_one() -> impl Filter {
    filter_fn(
        |source, out, _| add(source, out, 255),
        |source, out, _| add(source, out, 1),
    )
}

/// Frames: each write of the handler goes out with its length in front, and comes in whole.
pub struct Frames;

impl Filter for Frames {
    fn input(
        &mut self,
        source: &mut Buffer,
        out: &mut Buffer,
        _: &mut FilterIo<'_>,
    ) -> Result<(), BoxError> {
        let mut head = [0; 2];
        if source.copy_to(&mut head) == 2 {
            let length = usize::from(u16::from_be_bytes(head));
            if source.len() >= 2 + length {
                source.drain(2)?;
                source.move_to(out, length)?;
            }
        }
        Ok(())
    }

    fn output(
        &mut self,
        source: &mut Buffer,
        out: &mut Buffer,
        _: &mut FilterIo<'_>,
    ) -> Result<(), BoxError> {
        let length = source.len().min(usize::from(u16::MAX));
        out.append(&(length as u16).to_be_bytes())?;
        source.move_to(out, length)?;
        Ok(())
    }
}

pub fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (client, listener.accept().unwrap().0)
}
