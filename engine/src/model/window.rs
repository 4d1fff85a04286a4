//! Windows: the fixed spans of time that chunks cover.

/// The number of a window: floor(time / window length); negative before 1970.
pub type Window = i64;

/// The window that holds a time, both in nanoseconds since the epoch.
#[must_use]
pub const fn floor_to_window(time_ns: i64, window_ns: i64) -> Window {
    time_ns.div_euclid(window_ns)
}

/// The first nanosecond of a window. The windows at the ends of time are cut off there.
#[must_use]
pub const fn window_start(window: Window, window_ns: i64) -> i64 {
    window.saturating_mul(window_ns)
}

/// The last nanosecond of a window.
#[must_use]
pub const fn window_end(window: Window, window_ns: i64) -> i64 {
    match window.saturating_add(1).checked_mul(window_ns) {
        Some(next) => next.saturating_sub(1),
        None if window < 0 => i64::MIN,
        None => i64::MAX,
    }
}
