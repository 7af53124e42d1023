//! The JSON schemas of `registry-schema/`, applied to what the program prints: the few keywords that they use, and a
//! panic at any other, so that nothing is passed unchecked.

use serde_json::Value;

/// Asserts that a document is one of those that `output.schema.json` describes.
#[track_caller]
pub(crate) fn assert_valid_output(document: &Value) {
    let schema: Value = serde_json::from_str(include_str!("../../../registry-schema/output.schema.json")).unwrap();
    let mut problems = Vec::new();
    check(&schema, &schema, document, "$", &mut problems);
    assert!(problems.is_empty(), "{}\n{document:#}", problems.join("\n"));
}

fn check(root: &Value, schema: &Value, value: &Value, place: &str, problems: &mut Vec<String>) {
    for (keyword, rule) in schema.as_object().expect("a schema is an object") {
        match keyword.as_str() {
            "$schema" | "$id" | "$defs" | "title" | "description" => {}
            "$ref" => {
                let pointer = rule.as_str().unwrap().trim_start_matches('#');
                check(root, root.pointer(pointer).expect("a schema of that name"), value, place, problems);
            }
            "type" => {
                let types: Vec<&Value> = rule.as_array().map_or(vec![rule], |types| types.iter().collect());
                if !types.iter().any(|name| is_of_type(value, name.as_str().unwrap())) {
                    problems.push(format!("{place} is not of type {rule}"));
                }
            }
            "enum" => {
                if !rule.as_array().unwrap().contains(value) {
                    problems.push(format!("{place} is {value}, which is none of {rule}"));
                }
            }
            "required" => {
                let missing = rule.as_array().unwrap().iter().filter(|key| value.get(key.as_str().unwrap()).is_none());
                problems.extend(missing.map(|key| format!("{place} has no {key}")));
            }
            "properties" => {
                for (key, inner) in rule.as_object().unwrap() {
                    if let Some(field) = value.get(key) {
                        check(root, inner, field, &format!("{place}.{key}"), problems);
                    }
                }
            }
            "items" => {
                for (number, item) in value.as_array().into_iter().flatten().enumerate() {
                    check(root, rule, item, &format!("{place}[{number}]"), problems);
                }
            }
            other => panic!("the keyword `{other}` is not known here"),
        }
    }
}

fn is_of_type(value: &Value, name: &str) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("the type `{other}` is not known here"),
    }
}
