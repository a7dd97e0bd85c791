-- by : first page
SELECT e.id, e.at, e.actor, e.actor_key_id, e.action, e.target_kind, e.target_id, e.target_name, e.before, e.after, e.address
FROM events e
WHERE coalesce(e.after ->> 'satellite_id', e.before ->> 'satellite_id', CASE WHEN e.target_kind = 'satellite' THEN e.target_id END) = @satellite_id
			AND (@only_id = '' OR e.target_id = @only_id)
ORDER BY e.id ASC, e.id ASC
LIMIT @limit

-- by : next page
SELECT e.id, e.at, e.actor, e.actor_key_id, e.action, e.target_kind, e.target_id, e.target_name, e.before, e.after, e.address
FROM events e
WHERE coalesce(e.after ->> 'satellite_id', e.before ->> 'satellite_id', CASE WHEN e.target_kind = 'satellite' THEN e.target_id END) = @satellite_id
			AND (@only_id = '' OR e.target_id = @only_id)
	AND (e.id, e.id) > (@after_key::text::bigint, @after_id::text::bigint)
ORDER BY e.id ASC, e.id ASC
LIMIT @limit

