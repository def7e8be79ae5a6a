//! What everybody who reads and writes relies on, for each stream in each way: the stream's own
//! methods, and the traits of futures-io, of tokio and of hyper.
#![cfg(all(unix, feature = "async"))]

mod api;
mod cancel;
mod cases;
#[path = "../common/mod.rs"]
mod common;
mod crowd;
#[path = "../async_stream_common/mod.rs"]
mod ends;
mod kind;
mod pattern;

/// Each case, for one kind of stream in one way.
macro_rules! cases {
    ($kind:ident, $api:ident: $($module:ident::$case:ident as $name:ident,)*) => {$(
        #[test]
        fn $name() {
            crate::$module::$case::<crate::kind::$kind, crate::api::$api<<crate::kind::$kind as crate::kind::Kind>::Stream>>();
        }
    )*};
}

macro_rules! suites {
    ($($(#[$cfg:meta])* mod $name:ident: $kind:ident, $api:ident;)*) => {$(
        $(#[$cfg])*
        mod $name {
            cases! {
                $kind, $api:
                cases::order as bytes_keep_their_order_in_pieces_of_any_size,
                cases::vectored as several_buffers_are_written_as_one,
                cases::empty as an_empty_buffer_is_read_and_written_at_once,
                cases::half_close as one_direction_ends_and_the_other_goes_on,
                cases::back_pressure as a_writer_waits_for_its_reader,
                cases::peer_gone as a_peer_that_has_gone_is_an_end_and_then_an_error,
                cases::base_gone as what_waits_hears_that_its_base_is_gone,
                cases::moves as a_future_that_moves_wakes_its_last_task,
                cases::thread as another_thread_has_a_reader_go_on,
                cancel::reads as a_read_that_is_dropped_loses_nothing,
                cancel::writes as a_write_that_is_dropped_has_written_nothing,
                cancel::closes as a_flush_or_a_close_that_is_dropped_can_be_made_again,
                crowd::thousands as thousands_of_tasks_talk_at_once,
                crowd::busy_task as timers_run_beside_a_task_that_never_has_to_wait,
                crowd::busy_main as timers_run_beside_a_main_future_that_never_has_to_wait,
            }
        }
    )*};
}

suites! {
    mod tcp: Tcp, Own;
    mod unix: Unix, Own;
    mod buffered: Buffered, Own;
    mod pair: Pair, Own;
    mod filtered: Filtered, Own;
    #[cfg(feature = "rustls")]
    mod rustls: Rustls, Own;

    #[cfg(feature = "futures-io")]
    mod tcp_by_futures_io: Tcp, FuturesIo;
    #[cfg(feature = "futures-io")]
    mod unix_by_futures_io: Unix, FuturesIo;
    #[cfg(feature = "futures-io")]
    mod buffered_by_futures_io: Buffered, FuturesIo;
    #[cfg(feature = "futures-io")]
    mod pair_by_futures_io: Pair, FuturesIo;
    #[cfg(feature = "futures-io")]
    mod wrapped_by_futures_io: Wrapped, FuturesIo;
    #[cfg(all(feature = "futures-io", feature = "rustls"))]
    mod rustls_by_futures_io: Rustls, FuturesIo;

    #[cfg(feature = "tokio")]
    mod tcp_by_tokio: Tcp, Tokio;
    #[cfg(feature = "tokio")]
    mod unix_by_tokio: Unix, Tokio;
    #[cfg(feature = "tokio")]
    mod buffered_by_tokio: Buffered, Tokio;
    #[cfg(feature = "tokio")]
    mod pair_by_tokio: Pair, Tokio;
    #[cfg(feature = "tokio")]
    mod wrapped_by_tokio: Wrapped, Tokio;
    #[cfg(all(feature = "tokio", feature = "rustls"))]
    mod rustls_by_tokio: Rustls, Tokio;

    #[cfg(feature = "hyper")]
    mod tcp_by_hyper: Tcp, Hyper;
    #[cfg(feature = "hyper")]
    mod unix_by_hyper: Unix, Hyper;
    #[cfg(feature = "hyper")]
    mod buffered_by_hyper: Buffered, Hyper;
    #[cfg(feature = "hyper")]
    mod pair_by_hyper: Pair, Hyper;
    #[cfg(feature = "hyper")]
    mod wrapped_by_hyper: Wrapped, Hyper;
    #[cfg(all(feature = "hyper", feature = "rustls"))]
    mod rustls_by_hyper: Rustls, Hyper;
}
