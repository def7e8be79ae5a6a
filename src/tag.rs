//! Tagged values in a buffer (C: evtag).
