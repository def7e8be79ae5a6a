//! A name server.

/// A name server.
#[derive(Debug)]
pub struct Server;
