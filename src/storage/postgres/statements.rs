//! What the connection that writes says to the server.

use tokio_postgres::{Client, Statement};

use super::rows;

/// Prepared once a connection.
pub(super) struct Statements {
    pub(super) note: Statement,
    pub(super) hold: Statement,
    pub(super) orders: Statement,
    pub(super) heads: Statement,
    pub(super) contested: Statement,
    pub(super) numbers: Statement,
    pub(super) refunds: Statement,
    pub(super) cursors: Statement,
    pub(super) add_events: Statement,
    pub(super) put_orders: Statement,
    pub(super) change_orders: Statement,
    pub(super) add_numbers: Statement,
    pub(super) remove_numbers: Statement,
    pub(super) put_refunds: Statement,
    pub(super) end_attempts: Statement,
    pub(super) begin_attempts: Statement,
    pub(super) put_cursors: Statement,
    pub(super) set_sequence: Statement,
}

/// Waits for an earlier commit of that id, if one is under way; no row: it is there already.
const NOTE: &str = "INSERT INTO commits (id) VALUES ($1) ON CONFLICT DO NOTHING";

/// From here on nobody else writes, until the commit.
const HOLD: &str = "UPDATE ledger SET sequence = sequence RETURNING sequence, clock_timestamp()";

const HEADS: &str = "SELECT id, head FROM orders WHERE id = ANY ($1)";

/// Numbers of these orders that others bear by the same kind.
const CONTESTED: &str = "SELECT DISTINCT own.account, own.kind, own.number FROM order_numbers own
    JOIN order_numbers other ON other.account = own.account AND other.number = own.number AND other.kind = own.kind
        AND other.order_id <> own.order_id
    WHERE own.order_id = ANY ($1)";

const NUMBERS: &str = "SELECT account, number, order_id, kind FROM order_numbers
    JOIN unnest($1::text[], $2::text[]) AS asked (account, number) USING (account, number)";

const REFUNDS: &str = "SELECT account, key, order_id FROM refunds
    JOIN unnest($1::text[], $2::text[]) AS asked (account, key) USING (account, key)";

const CURSORS: &str = "SELECT name, value FROM cursors WHERE name = ANY ($1)";

const ADD_EVENTS: &str = "INSERT INTO events (sequence, order_id, version, at, device, type, line, hash)
    SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::timestamptz[], $5::text[], $6::text[], $7::text[],
        $8::bytea[])";

/// Orders whose facts are new.
const PUT_ORDERS: &str = "INSERT INTO orders (id, account, version, head, provisional, refunded, held, external,
        unsettled, excess, record, at, status, payment_method, currency, paid, facts)
    SELECT id, account, version, head, provisional, refunded, held, external, unsettled, excess, record::json, at,
        status, payment_method, currency, paid, facts::json
    FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bytea[], $5::boolean[], $6::bigint[], $7::bigint[],
        $8::bigint[], $9::bigint[], $10::bigint[], $11::text[], $12::timestamptz[], $13::text[], $14::text[],
        $15::text[], $16::bigint[], $17::text[])
        AS new (id, account, version, head, provisional, refunded, held, external, unsettled, excess, record, at,
            status, payment_method, currency, paid, facts)
    ON CONFLICT (id) DO UPDATE SET (version, head, provisional, refunded, held, external, unsettled, excess, record,
            at, status, payment_method, currency, paid, facts)
        = (excluded.version, excluded.head, excluded.provisional, excluded.refunded, excluded.held,
            excluded.external, excluded.unsettled, excluded.excess, excluded.record, excluded.at, excluded.status,
            excluded.payment_method, excluded.currency, excluded.paid, excluded.facts)";

/// Orders whose facts are what they were: no index and none of their facts is written again.
const CHANGE_ORDERS: &str =
    "UPDATE orders SET (version, head, provisional, refunded, held, external, unsettled, excess,
        record) = (new.version, new.head, new.provisional, new.refunded, new.held, new.external, new.unsettled,
        new.excess, new.record::json)
    FROM unnest($1::text[], $2::bigint[], $3::bytea[], $4::boolean[], $5::bigint[], $6::bigint[], $7::bigint[],
        $8::bigint[], $9::bigint[], $10::text[])
        AS new (id, version, head, provisional, refunded, held, external, unsettled, excess, record)
    WHERE orders.id = new.id";

const ADD_NUMBERS: &str = "INSERT INTO order_numbers (account, number, kind, order_id)
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[])";

const REMOVE_NUMBERS: &str = "DELETE FROM order_numbers USING unnest($1::text[], $2::text[], $3::text[], $4::text[])
        AS gone (account, number, kind, order_id)
    WHERE order_numbers.account = gone.account AND order_numbers.number = gone.number
        AND order_numbers.kind = gone.kind AND order_numbers.order_id = gone.order_id";

const PUT_REFUNDS: &str =
    "INSERT INTO refunds (account, key, order_id, state, since, amount, requested_at, requested_by,
        memo, attempts, place, record)
    SELECT account, key, order_id, state, since, amount, requested_at, requested_by, memo, attempts, place, record::json
    FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::bigint[], $7::timestamptz[],
        $8::text[], $9::text[], $10::integer[], $11::integer[], $12::text[])
        AS new (account, key, order_id, state, since, amount, requested_at, requested_by, memo, attempts, place, record)
    ON CONFLICT (account, key) DO UPDATE SET (state, since, attempts, record)
        = (excluded.state, excluded.since, excluded.attempts, excluded.record)";

const END_ATTEMPTS: &str = "UPDATE attempts SET ended = over.state
    FROM unnest($1::text[], $2::text[], $3::integer[], $4::text[]) AS over (account, key, number, state)
    WHERE attempts.account = over.account AND attempts.key = over.key AND attempts.number = over.number";

/// The lease begins by the server's clock, which all who may take an attempt over ask.
const BEGIN_ATTEMPTS: &str = "INSERT INTO attempts (account, key, number, order_id, device, lease_until)
    SELECT account, key, number, order_id, device, clock_timestamp() + $6::bigint * interval '1 millisecond'
    FROM unnest($1::text[], $2::text[], $3::integer[], $4::text[], $5::text[])
        AS new (account, key, number, order_id, device)";

const PUT_CURSORS: &str = "INSERT INTO cursors (name, value) SELECT * FROM unnest($1::text[], $2::text[])
    ON CONFLICT (name) DO UPDATE SET value = excluded.value";

const SET_SEQUENCE: &str = "UPDATE ledger SET sequence = $1";

impl Statements {
    pub(super) async fn prepare(client: &Client) -> Result<Statements, tokio_postgres::Error> {
        let orders = format!("SELECT {} FROM orders WHERE id = ANY ($1)", rows::RECORD);
        Ok(Statements {
            note: client.prepare(NOTE).await?,
            hold: client.prepare(HOLD).await?,
            orders: client.prepare(&orders).await?,
            heads: client.prepare(HEADS).await?,
            contested: client.prepare(CONTESTED).await?,
            numbers: client.prepare(NUMBERS).await?,
            refunds: client.prepare(REFUNDS).await?,
            cursors: client.prepare(CURSORS).await?,
            add_events: client.prepare(ADD_EVENTS).await?,
            put_orders: client.prepare(PUT_ORDERS).await?,
            change_orders: client.prepare(CHANGE_ORDERS).await?,
            add_numbers: client.prepare(ADD_NUMBERS).await?,
            remove_numbers: client.prepare(REMOVE_NUMBERS).await?,
            put_refunds: client.prepare(PUT_REFUNDS).await?,
            end_attempts: client.prepare(END_ATTEMPTS).await?,
            begin_attempts: client.prepare(BEGIN_ATTEMPTS).await?,
            put_cursors: client.prepare(PUT_CURSORS).await?,
            set_sequence: client.prepare(SET_SEQUENCE).await?,
        })
    }
}
