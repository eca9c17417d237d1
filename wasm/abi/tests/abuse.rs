//! The host's mistakes, one by one: each has its code, and none reaches memory that is not the caller's.

use abi::State;
use forest::{crc32, Error, LEAF, MAGIC};

/// Two features, one tree: delay <= 10 ? 3 : 1.
fn artifact() -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(1u16.to_le_bytes());
    bytes.extend(2u16.to_le_bytes());
    bytes.extend(256u32.to_le_bytes());
    bytes.extend(1u32.to_le_bytes());
    bytes.extend(3u32.to_le_bytes());
    bytes.extend(0u32.to_le_bytes());
    bytes.extend(0.5f64.to_le_bytes());
    bytes.extend(3u16.to_le_bytes());
    [10f32, 3.0, 1.0].iter().for_each(|value| bytes.extend(value.to_le_bytes()));
    bytes.extend([0, LEAF, LEAF]);
    bytes.extend(crc32(&bytes).to_le_bytes());
    bytes
}

fn loaded(state: &mut State) -> i32 {
    let bytes = artifact();
    let pointer = state.alloc(bytes.len()).unwrap();
    unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), pointer as *mut u8, bytes.len()) };
    let handle = state.load(pointer, bytes.len()).unwrap();
    state.free(pointer).unwrap();
    handle
}

#[test]
fn scores_and_forgets() {
    let mut state = State::new();
    let handle = loaded(&mut state);
    let rows = state.alloc(16).unwrap();
    let scores = state.alloc(8).unwrap();
    unsafe { (rows as *mut [f32; 4]).write([10.0, 0.0, 10.5, 0.0]) };
    state.score(handle, rows, 2, 2, scores).unwrap();
    let [usual, unusual] = unsafe { (scores as *const [f32; 2]).read() };
    assert!(usual < unusual && unusual < 1.0);
    state.unload(handle).unwrap();
    assert_eq!(state.score(handle, rows, 2, 2, scores), Err(Error::Handle));
    assert_eq!(state.unload(handle), Err(Error::Handle));
    assert_ne!(loaded(&mut state), handle, "a handle is never given out twice");
}

#[test]
fn pointers_are_checked() {
    let mut state = State::new();
    let handle = loaded(&mut state);
    let rows = state.alloc(16).unwrap();
    let scores = state.alloc(8).unwrap();
    let refused = |rows, n, scores| assert_eq!(state.score(handle, rows, n, 2, scores), Err(Error::Pointer));
    refused(rows, 3, scores);
    refused(rows + 8, 2, scores);
    refused(rows + 2, 1, scores);
    refused(rows, 2, scores + 4);
    refused(0, 1, scores);
    refused(usize::MAX - 3, 1, scores);
    refused(rows, 1, rows + 4);
    refused(4096, 1, scores);
    assert_eq!(state.score(handle, rows, usize::MAX, 2, scores), Err(Error::Shape));
    assert_eq!(state.score(handle, rows, usize::MAX / 4, 2, scores), Err(Error::Shape));
    assert_eq!(state.score(handle, rows, 1, 3, scores), Err(Error::Shape));
    assert_eq!(state.score(99, rows, 1, 2, scores), Err(Error::Handle));
    assert_eq!(state.load(12, 4), Err(Error::Pointer));
    assert_eq!(state.load(rows, 16), Err(Error::Length));
    assert_eq!(state.free(rows + 1), Err(Error::Pointer));
    assert_eq!(state.free(0), Err(Error::Pointer));
    assert_eq!(state.free(rows), Ok(()));
    assert_eq!(state.free(rows), Err(Error::Pointer), "freed twice");
    assert_eq!(state.score(handle, rows, 1, 2, scores), Err(Error::Pointer), "used after free");
}

#[test]
fn slots_and_sizes_are_bounded() {
    let mut state = State::new();
    assert_eq!(state.alloc(usize::MAX), Err(Error::Memory));
    let pointers: Vec<usize> = (0..64).map(|_| state.alloc(0).unwrap()).collect();
    assert_eq!(state.alloc(1), Err(Error::Slots));
    pointers.iter().for_each(|&pointer| state.free(pointer).unwrap());
    for _ in 0..16 {
        loaded(&mut state);
    }
    let pointer = state.alloc(artifact().len()).unwrap();
    assert_eq!(state.load(pointer, artifact().len()), Err(Error::Slots));
}
