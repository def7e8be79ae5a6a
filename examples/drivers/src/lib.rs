//! Nothing is here: the drivers are in `examples/`, their tests against real servers in `tests/`.
