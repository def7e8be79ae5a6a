//! What the servers on hyper answer: as benches/http/http.c.

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Request, Response, StatusCode};
use std::convert::Infallible;
use std::io;

type Answer = Response<BoxBody<Bytes, io::Error>>;

static MIB: [u8; 1 << 20] = [b'x'; 1 << 20];

pub async fn answer(request: Request<Incoming>) -> io::Result<Answer> {
    match request.uri().path() {
        "/hello" => Ok(whole("hello")),
        "/mib" => Ok(whole(&MIB[..])),
        "/upload" => upload(request.into_body()).await,
        _ => {
            let mut answer = whole("");
            *answer.status_mut() = StatusCode::NOT_FOUND;
            Ok(answer)
        }
    }
}

fn whole(body: impl Into<Bytes>) -> Answer {
    let body = Full::new(body.into()).map_err(|never: Infallible| match never {});
    let mut answer = Response::new(body.boxed());
    let text = HeaderValue::from_static("text/plain");
    answer.headers_mut().insert(CONTENT_TYPE, text);
    answer
}

async fn upload(mut body: Incoming) -> io::Result<Answer> {
    let mut count = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(io::Error::other)?;
        count += frame.data_ref().map_or(0, Bytes::len);
    }
    Ok(whole(count.to_string()))
}
