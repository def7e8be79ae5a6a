//! Buffered connections for futures.
