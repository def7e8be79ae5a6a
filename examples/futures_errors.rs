//! Errors are caught where something is awaited: by the nearest handler that knows them, else by
//! the next one around it, through called functions and tasks.
//!
//! `cargo run --example futures_errors`

use lexopt::prelude::*;
use libevent2::task::JoinError;
use libevent2::{EventBase, LoopHandle};
use std::process::{ExitCode, exit};
use std::time::Duration;

const HELP: &str = "\
Usage: futures_errors [--help]

Has futures fail in several ways, and shows who catches what.
";

/// What can go wrong here.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0:?} is no number")]
    NoNumber(String),
    #[error("{0} is odd")]
    Odd(i64),
    #[error(transparent)]
    Task(#[from] JoinError),
}

fn main() -> ExitCode {
    let shown = arguments().and_then(|()| run().map_err(|error| error.to_string().into()));
    match shown {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("futures_errors: {error}");
            ExitCode::FAILURE
        }
    }
}

fn arguments() -> Result<(), lexopt::Error> {
    match lexopt::Parser::from_env().next()? {
        Some(Short('h') | Long("help")) => {
            print!("{HELP}");
            exit(0);
        }
        Some(argument) => Err(argument.unexpected()),
        None => Ok(()),
    }
}

fn run() -> libevent2::Result<()> {
    let mut base = EventBase::new()?;
    let handle = base.handle().clone();
    base.block_on(async {
        for text in ["12", "twelve", "13"] {
            outer(&handle, text).await;
        }
        in_a_task(&handle).await;
    })?;

    // What nobody awaits is the base's: it would end `run`, but for this.
    base.on_error(|_, error| println!("the base: {error}"));
    let detached = base.spawn(async move { half(&handle, "15").await.map(drop) });
    detached.detach();
    base.run()?;
    Ok(())
}

/// Catches all that the inner handler has let pass.
async fn outer(handle: &LoopHandle, text: &str) {
    match inner(handle, text).await {
        Ok(half) => println!("a half of {text:?} is {half}"),
        Err(error) => println!("the outer one: {error}"),
    }
}

/// Catches what is no number, and has 0 instead.
async fn inner(handle: &LoopHandle, text: &str) -> Result<i64, Failure> {
    match half(handle, text).await {
        Err(error @ Failure::NoNumber(_)) => {
            println!("the inner one: {error}");
            Ok(0)
        }
        result => result,
    }
}

/// Fails after a while, here or in what it calls: `?` takes either out.
async fn half(handle: &LoopHandle, text: &str) -> Result<i64, Failure> {
    let number = number(handle, text).await?;
    match number % 2 {
        0 => Ok(number / 2),
        _ => Err(Failure::Odd(number)),
    }
}

async fn number(handle: &LoopHandle, text: &str) -> Result<i64, Failure> {
    handle.sleep(Duration::from_millis(1)).await;
    text.parse().map_err(|_| Failure::NoNumber(text.to_owned()))
}

/// A task's error, or its end before there was a result, comes out where the task is awaited.
async fn in_a_task(handle: &LoopHandle) {
    let begin = |text: &'static str| {
        let inside = handle.clone();
        handle.spawn(async move { half(&inside, text).await })
    };
    let (fails, ends) = (begin("17"), begin("18"));
    ends.cancel();
    for task in [fails, ends] {
        let result = task.await.unwrap_or_else(|error| Err(error.into()));
        match result {
            Ok(half) => println!("a task: {half}"),
            Err(error) => println!("around the task: {error}"),
        }
    }
}
