//! Byte queues (C: evbuffer).
