//! Exits as they are made pass the check, and with any mistake in them they do not.

use cranelift_codegen::cursor::{Cursor, FuncCursor};
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{Function, InstBuilder};
use cranelift_frontend::FunctionBuilderContext;

use super::*;
use crate::compile::Request;
use crate::compile::feedback::{Feedback, FunctionFeedback};
use crate::compile::lower;
use crate::host::{Answer, Effect, Host, Kept};
use crate::interp::profile::Profile;
use crate::tier::Optimizations;
use crate::{CodeSpace, Fiber, Limits, interp};

/// A loop with an Int, a Float, a pair of such and a closure over it, a function that is inlined, with one inlined in
/// it, and one that is not.
const SOURCE: &str = ".entry @main
func twice(x)
    add x x x
    return x
func next(x, step)
    move r3 step
    call r2 args=1 @twice
    add x x r2
    return x
func second(x) captures=1
    capture r2 r1 0
    cdr r2 r2
    add r2 r2 x
    return r2
func fib(n)
    .locals two test
    int two 2
    lt test n two
    branch-if test done
    int r5 1
    sub r5 n r5
    call r4 args=1 @fib
    sub r6 n two
    call r5 args=1 @fib
    add r4 r4 r5
    return r4
done:
    return n
func main()
    .locals i sum half test pair
    int i 0
    int sum 0
    float half 0.0
    cons pair half i
again:
    loop
    int r5 60
    lt test i r5
    branch-unless test end
    int r6 5
    call r5 args=1 @fib
    add sum sum r5
    float r5 0.5
    add half half r5
    move r6 i
    int r7 1
    call r5 args=2 @next
    car r5 pair
    cdr r6 pair
    add r6 r6 i
    cons pair r5 r6
    closure r6 @second pair count=1
    move r7 i
    call-closure r6 args=1
    add sum sum r6
    int r5 1
    add i i r5
    jump again
end:
    car pair pair
    cons sum pair half
    return sum
";

struct Nothing;

impl Host for Nothing {
    fn effect(&mut self, _: &CodeSpace, _: Option<&Kept>, _: Effect) -> Answer {
        unreachable!("the program asks for nothing")
    }
}

fn body(code: &CodeSpace, profile: &Profile, function: u32) -> Function {
    let program = code.shared(0);
    let loops = (0..program.function(function).code.len() as u32).collect();
    let feedback = Feedback::gather(&program, 0, function, loops, |number| {
        FunctionFeedback::new(profile.function(0, number), &[], false)
    });
    let request = Request {
        program,
        number: 0,
        function,
        feedback,
    };
    let mut body = Function::new();
    let config = cranelift_native::builder()
        .expect("this machine")
        .finish(cranelift_codegen::settings::Flags::new(
            cranelift_codegen::settings::builder(),
        ))
        .expect("its settings")
        .frontend_config();
    let frontend = &mut FunctionBuilderContext::new();
    lower::lower(
        &request,
        &mut body,
        frontend,
        config,
        Optimizations::default(),
        false,
    );
    body
}

/// The program, and what a run of it has shown.
fn learnt() -> (CodeSpace, Profile) {
    let program = pw_isa::text::parse(SOURCE).expect("assembly text");
    let mut code = CodeSpace::default();
    let number = code.load(pw_isa::verify::verify(program).expect("a program"));
    let mut fiber = Fiber::new(&code, number, Limits::default());
    let mut profile = Profile::default();
    interp::run(&mut fiber, &code, &mut Nothing, &mut profile, u64::MAX);
    (code, profile)
}

/// The stores on ways that leave.
fn stores(body: &Function, program: &LoadedProgram) -> Vec<Inst> {
    let checker = Checker::new(body, program);
    let mut found = BTreeSet::new();
    for first in body.layout.blocks().filter(|b| checker.begins_way(*b)) {
        let blocks = body.layout.blocks();
        let way = checker.way(first);
        for block in blocks.filter(|block| checker.is_on(&way, *block)) {
            let insts = body.layout.block_insts(block);
            found.extend(
                insts.filter(|inst| matches!(body.dfg.insts[*inst], InstructionData::Store { .. })),
            );
        }
    }
    found.into_iter().collect()
}

#[test]
fn each_damaged_exit_is_found() {
    let (code, profile) = learnt();
    let program = &code.shared(0);
    for function in 0..program.program().functions.len() as u32 {
        let whole = body(&code, &profile, function);
        let ways = check(&whole, program).expect("exits as they are made");
        assert!(ways > 2, "{ways} ways leave");
        for store in stores(&whole, program) {
            let mut body = whole.clone();
            body.layout.remove_inst(store);
            assert!(check(&body, program).is_err(), "without {store}");
            // The same one slot further.
            let mut body = whole.clone();
            if let InstructionData::Store { offset, .. } = &mut body.dfg.insts[store] {
                *offset = (i32::from(*offset) + 16).into();
            }
            assert!(check(&body, program).is_err(), "{store} elsewhere");
        }
    }
}

/// A word that is defined where not every path to a block passes.
fn word_elsewhere(checker: &Checker<'_>, block: Block) -> Option<Value> {
    let body = checker.body;
    let blocks = body.layout.blocks();
    let blocks = blocks.filter(|other| !checker.is_passed(*other, block));
    let mut insts = blocks.flat_map(|block| body.layout.block_insts(block));
    insts.find_map(|inst| {
        let result = body.dfg.inst_results(inst).first().copied();
        result.filter(|result| body.dfg.value_type(*result) == I64)
    })
}

#[test]
fn wrong_sources_are_found() {
    let (code, profile) = learnt();
    let program = &code.shared(0);
    let main = program.program().functions.len() as u32 - 1;
    let whole = body(&code, &profile, main);
    let checker = Checker::new(&whole, program);
    let with = |store: Inst, value: Value| {
        let mut body = whole.clone();
        body.dfg.inst_args_mut(store)[0] = value;
        check(&body, program).is_err()
    };
    let (mut floats, mut of_objects) = (0, 0);
    for store in stores(&whole, program) {
        let block = whole.layout.inst_block(store).expect("it is in a block");
        let elsewhere = word_elsewhere(&checker, block);
        let elsewhere = elsewhere.expect("some block does not dominate this one");
        assert!(with(store, elsewhere), "a value that is not there, {store}");
        if whole.dfg.value_type(whole.dfg.inst_args(store)[0]) == F64 {
            floats += 1;
            let word = whole.dfg.block_params(checker.entry())[0];
            assert!(with(store, word), "a word as a Float, {store}");
        }
        of_objects += usize::from(checker.object(whole.dfg.inst_args(store)[1]).is_some());
        let mut body = whole.clone();
        let mut cursor = FuncCursor::new(&mut body).at_first_insertion_point(checker.entry());
        let undefined = cursor.ins().iconst(I64, 0);
        body.dfg.inst_args_mut(store)[0] = undefined;
        assert!(check(&body, program).is_err(), "no value, {store}");
    }
    assert!(floats > 0 && of_objects > 0);
}

#[test]
fn ways_in_leave_where_they_came_in_and_give_nothing_back() {
    let (code, profile) = learnt();
    let program = &code.shared(0);
    let main = program.program().functions.len() as u32 - 1;
    let whole = body(&code, &profile, main);
    let checker = Checker::new(&whole, program);
    let mut ways_in = 0;
    for first in whole.layout.blocks().filter(|b| checker.begins_way(*b)) {
        let way = checker.way(first);
        let written = |to: Address| way.written.get(&to).copied();
        let place = written(state(offset_of!(NativeState<'_>, exit_place)));
        let gas = written(state(offset_of!(NativeState<'_>, gas)));
        let (Some(place), None) = (place, gas) else {
            continue;
        };
        ways_in += 1;
        let word = checker.constant(place).expect("a place is a constant");
        let found = ExitPlace::unpack(word as u64).expect("a place");
        let refund = found.refund + 1;
        let (pc, function) = (found.pc + 1, found.function - 1);
        let wrong = [
            ExitPlace { refund, ..found },
            ExitPlace { pc, ..found },
            ExitPlace { function, ..found },
        ];
        for wrong in wrong {
            let mut body = whole.clone();
            let inst = body.dfg.value_def(place).unwrap_inst();
            body.dfg.insts[inst] = InstructionData::UnaryImm {
                opcode: Opcode::Iconst,
                imm: (wrong.pack() as i64).into(),
            };
            assert!(check(&body, program).is_err(), "{wrong:?} for {found:?}");
        }
    }
    assert!(ways_in > 2, "{ways_in} ways in");
}
