use forest::{Artifact, Error, Forest};
use std::alloc::{alloc_zeroed, dealloc, Layout};

const MAX_BUFFERS: usize = 64;
const MAX_MODELS: usize = 16;
const ALIGN: usize = 16;

/// What the module holds: the buffers it handed out and the models it loaded. Addresses are plain numbers here, so that the
/// host's mistakes are values to check and not undefined behaviour.
pub struct State {
    buffers: [(usize, usize); MAX_BUFFERS],
    models: [Option<(i32, Forest)>; MAX_MODELS],
    last_handle: i32,
}

impl State {
    pub const fn new() -> Self {
        State { buffers: [(0, 0); MAX_BUFFERS], models: [const { None }; MAX_MODELS], last_handle: 0 }
    }

    pub fn alloc(&mut self, length: usize) -> Result<usize, Error> {
        let slot = self.buffers.iter_mut().find(|(pointer, _)| *pointer == 0).ok_or(Error::Slots)?;
        let layout = layout_of(length)?;
        // SAFETY: the layout's size is not zero.
        let pointer = unsafe { alloc_zeroed(layout) } as usize;
        if pointer == 0 {
            return Err(Error::Memory);
        }
        *slot = (pointer, length);
        Ok(pointer)
    }

    pub fn free(&mut self, pointer: usize) -> Result<(), Error> {
        let slot = self.buffers.iter_mut().find(|slot| slot.0 == pointer && pointer != 0).ok_or(Error::Pointer)?;
        let layout = layout_of(slot.1)?;
        *slot = (0, 0);
        // SAFETY: the table held it, so `alloc` made it with this layout and nobody has freed it.
        unsafe { dealloc(pointer as *mut u8, layout) };
        Ok(())
    }

    pub fn load(&mut self, pointer: usize, length: usize) -> Result<i32, Error> {
        self.check(pointer, length, 1)?;
        let slot = self.models.iter_mut().find(|slot| slot.is_none()).ok_or(Error::Slots)?;
        // SAFETY: a live buffer of ours holds these bytes, and nothing writes to it meanwhile.
        let bytes = unsafe { core::slice::from_raw_parts(pointer as *const u8, length) };
        let forest = Forest::new(&Artifact::parse(bytes)?)?;
        self.last_handle = self.last_handle.checked_add(1).ok_or(Error::Slots)?;
        *slot = Some((self.last_handle, forest));
        Ok(self.last_handle)
    }

    pub fn unload(&mut self, handle: i32) -> Result<(), Error> {
        let slot = self.models.iter_mut().find(|slot| matches!(slot, Some((held, _)) if *held == handle));
        *slot.ok_or(Error::Handle)? = None;
        Ok(())
    }

    pub fn forest(&self, handle: i32) -> Result<&Forest, Error> {
        self.models.iter().flatten().find(|(held, _)| *held == handle).map(|(_, forest)| forest).ok_or(Error::Handle)
    }

    pub fn score(&self, handle: i32, rows: usize, n: usize, d: usize, scores: usize) -> Result<(), Error> {
        let forest = self.forest(handle)?;
        if d != forest.features() {
            return Err(Error::Shape);
        }
        let values = n.checked_mul(d).ok_or(Error::Shape)?;
        self.check(rows, values.checked_mul(4).ok_or(Error::Shape)?, 4)?;
        self.check(scores, n.checked_mul(4).ok_or(Error::Shape)?, 4)?;
        let (rows_end, scores_end) = (rows + values * 4, scores + n * 4);
        if rows < scores_end && scores < rows_end {
            return Err(Error::Pointer);
        }
        // SAFETY: both ranges lie in live buffers of ours, aligned, and do not overlap; every bit pattern is a float.
        let (rows, scores) = unsafe {
            (core::slice::from_raw_parts(rows as *const f32, values), core::slice::from_raw_parts_mut(scores as *mut f32, n))
        };
        forest.score(rows, scores)
    }

    /// Whether `length` bytes from `pointer` lie wholly in one live buffer.
    fn check(&self, pointer: usize, length: usize, align: usize) -> Result<(), Error> {
        let end = pointer.checked_add(length).ok_or(Error::Pointer)?;
        let inside = self.buffers.iter().any(|&(start, size)| start != 0 && pointer >= start && end <= start + size);
        if inside && pointer % align == 0 {
            Ok(())
        } else {
            Err(Error::Pointer)
        }
    }
}

impl Default for State {
    fn default() -> Self {
        Self::new()
    }
}

fn layout_of(length: usize) -> Result<Layout, Error> {
    Layout::from_size_align(length.max(1), ALIGN).map_err(|_| Error::Memory)
}
