//! Env files in every spelling, and against what the real docker compose made of them.

use std::collections::HashMap;

use super::*;

/// A value with nothing else set.
fn value(text: &str, key: &str) -> String {
    parse_env(text).unwrap()[key].template.expand(&mut |_| None, &mut Vec::new()).unwrap()
}

#[test]
fn env_files_are_read_in_every_spelling() {
    let text = "\u{feff}# comment\r\nA=1\r\nexport B = two words # comment\nC='it ${A} #x'\nD=\"l1\\nl2\\\"\"\nE=\nF=a#b\nG=\"x\ny\"\nH=last";
    assert_eq!(value(text, "A"), "1");
    assert_eq!(value(text, "B"), "two words");
    assert_eq!(value(text, "C"), "it ${A} #x");
    assert_eq!(value(text, "D"), "l1\nl2\"");
    assert_eq!(value(text, "E"), "");
    assert_eq!(value(text, "F"), "a#b");
    assert_eq!(value(text, "G"), "x\ny");
    assert_eq!(value(text, "H"), "last");
}

#[test]
fn malformed_lines_are_named_without_their_values() {
    for (text, line) in [("A=1\n-secret-value", 2), ("A='1\nB=2", 1), ("A=1\n\nB C=secret-value", 3)] {
        let (found, reason) = parse_env(text).unwrap_err();
        assert_eq!(found, line, "{text}");
        assert!(!reason.contains("secret-value"), "{reason}");
    }
}

#[test]
fn errors_show_keys_and_nothing_that_may_be_a_value() {
    let long = format!("{}=hunter2", "k-".repeat(33));
    for (line, reason) in [
        ("ALPHA_KEY hunter2secret=", "`ALPHA_KEY` is not followed by `=`"),
        ("export ALPHA_KEY\thunter2", "`ALPHA_KEY` is not followed by `=`"),
        ("ALPHA_KEY='hunter2", "`ALPHA_KEY` opens a `'` that nothing closes"),
        ("ALPHA_KEY=hunter\0two", "`ALPHA_KEY` holds a NUL byte"),
        ("ALPHA_KEY='one\nhunter\0two'", "`ALPHA_KEY` holds a NUL byte"),
        ("ALPHA_KEY=hunter2${", "`ALPHA_KEY` has a malformed `${…}`"),
        ("# hunter\0two", "the line holds a NUL byte"),
        ("MIIEvQ/sec+ret==", "the line is not KEY=VALUE"),
        ("MIIEvQ-sec_ret==", "the line is not KEY=VALUE"),
        ("MIIEvQ-sec_ret=", "the line is not KEY=VALUE"),
        ("-----BEGIN PRIVATE KEY-----", "the line is not KEY=VALUE"),
        ("eyJhbGci.eyJzdWIi.c2VjcmV0", "the line is not KEY=VALUE"),
        ("=hunter2", "the line is not KEY=VALUE"),
        (long.as_str(), "the line is not KEY=VALUE"),
    ] {
        let found = parse_env(&format!("A=1\n{line}\nB=2\n")).unwrap_err();
        assert_eq!(found, (2, reason.to_owned()), "{line}");
    }
}

#[test]
fn what_is_skipped_is_named_without_its_value() {
    for (line, skipped) in [
        ("spring.datasource.url=hunter2", Some("`spring.datasource.url`, which is not a variable name")),
        ("PASS-WORD=hunter2", Some("`PASS-WORD`, which is not a variable name")),
        ("2FA=hunter2", Some("`2FA`, which is not a variable name")),
        ("hunter2", Some("a line without `=`")),
        ("JBSWY3DPEHPK3PXP", Some("a line without `=`")),
        ("ALPHA_KEY='x'hunter2", Some("what follows the closing quote of `ALPHA_KEY`")),
        ("ALPHA_KEY", None),
        ("KEY", None),
        ("export\tkey2", None),
    ] {
        let found = parse(&format!("A=1\n{line}\nB=2\n")).unwrap();
        let expected: Vec<(usize, String)> = skipped.into_iter().map(|what| (2, what.to_owned())).collect();
        assert_eq!(found.skipped, expected, "{line}");
        assert!(found.assignments.iter().any(|assignment| assignment.key == "B"), "{line}");
    }
}

#[test]
fn a_tab_may_follow_export_and_a_carriage_return_ends_a_line() {
    assert_eq!(value("export\tKEY=1\n", "KEY"), "1");
    let text = "# comment\rA=1\rB='x\ry'\rC=\"z\" # comment\rD=2";
    for (key, expected) in [("A", "1"), ("B", "x\ry"), ("C", "z"), ("D", "2")] {
        assert_eq!(value(text, key), expected);
    }
    assert_eq!(parse_env("A=1\r\n\rB='x\r\ny'\r=C\r").unwrap_err().0, 5);
}

#[test]
fn an_assignment_tells_where_its_value_stands() {
    let text = "\u{feff}A=1 # x\r\nexport B = 'x\ny' # z\nC=\nD=   # x\n";
    let places = assignments(text).unwrap();
    let places: Vec<(&str, &str)> = places.iter().map(|found| (&*found.key, &text[found.place.clone()])).collect();
    assert_eq!(places, [("A", "1"), ("B", " 'x\ny'"), ("C", ""), ("D", "  ")]);
}

/// `tests/fixtures/compose-env.json` holds what Docker Compose made of each file; where we differ, `ours` says how and
/// `why` the reason.
#[test]
fn values_are_those_of_docker_compose() {
    let document: serde_json::Value =
        serde_json::from_str(include_str!("../../tests/fixtures/compose-env.json")).unwrap();
    let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
    let process: HashMap<String, String> = document["environment"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(key, value)| (key.clone(), text(value).unwrap()))
        .collect();
    let cases = document["cases"].as_array().unwrap();
    assert!(cases.len() >= 60);
    for case in cases {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(".env"), case["file"].as_str().unwrap()).unwrap();
        let found = crate::environment::value_in(folder.path(), &process, "A");
        let expected = text(&case["ours"]).or_else(|| text(&case["value"]));
        // What is empty or missing counts as unset with us.
        let expected = expected.filter(|value| !value.is_empty() && value != "<unset>");
        assert_eq!(found, expected, "{case}");
    }
}
