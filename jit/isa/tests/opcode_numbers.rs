//! Numbers of instructions, kinds and errors are in files and images: they never change.

use pw_isa::{ErrorKind, Kind, Op, Opcode};

#[test]
fn instructions_keep_their_numbers() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/opcode_numbers.txt");
    let lines =
        Opcode::all().map(|(opcode, info)| format!("{:#06x} {}\n", opcode.0, info.mnemonic));
    let numbers: Vec<String> = lines.collect();
    let known = std::fs::read_to_string(path).unwrap_or_default();
    for line in known.lines() {
        assert!(
            numbers.iter().any(|number| number.trim_end() == line),
            "`{line}` has changed: files and images hold this number. Rows are only ever appended."
        );
    }
    if std::env::var_os("PW_BLESS").is_some() {
        std::fs::write(path, numbers.concat()).expect("the list can be written");
    } else {
        let new: Vec<&str> = (numbers.iter().map(|line| line.trim_end()))
            .filter(|line| !known.lines().any(|known| known == *line))
            .collect();
        assert!(new.is_empty(), "PW_BLESS=1 takes up the new rows {new:?}");
    }
}

#[test]
fn mnemonics_are_unique_and_can_be_written() {
    let mut seen = std::collections::BTreeSet::new();
    for (opcode, info) in Opcode::all() {
        assert!(seen.insert(info.mnemonic), "{} twice", info.mnemonic);
        assert_eq!(Opcode::from_mnemonic(info.mnemonic), Some(opcode));
        assert_eq!(opcode.info().map(|info| info.mnemonic), Some(info.mnemonic));
        assert!(
            info.mnemonic
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        );
    }
}

#[test]
fn an_instruction_has_the_number_that_it_was_made_from() {
    for (opcode, info) in Opcode::all() {
        let op = Op::from_raw(opcode, &vec![0; info.operands.len()]).expect("zero is any operand");
        assert_eq!(op.opcode(), opcode);
        assert!(Op::from_raw(opcode, &vec![0; info.operands.len() + 1]).is_none());
    }
}

#[test]
fn kinds_and_errors_keep_their_numbers() {
    let kinds = Kind::ALL.map(|kind| kind.name()).join(" ");
    assert_eq!(
        kinds,
        "nil bool int float symbol string bytes pair vector map function actor capability error cell"
    );
    let errors: Vec<&str> = ErrorKind::ALL.iter().map(|kind| kind.name()).collect();
    assert_eq!(
        errors.join(" "),
        "TypeMismatch ArithmeticOverflow DivisionByZero OutOfRange Arity CapabilityDenied \
         RecursionLimitExceeded MailboxFull Timeout ActorEnded HostLost Error Raised GasLimitExceeded \
         MemoryLimitExceeded StackUnderflow InvalidHeapPtr UnknownOpCode QuotaExceeded \
         SandboxGasExceeded SandboxMemoryExceeded"
    );
    for (tag, kind) in Kind::ALL.into_iter().enumerate() {
        assert_eq!(
            (kind as usize, Kind::from_tag(tag as u8)),
            (tag, Some(kind))
        );
    }
    for (tag, kind) in ErrorKind::ALL.iter().enumerate() {
        assert_eq!(
            (*kind as usize, ErrorKind::from_tag(tag as u8)),
            (tag, Some(*kind))
        );
    }
}
