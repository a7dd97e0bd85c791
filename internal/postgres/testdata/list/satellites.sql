-- by created_at: first page
SELECT s.id, s.name, s.created_at, s.created_by, s.expires_at, s.updated_at, s.updated_by, s.revision,
			s.labels, s.latest_version, v.created_at AS version_created_at, v.created_by AS version_created_by,
			s.launch_count, s.launches_up, s.launches_degraded, s.launches_stale
FROM (SELECT s.id
FROM satellites s
WHERE (@only_id = '' OR s.id = nullif(@only_id, '')::uuid)
ORDER BY s.created_at ASC, s.id ASC
LIMIT @limit) found JOIN satellites s ON s.id = found.id
			JOIN satellite_versions v ON v.satellite_id = s.id AND v.number = s.latest_version
ORDER BY s.created_at ASC, s.id ASC
LIMIT @limit

-- by created_at: search
SELECT s.id, s.name, s.created_at, s.created_by, s.expires_at, s.updated_at, s.updated_by, s.revision,
			s.labels, s.latest_version, v.created_at AS version_created_at, v.created_by AS version_created_by,
			s.launch_count, s.launches_up, s.launches_degraded, s.launches_stale
FROM (SELECT s.id
FROM satellites s
WHERE (@only_id = '' OR s.id = nullif(@only_id, '')::uuid)
	AND s.name_key LIKE @pattern
ORDER BY s.created_at ASC, s.id ASC
LIMIT @limit) found JOIN satellites s ON s.id = found.id
			JOIN satellite_versions v ON v.satellite_id = s.id AND v.number = s.latest_version
ORDER BY s.created_at ASC, s.id ASC
LIMIT @limit

-- by created_at: search in two letters
SELECT s.id, s.name, s.created_at, s.created_by, s.expires_at, s.updated_at, s.updated_by, s.revision,
			s.labels, s.latest_version, v.created_at AS version_created_at, v.created_by AS version_created_by,
			s.launch_count, s.launches_up, s.launches_degraded, s.launches_stale
FROM (SELECT s.id
FROM satellites s
WHERE (@only_id = '' OR s.id = nullif(@only_id, '')::uuid)
	AND s.name_key LIKE @pattern
ORDER BY s.created_at ASC, s.id ASC
LIMIT @limit) found JOIN satellites s ON s.id = found.id
			JOIN satellite_versions v ON v.satellite_id = s.id AND v.number = s.latest_version
ORDER BY s.created_at ASC, s.id ASC
LIMIT @limit

-- by created_at: next page
SELECT s.id, s.name, s.created_at, s.created_by, s.expires_at, s.updated_at, s.updated_by, s.revision,
			s.labels, s.latest_version, v.created_at AS version_created_at, v.created_by AS version_created_by,
			s.launch_count, s.launches_up, s.launches_degraded, s.launches_stale
FROM (SELECT s.id
FROM satellites s
WHERE (@only_id = '' OR s.id = nullif(@only_id, '')::uuid)
	AND (s.created_at, s.id) > (@after_key::text::timestamptz, @after_id::text::uuid)
ORDER BY s.created_at ASC, s.id ASC
LIMIT @limit) found JOIN satellites s ON s.id = found.id
			JOIN satellite_versions v ON v.satellite_id = s.id AND v.number = s.latest_version
ORDER BY s.created_at ASC, s.id ASC
LIMIT @limit

-- by created_at: next page, descending, with a search and counted
SELECT s.id, s.name, s.created_at, s.created_by, s.expires_at, s.updated_at, s.updated_by, s.revision,
			s.labels, s.latest_version, v.created_at AS version_created_at, v.created_by AS version_created_by,
			s.launch_count, s.launches_up, s.launches_degraded, s.launches_stale
FROM (SELECT s.id
FROM satellites s
WHERE (@only_id = '' OR s.id = nullif(@only_id, '')::uuid)
	AND s.name_key LIKE @pattern
	AND (s.created_at, s.id) < (@after_key::text::timestamptz, @after_id::text::uuid)
ORDER BY s.created_at DESC, s.id DESC
LIMIT @limit) found JOIN satellites s ON s.id = found.id
			JOIN satellite_versions v ON v.satellite_id = s.id AND v.number = s.latest_version
ORDER BY s.created_at DESC, s.id DESC
LIMIT @limit

-- by created_at: next page, descending, with a search and counted
SELECT count(*)::int AS count FROM (SELECT s.id, s.name, s.created_at, s.created_by, s.expires_at, s.updated_at, s.updated_by, s.revision,
			s.labels, s.latest_version, v.created_at AS version_created_at, v.created_by AS version_created_by,
			s.launch_count, s.launches_up, s.launches_degraded, s.launches_stale
FROM (SELECT s.id
FROM satellites s
WHERE (@only_id = '' OR s.id = nullif(@only_id, '')::uuid)
	AND s.name_key LIKE @pattern
ORDER BY s.created_at DESC, s.id DESC
LIMIT @limit) found JOIN satellites s ON s.id = found.id
			JOIN satellite_versions v ON v.satellite_id = s.id AND v.number = s.latest_version
ORDER BY s.created_at DESC, s.id DESC
LIMIT @limit) every_page

-- by degraded: first page
SELECT s.id, s.name, s.created_at, s.created_by, s.expires_at, s.updated_at, s.updated_by, s.revision,
			s.labels, s.latest_version, v.created_at AS version_created_at, v.created_by AS version_created_by,
			s.launch_count, s.launches_up, s.launches_degraded, s.launches_stale
FROM (SELECT s.id
FROM satellites s
WHERE (@only_id = '' OR s.id = nullif(@only_id, '')::uuid)
ORDER BY s.launches_degraded ASC, s.id ASC
LIMIT @limit) found JOIN satellites s ON s.id = found.id
			JOIN satellite_versions v ON v.satellite_id = s.id AND v.number = s.latest_version
ORDER BY s.launches_degraded ASC, s.id ASC
LIMIT @limit

-- by degraded: search
SELECT s.id, s.name, s.created_at, s.created_by, s.expires_at, s.updated_at, s.updated_by, s.revision,
			s.labels, s.latest_version, v.created_at AS version_created_at, v.created_by AS version_created_by,
			s.launch_count, s.launches_up, s.launches_degraded, s.launches_stale
FROM (SELECT s.id
FROM satellites s
WHERE (@only_id = '' OR s.id = nullif(@only_id, '')::uuid)
	AND s.name_key LIKE @pattern
ORDER BY s.launches_degraded ASC, s.id ASC
LIMIT @limit) found JOIN satellites s ON s.id = found.id
			JOIN satellite_versions v ON v.satellite_id = s.id AND v.number = s.latest_version
ORDER BY s.launches_degraded ASC, s.id ASC
LIMIT @limit

-- by degraded: search in two letters
SELECT s.id, s.name, s.created_at, s.created_by, s.expires_at, s.updated_at, s.updated_by, s.revision,
			s.labels, s.latest_version, v.created_at AS version_created_at, v.created_by AS version_created_by,
			s.launch_count, s.launches_up, s.launches_degraded, s.launches_stale
FROM (SELECT s.id
FROM satellites s
WHERE (@only_id = '' OR s.id = nullif(@only_id, '')::uuid)
	AND s.name_key LIKE @pattern
ORDER BY s.launches_degraded ASC, s.id ASC
LIMIT @limit) found JOIN satellites s ON s.id = found.id
			JOIN satellite_versions v ON v.satellite_id = s.id AND v.number = s.latest_version
ORDER BY s.launches_degraded ASC, s.id ASC
LIMIT @limit

-- by degraded: next page
SELECT s.id, s.name, s.created_at, s.created_by, s.expires_at, s.updated_at, s.updated_by, s.revision,
			s.labels, s.latest_version, v.created_at AS version_created_at, v.created_by AS version_created_by,
			s.launch_count, s.launches_up, s.launches_degraded, s.launches_stale
FROM (SELECT s.id
FROM satellites s
WHERE (@only_id = '' OR s.id = nullif(@only_id, '')::uuid)
	AND (s.launches_degraded, s.id) > (@after_key::text::bigint, @after_id::text::uuid)
ORDER BY s.launches_degraded ASC, s.id ASC
LIMIT @limit) found JOIN satellites s ON s.id = found.id
			JOIN satellite_versions v ON v.satellite_id = s.id AND v.number = s.latest_version
ORDER BY s.launches_degraded ASC, s.id ASC
LIMIT @limit

-- by degraded: next page, descending, with a search and counted
SELECT s.id, s.name, s.created_at, s.created_by, s.expires_at, s.updated_at, s.updated_by, s.revision,
			s.labels, s.latest_version, v.created_at AS version_created_at, v.created_by AS version_created_by,
			s.launch_count, s.launches_up, s.launches_degraded, s.launches_stale
FROM (SELECT s.id
FROM satellites s
WHERE (@only_id = '' OR s.id = nullif(@only_id, '')::uuid)
	AND s.name_key LIKE @pattern
	AND (s.launches_degraded, s.id) < (@after_key::text::bigint, @after_id::text::uuid)
ORDER BY s.launches_degraded DESC, s.id DESC
LIMIT @limit) found JOIN satellites s ON s.id = found.id
			JOIN satellite_versions v ON v.satellite_id = s.id AND v.number = s.latest_version
ORDER BY s.launches_degraded DESC, s.id DESC
LIMIT @limit

-- by degraded: next page, descending, with a search and counted
SELECT count(*)::int AS count FROM (SELECT s.id, s.name, s.created_at, s.created_by, s.expires_at, s.updated_at, s.updated_by, s.revision,
			s.labels, s.latest_version, v.created_at AS version_created_at, v.created_by AS version_created_by,
			s.launch_count, s.launches_up, s.launches_degraded, s.launches_stale
FROM (SELECT s.id
FROM satellites s
WHERE (@only_id = '' OR s.id = nullif(@only_id, '')::uuid)
	AND s.name_key LIKE @pattern
ORDER BY s.launches_degraded DESC, s.id DESC
LIMIT @limit) found JOIN satellites s ON s.id = found.id
			JOIN satellite_versions v ON v.satellite_id = s.id AND v.number = s.latest_version
ORDER BY s.launches_degraded DESC, s.id DESC
LIMIT @limit) every_page

-- by expires_at: first page
SELECT s.id, s.name, s.created_at, s.created_by, s.expires_at, s.updated_at, s.updated_by, s.revision,
			s.labels, s.latest_version, v.created_at AS version_created_at, v.created_by AS version_created_by,
			s.launch_count, s.launches_up, s.launches_degraded, s.launches_stale
FROM (SELECT s.id
FROM satellites s
WHERE (@only_id = '' OR s.id = nullif(@only_id, '')::uuid)
ORDER BY s.expires_at ASC, s.id ASC
LIMIT @limit) found JOIN satellites s ON s.id = found.id
			JOIN satellite_versions v ON v.satellite_id = s.id AND v.number = s.latest_version
ORDER BY s.expires_at ASC, s.id ASC
LIMIT @limit

-- by expires_at: search
SELECT s.id, s.name, s.created_at, s.created_by, s.expires_at, s.updated_at, s.updated_by, s.revision,
			s.labels, s.latest_version, v.created_at AS version_created_at, v.created_by AS version_created_by,
			s.launch_count, s.launches_up, s.launches_degraded, s.launches_stale
FROM (SELECT s.id
FROM satellites s
WHERE (@only_id = '' OR s.id = nullif(@only_id, '')::uuid)
	AND s.name_key LIKE @pattern
ORDER BY s.expires_at ASC, s.id ASC
LIMIT @limit) found JOIN satellites s ON s.id = found.id
			JOIN satellite_versions v ON v.satellite_id = s.id AND v.number = s.latest_version
ORDER BY s.expires_at ASC, s.id ASC
LIMIT @limit

-- by expires_at: search in two letters
SELECT s.id, s.name, s.created_at, s.created_by, s.expires_at, s.updated_at, s.updated_by, s.revision,
			s.labels, s.latest_version, v.created_at AS version_created_at, v.created_by AS version_created_by,
			s.launch_count, s.launches_up, s.launches_degraded, s.launches_stale
FROM (SELECT s.id
FROM satellites s
WHERE (@only_id = '' OR s.id = nullif(@only_id, '')::uuid)
	AND s.name_key LIKE @pattern
ORDER BY s.expires_at ASC, s.id ASC
LIMIT @limit) found JOIN satellites s ON s.id = found.id
			JOIN satellite_versions v ON v.satellite_id = s.id AND v.number = s.latest_version
ORDER BY s.expires_at ASC, s.id ASC
LIMIT @limit

-- by expires_at: next page
SELECT s.id, s.name, s.created_at, s.created_by, s.expires_at, s.updated_at, s.updated_by, s.revision,
			s.labels, s.latest_version, v.created_at AS version_created_at, v.created_by AS version_created_by,
			s.launch_count, s.launches_up, s.launches_degraded, s.launches_stale
FROM (SELECT s.id
FROM satellites s
WHERE (@only_id = '' OR s.id = nullif(@only_id, '')::uuid)
	AND (s.expires_at, s.id) > (@after_key::text::timestamptz, @after_id::text::uuid)
ORDER BY s.expires_at ASC, s.id ASC
LIMIT @limit) found JOIN satellites s ON s.id = found.id
			JOIN satellite_versions v ON v.satellite_id = s.id AND v.number = s.latest_version
ORDER BY s.expires_at ASC, s.id ASC
LIMIT @limit

-- by expires_at: next page, descending, with a search and counted
SELECT s.id, s.name, s.created_at, s.created_by, s.expires_at, s.updated_at, s.updated_by, s.revision,
			s.labels, s.latest_version, v.created_at AS version_created_at, v.created_by AS version_created_by,
			s.launch_count, s.launches_up, s.launches_degraded, s.launches_stale
FROM (SELECT s.id
FROM satellites s
WHERE (@only_id = '' OR s.id = nullif(@only_id, '')::uuid)
	AND s.name_key LIKE @pattern
	AND (s.expires_at, s.id) < (@after_key::text::timestamptz, @after_id::text::uuid)
ORDER BY s.expires_at DESC, s.id DESC
LIMIT @limit) found JOIN satellites s ON s.id = found.id
			JOIN satellite_versions v ON v.satellite_id = s.id AND v.number = s.latest_version
ORDER BY s.expires_at DESC, s.id DESC
LIMIT @limit

-- by expires_at: next page, descending, with a search and counted
SELECT count(*)::int AS count FROM (SELECT s.id, s.name, s.created_at, s.created_by, s.expires_at, s.updated_at, s.updated_by, s.revision,
			s.labels, s.latest_version, v.created_at AS version_created_at, v.created_by AS version_created_by,
			s.launch_count, s.launches_up, s.launches_degraded, s.launches_stale
FROM (SELECT s.id
FROM satellites s
WHERE (@only_id = '' OR s.id = nullif(@only_id, '')::uuid)
	AND s.name_key LIKE @pattern
ORDER BY s.expires_at DESC, s.id DESC
LIMIT @limit) found JOIN satellites s ON s.id = found.id
			JOIN satellite_versions v ON v.satellite_id = s.id AND v.number = s.latest_version
ORDER BY s.expires_at DESC, s.id DESC
LIMIT @limit) every_page

-- by latest_version: first page
SELECT s.id, s.name, s.created_at, s.created_by, s.expires_at, s.updated_at, s.updated_by, s.revision,
			s.labels, s.latest_version, v.created_at AS version_created_at, v.created_by AS version_created_by,
			s.launch_count, s.launches_up, s.launches_degraded, s.launches_stale
FROM (SELECT s.id
FROM satellites s
WHERE (@only_id = '' OR s.id = nullif(@only_id, '')::uuid)
ORDER BY s.latest_version ASC, s.id ASC
LIMIT @limit) found JOIN satellites s ON s.id = found.id
			JOIN satellite_versions v ON v.satellite_id = s.id AND v.number = s.latest_version
ORDER BY s.latest_version ASC, s.id ASC
LIMIT @limit

-- by latest_version: search
SELECT s.id, s.name, s.created_at, s.created_by, s.expires_at, s.updated_at, s.updated_by, s.revision,
			s.labels, s.latest_version, v.created_at AS version_created_at, v.created_by AS version_created_by,
			s.launch_count, s.launches_up, s.launches_degraded, s.launches_stale
FROM (SELECT s.id
FROM satellites s
WHERE (@only_id = '' OR s.id = nullif(@only_id, '')::uuid)
	AND s.name_key LIKE @pattern
ORDER BY s.latest_version ASC, s.id ASC
LIMIT @limit) found JOIN satellites s ON s.id = found.id
			JOIN satellite_versions v ON v.satellite_id = s.id AND v.number = s.latest_version
ORDER BY s.latest_version ASC, s.id ASC
LIMIT @limit

-- by latest_version: search in two letters
SELECT s.id, s.name, s.created_at, s.created_by, s.expires_at, s.updated_at, s.updated_by, s.revision,
			s.labels, s.latest_version, v.created_at AS version_created_at, v.created_by AS version_created_by,
			s.launch_count, s.launches_up, s.launches_degraded, s.launches_stale
FROM (SELECT s.id
FROM satellites s
WHERE (@only_id = '' OR s.id = nullif(@only_id, '')::uuid)
	AND s.name_key LIKE @pattern
ORDER BY s.latest_version ASC, s.id ASC
LIMIT @limit) found JOIN satellites s ON s.id = found.id
			JOIN satellite_versions v ON v.satellite_id = s.id AND v.number = s.latest_version
ORDER BY s.latest_version ASC, s.id ASC
LIMIT @limit

-- by latest_version: next page
SELECT s.id, s.name, s.created_at, s.created_by, s.expires_at, s.updated_at, s.updated_by, s.revision,
			s.labels, s.latest_version, v.created_at AS version_created_at, v.created_by AS version_created_by,
			s.launch_count, s.launches_up, s.launches_degraded, s.launches_stale
FROM (SELECT s.id
FROM satellites s
WHERE (@only_id = '' OR s.id = nullif(@only_id, '')::uuid)
	AND (s.latest_version, s.id) > (@after_key::text::bigint, @after_id::text::uuid)
ORDER BY s.latest_version ASC, s.id ASC
LIMIT @limit) found JOIN satellites s ON s.id = found.id
			JOIN satellite_versions v ON v.satellite_id = s.id AND v.number = s.latest_version
ORDER BY s.latest_version ASC, s.id ASC
LIMIT @limit

-- by latest_version: next page, descending, with a search and counted
SELECT s.id, s.name, s.created_at, s.created_by, s.expires_at, s.updated_at, s.updated_by, s.revision,
			s.labels, s.latest_version, v.created_at AS version_created_at, v.created_by AS version_created_by,
			s.launch_count, s.launches_up, s.launches_degraded, s.launches_stale
FROM (SELECT s.id
FROM satellites s
WHERE (@only_id = '' OR s.id = nullif(@only_id, '')::uuid)
	AND s.name_key LIKE @pattern
	AND (s.latest_version, s.id) < (@after_key::text::bigint, @after_id::text::uuid)
ORDER BY s.latest_version DESC, s.id DESC
LIMIT @limit) found JOIN satellites s ON s.id = found.id
			JOIN satellite_versions v ON v.satellite_id = s.id AND v.number = s.latest_version
ORDER BY s.latest_version DESC, s.id DESC
LIMIT @limit

-- by latest_version: next page, descending, with a search and counted
SELECT count(*)::int AS count FROM (SELECT s.id, s.name, s.created_at, s.created_by, s.expires_at, s.updated_at, s.updated_by, s.revision,
			s.labels, s.latest_version, v.created_at AS version_created_at, v.created_by AS version_created_by,
			s.launch_count, s.launches_up, s.launches_degraded, s.launches_stale
FROM (SELECT s.id
FROM satellites s
WHERE (@only_id = '' OR s.id = nullif(@only_id, '')::uuid)
	AND s.name_key LIKE @pattern
ORDER BY s.latest_version DESC, s.id DESC
LIMIT @limit) found JOIN satellites s ON s.id = found.id
			JOIN satellite_versions v ON v.satellite_id = s.id AND v.number = s.latest_version
ORDER BY s.latest_version DESC, s.id DESC
LIMIT @limit) every_page

-- by launches: first page
SELECT s.id, s.name, s.created_at, s.created_by, s.expires_at, s.updated_at, s.updated_by, s.revision,
			s.labels, s.latest_version, v.created_at AS version_created_at, v.created_by AS version_created_by,
			s.launch_count, s.launches_up, s.launches_degraded, s.launches_stale
FROM (SELECT s.id
FROM satellites s
WHERE (@only_id = '' OR s.id = nullif(@only_id, '')::uuid)
ORDER BY s.launch_count ASC, s.id ASC
LIMIT @limit) found JOIN satellites s ON s.id = found.id
			JOIN satellite_versions v ON v.satellite_id = s.id AND v.number = s.latest_version
ORDER BY s.launch_count ASC, s.id ASC
LIMIT @limit

-- by launches: search
SELECT s.id, s.name, s.created_at, s.created_by, s.expires_at, s.updated_at, s.updated_by, s.revision,
			s.labels, s.latest_version, v.created_at AS version_created_at, v.created_by AS version_created_by,
			s.launch_count, s.launches_up, s.launches_degraded, s.launches_stale
FROM (SELECT s.id
FROM satellites s
WHERE (@only_id = '' OR s.id = nullif(@only_id, '')::uuid)
	AND s.name_key LIKE @pattern
ORDER BY s.launch_count ASC, s.id ASC
LIMIT @limit) found JOIN satellites s ON s.id = found.id
			JOIN satellite_versions v ON v.satellite_id = s.id AND v.number = s.latest_version
ORDER BY s.launch_count ASC, s.id ASC
LIMIT @limit

-- by launches: search in two letters
SELECT s.id, s.name, s.created_at, s.created_by, s.expires_at, s.updated_at, s.updated_by, s.revision,
			s.labels, s.latest_version, v.created_at AS version_created_at, v.created_by AS version_created_by,
			s.launch_count, s.launches_up, s.launches_degraded, s.launches_stale
FROM (SELECT s.id
FROM satellites s
WHERE (@only_id = '' OR s.id = nullif(@only_id, '')::uuid)
	AND s.name_key LIKE @pattern
ORDER BY s.launch_count ASC, s.id ASC
LIMIT @limit) found JOIN satellites s ON s.id = found.id
			JOIN satellite_versions v ON v.satellite_id = s.id AND v.number = s.latest_version
ORDER BY s.launch_count ASC, s.id ASC
LIMIT @limit

-- by launches: next page
SELECT s.id, s.name, s.created_at, s.created_by, s.expires_at, s.updated_at, s.updated_by, s.revision,
			s.labels, s.latest_version, v.created_at AS version_created_at, v.created_by AS version_created_by,
			s.launch_count, s.launches_up, s.launches_degraded, s.launches_stale
FROM (SELECT s.id
FROM satellites s
WHERE (@only_id = '' OR s.id = nullif(@only_id, '')::uuid)
	AND (s.launch_count, s.id) > (@after_key::text::bigint, @after_id::text::uuid)
ORDER BY s.launch_count ASC, s.id ASC
LIMIT @limit) found JOIN satellites s ON s.id = found.id
			JOIN satellite_versions v ON v.satellite_id = s.id AND v.number = s.latest_version
ORDER BY s.launch_count ASC, s.id ASC
LIMIT @limit

-- by launches: next page, descending, with a search and counted
SELECT s.id, s.name, s.created_at, s.created_by, s.expires_at, s.updated_at, s.updated_by, s.revision,
			s.labels, s.latest_version, v.created_at AS version_created_at, v.created_by AS version_created_by,
			s.launch_count, s.launches_up, s.launches_degraded, s.launches_stale
FROM (SELECT s.id
FROM satellites s
WHERE (@only_id = '' OR s.id = nullif(@only_id, '')::uuid)
	AND s.name_key LIKE @pattern
	AND (s.launch_count, s.id) < (@after_key::text::bigint, @after_id::text::uuid)
ORDER BY s.launch_count DESC, s.id DESC
LIMIT @limit) found JOIN satellites s ON s.id = found.id
			JOIN satellite_versions v ON v.satellite_id = s.id AND v.number = s.latest_version
ORDER BY s.launch_count DESC, s.id DESC
LIMIT @limit

-- by launches: next page, descending, with a search and counted
SELECT count(*)::int AS count FROM (SELECT s.id, s.name, s.created_at, s.created_by, s.expires_at, s.updated_at, s.updated_by, s.revision,
			s.labels, s.latest_version, v.created_at AS version_created_at, v.created_by AS version_created_by,
			s.launch_count, s.launches_up, s.launches_degraded, s.launches_stale
FROM (SELECT s.id
FROM satellites s
WHERE (@only_id = '' OR s.id = nullif(@only_id, '')::uuid)
	AND s.name_key LIKE @pattern
ORDER BY s.launch_count DESC, s.id DESC
LIMIT @limit) found JOIN satellites s ON s.id = found.id
			JOIN satellite_versions v ON v.satellite_id = s.id AND v.number = s.latest_version
ORDER BY s.launch_count DESC, s.id DESC
LIMIT @limit) every_page

-- by name: first page
SELECT s.id, s.name, s.created_at, s.created_by, s.expires_at, s.updated_at, s.updated_by, s.revision,
			s.labels, s.latest_version, v.created_at AS version_created_at, v.created_by AS version_created_by,
			s.launch_count, s.launches_up, s.launches_degraded, s.launches_stale
FROM (SELECT s.id
FROM satellites s
WHERE (@only_id = '' OR s.id = nullif(@only_id, '')::uuid)
ORDER BY s.name_key ASC, s.id ASC
LIMIT @limit) found JOIN satellites s ON s.id = found.id
			JOIN satellite_versions v ON v.satellite_id = s.id AND v.number = s.latest_version
ORDER BY s.name_key ASC, s.id ASC
LIMIT @limit

-- by name: search
SELECT s.id, s.name, s.created_at, s.created_by, s.expires_at, s.updated_at, s.updated_by, s.revision,
			s.labels, s.latest_version, v.created_at AS version_created_at, v.created_by AS version_created_by,
			s.launch_count, s.launches_up, s.launches_degraded, s.launches_stale
FROM (
		WITH near AS MATERIALIZED (SELECT s.name_key, s.id
FROM (SELECT s.name_key, s.id
FROM satellites s
ORDER BY s.name_key ASC, s.id ASC
LIMIT @near) s
WHERE s.name_key LIKE @pattern
ORDER BY s.name_key ASC, s.id ASC
LIMIT @limit)
		SELECT id FROM near WHERE (SELECT count(*) FROM near) = @limit
		UNION ALL
		(SELECT s.id
FROM satellite_names s
WHERE (SELECT count(*) FROM near) < @limit
	AND s.name_key LIKE @pattern
ORDER BY s.name_key ASC, s.id ASC
LIMIT @limit)) found JOIN satellites s ON s.id = found.id
			JOIN satellite_versions v ON v.satellite_id = s.id AND v.number = s.latest_version
ORDER BY s.name_key ASC, s.id ASC
LIMIT @limit

-- by name: search in two letters
SELECT s.id, s.name, s.created_at, s.created_by, s.expires_at, s.updated_at, s.updated_by, s.revision,
			s.labels, s.latest_version, v.created_at AS version_created_at, v.created_by AS version_created_by,
			s.launch_count, s.launches_up, s.launches_degraded, s.launches_stale
FROM (SELECT s.id
FROM satellites s
WHERE (@only_id = '' OR s.id = nullif(@only_id, '')::uuid)
	AND s.name_key LIKE @pattern
ORDER BY s.name_key ASC, s.id ASC
LIMIT @limit) found JOIN satellites s ON s.id = found.id
			JOIN satellite_versions v ON v.satellite_id = s.id AND v.number = s.latest_version
ORDER BY s.name_key ASC, s.id ASC
LIMIT @limit

-- by name: next page
SELECT s.id, s.name, s.created_at, s.created_by, s.expires_at, s.updated_at, s.updated_by, s.revision,
			s.labels, s.latest_version, v.created_at AS version_created_at, v.created_by AS version_created_by,
			s.launch_count, s.launches_up, s.launches_degraded, s.launches_stale
FROM (SELECT s.id
FROM satellites s
WHERE (@only_id = '' OR s.id = nullif(@only_id, '')::uuid)
	AND (s.name_key, s.id) > (@after_key::text::text, @after_id::text::uuid)
ORDER BY s.name_key ASC, s.id ASC
LIMIT @limit) found JOIN satellites s ON s.id = found.id
			JOIN satellite_versions v ON v.satellite_id = s.id AND v.number = s.latest_version
ORDER BY s.name_key ASC, s.id ASC
LIMIT @limit

-- by name: next page, descending, with a search and counted
SELECT s.id, s.name, s.created_at, s.created_by, s.expires_at, s.updated_at, s.updated_by, s.revision,
			s.labels, s.latest_version, v.created_at AS version_created_at, v.created_by AS version_created_by,
			s.launch_count, s.launches_up, s.launches_degraded, s.launches_stale
FROM (
		WITH near AS MATERIALIZED (SELECT s.name_key, s.id
FROM (SELECT s.name_key, s.id
FROM satellites s
WHERE (s.name_key, s.id) < (@after_key::text::text, @after_id::text::uuid)
ORDER BY s.name_key DESC, s.id DESC
LIMIT @near) s
WHERE s.name_key LIKE @pattern
ORDER BY s.name_key DESC, s.id DESC
LIMIT @limit)
		SELECT id FROM near WHERE (SELECT count(*) FROM near) = @limit
		UNION ALL
		(SELECT s.id
FROM satellite_names s
WHERE (SELECT count(*) FROM near) < @limit
	AND s.name_key LIKE @pattern
	AND (s.name_key, s.id) < (@after_key::text::text, @after_id::text::uuid)
ORDER BY s.name_key DESC, s.id DESC
LIMIT @limit)) found JOIN satellites s ON s.id = found.id
			JOIN satellite_versions v ON v.satellite_id = s.id AND v.number = s.latest_version
ORDER BY s.name_key DESC, s.id DESC
LIMIT @limit

-- by name: next page, descending, with a search and counted
SELECT count(*)::int AS count FROM (SELECT s.id, s.name, s.created_at, s.created_by, s.expires_at, s.updated_at, s.updated_by, s.revision,
			s.labels, s.latest_version, v.created_at AS version_created_at, v.created_by AS version_created_by,
			s.launch_count, s.launches_up, s.launches_degraded, s.launches_stale
FROM (
		WITH near AS MATERIALIZED (SELECT s.name_key, s.id
FROM (SELECT s.name_key, s.id
FROM satellites s
ORDER BY s.name_key DESC, s.id DESC
LIMIT @near) s
WHERE s.name_key LIKE @pattern
ORDER BY s.name_key DESC, s.id DESC
LIMIT @limit)
		SELECT id FROM near WHERE (SELECT count(*) FROM near) = @limit
		UNION ALL
		(SELECT s.id
FROM satellite_names s
WHERE (SELECT count(*) FROM near) < @limit
	AND s.name_key LIKE @pattern
ORDER BY s.name_key DESC, s.id DESC
LIMIT @limit)) found JOIN satellites s ON s.id = found.id
			JOIN satellite_versions v ON v.satellite_id = s.id AND v.number = s.latest_version
ORDER BY s.name_key DESC, s.id DESC
LIMIT @limit) every_page

-- by stale: first page
SELECT s.id, s.name, s.created_at, s.created_by, s.expires_at, s.updated_at, s.updated_by, s.revision,
			s.labels, s.latest_version, v.created_at AS version_created_at, v.created_by AS version_created_by,
			s.launch_count, s.launches_up, s.launches_degraded, s.launches_stale
FROM (SELECT s.id
FROM satellites s
WHERE (@only_id = '' OR s.id = nullif(@only_id, '')::uuid)
ORDER BY s.launches_stale ASC, s.id ASC
LIMIT @limit) found JOIN satellites s ON s.id = found.id
			JOIN satellite_versions v ON v.satellite_id = s.id AND v.number = s.latest_version
ORDER BY s.launches_stale ASC, s.id ASC
LIMIT @limit

-- by stale: search
SELECT s.id, s.name, s.created_at, s.created_by, s.expires_at, s.updated_at, s.updated_by, s.revision,
			s.labels, s.latest_version, v.created_at AS version_created_at, v.created_by AS version_created_by,
			s.launch_count, s.launches_up, s.launches_degraded, s.launches_stale
FROM (SELECT s.id
FROM satellites s
WHERE (@only_id = '' OR s.id = nullif(@only_id, '')::uuid)
	AND s.name_key LIKE @pattern
ORDER BY s.launches_stale ASC, s.id ASC
LIMIT @limit) found JOIN satellites s ON s.id = found.id
			JOIN satellite_versions v ON v.satellite_id = s.id AND v.number = s.latest_version
ORDER BY s.launches_stale ASC, s.id ASC
LIMIT @limit

-- by stale: search in two letters
SELECT s.id, s.name, s.created_at, s.created_by, s.expires_at, s.updated_at, s.updated_by, s.revision,
			s.labels, s.latest_version, v.created_at AS version_created_at, v.created_by AS version_created_by,
			s.launch_count, s.launches_up, s.launches_degraded, s.launches_stale
FROM (SELECT s.id
FROM satellites s
WHERE (@only_id = '' OR s.id = nullif(@only_id, '')::uuid)
	AND s.name_key LIKE @pattern
ORDER BY s.launches_stale ASC, s.id ASC
LIMIT @limit) found JOIN satellites s ON s.id = found.id
			JOIN satellite_versions v ON v.satellite_id = s.id AND v.number = s.latest_version
ORDER BY s.launches_stale ASC, s.id ASC
LIMIT @limit

-- by stale: next page
SELECT s.id, s.name, s.created_at, s.created_by, s.expires_at, s.updated_at, s.updated_by, s.revision,
			s.labels, s.latest_version, v.created_at AS version_created_at, v.created_by AS version_created_by,
			s.launch_count, s.launches_up, s.launches_degraded, s.launches_stale
FROM (SELECT s.id
FROM satellites s
WHERE (@only_id = '' OR s.id = nullif(@only_id, '')::uuid)
	AND (s.launches_stale, s.id) > (@after_key::text::bigint, @after_id::text::uuid)
ORDER BY s.launches_stale ASC, s.id ASC
LIMIT @limit) found JOIN satellites s ON s.id = found.id
			JOIN satellite_versions v ON v.satellite_id = s.id AND v.number = s.latest_version
ORDER BY s.launches_stale ASC, s.id ASC
LIMIT @limit

-- by stale: next page, descending, with a search and counted
SELECT s.id, s.name, s.created_at, s.created_by, s.expires_at, s.updated_at, s.updated_by, s.revision,
			s.labels, s.latest_version, v.created_at AS version_created_at, v.created_by AS version_created_by,
			s.launch_count, s.launches_up, s.launches_degraded, s.launches_stale
FROM (SELECT s.id
FROM satellites s
WHERE (@only_id = '' OR s.id = nullif(@only_id, '')::uuid)
	AND s.name_key LIKE @pattern
	AND (s.launches_stale, s.id) < (@after_key::text::bigint, @after_id::text::uuid)
ORDER BY s.launches_stale DESC, s.id DESC
LIMIT @limit) found JOIN satellites s ON s.id = found.id
			JOIN satellite_versions v ON v.satellite_id = s.id AND v.number = s.latest_version
ORDER BY s.launches_stale DESC, s.id DESC
LIMIT @limit

-- by stale: next page, descending, with a search and counted
SELECT count(*)::int AS count FROM (SELECT s.id, s.name, s.created_at, s.created_by, s.expires_at, s.updated_at, s.updated_by, s.revision,
			s.labels, s.latest_version, v.created_at AS version_created_at, v.created_by AS version_created_by,
			s.launch_count, s.launches_up, s.launches_degraded, s.launches_stale
FROM (SELECT s.id
FROM satellites s
WHERE (@only_id = '' OR s.id = nullif(@only_id, '')::uuid)
	AND s.name_key LIKE @pattern
ORDER BY s.launches_stale DESC, s.id DESC
LIMIT @limit) found JOIN satellites s ON s.id = found.id
			JOIN satellite_versions v ON v.satellite_id = s.id AND v.number = s.latest_version
ORDER BY s.launches_stale DESC, s.id DESC
LIMIT @limit) every_page

-- by up: first page
SELECT s.id, s.name, s.created_at, s.created_by, s.expires_at, s.updated_at, s.updated_by, s.revision,
			s.labels, s.latest_version, v.created_at AS version_created_at, v.created_by AS version_created_by,
			s.launch_count, s.launches_up, s.launches_degraded, s.launches_stale
FROM (SELECT s.id
FROM satellites s
WHERE (@only_id = '' OR s.id = nullif(@only_id, '')::uuid)
ORDER BY s.launches_up ASC, s.id ASC
LIMIT @limit) found JOIN satellites s ON s.id = found.id
			JOIN satellite_versions v ON v.satellite_id = s.id AND v.number = s.latest_version
ORDER BY s.launches_up ASC, s.id ASC
LIMIT @limit

-- by up: search
SELECT s.id, s.name, s.created_at, s.created_by, s.expires_at, s.updated_at, s.updated_by, s.revision,
			s.labels, s.latest_version, v.created_at AS version_created_at, v.created_by AS version_created_by,
			s.launch_count, s.launches_up, s.launches_degraded, s.launches_stale
FROM (SELECT s.id
FROM satellites s
WHERE (@only_id = '' OR s.id = nullif(@only_id, '')::uuid)
	AND s.name_key LIKE @pattern
ORDER BY s.launches_up ASC, s.id ASC
LIMIT @limit) found JOIN satellites s ON s.id = found.id
			JOIN satellite_versions v ON v.satellite_id = s.id AND v.number = s.latest_version
ORDER BY s.launches_up ASC, s.id ASC
LIMIT @limit

-- by up: search in two letters
SELECT s.id, s.name, s.created_at, s.created_by, s.expires_at, s.updated_at, s.updated_by, s.revision,
			s.labels, s.latest_version, v.created_at AS version_created_at, v.created_by AS version_created_by,
			s.launch_count, s.launches_up, s.launches_degraded, s.launches_stale
FROM (SELECT s.id
FROM satellites s
WHERE (@only_id = '' OR s.id = nullif(@only_id, '')::uuid)
	AND s.name_key LIKE @pattern
ORDER BY s.launches_up ASC, s.id ASC
LIMIT @limit) found JOIN satellites s ON s.id = found.id
			JOIN satellite_versions v ON v.satellite_id = s.id AND v.number = s.latest_version
ORDER BY s.launches_up ASC, s.id ASC
LIMIT @limit

-- by up: next page
SELECT s.id, s.name, s.created_at, s.created_by, s.expires_at, s.updated_at, s.updated_by, s.revision,
			s.labels, s.latest_version, v.created_at AS version_created_at, v.created_by AS version_created_by,
			s.launch_count, s.launches_up, s.launches_degraded, s.launches_stale
FROM (SELECT s.id
FROM satellites s
WHERE (@only_id = '' OR s.id = nullif(@only_id, '')::uuid)
	AND (s.launches_up, s.id) > (@after_key::text::bigint, @after_id::text::uuid)
ORDER BY s.launches_up ASC, s.id ASC
LIMIT @limit) found JOIN satellites s ON s.id = found.id
			JOIN satellite_versions v ON v.satellite_id = s.id AND v.number = s.latest_version
ORDER BY s.launches_up ASC, s.id ASC
LIMIT @limit

-- by up: next page, descending, with a search and counted
SELECT s.id, s.name, s.created_at, s.created_by, s.expires_at, s.updated_at, s.updated_by, s.revision,
			s.labels, s.latest_version, v.created_at AS version_created_at, v.created_by AS version_created_by,
			s.launch_count, s.launches_up, s.launches_degraded, s.launches_stale
FROM (SELECT s.id
FROM satellites s
WHERE (@only_id = '' OR s.id = nullif(@only_id, '')::uuid)
	AND s.name_key LIKE @pattern
	AND (s.launches_up, s.id) < (@after_key::text::bigint, @after_id::text::uuid)
ORDER BY s.launches_up DESC, s.id DESC
LIMIT @limit) found JOIN satellites s ON s.id = found.id
			JOIN satellite_versions v ON v.satellite_id = s.id AND v.number = s.latest_version
ORDER BY s.launches_up DESC, s.id DESC
LIMIT @limit

-- by up: next page, descending, with a search and counted
SELECT count(*)::int AS count FROM (SELECT s.id, s.name, s.created_at, s.created_by, s.expires_at, s.updated_at, s.updated_by, s.revision,
			s.labels, s.latest_version, v.created_at AS version_created_at, v.created_by AS version_created_by,
			s.launch_count, s.launches_up, s.launches_degraded, s.launches_stale
FROM (SELECT s.id
FROM satellites s
WHERE (@only_id = '' OR s.id = nullif(@only_id, '')::uuid)
	AND s.name_key LIKE @pattern
ORDER BY s.launches_up DESC, s.id DESC
LIMIT @limit) found JOIN satellites s ON s.id = found.id
			JOIN satellite_versions v ON v.satellite_id = s.id AND v.number = s.latest_version
ORDER BY s.launches_up DESC, s.id DESC
LIMIT @limit) every_page

-- by updated_at: first page
SELECT s.id, s.name, s.created_at, s.created_by, s.expires_at, s.updated_at, s.updated_by, s.revision,
			s.labels, s.latest_version, v.created_at AS version_created_at, v.created_by AS version_created_by,
			s.launch_count, s.launches_up, s.launches_degraded, s.launches_stale
FROM (SELECT s.id
FROM satellites s
WHERE (@only_id = '' OR s.id = nullif(@only_id, '')::uuid)
ORDER BY s.updated_at ASC, s.id ASC
LIMIT @limit) found JOIN satellites s ON s.id = found.id
			JOIN satellite_versions v ON v.satellite_id = s.id AND v.number = s.latest_version
ORDER BY s.updated_at ASC, s.id ASC
LIMIT @limit

-- by updated_at: search
SELECT s.id, s.name, s.created_at, s.created_by, s.expires_at, s.updated_at, s.updated_by, s.revision,
			s.labels, s.latest_version, v.created_at AS version_created_at, v.created_by AS version_created_by,
			s.launch_count, s.launches_up, s.launches_degraded, s.launches_stale
FROM (SELECT s.id
FROM satellites s
WHERE (@only_id = '' OR s.id = nullif(@only_id, '')::uuid)
	AND s.name_key LIKE @pattern
ORDER BY s.updated_at ASC, s.id ASC
LIMIT @limit) found JOIN satellites s ON s.id = found.id
			JOIN satellite_versions v ON v.satellite_id = s.id AND v.number = s.latest_version
ORDER BY s.updated_at ASC, s.id ASC
LIMIT @limit

-- by updated_at: search in two letters
SELECT s.id, s.name, s.created_at, s.created_by, s.expires_at, s.updated_at, s.updated_by, s.revision,
			s.labels, s.latest_version, v.created_at AS version_created_at, v.created_by AS version_created_by,
			s.launch_count, s.launches_up, s.launches_degraded, s.launches_stale
FROM (SELECT s.id
FROM satellites s
WHERE (@only_id = '' OR s.id = nullif(@only_id, '')::uuid)
	AND s.name_key LIKE @pattern
ORDER BY s.updated_at ASC, s.id ASC
LIMIT @limit) found JOIN satellites s ON s.id = found.id
			JOIN satellite_versions v ON v.satellite_id = s.id AND v.number = s.latest_version
ORDER BY s.updated_at ASC, s.id ASC
LIMIT @limit

-- by updated_at: next page
SELECT s.id, s.name, s.created_at, s.created_by, s.expires_at, s.updated_at, s.updated_by, s.revision,
			s.labels, s.latest_version, v.created_at AS version_created_at, v.created_by AS version_created_by,
			s.launch_count, s.launches_up, s.launches_degraded, s.launches_stale
FROM (SELECT s.id
FROM satellites s
WHERE (@only_id = '' OR s.id = nullif(@only_id, '')::uuid)
	AND (s.updated_at, s.id) > (@after_key::text::timestamptz, @after_id::text::uuid)
ORDER BY s.updated_at ASC, s.id ASC
LIMIT @limit) found JOIN satellites s ON s.id = found.id
			JOIN satellite_versions v ON v.satellite_id = s.id AND v.number = s.latest_version
ORDER BY s.updated_at ASC, s.id ASC
LIMIT @limit

-- by updated_at: next page, descending, with a search and counted
SELECT s.id, s.name, s.created_at, s.created_by, s.expires_at, s.updated_at, s.updated_by, s.revision,
			s.labels, s.latest_version, v.created_at AS version_created_at, v.created_by AS version_created_by,
			s.launch_count, s.launches_up, s.launches_degraded, s.launches_stale
FROM (SELECT s.id
FROM satellites s
WHERE (@only_id = '' OR s.id = nullif(@only_id, '')::uuid)
	AND s.name_key LIKE @pattern
	AND (s.updated_at, s.id) < (@after_key::text::timestamptz, @after_id::text::uuid)
ORDER BY s.updated_at DESC, s.id DESC
LIMIT @limit) found JOIN satellites s ON s.id = found.id
			JOIN satellite_versions v ON v.satellite_id = s.id AND v.number = s.latest_version
ORDER BY s.updated_at DESC, s.id DESC
LIMIT @limit

-- by updated_at: next page, descending, with a search and counted
SELECT count(*)::int AS count FROM (SELECT s.id, s.name, s.created_at, s.created_by, s.expires_at, s.updated_at, s.updated_by, s.revision,
			s.labels, s.latest_version, v.created_at AS version_created_at, v.created_by AS version_created_by,
			s.launch_count, s.launches_up, s.launches_degraded, s.launches_stale
FROM (SELECT s.id
FROM satellites s
WHERE (@only_id = '' OR s.id = nullif(@only_id, '')::uuid)
	AND s.name_key LIKE @pattern
ORDER BY s.updated_at DESC, s.id DESC
LIMIT @limit) found JOIN satellites s ON s.id = found.id
			JOIN satellite_versions v ON v.satellite_id = s.id AND v.number = s.latest_version
ORDER BY s.updated_at DESC, s.id DESC
LIMIT @limit) every_page

