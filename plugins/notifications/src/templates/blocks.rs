//! The blocks that templates may use: `if`, `unless`, `each`, `with`. They replace the library's own, which know no
//! limits.

use handlebars::{
    BlockContext, BlockParams, Context, Handlebars, Helper, HelperDef, HelperResult, JsonTruthy, Output, PathAndJson,
    RenderContext, RenderError, RenderErrorReason, Renderable, Template,
};
use serde_json::{Value, json};

use super::{budget, tree};

/// The largest value that a helper gave and a block works with, in bytes: each use within the block copies it.
const DERIVED_BYTES: usize = 64 * 1024;

pub(super) fn register(engine: &mut Handlebars<'static>) {
    engine.register_helper("if", Box::new(If { wanted: true }));
    engine.register_helper("unless", Box::new(If { wanted: false }));
    engine.register_helper("each", Box::new(Each));
    engine.register_helper("with", Box::new(With));
}

fn first<'a, 'rc>(helper: &'a Helper<'rc>, name: &'static str) -> Result<&'a PathAndJson<'rc>, RenderError> {
    helper.param(0).ok_or_else(|| RenderErrorReason::ParamNotFoundForIndex(name, 0).into())
}

fn branch<'rc>(helper: &Helper<'rc>, is_main: bool) -> Option<&'rc Template> {
    if is_main { helper.template() } else { helper.inverse() }
}

/// `{{#if value}}…{{else}}…{{/if}}`, with `includeZero=true`; `unless` is its opposite.
struct If {
    wanted: bool,
}

impl HelperDef for If {
    fn call<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        registry: &'reg Handlebars<'reg>,
        context: &'rc Context,
        render: &mut RenderContext<'reg, 'rc>,
        out: &mut dyn Output,
    ) -> HelperResult {
        budget::charge(1)?;
        let includes_zero = helper.hash_get("includeZero").and_then(|value| value.value().as_bool()).unwrap_or(false);
        let is_true = first(helper, "if")?.value().is_truthy(includes_zero);
        match branch(helper, is_true == self.wanted) {
            Some(template) => template.render(registry, context, render, out),
            None => Ok(()),
        }
    }
}

/// `{{#with value}}…{{else}}…{{/with}}`.
struct With;

impl HelperDef for With {
    fn call<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        registry: &'reg Handlebars<'reg>,
        context: &'rc Context,
        render: &mut RenderContext<'reg, 'rc>,
        out: &mut dyn Output,
    ) -> HelperResult {
        budget::charge(1)?;
        let value = first(helper, "with")?;
        let is_main = value.value().is_truthy(false);
        let Some(template) = branch(helper, is_main) else { return Ok(()) };
        if !is_main {
            return template.render(registry, context, render, out);
        }
        let path = value.context_path().cloned();
        charge_block(template, path.is_some(), value.value())?;
        render.push_block(block(helper, path, None, value.value())?);
        template.render(registry, context, render, out)?;
        render.pop_block();
        Ok(())
    }
}

/// `{{#each list}}…{{else}}…{{/each}}` over a list or an object.
struct Each;

impl HelperDef for Each {
    fn call<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        registry: &'reg Handlebars<'reg>,
        context: &'rc Context,
        render: &mut RenderContext<'reg, 'rc>,
        out: &mut dyn Output,
    ) -> HelperResult {
        budget::charge(1)?;
        let list = first(helper, "each")?;
        let (count, entries) = entries(list.value());
        let Some(template) = branch(helper, count > 0) else { return Ok(()) };
        if count == 0 {
            return template.render(registry, context, render, out);
        }
        for (place, (key, value)) in entries.enumerate() {
            let path = list.context_path().map(|path| path.iter().cloned().chain([key.to_text()]).collect());
            charge_block(template, path.is_some(), value)?;
            let mut block = block(helper, path, Some(&key), value)?;
            block.set_local_var("index", json!(place));
            block.set_local_var("first", json!(place == 0));
            block.set_local_var("last", json!(place + 1 == count));
            if let Key::Name(name) = &key {
                block.set_local_var("key", json!(name));
            }
            render.push_block(block);
            template.render(registry, context, render, out)?;
            render.pop_block();
        }
        Ok(())
    }
}

/// What an entry of a list is found by.
enum Key<'a> {
    Place(usize),
    Name(&'a str),
}

impl Key<'_> {
    fn to_text(&self) -> String {
        match self {
            Self::Place(place) => place.to_string(),
            Self::Name(name) => (*name).to_owned(),
        }
    }

    fn to_value(&self) -> Value {
        match self {
            Self::Place(place) => json!(place),
            Self::Name(name) => json!(name),
        }
    }
}

type Entries<'a> = Box<dyn Iterator<Item = (Key<'a>, &'a Value)> + 'a>;

fn entries(value: &Value) -> (usize, Entries<'_>) {
    match value {
        Value::Array(list) => {
            (list.len(), Box::new(list.iter().enumerate().map(|(place, value)| (Key::Place(place), value))))
        }
        Value::Object(fields) => {
            (fields.len(), Box::new(fields.iter().map(|(name, value)| (Key::Name(name.as_str()), value))))
        }
        _ => (0, Box::new(std::iter::empty())),
    }
}

/// Charges one rendering of a block; a value without a path is copied wherever the block uses it.
fn charge_block(template: &Template, has_path: bool, value: &Value) -> Result<(), RenderError> {
    let copied = if has_path { 0 } else { budget::size(value) };
    if copied > DERIVED_BYTES {
        return Err(budget::exceeded(format!(
            "a block works with a computed value of more than {DERIVED_BYTES} bytes"
        )));
    }
    budget::charge(tree::weight(template).saturating_mul(1 + (copied / 256) as u64))
}

/// What names mean within a block: its value, and the names that `as |value key|` gives.
fn block<'rc>(
    helper: &Helper<'rc>,
    path: Option<Vec<String>>,
    key: Option<&Key<'_>>,
    value: &Value,
) -> Result<BlockContext<'rc>, RenderError> {
    let mut block = BlockContext::new();
    let has_path = path.is_some();
    match path {
        Some(path) => *block.base_path_mut() = path,
        None => block.set_base_value(value.clone()),
    }
    let pair = helper.block_param_pair();
    if let Some(name) = helper.block_param().or(pair.map(|(name, _)| name)) {
        let mut names = BlockParams::new();
        if has_path {
            names.add_path(name, Vec::new())?;
        } else {
            names.add_value(name, value.clone())?;
        }
        if let (Some((_, name)), Some(key)) = (pair, key) {
            names.add_value(name, key.to_value())?;
        }
        block.set_block_params(names);
    }
    Ok(block)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(template: &str) -> String {
        let mut engine = Handlebars::new();
        super::super::helpers::register(&mut engine);
        let data = json!({
            "list": [{"n": 1, "of": ["a", "b"]}, {"n": 2, "of": []}], "map": {"x": 1, "y": 2}, "none": null, "zero": 0,
            "who": {"name": "Ann"}, "outer": "o",
        });
        engine.render_template(template, &data).unwrap_or_else(|error| panic!("{template}: {error}"))
    }

    #[test]
    fn blocks_work_as_the_language_says() {
        for (template, expected) in [
            ("{{#if none}}a{{else if outer}}b{{else}}c{{/if}}", "b"),
            ("{{#if zero}}a{{else}}b{{/if}}{{#if zero includeZero=true}}c{{/if}}", "bc"),
            ("{{#unless none}}a{{else}}b{{/unless}}", "a"),
            ("{{#each list}}{{@index}}{{n}}{{#if @last}}.{{/if}}{{#if @first}},{{/if}}{{/each}}", "01,12."),
            ("{{#each list}}{{#each of}}{{this}}{{../n}}{{../../outer}}{{/each}}{{/each}}", "a1ob1o"),
            ("{{#each map}}{{@key}}{{this}}{{/each}}", "x1y2"),
            ("{{#each map as |value key|}}{{key}}{{value}}{{/each}}", "x1y2"),
            ("{{#each list as |one place|}}{{place}}{{one.n}}{{/each}}", "0112"),
            ("{{#each none}}a{{else}}b{{/each}}", "b"),
            ("{{#with who}}{{name}}{{../outer}}{{/with}}{{#with none}}a{{else}}b{{/with}}", "Annob"),
            ("{{#with who as |w|}}{{w.name}}{{/with}}", "Ann"),
            (
                "{{#with (lookup list 0)}}{{n}}{{/with}}{{#each (lookup (lookup list 0) \"of\")}}{{this}}{{/each}}",
                "1ab",
            ),
            ("{{#each @root.list}}{{n}}{{/each}}", "12"),
        ] {
            assert_eq!(render(template), expected, "{template}");
        }
    }
}
