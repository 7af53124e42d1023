//! Templates: the seeds, those of a folder, those stored over HTTP; and what comes of one with its variables.
//!
//! HTML parts escape what variables hold, subjects and texts do not. A name is looked for among the stored ones first,
//! then in the folder, then among the seeds.

mod folder;
mod helpers;

use std::collections::BTreeMap;
use std::path::Path;

use handlebars::Handlebars;
use kit::ConfigurationError;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// The most bytes that one part may grow to.
const PART_BYTES: usize = 1024 * 1024;
const SEEDS: &str = include_str!("seeds.json");

/// A template: a text for each part that it has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Template {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) category: String,
    pub(crate) subject: Option<String>,
    pub(crate) html: Option<String>,
    pub(crate) text: Option<String>,
    pub(crate) push_title: Option<String>,
    pub(crate) push_body: Option<String>,
    pub(crate) sms: Option<String>,
    pub(crate) variables: Vec<String>,
    /// `seed`, `folder` or `stored`.
    #[serde(skip_deserializing)]
    pub(crate) source: String,
}

impl Template {
    fn parts(&self) -> [(&'static str, Option<&String>); 6] {
        [
            ("subject", self.subject.as_ref()),
            ("html", self.html.as_ref()),
            ("text", self.text.as_ref()),
            ("push_title", self.push_title.as_ref()),
            ("push_body", self.push_body.as_ref()),
            ("sms", self.sms.as_ref()),
        ]
    }

    /// Tells the part that does not parse, and why.
    pub(crate) fn check(&self) -> Result<(), (&'static str, String)> {
        for (part, text) in self.parts() {
            if let Some(text) = text {
                handlebars::Template::compile(text).map_err(|error| (part, error.reason().to_string()))?;
            }
        }
        Ok(())
    }

    /// As HTTP shows it, with the names that both dialects use.
    pub(crate) fn to_json(&self) -> Value {
        let mut value = json!(self);
        value["id"] = json!(self.name);
        value["body_html"] = json!(self.html);
        value["body_text"] = json!(self.text);
        value["active"] = json!(true);
        value
    }
}

/// What a template says once its variables are put in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Rendered {
    pub(crate) subject: Option<String>,
    pub(crate) html: Option<String>,
    pub(crate) text: Option<String>,
    pub(crate) title: Option<String>,
    pub(crate) body: Option<String>,
    pub(crate) sms: Option<String>,
}

/// The templates that come with the program and the folder, and the engine that fills in any.
pub(crate) struct Templates {
    built_in: BTreeMap<String, Template>,
    escaping: Handlebars<'static>,
    plain: Handlebars<'static>,
}

impl Templates {
    pub(crate) fn load(folder: Option<&Path>) -> Result<Self, ConfigurationError> {
        let seeds: Vec<Template> = serde_json::from_str(SEEDS).expect("the seeds are JSON");
        let mut built_in = BTreeMap::new();
        for seed in seeds {
            built_in.insert(seed.name.clone(), Template { source: "seed".to_owned(), ..seed });
        }
        let mut escaping = Handlebars::new();
        let mut plain = Handlebars::new();
        plain.register_escape_fn(handlebars::no_escape);
        helpers::register(&mut escaping);
        helpers::register(&mut plain);
        let mut templates = Self { built_in, escaping, plain };
        for template in folder.map(folder::read).transpose()?.unwrap_or_default() {
            if let Err((part, why)) = template.check() {
                let name = &template.name;
                let message =
                    format!("`NOTIFICATIONS_TEMPLATES_DIR`: the {part} of template `{name}` is broken: {why}");
                return Err(ConfigurationError::new(message));
            }
            templates.built_in.insert(template.name.clone(), template);
        }
        Ok(templates)
    }

    pub(crate) fn built_in(&self) -> impl Iterator<Item = &Template> {
        self.built_in.values()
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Template> {
        self.built_in.get(name)
    }

    /// Fills in every part; the error names the part.
    pub(crate) fn render(&self, template: &Template, variables: &Map<String, Value>) -> Result<Rendered, String> {
        let data = Value::Object(variables.clone());
        let fill = |part: &str, text: &Option<String>, engine: &Handlebars<'static>| {
            let Some(text) = text else { return Ok(None) };
            fill(engine, text, &data)
                .map(Some)
                .map_err(|why| format!("the {part} of template `{}`: {why}", template.name))
        };
        Ok(Rendered {
            subject: fill("subject", &template.subject, &self.plain)?,
            html: fill("html", &template.html, &self.escaping)?,
            text: fill("text", &template.text, &self.plain)?,
            title: fill("push_title", &template.push_title, &self.plain)?,
            body: fill("push_body", &template.push_body, &self.plain)?,
            sms: fill("sms", &template.sms, &self.plain)?,
        })
    }
}

fn fill(engine: &Handlebars<'static>, text: &str, data: &Value) -> Result<String, String> {
    let mut output = Bounded(String::new());
    engine.render_template_to_write(text, data, Writer(&mut output)).map_err(|error| error.reason().to_string())?;
    Ok(output.0)
}

struct Bounded(String);
struct Writer<'a>(&'a mut Bounded);

impl std::io::Write for Writer<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let text = std::str::from_utf8(bytes).map_err(std::io::Error::other)?;
        if self.0.0.len() + text.len() > PART_BYTES {
            return Err(std::io::Error::other("it grows beyond 1 MiB"));
        }
        self.0.0.push_str(text);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(template: &Value, variables: Value) -> Result<Rendered, String> {
        let template: Template = serde_json::from_value(template.clone()).expect("a template");
        let Value::Object(variables) = variables else { panic!("an object") };
        Templates::load(None).expect("seeds").render(&template, &variables)
    }

    #[test]
    fn every_seed_parses_and_says_something_with_and_without_variables() {
        let templates = Templates::load(None).expect("seeds");
        for name in [
            "welcome_email",
            "password_reset",
            "email_verification",
            "password_changed",
            "nchat_new_message",
            "nchat_mention",
            "nchat_reaction",
            "nchat_thread_reply",
            "nchat_direct_message",
            "nchat_channel_invite",
            "nchat_channel_join",
            "nchat_channel_leave",
            "nchat_reminder",
            "nchat_announcement",
        ] {
            let seed = templates.get(name).unwrap_or_else(|| panic!("{name} is missing"));
            assert_eq!(seed.check(), Ok(()), "{name}");
            let named = seed.variables.iter().map(|variable| (variable.clone(), json!(format!("<{variable}>"))));
            let filled = templates.render(seed, &named.collect()).expect(name);
            for variable in &seed.variables {
                let html = filled.html.as_deref().unwrap_or_default();
                assert!(!html.contains(&format!("<{variable}>")), "{name} does not escape {variable}: {html}");
                let all = format!("{filled:?}");
                assert!(all.contains(variable.as_str()), "{name} does not use {variable}");
            }
            let empty = templates.render(seed, &Map::new()).expect(name);
            assert!(empty.subject.is_some_and(|subject| !subject.trim().is_empty()), "{name}");
        }
    }

    #[test]
    fn html_escapes_and_other_parts_do_not() {
        let template = json!({"name": "t", "subject": "{{x}}", "text": "{{x}}", "html": "{{x}} {{upper x}}"});
        let rendered = render(&template, json!({"x": "<b>&"})).expect("fine");
        assert_eq!(rendered.subject.as_deref(), Some("<b>&"));
        assert_eq!(rendered.text.as_deref(), Some("<b>&"));
        assert_eq!(rendered.html.as_deref(), Some("&lt;b&gt;&amp; &lt;B&gt;&amp;"));
    }

    #[test]
    fn a_missing_variable_is_empty_and_conditions_hold() {
        let template = json!({"name": "t", "text": "a{{nothing.at.all}}b{{#if v}}yes{{else}}no{{/if}}"});
        assert_eq!(render(&template, json!({"v": 1})).expect("fine").text.as_deref(), Some("abyes"));
        assert_eq!(render(&template, json!({})).expect("fine").text.as_deref(), Some("abno"));
    }

    #[test]
    fn a_broken_template_names_its_part() {
        let template = Template { name: "t".to_owned(), html: Some("{{#if x}}".to_owned()), ..Template::default() };
        let (part, why) = template.check().expect_err("broken");
        assert_eq!(part, "html");
        assert!(!why.is_empty());
    }

    #[test]
    fn a_template_that_grows_without_end_is_stopped() {
        let many: Vec<u32> = (0..2000).collect();
        let template = json!({"name": "t", "text": "{{#each l}}{{#each ../l}}aaaaaaaaaa{{/each}}{{/each}}"});
        let error = render(&template, json!({"l": many})).expect_err("too much");
        assert!(error.contains("`t`"), "{error}");
    }
}
