-- by created_at: first page
SELECT g.id, o.name AS owner, g.name, g.created_at,
			(SELECT count(*) FROM algorithm_versions v WHERE v.algorithm_id = g.id)::int AS version_count
FROM algorithms g JOIN owners o ON o.id = g.owner_id
ORDER BY g.created_at ASC, g.id ASC
LIMIT @limit

-- by created_at: first page

		SELECT v.id, v.algorithm_id, o.name AS owner, g.name, g.repository, v.git_hash, v.semantic_version, v.state,
			v.digest, v.media_type, v.size, v.platforms, v.runtime, v.weights,
			v.runtime_revision, v.corrected_at, v.corrected_by, v.created_at, v.created_by
		FROM unnest(@ids::uuid[]) AS wanted(id)
		JOIN algorithms g ON g.id = wanted.id JOIN owners o ON o.id = g.owner_id
		CROSS JOIN LATERAL (
			SELECT * FROM algorithm_versions
			WHERE algorithm_id = g.id AND state = 'ready'
			ORDER BY created_at DESC, id DESC LIMIT 1) v

-- by created_at: search
SELECT g.id, o.name AS owner, g.name, g.created_at,
			(SELECT count(*) FROM algorithm_versions v WHERE v.algorithm_id = g.id)::int AS version_count
FROM algorithms g JOIN owners o ON o.id = g.owner_id
WHERE g.repository LIKE @pattern
ORDER BY g.created_at ASC, g.id ASC
LIMIT @limit

-- by created_at: search

		SELECT v.id, v.algorithm_id, o.name AS owner, g.name, g.repository, v.git_hash, v.semantic_version, v.state,
			v.digest, v.media_type, v.size, v.platforms, v.runtime, v.weights,
			v.runtime_revision, v.corrected_at, v.corrected_by, v.created_at, v.created_by
		FROM unnest(@ids::uuid[]) AS wanted(id)
		JOIN algorithms g ON g.id = wanted.id JOIN owners o ON o.id = g.owner_id
		CROSS JOIN LATERAL (
			SELECT * FROM algorithm_versions
			WHERE algorithm_id = g.id AND state = 'ready'
			ORDER BY created_at DESC, id DESC LIMIT 1) v

-- by created_at: search in two letters
SELECT g.id, o.name AS owner, g.name, g.created_at,
			(SELECT count(*) FROM algorithm_versions v WHERE v.algorithm_id = g.id)::int AS version_count
FROM algorithms g JOIN owners o ON o.id = g.owner_id
WHERE g.repository LIKE @pattern
ORDER BY g.created_at ASC, g.id ASC
LIMIT @limit

-- by created_at: search in two letters

		SELECT v.id, v.algorithm_id, o.name AS owner, g.name, g.repository, v.git_hash, v.semantic_version, v.state,
			v.digest, v.media_type, v.size, v.platforms, v.runtime, v.weights,
			v.runtime_revision, v.corrected_at, v.corrected_by, v.created_at, v.created_by
		FROM unnest(@ids::uuid[]) AS wanted(id)
		JOIN algorithms g ON g.id = wanted.id JOIN owners o ON o.id = g.owner_id
		CROSS JOIN LATERAL (
			SELECT * FROM algorithm_versions
			WHERE algorithm_id = g.id AND state = 'ready'
			ORDER BY created_at DESC, id DESC LIMIT 1) v

-- by created_at: next page
SELECT g.id, o.name AS owner, g.name, g.created_at,
			(SELECT count(*) FROM algorithm_versions v WHERE v.algorithm_id = g.id)::int AS version_count
FROM algorithms g JOIN owners o ON o.id = g.owner_id
WHERE (g.created_at, g.id) > (@after_key::text::timestamptz, @after_id::text::uuid)
ORDER BY g.created_at ASC, g.id ASC
LIMIT @limit

-- by created_at: next page

		SELECT v.id, v.algorithm_id, o.name AS owner, g.name, g.repository, v.git_hash, v.semantic_version, v.state,
			v.digest, v.media_type, v.size, v.platforms, v.runtime, v.weights,
			v.runtime_revision, v.corrected_at, v.corrected_by, v.created_at, v.created_by
		FROM unnest(@ids::uuid[]) AS wanted(id)
		JOIN algorithms g ON g.id = wanted.id JOIN owners o ON o.id = g.owner_id
		CROSS JOIN LATERAL (
			SELECT * FROM algorithm_versions
			WHERE algorithm_id = g.id AND state = 'ready'
			ORDER BY created_at DESC, id DESC LIMIT 1) v

-- by created_at: next page, descending, with a search and counted
SELECT g.id, o.name AS owner, g.name, g.created_at,
			(SELECT count(*) FROM algorithm_versions v WHERE v.algorithm_id = g.id)::int AS version_count
FROM algorithms g JOIN owners o ON o.id = g.owner_id
WHERE g.repository LIKE @pattern
	AND (g.created_at, g.id) < (@after_key::text::timestamptz, @after_id::text::uuid)
ORDER BY g.created_at DESC, g.id DESC
LIMIT @limit

-- by created_at: next page, descending, with a search and counted
SELECT count(*)::int AS count FROM (SELECT g.id, o.name AS owner, g.name, g.created_at,
			(SELECT count(*) FROM algorithm_versions v WHERE v.algorithm_id = g.id)::int AS version_count
FROM algorithms g JOIN owners o ON o.id = g.owner_id
WHERE g.repository LIKE @pattern
ORDER BY g.created_at DESC, g.id DESC
LIMIT @limit) every_page

-- by created_at: next page, descending, with a search and counted

		SELECT v.id, v.algorithm_id, o.name AS owner, g.name, g.repository, v.git_hash, v.semantic_version, v.state,
			v.digest, v.media_type, v.size, v.platforms, v.runtime, v.weights,
			v.runtime_revision, v.corrected_at, v.corrected_by, v.created_at, v.created_by
		FROM unnest(@ids::uuid[]) AS wanted(id)
		JOIN algorithms g ON g.id = wanted.id JOIN owners o ON o.id = g.owner_id
		CROSS JOIN LATERAL (
			SELECT * FROM algorithm_versions
			WHERE algorithm_id = g.id AND state = 'ready'
			ORDER BY created_at DESC, id DESC LIMIT 1) v

-- by name: first page
SELECT g.id, o.name AS owner, g.name, g.created_at,
			(SELECT count(*) FROM algorithm_versions v WHERE v.algorithm_id = g.id)::int AS version_count
FROM algorithms g JOIN owners o ON o.id = g.owner_id
ORDER BY g.repository ASC, g.id ASC
LIMIT @limit

-- by name: first page

		SELECT v.id, v.algorithm_id, o.name AS owner, g.name, g.repository, v.git_hash, v.semantic_version, v.state,
			v.digest, v.media_type, v.size, v.platforms, v.runtime, v.weights,
			v.runtime_revision, v.corrected_at, v.corrected_by, v.created_at, v.created_by
		FROM unnest(@ids::uuid[]) AS wanted(id)
		JOIN algorithms g ON g.id = wanted.id JOIN owners o ON o.id = g.owner_id
		CROSS JOIN LATERAL (
			SELECT * FROM algorithm_versions
			WHERE algorithm_id = g.id AND state = 'ready'
			ORDER BY created_at DESC, id DESC LIMIT 1) v

-- by name: search
SELECT g.id, o.name AS owner, g.name, g.created_at,
			(SELECT count(*) FROM algorithm_versions v WHERE v.algorithm_id = g.id)::int AS version_count
FROM algorithms g JOIN owners o ON o.id = g.owner_id
WHERE g.repository LIKE @pattern
ORDER BY g.repository ASC, g.id ASC
LIMIT @limit

-- by name: search

		SELECT v.id, v.algorithm_id, o.name AS owner, g.name, g.repository, v.git_hash, v.semantic_version, v.state,
			v.digest, v.media_type, v.size, v.platforms, v.runtime, v.weights,
			v.runtime_revision, v.corrected_at, v.corrected_by, v.created_at, v.created_by
		FROM unnest(@ids::uuid[]) AS wanted(id)
		JOIN algorithms g ON g.id = wanted.id JOIN owners o ON o.id = g.owner_id
		CROSS JOIN LATERAL (
			SELECT * FROM algorithm_versions
			WHERE algorithm_id = g.id AND state = 'ready'
			ORDER BY created_at DESC, id DESC LIMIT 1) v

-- by name: search in two letters
SELECT g.id, o.name AS owner, g.name, g.created_at,
			(SELECT count(*) FROM algorithm_versions v WHERE v.algorithm_id = g.id)::int AS version_count
FROM algorithms g JOIN owners o ON o.id = g.owner_id
WHERE g.repository LIKE @pattern
ORDER BY g.repository ASC, g.id ASC
LIMIT @limit

-- by name: search in two letters

		SELECT v.id, v.algorithm_id, o.name AS owner, g.name, g.repository, v.git_hash, v.semantic_version, v.state,
			v.digest, v.media_type, v.size, v.platforms, v.runtime, v.weights,
			v.runtime_revision, v.corrected_at, v.corrected_by, v.created_at, v.created_by
		FROM unnest(@ids::uuid[]) AS wanted(id)
		JOIN algorithms g ON g.id = wanted.id JOIN owners o ON o.id = g.owner_id
		CROSS JOIN LATERAL (
			SELECT * FROM algorithm_versions
			WHERE algorithm_id = g.id AND state = 'ready'
			ORDER BY created_at DESC, id DESC LIMIT 1) v

-- by name: next page
SELECT g.id, o.name AS owner, g.name, g.created_at,
			(SELECT count(*) FROM algorithm_versions v WHERE v.algorithm_id = g.id)::int AS version_count
FROM algorithms g JOIN owners o ON o.id = g.owner_id
WHERE (g.repository, g.id) > (@after_key::text::text, @after_id::text::uuid)
ORDER BY g.repository ASC, g.id ASC
LIMIT @limit

-- by name: next page

		SELECT v.id, v.algorithm_id, o.name AS owner, g.name, g.repository, v.git_hash, v.semantic_version, v.state,
			v.digest, v.media_type, v.size, v.platforms, v.runtime, v.weights,
			v.runtime_revision, v.corrected_at, v.corrected_by, v.created_at, v.created_by
		FROM unnest(@ids::uuid[]) AS wanted(id)
		JOIN algorithms g ON g.id = wanted.id JOIN owners o ON o.id = g.owner_id
		CROSS JOIN LATERAL (
			SELECT * FROM algorithm_versions
			WHERE algorithm_id = g.id AND state = 'ready'
			ORDER BY created_at DESC, id DESC LIMIT 1) v

-- by name: next page, descending, with a search and counted
SELECT g.id, o.name AS owner, g.name, g.created_at,
			(SELECT count(*) FROM algorithm_versions v WHERE v.algorithm_id = g.id)::int AS version_count
FROM algorithms g JOIN owners o ON o.id = g.owner_id
WHERE g.repository LIKE @pattern
	AND (g.repository, g.id) < (@after_key::text::text, @after_id::text::uuid)
ORDER BY g.repository DESC, g.id DESC
LIMIT @limit

-- by name: next page, descending, with a search and counted
SELECT count(*)::int AS count FROM (SELECT g.id, o.name AS owner, g.name, g.created_at,
			(SELECT count(*) FROM algorithm_versions v WHERE v.algorithm_id = g.id)::int AS version_count
FROM algorithms g JOIN owners o ON o.id = g.owner_id
WHERE g.repository LIKE @pattern
ORDER BY g.repository DESC, g.id DESC
LIMIT @limit) every_page

-- by name: next page, descending, with a search and counted

		SELECT v.id, v.algorithm_id, o.name AS owner, g.name, g.repository, v.git_hash, v.semantic_version, v.state,
			v.digest, v.media_type, v.size, v.platforms, v.runtime, v.weights,
			v.runtime_revision, v.corrected_at, v.corrected_by, v.created_at, v.created_by
		FROM unnest(@ids::uuid[]) AS wanted(id)
		JOIN algorithms g ON g.id = wanted.id JOIN owners o ON o.id = g.owner_id
		CROSS JOIN LATERAL (
			SELECT * FROM algorithm_versions
			WHERE algorithm_id = g.id AND state = 'ready'
			ORDER BY created_at DESC, id DESC LIMIT 1) v

