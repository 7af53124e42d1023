//! Reads templates from a folder: `email/NAME.html`, `email/NAME.txt`, `email/NAME.subject`, `sms/NAME.txt` and
//! `push/NAME.json` with `title` and `body`.

use std::collections::BTreeMap;
use std::path::Path;

use kit::ConfigurationError;
use serde_json::Value;

use super::Template;

/// The largest file that is read.
const FILE_BYTES: u64 = 512 * 1024;

pub(super) fn read(folder: &Path) -> Result<Vec<Template>, ConfigurationError> {
    let mut templates: BTreeMap<String, Template> = BTreeMap::new();
    for kind in ["email", "push", "sms"] {
        let Ok(entries) = std::fs::read_dir(folder.join(kind)) else { continue };
        for entry in entries.flatten() {
            let path = entry.path();
            let (Some(name), Some(extension)) = (
                path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned),
                path.extension().and_then(|extension| extension.to_str()).map(str::to_owned),
            ) else {
                continue;
            };
            let template = templates.entry(name.clone()).or_insert_with(|| Template {
                name,
                source: "folder".to_owned(),
                ..Template::default()
            });
            let text = text(&path)?;
            match (kind, extension.as_str()) {
                ("email", "html") => template.html = Some(text),
                ("email", "txt") => template.text = Some(text),
                ("email", "subject") => template.subject = Some(text.trim().to_owned()),
                ("sms", "txt") => template.sms = Some(text.trim().to_owned()),
                ("push", "json") => read_push(template, &text, &path)?,
                _ => {}
            }
        }
    }
    Ok(templates.into_values().collect())
}

fn read_push(template: &mut Template, text: &str, path: &Path) -> Result<(), ConfigurationError> {
    let value: Value = serde_json::from_str(text).map_err(|error| broken(path, &error))?;
    let field = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    template.push_title = field("title");
    template.push_body = field("body");
    Ok(())
}

fn text(path: &Path) -> Result<String, ConfigurationError> {
    let size = std::fs::metadata(path).map_err(|error| broken(path, &error))?.len();
    if size > FILE_BYTES {
        return Err(broken(path, &"it is larger than 512 KiB"));
    }
    std::fs::read_to_string(path).map_err(|error| broken(path, &error))
}

fn broken(path: &Path, why: &dyn std::fmt::Display) -> ConfigurationError {
    ConfigurationError::new(format!("`NOTIFICATIONS_TEMPLATES_DIR`: reading `{}` failed: {why}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_one_name_make_one_template() {
        let folder = tempfile::tempdir().expect("a folder");
        for (path, text) in [
            ("email/order.html", "<p>{{number}}</p>"),
            ("email/order.subject", "Order {{number}}\n"),
            ("push/order.json", r#"{"title": "Order", "body": "{{number}}"}"#),
            ("sms/order.txt", "Order {{number}}\n"),
        ] {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            std::fs::write(path, text).expect("written");
        }
        let templates = read(folder.path()).expect("read");
        assert_eq!(templates.len(), 1);
        let order = &templates[0];
        assert_eq!((order.name.as_str(), order.subject.as_deref()), ("order", Some("Order {{number}}")));
        assert_eq!((order.push_title.as_deref(), order.sms.as_deref()), (Some("Order"), Some("Order {{number}}")));
        std::fs::write(folder.path().join("push/order.json"), "{").expect("written");
        let error = read(folder.path()).expect_err("no JSON").to_string();
        assert!(error.contains("order.json"), "{error}");
    }
}
