//! C's own HTTP server and client (evhttp), for programs that come from C or share one with it.
//!
//! A new program wants [`http`](crate::http): strict, faster, with bodies of any size, TLS and
//! WebSockets.
