//! Letting others run.

use std::future::poll_fn;
use std::task::Poll;

/// Lets the tasks that are ready, and the loop, run before this one goes on.
pub async fn yield_now() {
    let mut yielded = false;
    poll_fn(|cx| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
