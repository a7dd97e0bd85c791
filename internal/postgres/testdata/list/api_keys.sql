-- by created_at: first page
SELECT k.id, a.username, k.name, k.prefix, k.role, coalesce(k.satellite_id::text, '') AS satellite_id, k.scope,
			k.created_at, k.expires_at, k.last_used_at, k.revoked_at
FROM api_keys k JOIN accounts a ON a.id = k.account_id
WHERE k.account_id = @account_id
ORDER BY k.created_at ASC, k.id ASC
LIMIT @limit

-- by created_at: search
SELECT k.id, a.username, k.name, k.prefix, k.role, coalesce(k.satellite_id::text, '') AS satellite_id, k.scope,
			k.created_at, k.expires_at, k.last_used_at, k.revoked_at
FROM api_keys k JOIN accounts a ON a.id = k.account_id
WHERE k.account_id = @account_id
	AND k.name_key LIKE @pattern
ORDER BY k.created_at ASC, k.id ASC
LIMIT @limit

-- by created_at: search in two letters
SELECT k.id, a.username, k.name, k.prefix, k.role, coalesce(k.satellite_id::text, '') AS satellite_id, k.scope,
			k.created_at, k.expires_at, k.last_used_at, k.revoked_at
FROM api_keys k JOIN accounts a ON a.id = k.account_id
WHERE k.account_id = @account_id
	AND k.name_key LIKE @pattern
ORDER BY k.created_at ASC, k.id ASC
LIMIT @limit

-- by created_at: next page
SELECT k.id, a.username, k.name, k.prefix, k.role, coalesce(k.satellite_id::text, '') AS satellite_id, k.scope,
			k.created_at, k.expires_at, k.last_used_at, k.revoked_at
FROM api_keys k JOIN accounts a ON a.id = k.account_id
WHERE k.account_id = @account_id
	AND (k.created_at, k.id) > (@after_key::text::timestamptz, @after_id::text::uuid)
ORDER BY k.created_at ASC, k.id ASC
LIMIT @limit

-- by created_at: next page, descending, with a search and counted
SELECT k.id, a.username, k.name, k.prefix, k.role, coalesce(k.satellite_id::text, '') AS satellite_id, k.scope,
			k.created_at, k.expires_at, k.last_used_at, k.revoked_at
FROM api_keys k JOIN accounts a ON a.id = k.account_id
WHERE k.account_id = @account_id
	AND k.name_key LIKE @pattern
	AND (k.created_at, k.id) < (@after_key::text::timestamptz, @after_id::text::uuid)
ORDER BY k.created_at DESC, k.id DESC
LIMIT @limit

-- by created_at: next page, descending, with a search and counted
SELECT count(*)::int AS count FROM (SELECT k.id, a.username, k.name, k.prefix, k.role, coalesce(k.satellite_id::text, '') AS satellite_id, k.scope,
			k.created_at, k.expires_at, k.last_used_at, k.revoked_at
FROM api_keys k JOIN accounts a ON a.id = k.account_id
WHERE k.account_id = @account_id
	AND k.name_key LIKE @pattern
ORDER BY k.created_at DESC, k.id DESC
LIMIT @limit) every_page

-- by expires_at: first page
SELECT k.id, a.username, k.name, k.prefix, k.role, coalesce(k.satellite_id::text, '') AS satellite_id, k.scope,
			k.created_at, k.expires_at, k.last_used_at, k.revoked_at
FROM api_keys k JOIN accounts a ON a.id = k.account_id
WHERE k.account_id = @account_id
ORDER BY k.expires_at ASC, k.id ASC
LIMIT @limit

-- by expires_at: search
SELECT k.id, a.username, k.name, k.prefix, k.role, coalesce(k.satellite_id::text, '') AS satellite_id, k.scope,
			k.created_at, k.expires_at, k.last_used_at, k.revoked_at
FROM api_keys k JOIN accounts a ON a.id = k.account_id
WHERE k.account_id = @account_id
	AND k.name_key LIKE @pattern
ORDER BY k.expires_at ASC, k.id ASC
LIMIT @limit

-- by expires_at: search in two letters
SELECT k.id, a.username, k.name, k.prefix, k.role, coalesce(k.satellite_id::text, '') AS satellite_id, k.scope,
			k.created_at, k.expires_at, k.last_used_at, k.revoked_at
FROM api_keys k JOIN accounts a ON a.id = k.account_id
WHERE k.account_id = @account_id
	AND k.name_key LIKE @pattern
ORDER BY k.expires_at ASC, k.id ASC
LIMIT @limit

-- by expires_at: next page
SELECT k.id, a.username, k.name, k.prefix, k.role, coalesce(k.satellite_id::text, '') AS satellite_id, k.scope,
			k.created_at, k.expires_at, k.last_used_at, k.revoked_at
FROM api_keys k JOIN accounts a ON a.id = k.account_id
WHERE k.account_id = @account_id
	AND (k.expires_at, k.id) > (@after_key::text::timestamptz, @after_id::text::uuid)
ORDER BY k.expires_at ASC, k.id ASC
LIMIT @limit

-- by expires_at: next page, descending, with a search and counted
SELECT k.id, a.username, k.name, k.prefix, k.role, coalesce(k.satellite_id::text, '') AS satellite_id, k.scope,
			k.created_at, k.expires_at, k.last_used_at, k.revoked_at
FROM api_keys k JOIN accounts a ON a.id = k.account_id
WHERE k.account_id = @account_id
	AND k.name_key LIKE @pattern
	AND (k.expires_at, k.id) < (@after_key::text::timestamptz, @after_id::text::uuid)
ORDER BY k.expires_at DESC, k.id DESC
LIMIT @limit

-- by expires_at: next page, descending, with a search and counted
SELECT count(*)::int AS count FROM (SELECT k.id, a.username, k.name, k.prefix, k.role, coalesce(k.satellite_id::text, '') AS satellite_id, k.scope,
			k.created_at, k.expires_at, k.last_used_at, k.revoked_at
FROM api_keys k JOIN accounts a ON a.id = k.account_id
WHERE k.account_id = @account_id
	AND k.name_key LIKE @pattern
ORDER BY k.expires_at DESC, k.id DESC
LIMIT @limit) every_page

-- by name: first page
SELECT k.id, a.username, k.name, k.prefix, k.role, coalesce(k.satellite_id::text, '') AS satellite_id, k.scope,
			k.created_at, k.expires_at, k.last_used_at, k.revoked_at
FROM api_keys k JOIN accounts a ON a.id = k.account_id
WHERE k.account_id = @account_id
ORDER BY k.name_key ASC, k.id ASC
LIMIT @limit

-- by name: search
SELECT k.id, a.username, k.name, k.prefix, k.role, coalesce(k.satellite_id::text, '') AS satellite_id, k.scope,
			k.created_at, k.expires_at, k.last_used_at, k.revoked_at
FROM api_keys k JOIN accounts a ON a.id = k.account_id
WHERE k.account_id = @account_id
	AND k.name_key LIKE @pattern
ORDER BY k.name_key ASC, k.id ASC
LIMIT @limit

-- by name: search in two letters
SELECT k.id, a.username, k.name, k.prefix, k.role, coalesce(k.satellite_id::text, '') AS satellite_id, k.scope,
			k.created_at, k.expires_at, k.last_used_at, k.revoked_at
FROM api_keys k JOIN accounts a ON a.id = k.account_id
WHERE k.account_id = @account_id
	AND k.name_key LIKE @pattern
ORDER BY k.name_key ASC, k.id ASC
LIMIT @limit

-- by name: next page
SELECT k.id, a.username, k.name, k.prefix, k.role, coalesce(k.satellite_id::text, '') AS satellite_id, k.scope,
			k.created_at, k.expires_at, k.last_used_at, k.revoked_at
FROM api_keys k JOIN accounts a ON a.id = k.account_id
WHERE k.account_id = @account_id
	AND (k.name_key, k.id) > (@after_key::text::text, @after_id::text::uuid)
ORDER BY k.name_key ASC, k.id ASC
LIMIT @limit

-- by name: next page, descending, with a search and counted
SELECT k.id, a.username, k.name, k.prefix, k.role, coalesce(k.satellite_id::text, '') AS satellite_id, k.scope,
			k.created_at, k.expires_at, k.last_used_at, k.revoked_at
FROM api_keys k JOIN accounts a ON a.id = k.account_id
WHERE k.account_id = @account_id
	AND k.name_key LIKE @pattern
	AND (k.name_key, k.id) < (@after_key::text::text, @after_id::text::uuid)
ORDER BY k.name_key DESC, k.id DESC
LIMIT @limit

-- by name: next page, descending, with a search and counted
SELECT count(*)::int AS count FROM (SELECT k.id, a.username, k.name, k.prefix, k.role, coalesce(k.satellite_id::text, '') AS satellite_id, k.scope,
			k.created_at, k.expires_at, k.last_used_at, k.revoked_at
FROM api_keys k JOIN accounts a ON a.id = k.account_id
WHERE k.account_id = @account_id
	AND k.name_key LIKE @pattern
ORDER BY k.name_key DESC, k.id DESC
LIMIT @limit) every_page

