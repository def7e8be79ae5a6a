//! What ends a process is shown in one of its own.

use libevent2::ffi;
use std::os::raw::c_void;
use std::process::{Command, Output};
use std::{env, ptr};

const CHILD: &str = "LIBEVENT2_TEST_CHILD";

/// Runs the test of this name alone in a new process, where [`is_child`] is true.
pub fn child(test: &str) -> Output {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(CHILD, "1")
        .output()
        .unwrap()
}

pub fn is_child() -> bool {
    env::var_os(CHILD).is_some()
}

/// Whether the child came to `BEGUN`, and then to no good end.
pub fn broke_down(output: &Output) -> bool {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains(BEGUN), "{said}");
    let survived = said.contains(SURVIVED);
    assert_eq!(output.status.success(), survived, "{said}");
    !survived
}

const BEGUN: &str = "now it happens";
const SURVIVED: &str = "nothing has happened";

/// A child says this before what it is there for,
pub fn begun() {
    eprintln!("{BEGUN}");
}

/// and this after it.
pub fn survived() {
    eprintln!("{SURVIVED}");
}

/// Before the length of a block; blocks stay aligned.
const HEAD: usize = 16;
const POISON: u8 = 0xa5;

/// From now on libevent's memory is spoilt when it is freed, and used for nothing else: who uses it
/// then finds pointers that lead nowhere.
///
/// # Safety
/// libevent has no memory yet, in this whole process.
pub unsafe fn spoil_what_is_freed() {
    // SAFETY: says the caller; the three belong together.
    unsafe { ffi::event_set_mem_functions(Some(allocate), Some(enlarge), Some(spoil)) };
}

unsafe extern "C" fn allocate(length: usize) -> *mut c_void {
    // SAFETY: room for the length and then for the block.
    unsafe {
        let block = libc::malloc(length + HEAD).cast::<u8>();
        assert!(!block.is_null());
        block.cast::<usize>().write(length);
        block.add(HEAD).cast()
    }
}

unsafe extern "C" fn enlarge(block: *mut c_void, length: usize) -> *mut c_void {
    // SAFETY: NULL, or from `allocate`, with its length before it.
    unsafe {
        let new = allocate(length);
        if !block.is_null() {
            let old = length_of(block);
            ptr::copy_nonoverlapping(block.cast::<u8>(), new.cast(), old.min(length));
            spoil(block);
        }
        new
    }
}

unsafe extern "C" fn spoil(block: *mut c_void) {
    // SAFETY: from `allocate`, with its length before it. It is never freed.
    unsafe { ptr::write_bytes(block.cast::<u8>(), POISON, length_of(block)) }
}

/// # Safety
/// `block` is from [`allocate`].
unsafe fn length_of(block: *mut c_void) -> usize {
    // SAFETY: says the caller.
    unsafe { block.cast::<u8>().sub(HEAD).cast::<usize>().read() }
}
