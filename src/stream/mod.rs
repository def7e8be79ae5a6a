//! Buffered connections (C: bufferevent).
