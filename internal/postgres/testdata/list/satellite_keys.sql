-- by created_at: first page
SELECT k.id, k.name, k.prefix, k.sha256, k.algorithms, k.created_at, k.created_by, k.expires_at, k.revoked_at, k.last_used_at, k.callback_url,
	jsonb_build_object('per_second', k.rate_per_second, 'burst', k.rate_burst) AS rate
FROM satellite_keys k
WHERE k.satellite_id = @satellite_id
ORDER BY k.created_at ASC, k.id ASC
LIMIT @limit

-- by created_at: search
SELECT k.id, k.name, k.prefix, k.sha256, k.algorithms, k.created_at, k.created_by, k.expires_at, k.revoked_at, k.last_used_at, k.callback_url,
	jsonb_build_object('per_second', k.rate_per_second, 'burst', k.rate_burst) AS rate
FROM satellite_keys k
WHERE k.satellite_id = @satellite_id
	AND k.name_key LIKE @pattern
ORDER BY k.created_at ASC, k.id ASC
LIMIT @limit

-- by created_at: search in two letters
SELECT k.id, k.name, k.prefix, k.sha256, k.algorithms, k.created_at, k.created_by, k.expires_at, k.revoked_at, k.last_used_at, k.callback_url,
	jsonb_build_object('per_second', k.rate_per_second, 'burst', k.rate_burst) AS rate
FROM satellite_keys k
WHERE k.satellite_id = @satellite_id
	AND k.name_key LIKE @pattern
ORDER BY k.created_at ASC, k.id ASC
LIMIT @limit

-- by created_at: next page
SELECT k.id, k.name, k.prefix, k.sha256, k.algorithms, k.created_at, k.created_by, k.expires_at, k.revoked_at, k.last_used_at, k.callback_url,
	jsonb_build_object('per_second', k.rate_per_second, 'burst', k.rate_burst) AS rate
FROM satellite_keys k
WHERE k.satellite_id = @satellite_id
	AND (k.created_at, k.id) > (@after_key::text::timestamptz, @after_id::text::uuid)
ORDER BY k.created_at ASC, k.id ASC
LIMIT @limit

-- by created_at: next page, descending, with a search and counted
SELECT k.id, k.name, k.prefix, k.sha256, k.algorithms, k.created_at, k.created_by, k.expires_at, k.revoked_at, k.last_used_at, k.callback_url,
	jsonb_build_object('per_second', k.rate_per_second, 'burst', k.rate_burst) AS rate
FROM satellite_keys k
WHERE k.satellite_id = @satellite_id
	AND k.name_key LIKE @pattern
	AND (k.created_at, k.id) < (@after_key::text::timestamptz, @after_id::text::uuid)
ORDER BY k.created_at DESC, k.id DESC
LIMIT @limit

-- by created_at: next page, descending, with a search and counted
SELECT count(*)::int AS count FROM (SELECT k.id, k.name, k.prefix, k.sha256, k.algorithms, k.created_at, k.created_by, k.expires_at, k.revoked_at, k.last_used_at, k.callback_url,
	jsonb_build_object('per_second', k.rate_per_second, 'burst', k.rate_burst) AS rate
FROM satellite_keys k
WHERE k.satellite_id = @satellite_id
	AND k.name_key LIKE @pattern
ORDER BY k.created_at DESC, k.id DESC
LIMIT @limit) every_page

-- by name: first page
SELECT k.id, k.name, k.prefix, k.sha256, k.algorithms, k.created_at, k.created_by, k.expires_at, k.revoked_at, k.last_used_at, k.callback_url,
	jsonb_build_object('per_second', k.rate_per_second, 'burst', k.rate_burst) AS rate
FROM satellite_keys k
WHERE k.satellite_id = @satellite_id
ORDER BY k.name_key ASC, k.id ASC
LIMIT @limit

-- by name: search
SELECT k.id, k.name, k.prefix, k.sha256, k.algorithms, k.created_at, k.created_by, k.expires_at, k.revoked_at, k.last_used_at, k.callback_url,
	jsonb_build_object('per_second', k.rate_per_second, 'burst', k.rate_burst) AS rate
FROM satellite_keys k
WHERE k.satellite_id = @satellite_id
	AND k.name_key LIKE @pattern
ORDER BY k.name_key ASC, k.id ASC
LIMIT @limit

-- by name: search in two letters
SELECT k.id, k.name, k.prefix, k.sha256, k.algorithms, k.created_at, k.created_by, k.expires_at, k.revoked_at, k.last_used_at, k.callback_url,
	jsonb_build_object('per_second', k.rate_per_second, 'burst', k.rate_burst) AS rate
FROM satellite_keys k
WHERE k.satellite_id = @satellite_id
	AND k.name_key LIKE @pattern
ORDER BY k.name_key ASC, k.id ASC
LIMIT @limit

-- by name: next page
SELECT k.id, k.name, k.prefix, k.sha256, k.algorithms, k.created_at, k.created_by, k.expires_at, k.revoked_at, k.last_used_at, k.callback_url,
	jsonb_build_object('per_second', k.rate_per_second, 'burst', k.rate_burst) AS rate
FROM satellite_keys k
WHERE k.satellite_id = @satellite_id
	AND (k.name_key, k.id) > (@after_key::text::text, @after_id::text::uuid)
ORDER BY k.name_key ASC, k.id ASC
LIMIT @limit

-- by name: next page, descending, with a search and counted
SELECT k.id, k.name, k.prefix, k.sha256, k.algorithms, k.created_at, k.created_by, k.expires_at, k.revoked_at, k.last_used_at, k.callback_url,
	jsonb_build_object('per_second', k.rate_per_second, 'burst', k.rate_burst) AS rate
FROM satellite_keys k
WHERE k.satellite_id = @satellite_id
	AND k.name_key LIKE @pattern
	AND (k.name_key, k.id) < (@after_key::text::text, @after_id::text::uuid)
ORDER BY k.name_key DESC, k.id DESC
LIMIT @limit

-- by name: next page, descending, with a search and counted
SELECT count(*)::int AS count FROM (SELECT k.id, k.name, k.prefix, k.sha256, k.algorithms, k.created_at, k.created_by, k.expires_at, k.revoked_at, k.last_used_at, k.callback_url,
	jsonb_build_object('per_second', k.rate_per_second, 'burst', k.rate_burst) AS rate
FROM satellite_keys k
WHERE k.satellite_id = @satellite_id
	AND k.name_key LIKE @pattern
ORDER BY k.name_key DESC, k.id DESC
LIMIT @limit) every_page

