//! The services that an entry says its plugin uses (`requires.services`).

use super::loose::Loose;
use crate::needs::ServiceNeed;

/// Names, or objects with one. What cannot be read is left out: the manifest, which is read strictly, has the last word.
pub(super) fn services(list: &Loose<'_>) -> Vec<ServiceNeed> {
    let Loose::List(values) = list else { return Vec::new() };
    let word = |field: &Loose<'_>| match field {
        Loose::Text(text) if !text.trim().is_empty() => Some(text.trim().to_owned()),
        _ => None,
    };
    let need = |value: &Loose<'_>| match value {
        // When the plugin may be started is the manifest's to say.
        Loose::Object(_) => Some(ServiceNeed {
            optional: matches!(value.get("optional"), Loose::Bool(true)),
            variable: word(value.get("variable")),
            aliases: match value.get("aliases") {
                Loose::List(names) => names.iter().filter_map(word).collect(),
                _ => Vec::new(),
            },
            ..ServiceNeed::named(word(value.get("name"))?)
        }),
        name => word(name).map(ServiceNeed::named),
    };
    values.iter().filter_map(need).map(ServiceNeed::with_usual_variables).collect()
}
