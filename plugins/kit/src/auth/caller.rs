//! Who sends a request.

use std::sync::Arc;

use axum::extract::{FromRequestParts, OptionalFromRequestParts, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};

use crate::http::Failure;

/// A user whose token was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub id: Arc<str>,
    /// The role that the token gives, such as `user`.
    pub role: Arc<str>,
    /// Whether the role has power over other users.
    pub is_admin: bool,
    /// When the token expires, in seconds since 1970.
    pub expires_at: Option<u64>,
    /// All claims of the token.
    pub claims: Arc<Map<String, Value>>,
}

/// Who sends a request, as far as the route needs to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// A server that has the API key or the project's internal secret; acts for anybody.
    Service,
    /// A program on this machine, without credentials; acts for anybody, on ordinary routes only.
    Local,
    /// A user; acts for himself only, unless he is an administrator.
    User(User),
}

impl Caller {
    /// Whether the caller may read and change what belongs to this user.
    pub fn may_act_for(&self, user_id: &str) -> bool {
        match self {
            Self::Service | Self::Local => true,
            Self::User(user) => user.is_admin || *user.id == *user_id,
        }
    }

    /// 403 unless the caller may act for this user.
    pub fn act_for(&self, user_id: &str) -> Result<(), Failure> {
        if self.may_act_for(user_id) {
            return Ok(());
        }
        Err(Failure::new(StatusCode::FORBIDDEN, "a user's token acts for that user only"))
    }

    /// 403 for a user who is no administrator: what the route does belongs to no single user.
    pub fn act_for_all(&self) -> Result<(), Failure> {
        match self {
            Self::User(user) if !user.is_admin => {
                Err(Failure::new(StatusCode::FORBIDDEN, "a user's token acts for that user only"))
            }
            _ => Ok(()),
        }
    }

    /// The user's id, where the caller is a user.
    pub fn user_id(&self) -> Option<&str> {
        match self {
            Self::User(user) => Some(&user.id),
            _ => None,
        }
    }
}

/// Middleware for routes whose work belongs to no single user: 403 for a user who is no administrator.
pub async fn for_all_users(caller: Caller, request: Request, next: Next) -> Response {
    match caller.act_for_all() {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        // Missing only where a route was put outside of `Routes`: closed.
        let caller = parts.extensions.get::<Self>().cloned();
        caller.ok_or_else(|| Failure::new(StatusCode::UNAUTHORIZED, "the caller is not known"))
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for Caller {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Self::Rejection> {
        Ok(parts.extensions.get::<Self>().cloned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(id: &str, is_admin: bool) -> Caller {
        let claims = Arc::default();
        Caller::User(User { id: id.into(), role: "user".into(), is_admin, expires_at: None, claims })
    }

    #[test]
    fn a_user_acts_for_himself_only() {
        assert!(user("ann", false).act_for("ann").is_ok());
        assert!(user("ann", false).act_for("bob").is_err());
        assert!(user("ann", false).act_for("").is_err());
        assert!(user("ann", false).act_for_all().is_err());
        assert!(user("root", true).act_for("bob").is_ok() && user("root", true).act_for_all().is_ok());
        for caller in [Caller::Service, Caller::Local] {
            assert!(caller.act_for("bob").is_ok() && caller.act_for_all().is_ok());
        }
    }
}
