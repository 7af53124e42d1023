//! The tables. A migration that was released is never edited: a change is one more.

/// How many migrations this version expects to be applied.
pub(crate) const EXPECTED: usize = MIGRATIONS.len();

/// Where applied migrations are noted.
pub(super) const LEDGER: &str =
    "CREATE TABLE IF NOT EXISTS np_notifications_migrations (version bigint NOT NULL PRIMARY KEY)";

/// Times are milliseconds since 1970, switches 0 or 1, structures JSON texts: what both kinds of database store alike.
pub(super) const MIGRATIONS: &[&[&str]] = &[
    &[
        "CREATE TABLE np_notifications_messages (
        id text NOT NULL PRIMARY KEY,
        user_id text NOT NULL,
        kind text NOT NULL,
        category text NOT NULL,
        priority bigint NOT NULL,
        template text,
        title text NOT NULL,
        body text NOT NULL,
        content text NOT NULL,
        recipient text NOT NULL,
        attachments text,
        data text NOT NULL,
        metadata text NOT NULL,
        tags text NOT NULL,
        in_app bigint NOT NULL,
        scheduled_at bigint,
        visible_at bigint NOT NULL,
        read_at bigint,
        removed_at bigint,
        created_at bigint NOT NULL)",
        "CREATE INDEX np_notifications_messages_user ON np_notifications_messages (user_id, created_at)",
        "CREATE INDEX np_notifications_messages_unread ON np_notifications_messages (user_id, visible_at)
        WHERE in_app = 1 AND read_at IS NULL AND removed_at IS NULL",
        "CREATE INDEX np_notifications_messages_age ON np_notifications_messages (created_at)",
        "CREATE TABLE np_notifications_deliveries (
        id text NOT NULL PRIMARY KEY,
        message_id text NOT NULL,
        user_id text NOT NULL,
        channel text NOT NULL,
        status text NOT NULL,
        priority bigint NOT NULL,
        digest text,
        attempts bigint NOT NULL,
        due_at bigint NOT NULL,
        first_due_at bigint NOT NULL,
        lease_until bigint NOT NULL,
        claimed_by text,
        provider text,
        provider_id text,
        error text,
        sent_at bigint,
        delivered_at bigint,
        failed_at bigint,
        opened_at bigint,
        clicked_at bigint,
        created_at bigint NOT NULL,
        updated_at bigint NOT NULL)",
        "CREATE INDEX np_notifications_deliveries_message ON np_notifications_deliveries (message_id)",
        "CREATE INDEX np_notifications_deliveries_queued ON np_notifications_deliveries (priority, due_at)
        WHERE status = 'queued'",
        "CREATE INDEX np_notifications_deliveries_pending ON np_notifications_deliveries (due_at)
        WHERE status = 'pending'",
        "CREATE INDEX np_notifications_deliveries_age ON np_notifications_deliveries (created_at)",
        "CREATE TABLE np_notifications_requests (
        key text NOT NULL PRIMARY KEY,
        fingerprint text NOT NULL,
        answer text NOT NULL,
        expires_at bigint NOT NULL)",
        "CREATE INDEX np_notifications_requests_age ON np_notifications_requests (expires_at)",
        "CREATE TABLE np_notifications_rates (
        user_id text NOT NULL,
        channel text NOT NULL,
        window_start bigint NOT NULL,
        used bigint NOT NULL,
        PRIMARY KEY (user_id, channel))",
        "CREATE TABLE np_notifications_preferences (
        user_id text NOT NULL PRIMARY KEY,
        document text NOT NULL,
        revision bigint NOT NULL)",
        "CREATE TABLE np_notifications_templates (
        name text NOT NULL PRIMARY KEY,
        document text NOT NULL,
        created_at bigint NOT NULL,
        updated_at bigint NOT NULL)",
        "CREATE TABLE np_notifications_webhooks (
        id text NOT NULL PRIMARY KEY,
        user_id text NOT NULL,
        url text NOT NULL,
        events text NOT NULL,
        secret text NOT NULL,
        created_at bigint NOT NULL)",
        "CREATE INDEX np_notifications_webhooks_user ON np_notifications_webhooks (user_id)",
        "CREATE TABLE np_notifications_webhook_calls (
        id text NOT NULL PRIMARY KEY,
        webhook_id text NOT NULL,
        event text NOT NULL,
        payload text NOT NULL,
        attempts bigint NOT NULL,
        due_at bigint NOT NULL,
        created_at bigint NOT NULL)",
        "CREATE INDEX np_notifications_webhook_calls_due ON np_notifications_webhook_calls (due_at)",
        "CREATE TABLE np_notifications_push_subscriptions (
        endpoint text NOT NULL PRIMARY KEY,
        user_id text NOT NULL,
        subscription text NOT NULL,
        device_id text,
        platform text,
        created_at bigint NOT NULL,
        updated_at bigint NOT NULL)",
        "CREATE INDEX np_notifications_push_subscriptions_user ON np_notifications_push_subscriptions (user_id)",
    ],
    // A later version's tables must do for the version before it: columns are added with a default, rows of a new meaning
    // lie in tables of their own.
    &[
        "ALTER TABLE np_notifications_webhooks ADD COLUMN disabled_at bigint",
        "ALTER TABLE np_notifications_webhook_calls ADD COLUMN error text",
        "CREATE INDEX np_notifications_webhook_calls_lane ON np_notifications_webhook_calls (webhook_id, due_at)",
        "CREATE TABLE np_notifications_dead_letters (
        id text NOT NULL PRIMARY KEY,
        webhook_id text NOT NULL,
        event text NOT NULL,
        payload text NOT NULL,
        attempts bigint NOT NULL,
        error text NOT NULL,
        created_at bigint NOT NULL,
        dead_at bigint NOT NULL)",
        "CREATE INDEX np_notifications_dead_letters_webhook ON np_notifications_dead_letters (webhook_id)",
    ],
];
