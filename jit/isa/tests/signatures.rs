//! Signatures name code: what a debugger shows does not change them, everything else does.

use pw_isa::program::{Handler, Variable};
use pw_isa::{CodeSignature, Constant, Function, Link, Program, ProgramSignature};
use testkit::programs;

/// What is changed, and how.
type Change<T> = (&'static str, fn(&mut T));

fn program() -> Program {
    programs::sample()
}

fn main_of(program: &mut Program) -> &mut Function {
    program
        .functions
        .last_mut()
        .expect("the sample has functions")
}

#[test]
fn names_lines_and_variables_do_not_change_signatures() {
    let before = program();
    let mut after = before.clone();
    after.debug.file = "other".to_owned();
    after.debug.globals.clear();
    for function in &mut after.debug.functions {
        function.name.push('x');
        function.lines.push((9, 9));
        function.annotations.clear();
        function.variables.push(Variable {
            name: "v".to_owned(),
            register: 0,
            start: 0,
            end: 1,
        });
    }
    assert_eq!(ProgramSignature::of(&before), ProgramSignature::of(&after));
    after.debug = Default::default();
    assert_eq!(ProgramSignature::of(&before), ProgramSignature::of(&after));
}

#[test]
fn everything_in_a_function_changes_its_signature() {
    let changes: [Change<Function>; 15] = [
        ("params", |function| function.params += 1),
        ("rest", |function| function.rest ^= true),
        ("captures", |function| function.captures += 1),
        ("registers", |function| function.registers += 1),
        ("an instruction", |function| function.code.swap(0, 1)),
        ("the number of instructions", |function| {
            let last = function.code.len() - 1;
            function.code.push(function.code[last]);
        }),
        ("a constant", |function| {
            function.constants[0] = Constant::Int(99)
        }),
        ("the number of constants", |function| {
            function.constants.push(Constant::Nil)
        }),
        ("the bits of a zero", |function| {
            function.constants[0] = Constant::Float(1 << 63)
        }),
        ("the start of a handler", |function| {
            function.handlers[0].start += 1
        }),
        ("the end of a handler", |function| {
            function.handlers[0].end += 1
        }),
        ("the target of a handler", |function| {
            function.handlers[0].target += 1
        }),
        ("the register of a handler", |function| {
            function.handlers[0].dst += 1
        }),
        ("the order of handlers", |function| {
            function.handlers.swap(0, 1)
        }),
        ("gas", |function| {
            function.gas = vec![1; function.code.len()]
        }),
    ];
    let before = program();
    let mut seen = std::collections::BTreeSet::from([ProgramSignature::of(&before)]);
    for (what, change) in changes {
        let mut after = before.clone();
        let old = CodeSignature::of(main_of(&mut after));
        change(main_of(&mut after));
        assert_ne!(CodeSignature::of(main_of(&mut after)), old, "{what}");
        assert!(seen.insert(ProgramSignature::of(&after)), "{what}");
    }
}

#[test]
fn everything_that_links_functions_changes_the_signature_of_the_program() {
    let changes: [Change<Program>; 7] = [
        ("the entry", |program| program.entry -= 1),
        ("the number of globals", |program| program.globals += 1),
        ("a link", |program| program.links[0][0] = Link::Function(3)),
        ("the kind of a link", |program| {
            program.links[0][0] = Link::Global(0)
        }),
        ("the number of links", |program| {
            program.links[0].push(Link::Global(0))
        }),
        ("the table that a link stands in", |program| {
            let link = program.links[0].remove(0);
            program.links[1].push(link);
        }),
        ("the order of functions", |program| {
            program.functions.swap(3, 4)
        }),
    ];
    let before = program();
    let mut seen = std::collections::BTreeSet::from([ProgramSignature::of(&before)]);
    for (what, change) in changes {
        let mut after = before.clone();
        change(&mut after);
        assert!(seen.insert(ProgramSignature::of(&after)), "{what}");
    }
}

#[test]
fn a_function_has_one_signature_in_every_program() {
    let mut program = program();
    let before = CodeSignature::of(main_of(&mut program));
    program.links.iter_mut().for_each(|table| table.reverse());
    program.globals += 1;
    assert_eq!(CodeSignature::of(main_of(&mut program)), before);
}

#[test]
fn handlers_are_told_from_gas() {
    let with_handler = Function {
        handlers: vec![Handler {
            start: 0,
            end: 1,
            target: 1,
            dst: 1,
        }],
        ..Function::default()
    };
    let with_gas = Function {
        gas: vec![0, 1, 1, 1],
        ..Function::default()
    };
    assert_ne!(
        CodeSignature::of(&with_handler),
        CodeSignature::of(&with_gas)
    );
}
