//! `pw check`: verifies a program and reports.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use physics_world::isa::verify::Verified;
use physics_world::json::text_json;

use crate::input;

/// Verify a program and report what it consists of.
#[derive(Args)]
pub(crate) struct Check {
    /// The program: .jue, .pwa or .pwb.
    file: PathBuf,
    /// Report as one JSON object on stdout.
    #[arg(long)]
    json: bool,
}

impl Check {
    pub(crate) fn execute(self) -> ExitCode {
        match input::load(&self.file) {
            Ok(verified) => {
                if self.json {
                    input::say(&format!("{}\n", report_json(&verified)));
                } else {
                    input::say(&report(&verified));
                }
                ExitCode::SUCCESS
            }
            Err(bad) => input::refuse(&bad, self.json),
        }
    }
}

fn report(verified: &Verified) -> String {
    let program = verified.program();
    let mut out = format!(
        "program {}\n{} functions, {} globals, entry {}\n\n{:<24} {:>12} {:>9} {:>9}  {}\n",
        verified.signature(),
        program.functions.len(),
        program.globals,
        program.function_name(program.entry),
        "function",
        "instructions",
        "registers",
        "constants",
        "code"
    );
    for (number, function) in (0..).zip(&program.functions) {
        let signature = verified.code_signature(number).to_string();
        out += &format!(
            "{:<24} {:>12} {:>9} {:>9}  {}\n",
            program.function_name(number),
            function.code.len(),
            function.registers,
            function.constants.len(),
            &signature[..16]
        );
    }
    out
}

fn report_json(verified: &Verified) -> String {
    let program = verified.program();
    let functions: Vec<String> = (0..)
        .zip(&program.functions)
        .map(|(number, function)| {
            format!(
                "{{\"name\":{},\"instructions\":{},\"registers\":{},\"constants\":{},\"signature\":\"{}\"}}",
                text_json(&program.function_name(number)),
                function.code.len(),
                function.registers,
                function.constants.len(),
                verified.code_signature(number)
            )
        })
        .collect();
    format!(
        "{{\"signature\":\"{}\",\"globals\":{},\"entry\":{},\"functions\":[{}]}}",
        verified.signature(),
        program.globals,
        text_json(&program.function_name(program.entry)),
        functions.join(",")
    )
}
