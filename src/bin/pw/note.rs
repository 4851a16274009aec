//! What is said beside the result: on stderr. That nobody reads it is no reason to end in another way.

use std::io::Write;

/// Writes a line to stderr, as `eprintln!` does.
macro_rules! note {
    ($($part:tt)*) => {
        $crate::note::write(&format!("{}\n", format_args!($($part)*)))
    };
}

/// Writes a text to stderr.
pub(crate) fn write(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}
