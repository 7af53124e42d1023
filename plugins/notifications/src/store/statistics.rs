//! Counts of deliveries, and what providers report of them afterwards.

use serde_json::{Value, json};

use super::Store;
use crate::database::{DatabaseError, Row, values};

/// What a provider reports of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Report {
    Delivered,
    Failed,
    Bounced,
    Opened,
    Clicked,
}

impl Report {
    pub(crate) fn parse(event: &str) -> Option<Self> {
        match event {
            "delivery.succeeded" | "delivered" => Some(Self::Delivered),
            "delivery.failed" | "failed" => Some(Self::Failed),
            "bounce" | "bounced" => Some(Self::Bounced),
            "open" | "opened" => Some(Self::Opened),
            "click" | "clicked" => Some(Self::Clicked),
            _ => None,
        }
    }

    /// What changes, and which states it may change: an end that is known is not undone by a report that comes late.
    fn change(self) -> &'static str {
        match self {
            Self::Delivered => "status = 'delivered', delivered_at = COALESCE(delivered_at, $3) WHERE status = 'sent'",
            Self::Failed => "status = 'failed', failed_at = $3 WHERE status IN ('sent', 'delivered')",
            Self::Bounced => "status = 'bounced', failed_at = $3 WHERE status IN ('sent', 'delivered')",
            Self::Opened => "opened_at = COALESCE(opened_at, $3) WHERE status IN ('sent', 'delivered')",
            Self::Clicked => {
                "clicked_at = COALESCE(clicked_at, $3), opened_at = COALESCE(opened_at, $3)
                 WHERE status IN ('sent', 'delivered')"
            }
        }
    }
}

impl Store {
    /// Notes a provider's report; tells whether it changed anything.
    pub(crate) async fn report(
        &self,
        message_id: &str,
        channel: &str,
        report: Report,
        now: i64,
    ) -> Result<bool, DatabaseError> {
        let sql = format!(
            "UPDATE np_notifications_deliveries SET updated_at = $3, {} AND message_id = $1 AND channel = $2",
            report.change()
        );
        Ok(self.database.change(sql, values![message_id, channel, now]).await? > 0)
    }

    /// Deliveries by channel and state since a time.
    pub(crate) async fn delivery_counts(&self, since: i64) -> Result<Vec<(String, String, i64)>, DatabaseError> {
        let sql =
            "SELECT channel, status, COUNT(*) AS deliveries FROM np_notifications_deliveries WHERE created_at >= $1
            GROUP BY channel, status ORDER BY channel, status";
        let rows = self.database.query(sql, values![since]).await?;
        let read = |row: &Row| Ok((row.text("channel")?, row.text("status")?, row.number("deliveries")?));
        rows.iter().map(read).collect()
    }

    /// What recipients did with messages since a time, by channel.
    pub(crate) async fn engagement(&self, since: i64) -> Result<Vec<Value>, DatabaseError> {
        let sql = "SELECT d.channel AS channel, COUNT(d.sent_at) AS sent, COUNT(d.delivered_at) AS delivered,
                COUNT(d.opened_at) AS opened, COUNT(d.clicked_at) AS clicked, COUNT(m.read_at) AS seen
            FROM np_notifications_deliveries d JOIN np_notifications_messages m ON m.id = d.message_id
            WHERE d.created_at >= $1 GROUP BY d.channel ORDER BY d.channel";
        let rows = self.database.query(sql, values![since]).await?;
        let metric = |row: &Row| {
            let (sent, opened, clicked) = (row.number("sent")?, row.number("opened")?, row.number("clicked")?);
            Ok(json!({
                "channel": row.text("channel")?,
                "sent": sent,
                "delivered": row.number("delivered")?,
                "opened": opened,
                "clicked": clicked,
                "read": row.number("seen")?,
                "open_rate": rate(opened, sent),
                "click_rate": rate(clicked, sent),
            }))
        };
        rows.iter().map(metric).collect()
    }
}

/// A share in percent with two decimals; 0 of nothing.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
pub(crate) fn rate(part: i64, whole: i64) -> f64 {
    if whole == 0 { 0.0 } else { (part as f64 * 10_000.0 / whole as f64).round() / 100.0 }
}
