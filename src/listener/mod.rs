//! Listening sockets (C: evconnlistener).
