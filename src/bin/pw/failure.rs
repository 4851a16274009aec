//! How a program failed, for people and for machines.

use physics_world::jit::failure::{Failure, Place};
use physics_world::json::text_json;

/// Says how a program failed, for people.
pub(crate) fn complain(failure: &Failure, source: &[u8]) {
    note!("{failure}");
    if let Some(line) = failure
        .source_place()
        .and_then(|place| source_line(source, place))
    {
        note!("{line}");
    }
}

/// The line of source at fault.
fn source_line(source: &[u8], place: &Place) -> Option<String> {
    let line = place.line?;
    let text = std::str::from_utf8(source)
        .ok()?
        .lines()
        .nth(line as usize - 1)?;
    Some(format!("  {line} | {text}"))
}

pub(crate) fn place_json(place: &Place) -> String {
    format!(
        "\"function\":{},\"pc\":{},\"file\":{},\"line\":{}",
        text_json(&place.function),
        place.pc,
        place.file.as_deref().map_or("null".to_owned(), text_json),
        place
            .line
            .map_or("null".to_owned(), |line| line.to_string())
    )
}

pub(crate) fn failure_json(failure: &Failure) -> String {
    let operands: Vec<String> = failure
        .operands
        .iter()
        .map(|(name, value)| format!("[{},{}]", text_json(name), text_json(value)))
        .collect();
    // A library function has no line of its own: the line is that of the call that led there.
    let known = failure.source_place();
    let place = Place {
        file: known.and_then(|place| place.file.clone()),
        line: known.and_then(|place| place.line),
        ..failure.place.clone()
    };
    let backtrace: Vec<String> = failure
        .backtrace
        .iter()
        .map(|place| format!("{{{}}}", place_json(place)))
        .collect();
    format!(
        "{{\"kind\":\"{}\",\"message\":{},{},\"instruction\":{},\"operands\":[{}],\"backtrace\":[{}],\"backtrace_omitted\":{}}}",
        failure.kind.name(),
        text_json(&failure.message),
        place_json(&place),
        text_json(&failure.instruction),
        operands.join(","),
        backtrace.join(","),
        failure.backtrace_omitted
    )
}
