//! Checks a parsed template, and weighs what rendering it once costs.

use handlebars::template::{HelperTemplate, Parameter, TemplateElement};
use handlebars::{Path, Template};

use super::budget;

/// The most blocks within one another.
const DEPTH: usize = 48;

/// Returns why a parsed template is not rendered.
pub(super) fn check(template: &Template) -> Result<(), String> {
    check_template(template, 0)
}

fn check_template(template: &Template, depth: usize) -> Result<(), String> {
    if depth > DEPTH {
        return Err(format!("its blocks nest deeper than {DEPTH}"));
    }
    for element in &template.elements {
        match element {
            TemplateElement::RawString(_) | TemplateElement::Comment(_) => {}
            TemplateElement::Expression(helper)
            | TemplateElement::HtmlExpression(helper)
            | TemplateElement::HelperBlock(helper) => {
                for inner in [&helper.template, &helper.inverse].into_iter().flatten() {
                    check_template(inner, depth + 1)?;
                }
            }
            // What a partial may include, itself among it, has no bounds.
            _ => return Err("partials and decorators are not supported".to_owned()),
        }
    }
    Ok(())
}

/// How many operations one rendering costs at least, loops not counted.
pub(super) fn weight(template: &Template) -> u64 {
    template.elements.iter().map(weight_of).sum::<u64>() + 1
}

fn weight_of(element: &TemplateElement) -> u64 {
    match element {
        TemplateElement::Expression(helper)
        | TemplateElement::HtmlExpression(helper)
        | TemplateElement::HelperBlock(helper) => weight_of_helper(helper),
        _ => 1,
    }
}

fn weight_of_helper(helper: &HelperTemplate) -> u64 {
    let blocks = [&helper.template, &helper.inverse].into_iter().flatten().map(weight).sum::<u64>();
    let parameters = helper.params.iter().chain(helper.hash.values()).map(weight_of_parameter).sum::<u64>();
    1 + blocks + parameters + weight_of_parameter(&helper.name)
}

fn weight_of_parameter(parameter: &Parameter) -> u64 {
    match parameter {
        Parameter::Literal(value) => 1 + (budget::size(value) / 256) as u64,
        Parameter::Path(Path::Relative((_, raw)) | Path::Local((_, _, raw))) => 1 + (raw.len() / 64) as u64,
        Parameter::Subexpression(inner) => weight_of(inner.as_element()),
        _ => 1,
    }
}
