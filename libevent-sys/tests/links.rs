//! Every bound function is in the library.

use libevent_sys::*;

include!(concat!(env!("OUT_DIR"), "/functions.rs"));

#[test]
fn every_function_resolves() {
    let functions = functions();
    assert!(functions.len() > 400, "only {} functions", functions.len());
    let mut addresses: Vec<_> = functions.iter().map(|(_, address)| *address).collect();
    addresses.sort_unstable();
    addresses.dedup();
    // Black-boxed, or the linker would never be asked for them.
    assert!(
        std::hint::black_box(&addresses)
            .iter()
            .all(|address| *address != 0)
    );
    // evhttp_request_uri and the like may share an address, hundreds may not.
    assert!(
        addresses.len() > functions.len() - 20,
        "{} of {} addresses differ",
        addresses.len(),
        functions.len()
    );
}
