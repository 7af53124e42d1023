//! Templates: the seeds, those of a folder, those stored over HTTP; and what comes of one with its variables.
//!
//! HTML parts escape what variables hold, subjects and texts do not. A name is looked for among the stored ones first,
//! then in the folder, then among the seeds.

mod blocks;
mod budget;
mod folder;
mod helpers;
mod pool;
mod source;
mod tree;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use handlebars::{Context, Handlebars, Output, RenderContext, Renderable};
use kit::ConfigurationError;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// The most bytes that one part may grow to.
const OUTPUT_BYTES: usize = 1024 * 1024;
/// The most steps of the parser for one part, so that no text keeps it busy.
const PARSER_STEPS: NonZeroUsize = NonZeroUsize::new(50_000_000).expect("more than 0");
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

    /// Returns the part that cannot be used, and why.
    fn check(&self) -> Result<(), (&'static str, String)> {
        for (part, text) in self.parts() {
            if let Some(text) = text {
                parse(text).map_err(|why| (part, why))?;
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

/// Why a template was not rendered or checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TemplateError {
    /// This part cannot be parsed or rendered.
    Broken { part: &'static str, why: String },
    /// Too many renderings wait.
    Busy,
}

impl From<pool::PoolError> for TemplateError {
    fn from(error: pool::PoolError) -> Self {
        match error {
            pool::PoolError::Busy => Self::Busy,
            pool::PoolError::Panicked => Self::Broken { part: "content", why: "rendering it failed".to_owned() },
        }
    }
}

struct Engines {
    escaping: Handlebars<'static>,
    plain: Handlebars<'static>,
}

/// The templates that come with the program and the folder, and the threads that render any.
pub(crate) struct Templates {
    built_in: BTreeMap<String, Template>,
    engines: Arc<Engines>,
    pool: pool::Pool,
}

impl Templates {
    pub(crate) fn load(folder: Option<&Path>) -> Result<Self, ConfigurationError> {
        pest::set_call_limit(Some(PARSER_STEPS));
        let seeds: Vec<Template> = serde_json::from_str(SEEDS).expect("the seeds are JSON");
        let mut built_in = BTreeMap::new();
        for seed in seeds {
            built_in.insert(seed.name.clone(), Template { source: "seed".to_owned(), ..seed });
        }
        let mut engines = Engines { escaping: Handlebars::new(), plain: Handlebars::new() };
        engines.plain.register_escape_fn(handlebars::no_escape);
        helpers::register(&mut engines.escaping);
        helpers::register(&mut engines.plain);
        let pool = pool::Pool::start()
            .map_err(|error| ConfigurationError::new(format!("could not start the threads for templates: {error}")))?;
        let mut templates = Self { built_in, engines: Arc::new(engines), pool };
        for template in folder.map(folder::read).transpose()?.unwrap_or_default() {
            let checked = template.clone();
            let result = templates.pool.run_blocking(move || checked.check());
            if let Err((part, why)) = result.unwrap_or_else(|_| Err(("content", "parsing it failed".to_owned()))) {
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

    /// Checks that every part can be parsed.
    pub(crate) async fn check(&self, template: &Template) -> Result<(), TemplateError> {
        let template = template.clone();
        let checked = self.pool.run(move || template.check()).await?;
        checked.map_err(|(part, why)| TemplateError::Broken { part, why })
    }

    /// Fills in every part.
    pub(crate) async fn render(
        &self,
        template: &Template,
        variables: &Map<String, Value>,
    ) -> Result<Rendered, TemplateError> {
        let (engines, template, variables) = (self.engines.clone(), template.clone(), variables.clone());
        self.pool.run(move || render(&engines, &template, variables)).await?
    }
}

fn render(engines: &Engines, template: &Template, variables: Map<String, Value>) -> Result<Rendered, TemplateError> {
    let broken = |part, why| TemplateError::Broken { part, why };
    let data = Context::wraps(Value::Object(variables)).map_err(|error| broken("variables", error.to_string()))?;
    budget::start();
    let fill = |part: &'static str, text: &Option<String>, engine: &Handlebars<'static>| {
        let Some(text) = text else { return Ok(None) };
        fill(engine, text, &data).map(Some).map_err(|why| broken(part, why))
    };
    Ok(Rendered {
        subject: fill("subject", &template.subject, &engines.plain)?,
        html: fill("html", &template.html, &engines.escaping)?,
        text: fill("text", &template.text, &engines.plain)?,
        title: fill("push_title", &template.push_title, &engines.plain)?,
        body: fill("push_body", &template.push_body, &engines.plain)?,
        sms: fill("sms", &template.sms, &engines.plain)?,
    })
}

fn parse(text: &str) -> Result<handlebars::Template, String> {
    source::check(text)?;
    let template = handlebars::Template::compile(text).map_err(|error| error.reason().to_string())?;
    tree::check(&template)?;
    Ok(template)
}

fn fill(engine: &Handlebars<'static>, text: &str, data: &Context) -> Result<String, String> {
    // Text without a tag is the same once it is filled in, however long it is.
    if !text.contains("{{") {
        return Ok(text.to_owned());
    }
    let template = parse(text)?;
    let mut output = Bounded(String::new());
    let mut context = RenderContext::new(None);
    template.render(engine, data, &mut context, &mut output).map_err(|error| error.reason().to_string())?;
    Ok(output.0)
}

/// What was written so far, within the limits.
struct Bounded(String);

impl Output for Bounded {
    fn write(&mut self, text: &str) -> Result<(), std::io::Error> {
        if self.0.len() + text.len() > OUTPUT_BYTES {
            return Err(std::io::Error::other("it grows beyond 1 MiB"));
        }
        budget::charge_bytes(text.len()).map_err(|error| std::io::Error::other(error.reason().to_string()))?;
        self.0.push_str(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn render(template: &Value, variables: Value) -> Result<Rendered, TemplateError> {
        let template: Template = serde_json::from_value(template.clone()).expect("a template");
        let Value::Object(variables) = variables else { panic!("an object") };
        Templates::load(None).expect("seeds").render(&template, &variables).await
    }

    async fn why(text: &str, variables: Value) -> String {
        match render(&json!({"name": "t", "text": text}), variables).await {
            Err(TemplateError::Broken { part: "text", why }) => why,
            other => panic!("{other:?} for {text:.80}"),
        }
    }

    #[tokio::test]
    async fn every_seed_parses_and_says_something_with_and_without_variables() {
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
            assert_eq!(templates.check(seed).await, Ok(()), "{name}");
            let named = seed.variables.iter().map(|variable| (variable.clone(), json!(format!("<{variable}>"))));
            let filled = templates.render(seed, &named.collect()).await.expect(name);
            for variable in &seed.variables {
                let html = filled.html.as_deref().unwrap_or_default();
                assert!(!html.contains(&format!("<{variable}>")), "{name} does not escape {variable}: {html}");
                let all = format!("{filled:?}");
                assert!(all.contains(variable.as_str()), "{name} does not use {variable}");
            }
            let empty = templates.render(seed, &Map::new()).await.expect(name);
            assert!(empty.subject.is_some_and(|subject| !subject.trim().is_empty()), "{name}");
        }
    }

    #[tokio::test]
    async fn html_escapes_and_other_parts_do_not() {
        let template = json!({"name": "t", "subject": "{{x}}", "text": "{{x}}", "html": "{{x}} {{upper x}}"});
        let rendered = render(&template, json!({"x": "<b>&"})).await.expect("fine");
        assert_eq!(rendered.subject.as_deref(), Some("<b>&"));
        assert_eq!(rendered.text.as_deref(), Some("<b>&"));
        assert_eq!(rendered.html.as_deref(), Some("&lt;b&gt;&amp; &lt;B&gt;&amp;"));
    }

    #[tokio::test]
    async fn a_missing_variable_is_empty_and_conditions_hold() {
        let template = json!({"name": "t", "text": "a{{nothing.at.all}}b{{#if v}}yes{{else}}no{{/if}}"});
        assert_eq!(render(&template, json!({"v": 1})).await.expect("fine").text.as_deref(), Some("abyes"));
        assert_eq!(render(&template, json!({})).await.expect("fine").text.as_deref(), Some("abno"));
    }

    #[tokio::test]
    async fn a_broken_template_names_its_part() {
        let template = Template { name: "t".to_owned(), html: Some("{{#if x}}".to_owned()), ..Template::default() };
        let error = Templates::load(None).expect("seeds").check(&template).await.expect_err("broken");
        assert!(matches!(&error, TemplateError::Broken { part: "html", why } if !why.is_empty()), "{error:?}");
    }

    #[tokio::test]
    async fn recursion_and_deep_nesting_are_refused() {
        for (text, reason) in [
            ("{{#*inline \"a\"}}{{> a}}{{/inline}}{{> a}}".to_owned(), "not supported"),
            ("{{> a}}".to_owned(), "not supported"),
            ("{{#> a}}x{{/a}}".to_owned(), "not supported"),
            ("{{*inline}}".to_owned(), "not supported"),
            (format!("{}x{}", "{{#if a}}".repeat(100), "{{/if}}".repeat(100)), "nest deeper"),
            (format!("{}x{}", "{{#if a}}".repeat(2000), "{{/if}}".repeat(2000)), "more than"),
            (format!("{{{{#if a}}}}{}{{{{/if}}}}", "{{else if b}}x".repeat(100)), "nest deeper"),
            (format!("{{{{x {}a{}}}}}", "(a ".repeat(2000), ")".repeat(2000)), "more than"),
            (format!("{{{{x {}{}}}}}", "[".repeat(20_000), "]".repeat(20_000)), "more than"),
        ] {
            let why = why(&text, json!({"a": 1})).await;
            assert!(why.contains(reason), "{why}: {text:.80}");
        }
    }

    #[tokio::test]
    async fn the_largest_nesting_that_is_parsed_fits_the_stack() {
        let blocks = format!("{}{}", "{{#if a}}".repeat(256), "{{/if}}".repeat(256));
        assert!(why(&blocks, json!({})).await.contains("nest deeper"));
        let brackets = format!("{{{{x {}a{}}}}}", "(a ".repeat(64), ")".repeat(64));
        let nested = format!("{}{brackets}{}", "{{#if a}}".repeat(200), "{{/if}}".repeat(200));
        assert!(why(&nested, json!({})).await.contains("nest deeper"));
        let allowed = format!("{}x{}", "{{#if a}}".repeat(40), "{{/if}}".repeat(40));
        let rendered = render(&json!({"name": "t", "text": allowed}), json!({"a": true})).await.expect("allowed");
        assert_eq!(rendered.text.as_deref(), Some("x"));
    }

    #[tokio::test]
    async fn work_without_end_is_stopped_by_operations() {
        let many: Vec<u32> = (0..5000).collect();
        let big = "x".repeat(200_000);
        for text in [
            "{{#each l}}{{#each ../l}}{{#each ../../l}}{{/each}}{{/each}}{{/each}}".to_owned(),
            "{{#each l}}{{#each @root.l}}{{#if nothing}}{{/if}}{{/each}}{{/each}}".to_owned(),
            "{{#if (eq (upper b) (lower b))}}{{/if}}".repeat(240),
            "{{join l b}}".to_owned(),
            format!("{{{{x {}}}}}", "(lookup this \"b\") ".repeat(60)).replace("{{x", "{{default"),
            "{{#with (lookup this \"l\")}}{{this.[0]}}{{/with}}".to_owned(),
            "{{#each l}}{{#each ../l}}aaaaaaaaaa{{/each}}{{/each}}".to_owned(),
        ] {
            let why = why(&text, json!({"l": many, "b": big})).await;
            assert!(
                ["operations", "it takes longer", "1 MiB", "more than"].iter().any(|reason| why.contains(reason)),
                "{why}: {text:.80}"
            );
        }
    }

    #[tokio::test]
    async fn text_that_keeps_the_parser_busy_is_stopped() {
        let text = "{{!--x}}".repeat(900) + &"y".repeat(400_000);
        let why = why(&text, json!({})).await;
        assert!(!why.is_empty(), "{why}");
    }

    #[tokio::test]
    async fn long_text_without_tags_is_no_template() {
        let long = "y".repeat(source::PART_BYTES * 3);
        let rendered = render(&json!({"name": "t", "text": long}), json!({"a": 1})).await.expect("taken as it is");
        assert_eq!(rendered.text.map(|text| text.len()), Some(source::PART_BYTES * 3));
    }
}
