//! The raw ABI (`wasm/SPEC.md`): numbers in, numbers out, no imports. Bad input gives a negative error code and never a trap:
//! every pointer is checked against the buffers this module handed out, every handle against the models it holds.
//!
//! A Wasm instance has one thread and these functions never call out, so the state is never borrowed twice.

mod state;

use core::cell::RefCell;
use forest::Error;
pub use state::State;

thread_local! {
    static STATE: RefCell<State> = const { RefCell::new(State::new()) };
}

fn with<T>(run: impl FnOnce(&mut State) -> T) -> T {
    STATE.with_borrow_mut(run)
}

fn code(result: Result<i32, Error>) -> i32 {
    result.unwrap_or_else(|error| error as i32)
}

/// The version of this ABI; a host refuses one it does not know.
#[no_mangle]
pub extern "C" fn abi_version() -> i32 {
    1
}

/// A zeroed buffer of `length` bytes, aligned to 16; 0 where the memory budget or the slots do not allow it.
#[no_mangle]
pub extern "C" fn buffer_alloc(length: usize) -> usize {
    with(|state| state.alloc(length)).unwrap_or(0)
}

/// Gives back a buffer of [`buffer_alloc`]. Returns 0, or an error code for a pointer that is not one.
#[no_mangle]
pub extern "C" fn buffer_free(pointer: usize) -> i32 {
    code(with(|state| state.free(pointer)).map(|()| 0))
}

/// Loads the artifact in a buffer and returns a handle above 0, or an error code. The buffer may be freed afterwards.
#[no_mangle]
pub extern "C" fn forest_load(pointer: usize, length: usize) -> i32 {
    code(with(|state| state.load(pointer, length)))
}

/// Forgets a model; its handle is never given out again.
#[no_mangle]
pub extern "C" fn forest_free(handle: i32) -> i32 {
    code(with(|state| state.unload(handle)).map(|()| 0))
}

/// How many features a row of this model has, or an error code.
#[no_mangle]
pub extern "C" fn forest_features(handle: i32) -> i32 {
    code(with(|state| state.forest(handle).map(|forest| forest.features() as i32)))
}

/// Scores `n` rows of `d` float32 values, row-major at `rows`, into `n` float32 values at `scores`. Returns 0 or an error code.
#[no_mangle]
pub extern "C" fn forest_score(handle: i32, rows: usize, n: usize, d: usize, scores: usize) -> i32 {
    code(with(|state| state.score(handle, rows, n, d, scores)).map(|()| 0))
}
