-- What a ledger keeps, one statement of truth a table. Amounts are fen. Texts that are compared or sorted are compared
-- byte by byte, as every storage does.

CREATE TABLE ledger (
    one      boolean PRIMARY KEY DEFAULT true CHECK (one),
    -- The last event's. Whoever writes holds this row until its commit, so sequences have no gaps and grow by commit.
    sequence bigint NOT NULL CHECK (sequence >= 0)
);
INSERT INTO ledger (sequence) VALUES (0);

-- What happened: never changed, never removed. A line is the exact text that its order's hash chain runs over.
CREATE TABLE events (
    sequence bigint PRIMARY KEY,
    order_id text COLLATE "C" NOT NULL,
    version  bigint NOT NULL CHECK (version > 0),
    at       timestamptz NOT NULL,
    device   text NOT NULL,
    type     text NOT NULL,
    line     text NOT NULL,
    hash     bytea NOT NULL CHECK (octet_length(hash) = 32),
    UNIQUE (order_id, version)
);

-- What the events of each order come to.
CREATE TABLE orders (
    id             text COLLATE "C" PRIMARY KEY,
    account        text COLLATE "C" NOT NULL,
    version        bigint NOT NULL CHECK (version > 0),
    head           bytea NOT NULL CHECK (octet_length(head) = 32),
    -- When it was paid, else made, else 1970.
    at             timestamptz NOT NULL,
    status         text NOT NULL,
    payment_method text,
    currency       text NOT NULL,
    provisional    boolean NOT NULL,
    paid           bigint NOT NULL CHECK (paid >= 0),
    refunded       bigint NOT NULL CHECK (refunded >= 0),
    held           bigint NOT NULL CHECK (held >= 0),
    external       bigint NOT NULL CHECK (external >= 0),
    unsettled      bigint NOT NULL CHECK (unsettled >= 0),
    -- What only facts may bring about: more is out or held than was paid.
    excess         bigint NOT NULL CHECK (excess >= 0),
    facts          json NOT NULL,
    -- The record without its facts and its refunds, as it is read back.
    record         json NOT NULL,
    CHECK (refunded + held <= paid + excess)
);
CREATE INDEX orders_by_time ON orders (at DESC, id);
CREATE INDEX orders_by_account_and_time ON orders (account, at DESC, id);

-- Every number that an order bears. Several may bear one: a look-up then says so.
CREATE TABLE order_numbers (
    account  text COLLATE "C" NOT NULL,
    number   text COLLATE "C" NOT NULL,
    kind     text COLLATE "C" NOT NULL,
    order_id text COLLATE "C" NOT NULL,
    PRIMARY KEY (account, number, kind, order_id)
);
CREATE INDEX order_numbers_of_order ON order_numbers (order_id);

CREATE TABLE refunds (
    account      text COLLATE "C" NOT NULL,
    key          text COLLATE "C" NOT NULL,
    order_id     text COLLATE "C" NOT NULL,
    state        text COLLATE "C" NOT NULL,
    -- When it is due, while it is queued; else when it took its state.
    since        timestamptz NOT NULL,
    amount       bigint NOT NULL CHECK (amount > 0),
    requested_at timestamptz NOT NULL,
    requested_by text,
    memo         text,
    attempts     integer NOT NULL CHECK (attempts >= 0),
    -- Among the refunds of its order, the first one 0.
    place        integer NOT NULL CHECK (place >= 0),
    -- All of it, as it is read back.
    record       json NOT NULL,
    PRIMARY KEY (account, key)
);
CREATE INDEX refunds_by_state ON refunds (state, since, account, key);
CREATE UNIQUE INDEX refunds_of_order ON refunds (order_id, place);

-- Who sent which refund. Until its lease is over by this server's clock, nobody but its sender says what became of it.
CREATE TABLE attempts (
    account     text COLLATE "C" NOT NULL,
    key         text COLLATE "C" NOT NULL,
    number      integer NOT NULL CHECK (number > 0),
    order_id    text COLLATE "C" NOT NULL,
    device      text NOT NULL,
    lease_until timestamptz NOT NULL,
    -- The state that ended it; none yet: it is under way.
    ended       text COLLATE "C",
    PRIMARY KEY (account, key, number)
);
-- One attempt at a time.
CREATE UNIQUE INDEX attempts_under_way_of_order ON attempts (order_id) WHERE ended IS NULL;
CREATE INDEX attempts_under_way ON attempts (lease_until, account, key) WHERE ended IS NULL;

CREATE TABLE cursors (
    name  text COLLATE "C" PRIMARY KEY,
    value text NOT NULL
);

-- The newest answer about an order as its upstream gave it, where it is kept: the payer's data, no part of the history.
CREATE TABLE bodies (
    order_id text COLLATE "C" PRIMARY KEY,
    body     bytea NOT NULL,
    kept_at  timestamptz NOT NULL DEFAULT now()
);

-- Commits by the id that their writer gave them: what a lost answer to a commit was is looked up here. Young ones only.
CREATE TABLE commits (
    id uuid PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX commits_by_time ON commits (at);

-- For people and their reports; the ledger reads none of them. Amounts are fen here too, but for those in yuan.

-- What was asked for on each day of Beijing, and what became of it by now.
CREATE VIEW refunds_by_day AS
SELECT account, (requested_at AT TIME ZONE 'Asia/Shanghai')::date AS day, state, count(*) AS refunds,
       sum(amount)::bigint AS amount, round(sum(amount) / 100.0, 2) AS yuan
FROM refunds
GROUP BY account, day, state;

-- Each order with what may still be refunded.
CREATE VIEW orders_refundable AS
SELECT id, account, at, status, currency, provisional, paid, refunded, held, unsettled, excess,
       CASE WHEN status = 'paid' AND currency = 'CNY' THEN greatest(0, paid - refunded - held - unsettled) ELSE 0 END
           AS refundable
FROM orders;

-- What a person must look at, and why: the oldest first is a good order.
CREATE VIEW refunds_to_look_at AS
SELECT account, key, order_id, state, since, amount, requested_by, memo, attempts,
       CASE WHEN state = 'review' THEN 'a person must decide'
            WHEN state = 'in_doubt' THEN 'nobody knows whether it was paid'
            WHEN state = 'sending' THEN 'whoever sent it is gone'
            ELSE 'it waits for approval' END AS why,
       record->>'message' AS message
FROM refunds
WHERE state IN ('review', 'in_doubt')
   OR state = 'queued' AND (record->>'awaits_approval')::boolean
   OR state = 'sending' AND EXISTS (
       SELECT FROM attempts WHERE attempts.account = refunds.account AND attempts.key = refunds.key
           AND ended IS NULL AND lease_until < now());
