//! What one rendering may cost: operations, output and time. The limits belong to the thread that renders.
//!
//! Every helper and every write charges the budget, so that no loop, comparison or copy goes on without end. A charge
//! beyond the limit is an error that ends the rendering.

use std::cell::Cell;
use std::time::{Duration, Instant};

use handlebars::{RenderError, RenderErrorReason};
use serde_json::Value;

/// The most operations of one rendering: iterations, helper calls, writes, each with what it copies.
const OPERATIONS: u64 = 300_000;
/// The longest that one rendering may take. Operations end a rendering long before, except on a stalled machine.
const WITHIN: Duration = Duration::from_secs(3);
/// Bytes that cost as much as one operation.
const BYTES_PER_OPERATION: usize = 64;

#[derive(Clone, Copy)]
struct Budget {
    left: u64,
    ends: Option<Instant>,
}

thread_local! {
    static BUDGET: Cell<Budget> = const { Cell::new(Budget { left: OPERATIONS, ends: None }) };
}

/// Starts a rendering on this thread with a full budget.
pub(super) fn start() {
    BUDGET.set(Budget { left: OPERATIONS, ends: Instant::now().checked_add(WITHIN) });
}

/// Takes so many operations from the budget.
pub(super) fn charge(operations: u64) -> Result<(), RenderError> {
    let mut budget = BUDGET.get();
    if operations > budget.left {
        return Err(exceeded(format!("it takes more than {OPERATIONS} operations")));
    }
    budget.left -= operations;
    BUDGET.set(budget);
    if budget.ends.is_some_and(|ends| Instant::now() > ends) {
        return Err(exceeded(format!("it takes longer than {} s", WITHIN.as_secs())));
    }
    Ok(())
}

/// Takes what handling so many bytes costs.
pub(super) fn charge_bytes(bytes: usize) -> Result<(), RenderError> {
    charge(1 + (bytes / BYTES_PER_OPERATION) as u64)
}

/// Takes what copying or comparing a value costs.
pub(super) fn charge_value(value: &Value) -> Result<(), RenderError> {
    charge_bytes(size(value))
}

/// The size of a value in memory, in bytes, roughly.
pub(super) fn size(value: &Value) -> usize {
    const CELL: usize = 32;
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => CELL,
        Value::String(text) => CELL + text.len(),
        Value::Array(entries) => CELL + entries.iter().map(size).sum::<usize>(),
        Value::Object(fields) => {
            CELL + fields.iter().map(|(name, value)| CELL + name.len() + size(value)).sum::<usize>()
        }
    }
}

/// An error of a rendering that goes beyond a limit.
pub(super) fn exceeded(why: String) -> RenderError {
    RenderErrorReason::Other(why).into()
}
