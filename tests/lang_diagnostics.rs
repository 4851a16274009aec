//! What a person sees whose program has errors: all of them, each with its line and a caret.

use physics_world::lang::{Diagnostics, compile};

fn errors(source: &str) -> Diagnostics {
    compile("test.jue", source).expect_err(source)
}

/// The places and messages of all errors.
fn listed(source: &str) -> Vec<String> {
    errors(source)
        .errors()
        .iter()
        .map(|error| error.to_string())
        .collect()
}

#[test]
fn all_errors_of_a_file_are_reported_in_order() {
    let source =
        "(define (f x)\n  (if x))\n\n(foo 1)\n(let ((a 1 2)) \"\\q\")\n99999999999999999999\n";
    assert_eq!(
        listed(source),
        [
            "test.jue:2:3: malformed `if`",
            "test.jue:4:2: unknown name `foo`",
            "test.jue:5:7: malformed binding of `let`",
            "test.jue:5:17: unknown escape `\\q`",
            "test.jue:6:1: this integer does not fit 64 bits",
        ]
    );
}

#[test]
fn an_error_is_drawn_with_its_line_and_a_caret() {
    let drawn = errors("(define (area radius)\n  (* 3.14 radios radius))").to_string();
    for part in [
        "unknown name `radios`",
        "test.jue:2:11",
        "(* 3.14 radios radius))",
        "expected a variable, a function or a built-in name",
        "is `radius` meant?",
    ] {
        assert!(drawn.contains(part), "{part} is missing in\n{drawn}");
    }
    let lines: Vec<&str> = drawn.lines().collect();
    let source = lines
        .iter()
        .position(|line| line.contains("(* 3.14"))
        .unwrap();
    let column = lines[source].chars().count() - lines[source].trim_end().chars().count();
    assert_eq!(column, 0);
    let place = lines[source]
        .find("radios")
        .map(|at| lines[source][..at].chars().count());
    let caret = lines[source + 1]
        .find('─')
        .map(|at| lines[source + 1][..at].chars().count());
    assert_eq!(place, caret, "\n{drawn}");
    assert!(!drawn.contains('\u{1b}'), "no colours unless asked for");
    assert!(errors("x").render(true).contains('\u{1b}'));
}

#[test]
fn help_says_what_may_be_meant_and_does_not_guess_wildly() {
    let help = |source: &str| {
        let errors = errors(source);
        errors.errors()[0].help().map(str::to_owned)
    };
    let star = "values of a `let` do not see its other names: is `let*` meant?";
    assert_eq!(help("(let ((a 1) (b a)) b)").as_deref(), Some(star));
    assert_eq!(
        help("(let ((a 1) (b (+ 1 (let ((c a)) c)))) b)").as_deref(),
        Some(star)
    );
    // It is not there before it is bound, whatever binds it.
    assert_eq!(help("(let ((b a) (a 1)) b)"), None);
    assert_eq!(help("(begin (let ((a 1)) a) a)"), None);
    assert_eq!(
        help("(strng-length \"\")").as_deref(),
        Some("is `string-length` meant?")
    );
}

#[test]
fn a_diagnostic_is_data_too() {
    let errors = errors("\n ä (+ ünknown 1)");
    let error = errors.errors().last().unwrap();
    assert_eq!(
        (error.file(), error.line(), error.column()),
        ("test.jue", 2, 7)
    );
    assert_eq!(error.message(), "unknown name `ünknown`");
    assert_eq!(error.bytes(), 8..16);
    assert!(error.label().starts_with("expected"));
    assert_eq!(error.help(), None);
}

#[test]
fn a_missing_parenthesis_is_looked_for_where_the_next_form_starts() {
    let source = "(define (f x)\n  (+ x 1)\n\n(define (g x)\n  (f x))\n";
    let errors = errors(source);
    assert_eq!(errors.errors().len(), 1, "{errors}");
    let error = &errors.errors()[0];
    assert_eq!((error.line(), error.column()), (1, 1));
    assert_eq!(error.message(), "this list is never closed");
    assert!(error.help().unwrap().contains("line 4"), "{errors}");
}

#[test]
fn brackets_must_match() {
    assert_eq!(
        listed("(let [(x 1)) x]"),
        [
            "test.jue:1:12: `)` does not close this list",
            "test.jue:1:15: `]` does not close this list",
        ]
    );
    assert_eq!(listed("1)"), ["test.jue:1:2: unexpected `)`"]);
}

#[test]
fn names_are_not_reported_when_definitions_may_be_missing() {
    assert_eq!(
        listed("(define (f) 1\n(g 2)"),
        ["test.jue:1:1: this list is never closed"]
    );
    assert_eq!(
        listed("(define (f) 1))\n(g 2)"),
        ["test.jue:1:15: unexpected `)`"]
    );
}

#[test]
fn an_error_at_the_end_of_a_file_has_a_place() {
    assert_eq!(
        listed("(+ 1 2)\n'"),
        ["test.jue:2:1: nothing is quoted here"]
    );
    assert_eq!(
        listed("\"abc\n\n"),
        ["test.jue:1:1: this string never ends"]
    );
    assert_eq!(
        listed("#| #| |#\n"),
        ["test.jue:1:1: this comment never ends"]
    );
}

#[test]
fn a_very_long_line_is_drawn_in_part() {
    let source = format!(
        "(list {} nope {})",
        "1 ".repeat(50_000),
        "2 ".repeat(50_000)
    );
    let drawn = errors(&source).to_string();
    assert!(drawn.len() < 2_000, "{} bytes", drawn.len());
    assert!(
        drawn.contains("nope") && drawn.contains(":100008"),
        "{drawn}"
    );
}

#[test]
fn a_thousand_errors_are_kept_and_the_others_counted() {
    let errors = errors(&"(if)\n".repeat(3_000));
    assert_eq!(errors.errors().len(), 1_001);
    assert_eq!(
        errors.errors()[1_000].message(),
        "2000 more errors are not shown"
    );
}

#[test]
fn windows_line_ends_and_tabs_do_not_disturb() {
    assert_eq!(
        listed("1\r\n\t(nope)\r\n"),
        ["test.jue:2:3: unknown name `nope`"]
    );
}
