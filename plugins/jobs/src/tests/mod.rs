//! The whole plugin against a real Redis, through its routes.

mod dashboard;
mod jobs;
mod outage;
mod processors;
mod queues;
mod schedules;
mod support;
mod workers;
