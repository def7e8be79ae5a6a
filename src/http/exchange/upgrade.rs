//! An answer with which another protocol begins.

use super::{Exchange, Response, Stage, StatusCode, write_head};
use crate::error::{Error, Result};
use crate::stream::{Handler, StreamShare};
use ::http::{HeaderValue, header};

impl Exchange {
    /// Answers 101 and gives the stream away.
    pub(in crate::http) fn upgrade(
        &self,
        response: Response,
        handler: impl Handler,
    ) -> Result<StreamShare> {
        if self.is_answered() {
            return Err(Error::Closed { what: "request" });
        }
        if self.http_10 || self.inlet().is_some() || !self.connection.can_upgrade() {
            self.respond(Response::page(StatusCode::BAD_REQUEST));
            return Err(Error::invalid("upgrade", "not on this connection"));
        }
        self.stage.set(Stage::Answered);
        self.status.set(Some(StatusCode::SWITCHING_PROTOCOLS));
        let server = self.server();
        server.answered(StatusCode::SWITCHING_PROTOCOLS);
        let mut headers = response.headers;
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        let response = Response {
            status: StatusCode::SWITCHING_PROTOCOLS,
            headers,
            body: response.body,
        };
        let mut out = server.take_out();
        write_head(&mut out, &response, None, server, None);
        self.connection.write(&out);
        server.give_out(out);
        self.body_at.set(self.connection.output().0);
        self.give();
        self.connection.upgrade(handler)
    }
}
