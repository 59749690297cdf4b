//! Vectors that grow without a panic.

/// push that says None where there is no memory. `Vec::push` panics there, and
/// an init that panics takes the container with it.
#[inline(never)]
pub fn push<T>(list: &mut Vec<T>, item: T) -> Option<()> {
    list.try_reserve(1).ok()?;
    // SAFETY: the room beyond the length is reserved, and written before it counts.
    unsafe {
        list.as_mut_ptr().add(list.len()).write(item);
        list.set_len(list.len() + 1);
    }
    Some(())
}
