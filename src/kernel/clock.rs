//! The two clocks.

use crate::text::time::Time;

/// CLOCK_MONOTONIC: no clock change moves a deadline.
pub fn now() -> Time {
    read(libc::CLOCK_MONOTONIC)
}

/// Where there is no deadline the clock is not read.
pub fn is_past(until: Time) -> bool {
    until != Time::NEVER && now() > until
}

/// Ticks since boot: the clock and the unit of `starttime` in /proc/PID/stat
/// (proc(5)).
pub fn boot_ticks() -> u64 {
    read(libc::CLOCK_BOOTTIME).as_millis() / (1000 / TICKS)
}

/// USER_HZ, the kernel's promise to user space on every architecture that
/// Rust has a Linux target for.
pub const TICKS: u64 = 100;

fn read(id: libc::clockid_t) -> Time {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: it writes one timespec; both clocks exist since Linux 2.6.39.
    unsafe { libc::clock_gettime(id, &mut now) };
    Time::seconds(now.tv_sec as u64) + Time::nanos(now.tv_nsec as u64)
}
