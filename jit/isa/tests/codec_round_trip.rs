//! Program files: what is written reads back as the same program, one program has one file, and
//! damaged files are refused with a place.

use proptest::prelude::*;
use pw_isa::{Program, codec};
use testkit::mutate::{self, Sections};
use testkit::{fuzz, programs};

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1000) })]

    #[test]
    fn every_well_formed_program_survives_its_file(program in programs::any_program()) {
        let file = codec::encode(&program);
        prop_assert_eq!(codec::decode(&file), Ok(program));
        fuzz::decode(&file);
    }

    #[test]
    fn any_sections_are_read_or_refused(
        code in proptest::collection::vec(any::<u8>(), 0..200),
        debug in proptest::collection::vec(0..4u8, 0..20),
    ) {
        fuzz::decode(&Sections { code, debug }.to_file());
    }

    #[test]
    fn damaged_programs_are_read_or_refused(
        program in programs::any_program(),
        places in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        in_debug in any::<bool>(),
    ) {
        let mut sections = Sections::of(&codec::encode(&program));
        let section = if in_debug { &mut sections.debug } else { &mut sections.code };
        for (place, byte) in places {
            let at = place.index(section.len());
            section[at] = byte;
        }
        fuzz::decode(&sections.to_file());
        fuzz::verify(&sections.to_file());
    }
}

#[test]
fn files_cut_short_or_with_a_flipped_bit_are_refused() {
    let file = codec::encode(&programs::sample());
    fuzz::decode(&file);
    fuzz::verify(&file);
    mutate::truncations(&file, |bytes| assert!(codec::decode(bytes).is_err()));
    mutate::bit_flips(&file, |bytes| assert!(codec::decode(bytes).is_err()));
}

#[test]
fn damage_behind_sound_checksums_is_read_or_refused() {
    let sound = Sections::of(&codec::encode(&programs::sample()));
    let check = |sections: &Sections| {
        let file = sections.to_file();
        fuzz::decode(&file);
        fuzz::verify(&file);
    };
    let with_code = |code: &[u8]| {
        check(&Sections {
            code: code.to_vec(),
            ..sound.clone()
        });
    };
    let with_debug = |debug: &[u8]| {
        check(&Sections {
            debug: debug.to_vec(),
            ..sound.clone()
        });
    };
    mutate::truncations(&sound.code, with_code);
    mutate::bit_flips(&sound.code, with_code);
    mutate::truncations(&sound.debug, with_debug);
    mutate::bit_flips(&sound.debug, with_debug);
}

#[test]
fn random_bytes_are_refused() {
    // xorshift64 with a fixed seed: the same bytes in every run.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for length in 0..2000 {
        let bytes: Vec<u8> = (0..length % 256)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state as u8
            })
            .collect();
        fuzz::decode(&bytes);
        fuzz::assemble(&bytes);
        fuzz::decode(
            &Sections {
                code: bytes.clone(),
                debug: vec![0, 0, 0],
            }
            .to_file(),
        );
    }
}

fn refusal(file: &[u8]) -> String {
    codec::decode(file)
        .expect_err("the file is damaged")
        .to_string()
}

#[test]
fn refusals_tell_the_place_and_what_was_expected() {
    let file = codec::encode(&programs::sample());
    let changed = |at: usize, byte: u8| {
        let mut file = file.clone();
        file[at] = byte;
        refusal(&file)
    };
    assert_eq!(
        changed(0, b'X'),
        "at byte 4: not a program file: it does not start with PWB1"
    );
    assert_eq!(changed(4, 9), "at byte 6: version 9; this reader knows 1");
    assert!(changed(90, 0xee).contains("the checksum of the code section does not match"));
    let mut longer = file.clone();
    longer.push(0);
    assert!(refusal(&longer).ends_with("1 bytes behind the end"));
    let section = |code: &[u8]| {
        refusal(
            &Sections {
                code: code.to_vec(),
                debug: vec![0, 0, 0],
            }
            .to_file(),
        )
    };
    assert_eq!(
        section(&[0xff, 0x01]),
        "at byte 2: a count of 255 where at most 0 fit"
    );
    assert_eq!(
        section(&[0x80, 0x00]),
        "at byte 2: a number that is not in its shortest form"
    );
}

#[test]
fn tables_that_do_not_fit_together_are_refused() {
    let mut program = programs::sample();
    program.debug.functions.pop();
    assert!(
        refusal(&codec::encode(&program)).contains("the debug section describes 5 of 6 functions")
    );
    let mut program = programs::sample();
    program.debug.globals.pop();
    assert!(refusal(&codec::encode(&program)).contains("the debug section names 1 of 2 globals"));
    let mut program = programs::sample();
    program.functions[0].gas.pop();
    assert!(refusal(&codec::encode(&program)).contains("gas is given for 10 of 11 instructions"));
}

#[test]
fn the_empty_program_has_a_file() {
    let file = codec::encode(&Program::default());
    assert_eq!(codec::decode(&file), Ok(Program::default()));
    assert_eq!(file.len(), codec::HEAD_BYTES + 3 + 3);
}
