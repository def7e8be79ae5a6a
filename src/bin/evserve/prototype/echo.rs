//! The request as the answer.

use crate::page;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use libevent2::http::{Request, Response};
use serde_json::{Map, Value, json};

/// As it came, or taken apart for who wants JSON.
pub fn answer(request: &Request, body: &[u8]) -> Response {
    if page::prefers(request.headers(), &["text/plain", "application/json"]) == 1 {
        return Response::json(format!("{:#}\n", taken_apart(request, body)));
    }
    let query = request.query().map(|query| format!("?{query}"));
    let target = format!("{}{}", request.path(), query.unwrap_or_default());
    let mut bytes = format!("{} {target} {:?}\n", request.method(), request.version()).into_bytes();
    for (name, value) in request.headers() {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.push(b'\n');
    }
    if !body.is_empty() {
        bytes.push(b'\n');
        bytes.extend_from_slice(body);
    }
    // Never as a page: it is somebody else's text.
    match String::from_utf8(bytes) {
        Ok(text) => Response::text(text),
        Err(bytes) => Response::text(String::from_utf8_lossy(bytes.as_bytes()).into_owned()),
    }
}

fn taken_apart(request: &Request, body: &[u8]) -> Value {
    let mut headers = Map::new();
    for name in request.headers().keys() {
        let values = request.headers().get_all(name).iter();
        let values = values.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        let mut values: Vec<String> = values.collect();
        let value = match values.len() {
            1 => json!(values.remove(0)),
            _ => json!(values),
        };
        headers.insert(name.to_string(), value);
    }
    let mut all = json!({
        "method": request.method().as_str(),
        "path": request.path(),
        "query": request.query_pairs().map(|(name, value)| json!([name, value])).collect::<Vec<_>>(),
        "version": format!("{:?}", request.version()),
        "peer": request.peer().map(|peer| peer.to_string()),
        "headers": headers,
        "bytes": body.len(),
    });
    match str::from_utf8(body) {
        Ok(text) => all["body"] = json!(text),
        Err(_) => all["body_base64"] = json!(BASE64_STANDARD.encode(body)),
    }
    if let Ok(json) = serde_json::from_slice::<Value>(body) {
        all["json"] = json;
    }
    all
}
