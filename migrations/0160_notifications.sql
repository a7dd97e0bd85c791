-- +goose Up

-- Where people are told what happens. What lets one post there is sealed.
CREATE TABLE notification_destinations (
    id            uuid PRIMARY KEY,
    name          text NOT NULL,
    name_key      text COLLATE "C" NOT NULL UNIQUE,
    kind          text NOT NULL CHECK (kind IN ('webhook', 'slack', 'teams', 'email')),
    address       text NOT NULL,            -- what is shown of where it is: a host, or whom it is mailed to
    sealed        bytea,                    -- the URL and the secret; NULL of e-mail
    disabled      boolean NOT NULL DEFAULT false,
    disabled_why  text NOT NULL DEFAULT '', -- '' when a person did
    failing_since timestamptz,              -- NULL: the last message was taken
    failures      integer NOT NULL DEFAULT 0,
    next_try_at   timestamptz,
    created_at    timestamptz NOT NULL,
    created_by    text NOT NULL,
    updated_at    timestamptz NOT NULL,
    updated_by    text NOT NULL
);
CREATE INDEX notification_destinations_created_at ON notification_destinations (created_at, id);

-- What is told where.
CREATE TABLE notification_rules (
    id             uuid PRIMARY KEY,
    name           text NOT NULL,
    name_key       text COLLATE "C" NOT NULL UNIQUE,
    kinds          text[] NOT NULL,             -- '{}' is every kind
    selector       jsonb NOT NULL DEFAULT '{}', -- of which satellites
    quiet          jsonb,                       -- quiet hours; NULL is none
    group_seconds  integer NOT NULL,
    repeat_seconds integer NOT NULL,
    disabled       boolean NOT NULL DEFAULT false,
    created_at     timestamptz NOT NULL,
    created_by     text NOT NULL,
    updated_at     timestamptz NOT NULL,
    updated_by     text NOT NULL
);
CREATE INDEX notification_rules_created_at ON notification_rules (created_at, id);
CREATE TABLE notification_rule_destinations (
    rule_id        uuid NOT NULL REFERENCES notification_rules ON DELETE CASCADE,
    destination_id uuid NOT NULL REFERENCES notification_destinations ON DELETE CASCADE,
    PRIMARY KEY (rule_id, destination_id)
);
CREATE INDEX notification_rule_destinations_destination ON notification_rule_destinations (destination_id);

-- What happened, written with the change itself when some rule is for its kind,
-- and gone once it is in a message.
CREATE TABLE notices (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at             timestamptz NOT NULL,
    kind           text NOT NULL,
    subject_kind   text NOT NULL,
    subject_id     text NOT NULL,
    subject_name   text NOT NULL,
    satellite_id   uuid,
    satellite_name text NOT NULL DEFAULT '',
    text           text NOT NULL,
    routed         boolean NOT NULL DEFAULT false
);
CREATE INDEX notices_new ON notices (id) WHERE NOT routed;

-- What waits to be told by a rule: exactly one row a notice and rule.
CREATE TABLE notice_matches (
    rule_id    uuid NOT NULL REFERENCES notification_rules ON DELETE CASCADE,
    notice_id  bigint NOT NULL REFERENCES notices ON DELETE CASCADE,
    urgent     boolean NOT NULL,     -- told in quiet hours too
    not_before timestamptz NOT NULL, -- later than the notice when its subject comes and goes
    PRIMARY KEY (rule_id, notice_id)
);
CREATE INDEX notice_matches_due ON notice_matches (rule_id, urgent, not_before);
CREATE INDEX notice_matches_notice ON notice_matches (notice_id);

-- What was told last of a thing that comes and goes, so that one which flaps is
-- not told again and again.
CREATE TABLE notice_subjects (
    rule_id uuid NOT NULL REFERENCES notification_rules ON DELETE CASCADE,
    subject text NOT NULL,
    kind    text NOT NULL,
    told_at timestamptz NOT NULL,
    PRIMARY KEY (rule_id, subject)
);
CREATE INDEX notice_subjects_told_at ON notice_subjects (told_at);

-- What happened already and is no notice again for a while.
CREATE TABLE notice_marks (
    key   text COLLATE "C" PRIMARY KEY,
    until timestamptz NOT NULL
);
CREATE INDEX notice_marks_until ON notice_marks (until);

-- Messages, and what became of them.
CREATE TABLE notification_deliveries (
    id               uuid PRIMARY KEY,
    destination_id   uuid REFERENCES notification_destinations ON DELETE SET NULL,
    destination_name text NOT NULL,
    rule_name        text NOT NULL DEFAULT '', -- '' of a test
    title            text NOT NULL,
    search_key       text NOT NULL,
    notices          integer NOT NULL,
    content          jsonb NOT NULL,
    state            text NOT NULL CHECK (state IN ('pending', 'sent', 'failed')),
    attempts         integer NOT NULL DEFAULT 0,
    error            text NOT NULL DEFAULT '',
    next_try_at      timestamptz,
    give_up_at       timestamptz NOT NULL,
    created_at       timestamptz NOT NULL,
    finished_at      timestamptz
);
CREATE INDEX notification_deliveries_created_at ON notification_deliveries (created_at, id);
CREATE INDEX notification_deliveries_destination ON notification_deliveries (destination_id, created_at);
CREATE INDEX notification_deliveries_pending ON notification_deliveries (created_at) WHERE state = 'pending';

-- Keys that are about to expire are looked for every hour.
CREATE INDEX api_keys_expires_at ON api_keys (expires_at) WHERE revoked_at IS NULL AND NOT exchanged;
CREATE INDEX satellite_keys_expires_at ON satellite_keys (expires_at) WHERE revoked_at IS NULL AND expires_at IS NOT NULL;
