//! What the user sees: the list, the table, the JSON object.

use anyhow::Result;
use comfy_table::{CellAlignment, Table, presets};
use serde_json::{Map, Value, json};

use crate::engine::Engine;
use crate::kernel::Kernel;
use crate::measure::{Cell, Results, Row};
use crate::statistics::{geometric_mean, median};

/// Prints the names of kernels and engines.
pub(crate) fn list(kernels: &[Kernel], engines: &[&Engine]) {
    println!("kernels:");
    for kernel in kernels {
        println!("  {}", kernel.name);
    }
    println!("engines:");
    for engine in engines {
        println!("  {:12} {}", engine.name, engine.about);
    }
}

/// The table: median seconds, and their ratio to those of the engine `against`.
pub(crate) fn table(results: &Results, against: &str) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(std::iter::once("kernel").chain(results.engines.iter().copied()));
    for row in &results.rows {
        let reference = reference(results, row, against);
        let agree = row.checksum().is_ok();
        let cells = row
            .cells
            .iter()
            .map(|cell| cell_text(cell, reference, agree));
        table.add_row(std::iter::once(row.kernel.clone()).chain(cells));
    }
    let means = (0..results.engines.len()).map(|engine| match mean(results, engine, against) {
        (_, 0) | (None, _) => String::new(),
        (Some(mean), count) => format!("of {count} {mean:5.2}x"),
    });
    table.add_row(std::iter::once("geometric mean".to_owned()).chain(means));
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!(
        "{}\nMedian CPU seconds, and how many times those of {against}.",
        table.trim_fmt()
    )
}

fn cell_text(cell: &Cell, reference: Option<f64>, agree: bool) -> String {
    match median(&cell.seconds) {
        _ if cell.failure.is_some() => "FAILED".to_owned(),
        None => "-".to_owned(),
        Some(_) if !agree => "WRONG".to_owned(),
        Some(seconds) => match reference {
            Some(reference) => format!("{seconds:.3} {:5.2}x", seconds / reference),
            None => format!("{seconds:.3}"),
        },
    }
}

/// One JSON object: every time, the medians, the ratios and their means.
pub(crate) fn json(results: &Results, against: &str) -> Result<String> {
    let rows =
        results.rows.iter().map(|row| {
            let reference = reference(results, row, against);
            let engines = results.engines.iter().zip(&row.cells).map(|(engine, cell)| {
            let middle = median(&cell.seconds);
            let value = json!({
                "median": middle,
                "ratio": middle.zip(reference).map(|(middle, reference)| middle / reference),
                "seconds": cell.seconds,
                "result": cell.checksum,
                "failure": cell.failure,
            });
            ((*engine).to_owned(), value)
        });
            json!({ "kernel": row.kernel, "engines": engines.collect::<Map<String, Value>>() })
        });
    let means = results.engines.iter().enumerate().map(|(index, engine)| {
        let (mean, count) = mean(results, index, against);
        (
            (*engine).to_owned(),
            json!({ "ratio": mean, "kernels": count }),
        )
    });
    let object = json!({
        "against": against,
        "interrupted": results.interrupted,
        "kernels": rows.collect::<Vec<_>>(),
        "geometric_means": means.collect::<Map<String, Value>>(),
        "problems": results.problems(),
    });
    Ok(serde_json::to_string_pretty(&object)?)
}

/// The median seconds of the engine that a row is compared with.
fn reference(results: &Results, row: &Row, against: &str) -> Option<f64> {
    let index = results
        .engines
        .iter()
        .position(|engine| *engine == against)?;
    median(&row.cells[index].seconds)
}

/// The geometric mean of an engine's ratios, and of how many kernels: those that both have, and whose
/// results are right.
fn mean(results: &Results, engine: usize, against: &str) -> (Option<f64>, usize) {
    let ratios: Vec<f64> = results
        .rows
        .iter()
        .filter(|row| row.checksum().is_ok())
        .filter_map(|row| {
            Some(median(&row.cells[engine].seconds)? / reference(results, row, against)?)
        })
        .collect();
    (geometric_mean(&ratios), ratios.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(seconds: &[f64], checksum: &str) -> Cell {
        Cell {
            seconds: seconds.to_vec(),
            checksum: Some(checksum.to_owned()),
            failure: None,
        }
    }

    fn results() -> Results {
        let row = |kernel: &str, cells| Row {
            kernel: kernel.to_owned(),
            cells,
        };
        Results {
            engines: vec!["us", "them"],
            rows: vec![
                row("fast", vec![cell(&[0.1, 0.3, 0.2], "1"), cell(&[0.4], "1")]),
                row("slow", vec![cell(&[1.0], "2"), cell(&[2.0], "2")]),
                row("odd", vec![cell(&[1.0], "3"), cell(&[1.0], "4")]),
                row("only", vec![cell(&[1.0], "5"), Cell::default()]),
            ],
            interrupted: false,
        }
    }

    #[test]
    fn the_table_shows_medians_ratios_and_means() {
        let text = table(&results(), "us");
        let lines: Vec<Vec<&str>> = text
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(lines[1], ["fast", "0.200", "1.00x", "0.400", "2.00x"]);
        assert_eq!(lines[3], ["odd", "WRONG", "WRONG"]);
        assert_eq!(lines[4], ["only", "1.000", "1.00x", "-"]);
        assert_eq!(
            lines[5],
            ["geometric", "mean", "of", "3", "1.00x", "of", "2", "2.00x"]
        );
    }

    #[test]
    fn an_engine_that_did_not_run_gives_no_ratios() {
        let text = table(&results(), "nobody");
        assert!(
            text.lines()
                .any(|line| line.split_whitespace().eq(["fast", "0.200", "0.400"]))
        );
    }

    #[test]
    fn the_json_object_has_the_same_numbers() {
        let object: Value = serde_json::from_str(&json(&results(), "us").unwrap()).unwrap();
        assert_eq!(object["kernels"][0]["engines"]["them"]["ratio"], 2.0);
        assert_eq!(object["geometric_means"]["them"]["kernels"], 2);
        assert_eq!(object["problems"].as_array().unwrap().len(), 1);
    }
}
