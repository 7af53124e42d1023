//! Turns a draft into what each channel will say: fills in templates, picks parts, refuses what could become a header.

use serde_json::{Map, Value, json};

use super::refusal::Refusal;
use crate::draft::{Draft, is_name};
use crate::state::App;
use crate::templates::{Rendered, Template, TemplateError};

/// The longest subject, in bytes.
const SUBJECT_BYTES: usize = 1000;
/// The longest subject that is made of a body, in letters.
const MADE_SUBJECT_LETTERS: usize = 80;

/// What is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Content {
    /// For lists and push messages.
    pub(crate) title: String,
    pub(crate) body: String,
    pub(crate) subject: String,
    pub(crate) text: Option<String>,
    pub(crate) html: Option<String>,
    pub(crate) sms: String,
}

impl Content {
    /// The parts that lists do not show.
    pub(crate) fn to_json(&self) -> Value {
        json!({"subject": self.subject, "text": self.text, "html": self.html, "sms": self.sms})
    }
}

/// What a draft says once its template is filled in.
pub(crate) async fn compose(app: &App, draft: &Draft) -> Result<Content, Refusal> {
    let rendered = render(app, draft).await?;
    let first =
        |choices: [&Option<String>; 3]| choices.into_iter().flatten().find(|text| !text.trim().is_empty()).cloned();
    let text = first([&rendered.text, &None, &None]);
    let body = first([&rendered.body, &text, &None]).unwrap_or_default();
    let title = first([&rendered.title, &rendered.subject, &None]);
    let subject = first([&rendered.subject, &title, &None]).unwrap_or_else(|| subject_of(&body, &draft.kind));
    if !is_name(&subject, SUBJECT_BYTES) {
        let message = "must be one printable line of at most 1000 bytes once its variables are put in";
        return Err(Refusal::invalid("subject", message));
    }
    let sms = first([&rendered.sms, &Some(body.clone()), &title]).unwrap_or_default();
    let html = rendered.html.filter(|html| !html.trim().is_empty());
    let text = text.or_else(|| if html.is_none() { Some(body.clone()) } else { None });
    Ok(Content { title: title.unwrap_or_else(|| subject.clone()), body, subject, text, html, sms })
}

async fn render(app: &App, draft: &Draft) -> Result<Rendered, Refusal> {
    let inline = Template {
        name: "content".to_owned(),
        subject: draft.title.clone(),
        text: draft.body.clone(),
        html: draft.html.clone(),
        ..Template::default()
    };
    let Some(name) = draft.template.as_deref() else {
        let rendered = fill_inline(app, &inline, &draft.variables).await?;
        return in_default_template(app, draft, rendered).await;
    };
    let template = find(app, name).await?.ok_or_else(|| Refusal::UnknownTemplate(name.to_owned()))?;
    let filled = fill(app, &template, &draft.variables).await?;
    // What a template lacks, the message itself may bring.
    let inline = fill_inline(app, &inline, &draft.variables).await?;
    Ok(Rendered {
        subject: filled.subject.or(inline.subject),
        html: filled.html.or(inline.html),
        text: filled.text.or(inline.text),
        ..filled
    })
}

/// Puts an e-mail that has no HTML into the template that is configured for such.
async fn in_default_template(app: &App, draft: &Draft, rendered: Rendered) -> Result<Rendered, Refusal> {
    let Some(name) = app.config.default_template.as_deref().filter(|_| rendered.html.is_none()) else {
        return Ok(rendered);
    };
    let Some(template) = find(app, name).await? else {
        tracing::warn!(name, "`NOTIFICATIONS_DEFAULT_TEMPLATE` names no template");
        return Ok(rendered);
    };
    let mut variables = draft.variables.clone();
    variables.insert("title".to_owned(), json!(rendered.subject));
    variables.insert("body".to_owned(), json!(rendered.text));
    let filled = fill(app, &template, &variables).await?;
    Ok(Rendered { html: filled.html, ..rendered })
}

/// A stored template, else one of the folder, else a seed.
pub(crate) async fn find(app: &App, name: &str) -> Result<Option<Template>, Refusal> {
    let stored = app.store.stored_template(name).await?;
    Ok(stored.or_else(|| app.templates.get(name).cloned()))
}

async fn fill(app: &App, template: &Template, variables: &Map<String, Value>) -> Result<Rendered, Refusal> {
    app.templates.render(template, variables).await.map_err(|error| match error {
        TemplateError::Broken { part, why } => {
            Refusal::invalid("variables", &format!("the {part} of template `{}`: {why}", template.name))
        }
        TemplateError::Busy => Refusal::Busy,
    })
}

/// Content is a template where variables come with it, and taken as it is where none do: braces are no fault then.
async fn fill_inline(app: &App, content: &Template, variables: &Map<String, Value>) -> Result<Rendered, Refusal> {
    if variables.is_empty() {
        let Template { subject, html, text, .. } = content.clone();
        return Ok(Rendered { subject, html, text, ..Rendered::default() });
    }
    app.templates.render(content, variables).await.map_err(|error| match error {
        TemplateError::Broken { part, why } => Refusal::invalid("content", &format!("the {part}: {why}")),
        TemplateError::Busy => Refusal::Busy,
    })
}

fn subject_of(body: &str, kind: &str) -> String {
    let line = body.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or(kind);
    line.chars().filter(|letter| !letter.is_control()).take(MADE_SUBJECT_LETTERS).collect()
}
