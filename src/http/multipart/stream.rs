//! Uploads from a body that comes piece by piece.

use super::{Error, Event, Parser, SaveTo, Uploaded};
use crate::callback::{CallbackResult, Outcome};
use crate::http::Incoming;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

type End = Box<dyn FnOnce(Result<(), Error>) -> Outcome>;

/// What is needed until the end, which comes once.
struct Upload<F> {
    parser: Parser,
    on: F,
    end: End,
}

impl Incoming {
    /// Gives the parts of the body to `on` as they come, and calls `end` once: at the end of the
    /// body, or as soon as something is wrong.
    ///
    /// ```
    /// use libevent2::http::multipart::{Event, Limits, Parser};
    /// use libevent2::http::{Request, StatusCode};
    /// use std::{cell::Cell, rc::Rc};
    ///
    /// /// Counts the bytes of a form, on a route that is streamed.
    /// fn count(request: Request) {
    ///     let Some(body) = request.incoming() else {
    ///         return request.reply(StatusCode::BAD_REQUEST, "no body\n");
    ///     };
    ///     let parser = match Parser::new(&request, Limits::new()) {
    ///         Ok(parser) => parser,
    ///         Err(error) => return request.respond(error.response()),
    ///     };
    ///     let bytes = Rc::new(Cell::new(0));
    ///     let counter = bytes.clone();
    ///     let on = move |event: Event| {
    ///         if let Event::Data(data) = event {
    ///             counter.set(counter.get() + data.len());
    ///         }
    ///         Ok(())
    ///     };
    ///     body.multipart(parser, on, move |read| match read {
    ///         Ok(()) => request.reply(StatusCode::OK, format!("{} bytes\n", bytes.get())),
    ///         Err(error) => request.respond(error.response()),
    ///     });
    /// }
    /// ```
    pub fn multipart<O: CallbackResult>(
        &self,
        parser: Parser,
        on: impl FnMut(Event<'_>) -> Result<(), Error> + 'static,
        end: impl FnOnce(Result<(), Error>) -> O + 'static,
    ) {
        let end: End = Box::new(move |read| end(read).outcome());
        let upload = Rc::new(Cell::new(Some(Upload { parser, on, end })));
        let at_end = upload.clone();
        self.on_end(move |body| match at_end.take() {
            Some(upload) => (upload.end)(match body {
                Ok(_) => upload.parser.finish().map_err(Error::from),
                Err(error) => Err(error.into()),
            }),
            None => Ok(()),
        });
        // The upload is out of its place while the callbacks run: they may end it.
        self.on_data(move |piece: &[u8]| {
            let Some(mut running) = upload.take() else {
                return Ok(());
            };
            match running.parser.feed(piece, &mut running.on) {
                Ok(()) => {
                    upload.set(Some(running));
                    Ok(())
                }
                Err(error) => (running.end)(Err(error)),
            }
        });
    }

    /// Saves the files of the body as they come, and calls `end` once: with what came of them, or
    /// as soon as something is wrong. A file that has not come whole is removed before.
    ///
    /// ```
    /// use libevent2::http::multipart::{Limits, Parser, SaveTo};
    /// use libevent2::http::{Request, StatusCode};
    ///
    /// fn upload(request: Request) {
    ///     let Some(body) = request.incoming() else {
    ///         return request.reply(StatusCode::BAD_REQUEST, "no body\n");
    ///     };
    ///     match Parser::new(&request, Limits::new().parts(10)) {
    ///         Ok(parser) => body.save(parser, SaveTo::new("uploads"), move |saved| match saved {
    ///             Ok(_) => request.reply(StatusCode::CREATED, "Thank you.\n"),
    ///             Err(error) => request.respond(error.response()),
    ///         }),
    ///         Err(error) => request.respond(error.response()),
    ///     }
    /// }
    /// ```
    pub fn save<O: CallbackResult>(
        &self,
        parser: Parser,
        folder: SaveTo,
        end: impl FnOnce(Result<Uploaded, Error>) -> O + 'static,
    ) {
        let folder = Rc::new(RefCell::new(Some(folder)));
        let at_end = folder.clone();
        let on = move |event: Event<'_>| match &mut *folder.borrow_mut() {
            Some(folder) => folder.take(event),
            None => Ok(()),
        };
        self.multipart(parser, on, move |read| {
            let folder = at_end.take();
            let uploaded = folder.map(SaveTo::finish).unwrap_or_default();
            end(read.map(|()| uploaded))
        });
    }
}
