-- by created_at: first page
SELECT v.id, v.algorithm_id, o.name AS owner, g.name, g.repository, v.git_hash, v.semantic_version, v.state,
			v.digest, v.media_type, v.size, v.platforms, v.runtime, v.weights,
			v.runtime_revision, v.corrected_at, v.corrected_by, v.created_at, v.created_by
FROM algorithm_versions v JOIN algorithms g ON g.id = v.algorithm_id JOIN owners o ON o.id = g.owner_id
WHERE v.algorithm_id = @algorithm_id
ORDER BY v.created_at ASC, v.id ASC
LIMIT @limit

-- by created_at: search
SELECT v.id, v.algorithm_id, o.name AS owner, g.name, g.repository, v.git_hash, v.semantic_version, v.state,
			v.digest, v.media_type, v.size, v.platforms, v.runtime, v.weights,
			v.runtime_revision, v.corrected_at, v.corrected_by, v.created_at, v.created_by
FROM algorithm_versions v JOIN algorithms g ON g.id = v.algorithm_id JOIN owners o ON o.id = g.owner_id
WHERE v.algorithm_id = @algorithm_id
	AND (v.git_hash || ' ' || lower(v.semantic_version)) LIKE @pattern
ORDER BY v.created_at ASC, v.id ASC
LIMIT @limit

-- by created_at: search in two letters
SELECT v.id, v.algorithm_id, o.name AS owner, g.name, g.repository, v.git_hash, v.semantic_version, v.state,
			v.digest, v.media_type, v.size, v.platforms, v.runtime, v.weights,
			v.runtime_revision, v.corrected_at, v.corrected_by, v.created_at, v.created_by
FROM algorithm_versions v JOIN algorithms g ON g.id = v.algorithm_id JOIN owners o ON o.id = g.owner_id
WHERE v.algorithm_id = @algorithm_id
	AND (v.git_hash || ' ' || lower(v.semantic_version)) LIKE @pattern
ORDER BY v.created_at ASC, v.id ASC
LIMIT @limit

-- by created_at: next page
SELECT v.id, v.algorithm_id, o.name AS owner, g.name, g.repository, v.git_hash, v.semantic_version, v.state,
			v.digest, v.media_type, v.size, v.platforms, v.runtime, v.weights,
			v.runtime_revision, v.corrected_at, v.corrected_by, v.created_at, v.created_by
FROM algorithm_versions v JOIN algorithms g ON g.id = v.algorithm_id JOIN owners o ON o.id = g.owner_id
WHERE v.algorithm_id = @algorithm_id
	AND (v.created_at, v.id) > (@after_key::text::timestamptz, @after_id::text::uuid)
ORDER BY v.created_at ASC, v.id ASC
LIMIT @limit

-- by created_at: next page, descending, with a search and counted
SELECT v.id, v.algorithm_id, o.name AS owner, g.name, g.repository, v.git_hash, v.semantic_version, v.state,
			v.digest, v.media_type, v.size, v.platforms, v.runtime, v.weights,
			v.runtime_revision, v.corrected_at, v.corrected_by, v.created_at, v.created_by
FROM algorithm_versions v JOIN algorithms g ON g.id = v.algorithm_id JOIN owners o ON o.id = g.owner_id
WHERE v.algorithm_id = @algorithm_id
	AND (v.git_hash || ' ' || lower(v.semantic_version)) LIKE @pattern
	AND (v.created_at, v.id) < (@after_key::text::timestamptz, @after_id::text::uuid)
ORDER BY v.created_at DESC, v.id DESC
LIMIT @limit

-- by created_at: next page, descending, with a search and counted
SELECT count(*)::int AS count FROM (SELECT v.id, v.algorithm_id, o.name AS owner, g.name, g.repository, v.git_hash, v.semantic_version, v.state,
			v.digest, v.media_type, v.size, v.platforms, v.runtime, v.weights,
			v.runtime_revision, v.corrected_at, v.corrected_by, v.created_at, v.created_by
FROM algorithm_versions v JOIN algorithms g ON g.id = v.algorithm_id JOIN owners o ON o.id = g.owner_id
WHERE v.algorithm_id = @algorithm_id
	AND (v.git_hash || ' ' || lower(v.semantic_version)) LIKE @pattern
ORDER BY v.created_at DESC, v.id DESC
LIMIT @limit) every_page

-- by git_hash: first page
SELECT v.id, v.algorithm_id, o.name AS owner, g.name, g.repository, v.git_hash, v.semantic_version, v.state,
			v.digest, v.media_type, v.size, v.platforms, v.runtime, v.weights,
			v.runtime_revision, v.corrected_at, v.corrected_by, v.created_at, v.created_by
FROM algorithm_versions v JOIN algorithms g ON g.id = v.algorithm_id JOIN owners o ON o.id = g.owner_id
WHERE v.algorithm_id = @algorithm_id
ORDER BY v.git_hash ASC, v.id ASC
LIMIT @limit

-- by git_hash: search
SELECT v.id, v.algorithm_id, o.name AS owner, g.name, g.repository, v.git_hash, v.semantic_version, v.state,
			v.digest, v.media_type, v.size, v.platforms, v.runtime, v.weights,
			v.runtime_revision, v.corrected_at, v.corrected_by, v.created_at, v.created_by
FROM algorithm_versions v JOIN algorithms g ON g.id = v.algorithm_id JOIN owners o ON o.id = g.owner_id
WHERE v.algorithm_id = @algorithm_id
	AND (v.git_hash || ' ' || lower(v.semantic_version)) LIKE @pattern
ORDER BY v.git_hash ASC, v.id ASC
LIMIT @limit

-- by git_hash: search in two letters
SELECT v.id, v.algorithm_id, o.name AS owner, g.name, g.repository, v.git_hash, v.semantic_version, v.state,
			v.digest, v.media_type, v.size, v.platforms, v.runtime, v.weights,
			v.runtime_revision, v.corrected_at, v.corrected_by, v.created_at, v.created_by
FROM algorithm_versions v JOIN algorithms g ON g.id = v.algorithm_id JOIN owners o ON o.id = g.owner_id
WHERE v.algorithm_id = @algorithm_id
	AND (v.git_hash || ' ' || lower(v.semantic_version)) LIKE @pattern
ORDER BY v.git_hash ASC, v.id ASC
LIMIT @limit

-- by git_hash: next page
SELECT v.id, v.algorithm_id, o.name AS owner, g.name, g.repository, v.git_hash, v.semantic_version, v.state,
			v.digest, v.media_type, v.size, v.platforms, v.runtime, v.weights,
			v.runtime_revision, v.corrected_at, v.corrected_by, v.created_at, v.created_by
FROM algorithm_versions v JOIN algorithms g ON g.id = v.algorithm_id JOIN owners o ON o.id = g.owner_id
WHERE v.algorithm_id = @algorithm_id
	AND (v.git_hash, v.id) > (@after_key::text::text, @after_id::text::uuid)
ORDER BY v.git_hash ASC, v.id ASC
LIMIT @limit

-- by git_hash: next page, descending, with a search and counted
SELECT v.id, v.algorithm_id, o.name AS owner, g.name, g.repository, v.git_hash, v.semantic_version, v.state,
			v.digest, v.media_type, v.size, v.platforms, v.runtime, v.weights,
			v.runtime_revision, v.corrected_at, v.corrected_by, v.created_at, v.created_by
FROM algorithm_versions v JOIN algorithms g ON g.id = v.algorithm_id JOIN owners o ON o.id = g.owner_id
WHERE v.algorithm_id = @algorithm_id
	AND (v.git_hash || ' ' || lower(v.semantic_version)) LIKE @pattern
	AND (v.git_hash, v.id) < (@after_key::text::text, @after_id::text::uuid)
ORDER BY v.git_hash DESC, v.id DESC
LIMIT @limit

-- by git_hash: next page, descending, with a search and counted
SELECT count(*)::int AS count FROM (SELECT v.id, v.algorithm_id, o.name AS owner, g.name, g.repository, v.git_hash, v.semantic_version, v.state,
			v.digest, v.media_type, v.size, v.platforms, v.runtime, v.weights,
			v.runtime_revision, v.corrected_at, v.corrected_by, v.created_at, v.created_by
FROM algorithm_versions v JOIN algorithms g ON g.id = v.algorithm_id JOIN owners o ON o.id = g.owner_id
WHERE v.algorithm_id = @algorithm_id
	AND (v.git_hash || ' ' || lower(v.semantic_version)) LIKE @pattern
ORDER BY v.git_hash DESC, v.id DESC
LIMIT @limit) every_page

