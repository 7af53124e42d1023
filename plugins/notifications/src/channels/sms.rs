//! SMS through an HTTP interface of Twilio's shape.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::Value;

use super::Outcome;
use crate::chain::chain;
use crate::config::SmsConfig;

const ANSWER_WITHIN: Duration = Duration::from_secs(20);
/// The longest body that is sent, in letters: ten parts.
const BODY_LETTERS: usize = 1600;

pub(crate) struct Sms {
    config: SmsConfig,
    client: reqwest::Client,
}

impl Sms {
    pub(crate) fn new(config: SmsConfig, client: reqwest::Client) -> Self {
        Self { config, client }
    }

    pub(crate) async fn send(&self, to: &str, body: &str) -> Outcome {
        let SmsConfig { base, account, token, from } = &self.config;
        let body: String = body.chars().take(BODY_LETTERS).collect();
        let request = self
            .client
            .post(format!("{base}/2010-04-01/Accounts/{account}/Messages.json"))
            .basic_auth(account, Some(token))
            .form(&[("To", to), ("From", from.as_str()), ("Body", body.as_str())])
            .timeout(ANSWER_WITHIN);
        match request.send().await {
            Ok(response) => judge(base, response).await,
            Err(error) if error.is_connect() => {
                Outcome::Unreachable(format!("{base}: {}", chain(&error.without_url())))
            }
            // It may have been sent; a second one would cost and disturb.
            Err(error) => Outcome::Rejected(format!(
                "{base}: no answer to a request that may have been carried out, so it is not repeated: {}",
                chain(&error.without_url())
            )),
        }
    }
}

async fn judge(base: &str, response: reqwest::Response) -> Outcome {
    let status = response.status();
    let answer: Value = response.json().await.unwrap_or_default();
    if status.is_success() {
        return Outcome::Sent(answer["sid"].as_str().map(str::to_owned));
    }
    let why = format!("{base} answered {status}: {}", answer["message"].as_str().unwrap_or("no reason given"));
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Outcome::Unreachable(why),
        StatusCode::TOO_MANY_REQUESTS => Outcome::Refused(why),
        _ if status.is_server_error() => Outcome::Refused(why),
        _ => Outcome::Rejected(why),
    }
}
