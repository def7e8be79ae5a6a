//! Rows 60 and 61: values to come, side by side and one after the other.

use crate::common::{Bump, DropCount, bounded, count};
use crate::run;
use libevent2::task::{Broken, promise};
use libevent2::{EventBase, LoopHandle, Timer};
use std::cell::RefCell;
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

const PAUSE: Duration = Duration::from_millis(200);

/// A value that comes after a pause.
async fn later<T>(handle: LoopHandle, value: T) -> T {
    handle.sleep(PAUSE).await;
    value
}

/// A value that a callback gives after a pause.
fn from_a_callback(base: &LoopHandle, value: i32) -> impl Future<Output = i32> + use<> {
    let (promise, promised) = promise();
    let timer = Timer::after(base, Duration::from_millis(1), move |_| {
        promise.resolve(value);
    });
    timer.unwrap().detach();
    async { promised.await.unwrap() }
}

/// A future there is a type for: `futurep` is the compiler's.
#[test]
fn make_future() {
    fn is_a_future(_: &impl Future<Output = Result<i32, Broken>>) {}

    let (promise, promised) = promise::<i32>();
    is_a_future(&promised);
    let mut promised = pin!(promised);
    let mut cx = Context::from_waker(Waker::noop());
    assert!(promised.as_mut().poll(&mut cx).is_pending());
    promise.resolve(1);
    assert_eq!(promised.poll(&mut cx), Poll::Ready(Ok(1)));
}

/// Two callbacks on 5 gave 8 and 12: what is awaited can be used twice.
#[test]
fn future_callbacks() {
    let _bounded = bounded();
    let (sums, _) = run(async |handle| {
        let five = from_a_callback(&handle, 5).await;
        (five + 3, five + 7)
    });
    assert_eq!(sums, (8, 12));
}

/// An error waits for whoever asks, as a value does, and one may tell several.
#[test]
fn future_errbacks() {
    let _bounded = bounded();
    let (heard, _) = run(async |handle| {
        let (promise, promised) = promise::<Result<i32, &'static str>>();
        promise.resolve(Err("a test"));
        handle.sleep(Duration::from_millis(1)).await;
        let heard = RefCell::new(Vec::new());
        if let Err(error) = promised.await.unwrap() {
            heard.borrow_mut().push(format!("one: {error}"));
            heard.borrow_mut().push(format!("two: {error}"));
        }
        heard.into_inner()
    });
    assert_eq!(heard, ["one: a test", "two: a test"]);
}

/// `finish` could be called twice, and the second value won. `resolve` takes the promise, so the
/// compiler refuses that; a promise that nobody keeps is told to who waits.
#[test]
fn row_60_a_promise_that_is_broken_is_told() {
    let _bounded = bounded();
    let (result, _) = run(async |handle| {
        let (promise, promised) = promise::<i32>();
        let pause = handle.sleep(Duration::from_millis(1));
        drop(handle.spawn(async move {
            pause.await;
            drop(promise);
        }));
        promised.await
    });
    assert!(result.is_err());
}

/// A task may return a future, which is awaited in its turn.
#[test]
#[expect(clippy::async_yields_async, reason = "that is what this is about")]
fn forwarding() {
    async fn deeper(handle: &LoopHandle, value: i32) -> i32 {
        handle.sleep(Duration::from_millis(1)).await;
        value + 4
    }
    let _bounded = bounded();
    let (value, _) = run(async |handle| {
        let inner = handle.clone();
        let outer = handle.spawn(async move {
            let first = deeper(&inner, 0).await;
            async move { deeper(&inner, first).await + 4 }
        });
        outer.await.unwrap().await
    });
    assert_eq!(value, 12);
}

#[test]
fn future_alet() {
    let _bounded = bounded();
    let (values, took) = run(async |handle| {
        let five = handle.spawn(later(handle.clone(), 5));
        let two = handle.spawn(later(handle.clone(), 2));
        (five.await.unwrap(), two.await.unwrap())
    });
    assert_eq!(values, (5, 2));
    assert!(took >= PAUSE && took < PAUSE * 2, "{took:?}");
}

#[test]
fn future_alet_star() {
    let _bounded = bounded();
    let (values, took) = run(async |handle| {
        let five = later(handle.clone(), 5).await;
        let seven = later(handle, five + 2).await;
        (five, seven)
    });
    assert_eq!(values, (5, 7));
    assert!(took >= PAUSE * 2, "{took:?}");
}

#[test]
fn multiple_future_bind() {
    let _bounded = bounded();
    let ((name, age), _) = run(async |handle| later(handle, ("andrew", 69)).await);
    assert_eq!((name, age), ("andrew", 69));
}

#[test]
fn wait_for() {
    let _bounded = bounded();
    let (order, _) = run(async |handle| {
        let order = Rc::new(RefCell::new(vec!["before"]));
        let noted = order.clone();
        let task = handle.spawn(async move { noted.borrow_mut().push("the task") });
        task.await.unwrap();
        order.borrow_mut().push("after");
        Rc::try_unwrap(order).unwrap().into_inner()
    });
    assert_eq!(order, ["before", "the task", "after"]);
}

/// `aif`: what to do is decided by what is awaited.
#[test]
fn row_61_aif() {
    let _bounded = bounded();
    let (text, _) = run(async |handle| match later(handle, None::<i32>).await {
        Some(_) => "there is one",
        None => "there is none",
    });
    assert_eq!(text, "there is none");
}

/// `adolist` took an item that is nil for the end of the list.
#[test]
fn row_61_adolist_goes_on_after_an_item_that_is_nothing() {
    let _bounded = bounded();
    let (seen, _) = run(async |handle| {
        let mut seen = Vec::new();
        for item in [Some(1), None, Some(3)] {
            handle.sleep(Duration::from_millis(1)).await;
            seen.push(item);
        }
        seen
    });
    assert_eq!(seen, [Some(1), None, Some(3)]);
}

/// What nobody waits for any more stops where it is, and frees what it held.
#[test]
fn row_61_what_is_dropped_does_not_go_on() {
    let _bounded = bounded();
    let (dropped, went_on) = (count(), count());
    let mut base = EventBase::new().unwrap();
    let (held, counted, handle) = (DropCount(dropped.clone()), went_on.clone(), base.handle());
    let pause = handle.sleep(PAUSE);
    let task = handle.spawn(async move {
        let _held = held;
        pause.await;
        counted.bump();
    });
    let task = task.cancel_on_drop();
    base.block_on(async move { drop(task) }).unwrap();
    base.block_on(base.handle().clone().sleep(PAUSE)).unwrap();
    assert_eq!((dropped.get(), went_on.get()), (1, 0));
}
