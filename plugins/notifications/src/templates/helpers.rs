//! The helpers that templates may use beside the language's own: words, lists, numbers, dates.
//!
//! Each gives a value, never text of its own, so that HTML parts escape what comes of it.

use std::cmp::Ordering;

use handlebars::{
    Context, Handlebars, Helper, HelperDef, HelperResult, JsonRender, Output, RenderContext, RenderError,
    RenderErrorReason, Renderable, ScopedJson,
};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::{blocks, budget};

type Calculation = fn(&[Value]) -> Value;
type Holds = fn(&Value, &Value) -> bool;

/// A helper that is a function of its parameters.
struct Function(Calculation);

impl HelperDef for Function {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        Ok(ScopedJson::Derived(self.0(&parameters(helper)?)))
    }
}

/// The parameters of a call, each charged for what copying it costs.
fn parameters(helper: &Helper<'_>) -> Result<Vec<Value>, RenderError> {
    let mut parameters = Vec::with_capacity(helper.params().len());
    for parameter in helper.params() {
        budget::charge_value(parameter.value())?;
        parameters.push(parameter.value().clone());
    }
    Ok(parameters)
}

/// `{{join list ", "}}`: the entries of a list with a text between them.
struct Join;

impl HelperDef for Join {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        let parameters = parameters(helper)?;
        let separators = parameters.first().and_then(Value::as_array).map_or(0, Vec::len);
        let longest = parameters.get(1).and_then(Value::as_str).map_or(2, str::len);
        budget::charge_bytes(separators.saturating_mul(longest))?;
        Ok(ScopedJson::Derived(join(&parameters)))
    }
}

/// `{{eq a b}}` and its relatives, as a value and as a block.
struct Comparison {
    name: &'static str,
    holds: Holds,
}

impl Comparison {
    fn of(&self, helper: &Helper<'_>) -> Result<bool, RenderError> {
        let parameter = |place| {
            let missing = || RenderError::from(RenderErrorReason::ParamNotFoundForIndex(self.name, place));
            helper.param(place).map(handlebars::PathAndJson::value).ok_or_else(missing)
        };
        let (left, right) = (parameter(0)?, parameter(1)?);
        budget::charge_value(left)?;
        Ok((self.holds)(left, right))
    }
}

impl HelperDef for Comparison {
    fn call<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        registry: &'reg Handlebars<'reg>,
        context: &'rc Context,
        render: &mut RenderContext<'reg, 'rc>,
        out: &mut dyn Output,
    ) -> HelperResult {
        let holds = self.of(helper)?;
        if !helper.is_block() {
            return Ok(out.write(if holds { "true" } else { "false" })?);
        }
        match if holds { helper.template() } else { helper.inverse() } {
            Some(template) => template.render(registry, context, render, out),
            None => Ok(()),
        }
    }

    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        Ok(ScopedJson::Derived(json!(self.of(helper)?)))
    }
}

fn order(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        (Value::Bool(left), Value::Bool(right)) => Some(left.cmp(right)),
        _ => {
            let pair = [left.clone(), right.clone()];
            number(&pair, 0)?.partial_cmp(&number(&pair, 1)?)
        }
    }
}

/// `{{lookup list place}}`, `{{lookup object "name"}}`.
struct Lookup;

impl HelperDef for Lookup {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        budget::charge(1)?;
        let parameter = |place| helper.param(place).map(handlebars::PathAndJson::value);
        let found = match (parameter(0), parameter(1)) {
            (Some(Value::Array(list)), Some(place)) => {
                place.as_u64().and_then(|place| list.get(usize::try_from(place).ok()?))
            }
            (Some(Value::Object(fields)), Some(name)) => name.as_str().and_then(|name| fields.get(name)),
            _ => None,
        };
        let found = found.unwrap_or(&Value::Null);
        budget::charge_value(found)?;
        Ok(ScopedJson::Derived(found.clone()))
    }
}

pub(super) fn register(engine: &mut Handlebars<'static>) {
    blocks::register(engine);
    let all: [(&str, Calculation); 8] = [
        ("formatDate", format_date),
        ("currency", currency),
        ("upper", |given| json!(text(given, 0).to_uppercase())),
        ("lower", |given| json!(text(given, 0).to_lowercase())),
        ("capitalize", capitalize),
        ("truncate", truncate),
        ("default", |given| given.iter().find(|value| is_something(value)).cloned().unwrap_or_default()),
        ("length", length),
    ];
    for (name, function) in all {
        engine.register_helper(name, Box::new(Function(function)));
    }
    let comparisons: [(&str, Holds); 6] = [
        ("eq", |left, right| left == right),
        ("ne", |left, right| left != right),
        ("gt", |left, right| order(left, right) == Some(Ordering::Greater)),
        ("gte", |left, right| order(left, right).is_some_and(Ordering::is_ge)),
        ("lt", |left, right| order(left, right) == Some(Ordering::Less)),
        ("lte", |left, right| order(left, right).is_some_and(Ordering::is_le)),
    ];
    for (name, holds) in comparisons {
        engine.register_helper(name, Box::new(Comparison { name, holds }));
    }
    engine.register_helper("join", Box::new(Join));
    engine.register_helper("lookup", Box::new(Lookup));
    // A request must not write to the log.
    engine.unregister_helper("log");
}

fn is_something(value: &Value) -> bool {
    !matches!(value, Value::Null) && value.as_str() != Some("")
}

fn text(given: &[Value], place: usize) -> String {
    given.get(place).filter(|value| !value.is_null()).map(JsonRender::render).unwrap_or_default()
}

fn number(given: &[Value], place: usize) -> Option<f64> {
    let value = given.get(place)?;
    value.as_f64().or_else(|| value.as_str()?.trim().parse().ok()).filter(|number: &f64| number.is_finite())
}

fn capitalize(given: &[Value]) -> Value {
    let text = text(given, 0);
    let mut letters = text.chars();
    json!(letters.next().map(|first| first.to_uppercase().chain(letters).collect::<String>()).unwrap_or_default())
}

/// `{{truncate text 20}}`: at most so many letters, the last of them an ellipsis where something was left out.
fn truncate(given: &[Value]) -> Value {
    let text = text(given, 0);
    let most = given.get(1).and_then(Value::as_u64).and_then(|most| usize::try_from(most).ok()).unwrap_or(100);
    if text.chars().count() <= most {
        return json!(text);
    }
    let kept: String = text.chars().take(most.saturating_sub(1)).collect();
    json!(format!("{}…", kept.trim_end()))
}

fn join(given: &[Value]) -> Value {
    let separator = if given.len() > 1 { text(given, 1) } else { ", ".to_owned() };
    match given.first() {
        Some(Value::Array(entries)) => {
            json!(entries.iter().map(JsonRender::render).collect::<Vec<_>>().join(&separator))
        }
        _ => json!(text(given, 0)),
    }
}

fn length(given: &[Value]) -> Value {
    json!(match given.first() {
        Some(Value::Array(entries)) => entries.len(),
        Some(Value::Object(fields)) => fields.len(),
        Some(Value::String(text)) => text.chars().count(),
        _ => 0,
    })
}

/// `{{currency 1234.5 "EUR"}}`: two decimals, thousands apart, a sign for the best-known currencies.
fn currency(given: &[Value]) -> Value {
    let Some(amount) = number(given, 0) else { return json!(text(given, 0)) };
    let code = if given.len() > 1 { text(given, 1).to_uppercase() } else { "USD".to_owned() };
    let fixed = format!("{:.2}", amount.abs());
    let (whole, cents) = fixed.split_once('.').unwrap_or((&fixed, "00"));
    let mut grouped = String::new();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let sign = if amount < 0.0 && fixed != "0.00" { "-" } else { "" };
    json!(match code.as_str() {
        "USD" => format!("{sign}${grouped}.{cents}"),
        "EUR" => format!("{sign}€{grouped}.{cents}"),
        "GBP" => format!("{sign}£{grouped}.{cents}"),
        _ => format!("{sign}{grouped}.{cents} {code}"),
    })
}

/// `{{formatDate date "%d.%m.%Y" "Europe/Berlin"}}`: a time in RFC 3339 or in milliseconds; the forms `short`, `long`,
/// `time` and `iso` have names. What is no time stays as it is.
fn format_date(given: &[Value]) -> Value {
    let Some(time) = given.first().and_then(read_time) else { return json!(text(given, 0)) };
    let zone = TimeZone::get(&text(given, 2)).unwrap_or(TimeZone::UTC);
    let format = match text(given, 1).as_str() {
        "" | "short" => "%Y-%m-%d".to_owned(),
        "long" => "%-d %B %Y".to_owned(),
        "time" => "%H:%M".to_owned(),
        "iso" => "%Y-%m-%dT%H:%M:%S%:z".to_owned(),
        other => other.to_owned(),
    };
    let written = jiff::fmt::strtime::format(&format, &time.to_zoned(zone));
    json!(written.unwrap_or_else(|_| text(given, 0)))
}

fn read_time(value: &Value) -> Option<Timestamp> {
    match value {
        Value::Number(number) => Timestamp::from_millisecond(number.as_i64()?).ok(),
        Value::String(text) => text.parse().ok().or_else(|| {
            let date: jiff::civil::Date = text.parse().ok()?;
            date.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(template: &str, data: &Value) -> String {
        let mut engine = Handlebars::new();
        register(&mut engine);
        engine.render_template(template, data).unwrap_or_else(|error| panic!("{template}: {error}"))
    }

    #[test]
    fn words_are_changed_as_asked() {
        let data = json!({"name": "über alles", "list": ["a", "b"], "none": null});
        for (template, expected) in [
            ("{{upper name}}", "ÜBER ALLES"),
            ("{{lower \"ABC\"}}", "abc"),
            ("{{capitalize name}}", "Über alles"),
            ("{{truncate name 5}}", "über…"),
            ("{{truncate name 50}}", "über alles"),
            ("{{default none \"x\"}}{{default name \"x\"}}", "xüber alles"),
            ("{{join list \"-\"}} {{join list}}", "a-b a, b"),
            ("{{length list}} {{length name}} {{length none}}", "2 10 0"),
            (
                "{{#if (eq (upper \"a\") \"A\")}}same{{/if}}{{#if (gt 2 1)}}more{{/if}}{{#if (lte 2 1)}}never{{/if}}",
                "samemore",
            ),
        ] {
            assert_eq!(render(template, &data), expected, "{template}");
        }
    }

    #[test]
    fn amounts_read_as_money() {
        for (template, expected) in [
            ("{{currency 1234567.5}}", "$1,234,567.50"),
            ("{{currency \"12\" \"eur\"}}", "€12.00"),
            ("{{currency -0.5 \"CHF\"}}", "-0.50 CHF"),
            ("{{currency \"free\"}}", "free"),
        ] {
            assert_eq!(render(template, &json!({})), expected, "{template}");
        }
    }

    #[test]
    fn times_read_in_the_zone_that_was_asked_for() {
        let data = json!({"at": "2026-07-01T22:30:00Z", "ms": 1_782_945_000_000_i64, "no": "tomorrow"});
        for (template, expected) in [
            ("{{formatDate at}}", "2026-07-01"),
            ("{{formatDate at \"%d.%m.%Y %H:%M\" \"Europe/Berlin\"}}", "02.07.2026 00:30"),
            ("{{formatDate ms \"time\"}}", "22:30"),
            ("{{formatDate \"2026-07-01\" \"long\"}}", "1 July 2026"),
            ("{{formatDate no}}", "tomorrow"),
            ("{{formatDate at \"%!\"}}", "2026-07-01T22:30:00Z"),
        ] {
            assert_eq!(render(template, &data), expected, "{template}");
        }
    }
}
