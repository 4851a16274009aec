//! `docs/ISA.md` is what the opcode table says.

#[test]
fn the_reference_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/ISA.md");
    let rendered = pw_isa::reference_doc::render();
    if std::env::var_os("PW_BLESS").is_some() {
        std::fs::write(path, &rendered).expect("docs/ISA.md can be written");
    }
    let written = std::fs::read_to_string(path).expect("docs/ISA.md is there");
    assert!(
        written == rendered,
        "docs/ISA.md is out of date: PW_BLESS=1 cargo test -p pw-isa --test reference_doc"
    );
}
