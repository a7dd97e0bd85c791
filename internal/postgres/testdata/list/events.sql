-- by at: first page
SELECT e.id, e.at, e.actor, e.actor_key_id, e.action, e.target_kind, e.target_id, e.target_name,
			NULL::jsonb AS before, NULL::jsonb AS after, e.address
FROM events e
WHERE (@actor = '' OR e.actor = @actor)
			AND (@action = '' OR e.action = @action)
			AND (@target_kind = '' OR e.target_kind = @target_kind)
			AND (@target_id = '' OR e.target_id = @target_id)
			AND (@since::timestamptz IS NULL OR e.at >= @since)
			AND (@until::timestamptz IS NULL OR e.at < @until)
ORDER BY e.at ASC, e.id ASC
LIMIT @limit

-- by at: search
SELECT e.id, e.at, e.actor, e.actor_key_id, e.action, e.target_kind, e.target_id, e.target_name,
			NULL::jsonb AS before, NULL::jsonb AS after, e.address
FROM events e
WHERE (@actor = '' OR e.actor = @actor)
			AND (@action = '' OR e.action = @action)
			AND (@target_kind = '' OR e.target_kind = @target_kind)
			AND (@target_id = '' OR e.target_id = @target_id)
			AND (@since::timestamptz IS NULL OR e.at >= @since)
			AND (@until::timestamptz IS NULL OR e.at < @until)
	AND lower(e.target_name) LIKE @pattern
ORDER BY e.at ASC, e.id ASC
LIMIT @limit

-- by at: search in two letters
SELECT e.id, e.at, e.actor, e.actor_key_id, e.action, e.target_kind, e.target_id, e.target_name,
			NULL::jsonb AS before, NULL::jsonb AS after, e.address
FROM events e
WHERE (@actor = '' OR e.actor = @actor)
			AND (@action = '' OR e.action = @action)
			AND (@target_kind = '' OR e.target_kind = @target_kind)
			AND (@target_id = '' OR e.target_id = @target_id)
			AND (@since::timestamptz IS NULL OR e.at >= @since)
			AND (@until::timestamptz IS NULL OR e.at < @until)
	AND lower(e.target_name) LIKE @pattern
ORDER BY e.at ASC, e.id ASC
LIMIT @limit

-- by at: next page
SELECT e.id, e.at, e.actor, e.actor_key_id, e.action, e.target_kind, e.target_id, e.target_name,
			NULL::jsonb AS before, NULL::jsonb AS after, e.address
FROM events e
WHERE (@actor = '' OR e.actor = @actor)
			AND (@action = '' OR e.action = @action)
			AND (@target_kind = '' OR e.target_kind = @target_kind)
			AND (@target_id = '' OR e.target_id = @target_id)
			AND (@since::timestamptz IS NULL OR e.at >= @since)
			AND (@until::timestamptz IS NULL OR e.at < @until)
	AND (e.at, e.id) > (@after_key::text::timestamptz, @after_id::text::bigint)
ORDER BY e.at ASC, e.id ASC
LIMIT @limit

-- by at: next page, descending, with a search and counted
SELECT e.id, e.at, e.actor, e.actor_key_id, e.action, e.target_kind, e.target_id, e.target_name,
			NULL::jsonb AS before, NULL::jsonb AS after, e.address
FROM events e
WHERE (@actor = '' OR e.actor = @actor)
			AND (@action = '' OR e.action = @action)
			AND (@target_kind = '' OR e.target_kind = @target_kind)
			AND (@target_id = '' OR e.target_id = @target_id)
			AND (@since::timestamptz IS NULL OR e.at >= @since)
			AND (@until::timestamptz IS NULL OR e.at < @until)
	AND lower(e.target_name) LIKE @pattern
	AND (e.at, e.id) < (@after_key::text::timestamptz, @after_id::text::bigint)
ORDER BY e.at DESC, e.id DESC
LIMIT @limit

-- by at: next page, descending, with a search and counted
SELECT count(*)::int AS count FROM (SELECT e.id, e.at, e.actor, e.actor_key_id, e.action, e.target_kind, e.target_id, e.target_name,
			NULL::jsonb AS before, NULL::jsonb AS after, e.address
FROM events e
WHERE (@actor = '' OR e.actor = @actor)
			AND (@action = '' OR e.action = @action)
			AND (@target_kind = '' OR e.target_kind = @target_kind)
			AND (@target_id = '' OR e.target_id = @target_id)
			AND (@since::timestamptz IS NULL OR e.at >= @since)
			AND (@until::timestamptz IS NULL OR e.at < @until)
	AND lower(e.target_name) LIKE @pattern
ORDER BY e.at DESC, e.id DESC
LIMIT @limit) every_page

