//! Sockets for futures.
