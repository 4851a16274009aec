use super::*;
fn dump(text: &str) {
    match compile("t.jue", text) {
        Ok(program) => {
            for (number, function) in program.functions.iter().enumerate() {
                println!("-- {} {} params {} rest {} captures {} registers {}", number, program.function_name(number as u32), function.params, function.rest, function.captures, function.registers);
                for (pc, op) in function.code.iter().enumerate() {
                    println!("  {pc:3} {} {:?}", op.info().mnemonic, op.operands().map(|(_, r)| r).collect::<Vec<_>>());
                }
                if !function.handlers.is_empty() { println!("   {:?}", function.handlers); }
            }
            if let Err(e) = pw_isa::verify::verify(program) { println!("VERIFY {e}"); panic!() }
        }
        Err(errors) => println!("{errors}"),
    }
}
#[test]
fn scratch() {
    dump(&std::fs::read_to_string("/tmp/scratch/a.jue").unwrap());
}
