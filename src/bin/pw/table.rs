//! Tables for people, and what stands in their cells.

use physics_world::jit::failure::Place;
use physics_world::profile::Seen;

/// Instructions longer than this are cut in tables.
const TEXT_MAX: usize = 48;

/// Rows in columns, the first few of them numbers; nothing when there are no rows.
pub(crate) fn table(heads: &[&str], numbers: usize, rows: Vec<Vec<String>>) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let heads = heads.iter().map(|head| (*head).to_owned()).collect();
    let lines: Vec<Vec<String>> = std::iter::once(heads).chain(rows).collect();
    let width = |column: usize| {
        let cells = lines.iter().map(|line| line[column].chars().count());
        cells.max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..lines[0].len()).map(width).collect();
    let mut out = String::new();
    for line in &lines {
        let mut text = String::new();
        for (column, (cell, width)) in line.iter().zip(&widths).enumerate() {
            if column < numbers {
                text += &format!("  {cell:>width$}");
            } else {
                text += &format!("  {cell:<width$}");
            }
        }
        out += &format!("\n{}", text.trim_end());
    }
    out + "\n"
}

/// A place for people, who do not care for the pc where a row has it in another column.
pub(crate) fn place_text(place: &Place) -> String {
    if place.line.is_some() {
        place.to_string()
    } else {
        place.function.clone()
    }
}
/// What was seen at an instruction.
pub(crate) fn seen_text(seen: &Seen) -> String {
    let kinds: Vec<&str> = seen.kinds.iter().map(|kind| kind.name()).collect();
    let kinds = kinds.join("|");
    match &seen.target {
        Some(target) => format!("{kinds}, calls {target}"),
        None => kinds,
    }
}

/// A text, or its beginning.
pub(crate) fn cut(text: &str) -> String {
    match text.char_indices().nth(TEXT_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
