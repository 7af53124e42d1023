//! Routes with their class: who may call them. Decides nothing by itself; [`crate::auth`] checks each request.

use axum::Router;
use axum::middleware::from_fn_with_state;

use crate::auth::check;

/// Who may call a route.
///
/// | class | without credentials | a user's token | key or internal secret |
/// |---|---|---|---|
/// | [`Probe`](Class::Probe) | yes | yes | yes |
/// | [`SelfVerified`](Class::SelfVerified) | the route checks its own proof | | |
/// | [`Ordinary`](Class::Ordinary) | callers of this machine, unless a key is required | for himself only: see [`Caller`](crate::Caller) | yes |
/// | [`Power`](Class::Power) | no | with an administrator's role | yes |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Health and metrics: open to everybody.
    Probe,
    /// The request proves by itself that it may be made: a webhook's signature, a socket's token, a signed link.
    /// Never asked for a key.
    SelfVerified,
    /// What an application does in its everyday work, for one user at a time.
    Ordinary,
    /// Power over others: templates, broadcasts, queues, other users' data.
    Power,
}

/// A plugin's routes, each with its [`Class`].
///
/// ```
/// use axum::{Router, routing::{get, post}};
/// use kit::{Class, Routes};
///
/// let routes = Routes::new()
///     .group(Class::Ordinary, Router::new().route("/history", get(async || "")))
///     .group(Class::Power, Router::new().route("/broadcast", post(async || "")));
/// ```
///
/// One path may stand in several groups with different methods.
#[derive(Default, Clone)]
pub struct Routes {
    router: Router,
}

impl Routes {
    /// No routes yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds routes that are all of one class.
    #[must_use]
    pub fn group(self, class: Class, routes: Router) -> Self {
        if !routes.has_routes() {
            return self;
        }
        let routes = routes.route_layer(from_fn_with_state(class, check));
        Self { router: self.router.merge(routes) }
    }

    /// Adds another set of routes.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        Self { router: self.router.merge(other.router) }
    }

    pub(crate) fn into_router(self) -> Router {
        self.router
    }
}
