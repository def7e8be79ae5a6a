//! Row 62: errors are caught where something is awaited.

use crate::common::bounded;
use crate::run;
use libevent2::{EventBase, LoopHandle};
use std::time::Duration;

#[derive(Debug, PartialEq, thiserror::Error)]
enum Failure {
    #[error("a number is not {0:?}")]
    Type(String),
    #[error("custom: {0}")]
    Custom(&'static str),
}

/// Fails after a pause, in a called function.
async fn number(handle: &LoopHandle, text: &str) -> Result<i32, Failure> {
    handle.sleep(Duration::from_millis(1)).await;
    text.parse().map_err(|_| Failure::Type(text.to_owned()))
}

async fn custom(handle: &LoopHandle) -> Result<i32, Failure> {
    handle.sleep(Duration::from_millis(1)).await;
    Err(Failure::Custom("nobody's"))
}

/// The inner handler first; what is not for it passes to the outer one.
#[test]
fn future_handler_case() {
    let _bounded = bounded();
    let inner = async |handle: &LoopHandle, fails: bool| {
        let result = match fails {
            true => custom(handle).await,
            false => number(handle, "five").await,
        };
        match result {
            Err(Failure::Type(text)) => Ok(format!("inner: {text}")),
            result => result.map(|number| number.to_string()),
        }
    };
    let (heard, _) = run(async |handle| {
        let mut heard = Vec::new();
        for fails in [false, true] {
            heard.push(match inner(&handle, fails).await {
                Ok(text) => text,
                Err(error) => format!("outer: {error}"),
            });
        }
        heard
    });
    assert_eq!(heard, ["inner: five", "outer: custom: nobody's"]);
}

/// An error at the bottom of a chain of tasks reaches who awaits the first.
#[test]
fn error_propagation() {
    fn chain(handle: LoopHandle, depth: u32) -> libevent2::task::JoinHandle<Result<i32, Failure>> {
        let inner = handle.clone();
        handle.spawn(async move {
            match depth {
                0 => number(&inner, "deep").await,
                _ => Ok(chain(inner, depth - 1).await.unwrap()? + 1),
            }
        })
    }
    let _bounded = bounded();
    let (result, _) = run(async |handle| chain(handle, 10).await.unwrap());
    assert_eq!(result, Err(Failure::Type("deep".to_owned())));
}

/// What the seed's handlers could not: they were lexical, so work that a called function had begun
/// went past them.
#[test]
fn row_62_errors_of_called_functions_and_of_their_tasks_are_caught() {
    async fn called(handle: &LoopHandle) -> Result<i32, Failure> {
        let inner = handle.clone();
        let task = handle.spawn(async move { custom(&inner).await });
        let number = number(handle, "20").await?;
        Ok(number + task.await.unwrap()?)
    }
    let _bounded = bounded();
    let (result, _) = run(async |handle| called(&handle).await);
    assert_eq!(result, Err(Failure::Custom("nobody's")));
}

/// A panic in a task is caught like an error, and the loop goes on.
#[test]
fn row_62_a_panic_is_caught_where_the_task_is_awaited() {
    let _bounded = bounded();
    let (caught, _) = run(async |handle| {
        let task = handle.spawn(async { panic!("a bug") });
        let error = task.await.unwrap_err();
        handle.sleep(Duration::from_millis(1)).await;
        error.to_string()
    });
    assert_eq!(caught, "the task panicked: a bug");
}

/// An error that nobody awaits is not lost: it is the base's.
#[test]
fn row_62_an_error_of_a_detached_task_comes_out_of_run() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let handle = base.handle().clone();
    let task = base.spawn(async move { custom(&handle).await.map(drop) });
    task.detach();
    let error = base.run().unwrap_err();
    assert_eq!(error.to_string(), "a callback failed: custom: nobody's");
}
