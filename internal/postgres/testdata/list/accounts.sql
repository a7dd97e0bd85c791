-- by created_at: first page
SELECT a.id, a.username, a.kind, a.role, a.password_hash <> '' AS has_password, coalesce(o.provider, '') AS provider,
		o.ended_at AS sign_on_ended_at, a.disabled, a.created_at, a.updated_at
FROM accounts a LEFT JOIN sign_ons o ON o.account_id = a.id
WHERE (@kind = '' OR a.kind = @kind)
ORDER BY a.created_at ASC, a.id ASC
LIMIT @limit

-- by created_at: search
SELECT a.id, a.username, a.kind, a.role, a.password_hash <> '' AS has_password, coalesce(o.provider, '') AS provider,
		o.ended_at AS sign_on_ended_at, a.disabled, a.created_at, a.updated_at
FROM accounts a LEFT JOIN sign_ons o ON o.account_id = a.id
WHERE (@kind = '' OR a.kind = @kind)
	AND a.username_key LIKE @pattern
ORDER BY a.created_at ASC, a.id ASC
LIMIT @limit

-- by created_at: search in two letters
SELECT a.id, a.username, a.kind, a.role, a.password_hash <> '' AS has_password, coalesce(o.provider, '') AS provider,
		o.ended_at AS sign_on_ended_at, a.disabled, a.created_at, a.updated_at
FROM accounts a LEFT JOIN sign_ons o ON o.account_id = a.id
WHERE (@kind = '' OR a.kind = @kind)
	AND a.username_key LIKE @pattern
ORDER BY a.created_at ASC, a.id ASC
LIMIT @limit

-- by created_at: next page
SELECT a.id, a.username, a.kind, a.role, a.password_hash <> '' AS has_password, coalesce(o.provider, '') AS provider,
		o.ended_at AS sign_on_ended_at, a.disabled, a.created_at, a.updated_at
FROM accounts a LEFT JOIN sign_ons o ON o.account_id = a.id
WHERE (@kind = '' OR a.kind = @kind)
	AND (a.created_at, a.id) > (@after_key::text::timestamptz, @after_id::text::uuid)
ORDER BY a.created_at ASC, a.id ASC
LIMIT @limit

-- by created_at: next page, descending, with a search and counted
SELECT a.id, a.username, a.kind, a.role, a.password_hash <> '' AS has_password, coalesce(o.provider, '') AS provider,
		o.ended_at AS sign_on_ended_at, a.disabled, a.created_at, a.updated_at
FROM accounts a LEFT JOIN sign_ons o ON o.account_id = a.id
WHERE (@kind = '' OR a.kind = @kind)
	AND a.username_key LIKE @pattern
	AND (a.created_at, a.id) < (@after_key::text::timestamptz, @after_id::text::uuid)
ORDER BY a.created_at DESC, a.id DESC
LIMIT @limit

-- by created_at: next page, descending, with a search and counted
SELECT count(*)::int AS count FROM (SELECT a.id, a.username, a.kind, a.role, a.password_hash <> '' AS has_password, coalesce(o.provider, '') AS provider,
		o.ended_at AS sign_on_ended_at, a.disabled, a.created_at, a.updated_at
FROM accounts a LEFT JOIN sign_ons o ON o.account_id = a.id
WHERE (@kind = '' OR a.kind = @kind)
	AND a.username_key LIKE @pattern
ORDER BY a.created_at DESC, a.id DESC
LIMIT @limit) every_page

-- by name: first page
SELECT a.id, a.username, a.kind, a.role, a.password_hash <> '' AS has_password, coalesce(o.provider, '') AS provider,
		o.ended_at AS sign_on_ended_at, a.disabled, a.created_at, a.updated_at
FROM accounts a LEFT JOIN sign_ons o ON o.account_id = a.id
WHERE (@kind = '' OR a.kind = @kind)
ORDER BY a.username_key ASC, a.id ASC
LIMIT @limit

-- by name: search
SELECT a.id, a.username, a.kind, a.role, a.password_hash <> '' AS has_password, coalesce(o.provider, '') AS provider,
		o.ended_at AS sign_on_ended_at, a.disabled, a.created_at, a.updated_at
FROM accounts a LEFT JOIN sign_ons o ON o.account_id = a.id
WHERE (@kind = '' OR a.kind = @kind)
	AND a.username_key LIKE @pattern
ORDER BY a.username_key ASC, a.id ASC
LIMIT @limit

-- by name: search in two letters
SELECT a.id, a.username, a.kind, a.role, a.password_hash <> '' AS has_password, coalesce(o.provider, '') AS provider,
		o.ended_at AS sign_on_ended_at, a.disabled, a.created_at, a.updated_at
FROM accounts a LEFT JOIN sign_ons o ON o.account_id = a.id
WHERE (@kind = '' OR a.kind = @kind)
	AND a.username_key LIKE @pattern
ORDER BY a.username_key ASC, a.id ASC
LIMIT @limit

-- by name: next page
SELECT a.id, a.username, a.kind, a.role, a.password_hash <> '' AS has_password, coalesce(o.provider, '') AS provider,
		o.ended_at AS sign_on_ended_at, a.disabled, a.created_at, a.updated_at
FROM accounts a LEFT JOIN sign_ons o ON o.account_id = a.id
WHERE (@kind = '' OR a.kind = @kind)
	AND (a.username_key, a.id) > (@after_key::text::text, @after_id::text::uuid)
ORDER BY a.username_key ASC, a.id ASC
LIMIT @limit

-- by name: next page, descending, with a search and counted
SELECT a.id, a.username, a.kind, a.role, a.password_hash <> '' AS has_password, coalesce(o.provider, '') AS provider,
		o.ended_at AS sign_on_ended_at, a.disabled, a.created_at, a.updated_at
FROM accounts a LEFT JOIN sign_ons o ON o.account_id = a.id
WHERE (@kind = '' OR a.kind = @kind)
	AND a.username_key LIKE @pattern
	AND (a.username_key, a.id) < (@after_key::text::text, @after_id::text::uuid)
ORDER BY a.username_key DESC, a.id DESC
LIMIT @limit

-- by name: next page, descending, with a search and counted
SELECT count(*)::int AS count FROM (SELECT a.id, a.username, a.kind, a.role, a.password_hash <> '' AS has_password, coalesce(o.provider, '') AS provider,
		o.ended_at AS sign_on_ended_at, a.disabled, a.created_at, a.updated_at
FROM accounts a LEFT JOIN sign_ons o ON o.account_id = a.id
WHERE (@kind = '' OR a.kind = @kind)
	AND a.username_key LIKE @pattern
ORDER BY a.username_key DESC, a.id DESC
LIMIT @limit) every_page

