-- by expires_at: first page
SELECT s.id, s.name, s.created_at, s.created_by, s.expires_at, s.updated_at, s.updated_by, s.revision,
			s.labels, s.latest_version, v.created_at AS version_created_at, v.created_by AS version_created_by,
			s.launch_count, s.launches_up, s.launches_degraded, s.launches_stale
FROM (SELECT s.id
FROM satellites s
WHERE (@only_id = '' OR s.id = nullif(@only_id, '')::uuid)
	AND s.created_by = @created_by AND s.expires_at < @expires_before AND s.expires_at >= @expires_after AND EXISTS (SELECT FROM launch_index n WHERE n.satellite_id = s.id AND n.behind_since < 'infinity')
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
	AND s.created_by = @created_by AND s.expires_at < @expires_before AND s.expires_at >= @expires_after AND EXISTS (SELECT FROM launch_index n WHERE n.satellite_id = s.id AND n.behind_since < 'infinity')
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
	AND s.created_by = @created_by AND s.expires_at < @expires_before AND s.expires_at >= @expires_after AND EXISTS (SELECT FROM launch_index n WHERE n.satellite_id = s.id AND n.behind_since < 'infinity')
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
	AND s.created_by = @created_by AND s.expires_at < @expires_before AND s.expires_at >= @expires_after AND EXISTS (SELECT FROM launch_index n WHERE n.satellite_id = s.id AND n.behind_since < 'infinity')
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
	AND s.created_by = @created_by AND s.expires_at < @expires_before AND s.expires_at >= @expires_after AND EXISTS (SELECT FROM launch_index n WHERE n.satellite_id = s.id AND n.behind_since < 'infinity')
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
	AND s.created_by = @created_by AND s.expires_at < @expires_before AND s.expires_at >= @expires_after AND EXISTS (SELECT FROM launch_index n WHERE n.satellite_id = s.id AND n.behind_since < 'infinity')
ORDER BY s.expires_at DESC, s.id DESC
LIMIT @limit) found JOIN satellites s ON s.id = found.id
			JOIN satellite_versions v ON v.satellite_id = s.id AND v.number = s.latest_version
ORDER BY s.expires_at DESC, s.id DESC
LIMIT @limit) every_page

-- by name: first page
SELECT s.id, s.name, s.created_at, s.created_by, s.expires_at, s.updated_at, s.updated_by, s.revision,
			s.labels, s.latest_version, v.created_at AS version_created_at, v.created_by AS version_created_by,
			s.launch_count, s.launches_up, s.launches_degraded, s.launches_stale
FROM (SELECT s.id
FROM satellites s
WHERE (@only_id = '' OR s.id = nullif(@only_id, '')::uuid)
	AND s.created_by = @created_by AND s.expires_at < @expires_before AND s.expires_at >= @expires_after AND EXISTS (SELECT FROM launch_index n WHERE n.satellite_id = s.id AND n.behind_since < 'infinity')
ORDER BY s.name_key ASC, s.id ASC
LIMIT @limit) found JOIN satellites s ON s.id = found.id
			JOIN satellite_versions v ON v.satellite_id = s.id AND v.number = s.latest_version
ORDER BY s.name_key ASC, s.id ASC
LIMIT @limit

-- by name: search
SELECT s.id, s.name, s.created_at, s.created_by, s.expires_at, s.updated_at, s.updated_by, s.revision,
			s.labels, s.latest_version, v.created_at AS version_created_at, v.created_by AS version_created_by,
			s.launch_count, s.launches_up, s.launches_degraded, s.launches_stale
FROM (SELECT s.id
FROM satellites s
WHERE (@only_id = '' OR s.id = nullif(@only_id, '')::uuid)
	AND s.name_key LIKE @pattern
	AND s.created_by = @created_by AND s.expires_at < @expires_before AND s.expires_at >= @expires_after AND EXISTS (SELECT FROM launch_index n WHERE n.satellite_id = s.id AND n.behind_since < 'infinity')
ORDER BY s.name_key ASC, s.id ASC
LIMIT @limit) found JOIN satellites s ON s.id = found.id
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
	AND s.created_by = @created_by AND s.expires_at < @expires_before AND s.expires_at >= @expires_after AND EXISTS (SELECT FROM launch_index n WHERE n.satellite_id = s.id AND n.behind_since < 'infinity')
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
	AND s.created_by = @created_by AND s.expires_at < @expires_before AND s.expires_at >= @expires_after AND EXISTS (SELECT FROM launch_index n WHERE n.satellite_id = s.id AND n.behind_since < 'infinity')
ORDER BY s.name_key ASC, s.id ASC
LIMIT @limit) found JOIN satellites s ON s.id = found.id
			JOIN satellite_versions v ON v.satellite_id = s.id AND v.number = s.latest_version
ORDER BY s.name_key ASC, s.id ASC
LIMIT @limit

-- by name: next page, descending, with a search and counted
SELECT s.id, s.name, s.created_at, s.created_by, s.expires_at, s.updated_at, s.updated_by, s.revision,
			s.labels, s.latest_version, v.created_at AS version_created_at, v.created_by AS version_created_by,
			s.launch_count, s.launches_up, s.launches_degraded, s.launches_stale
FROM (SELECT s.id
FROM satellites s
WHERE (@only_id = '' OR s.id = nullif(@only_id, '')::uuid)
	AND s.name_key LIKE @pattern
	AND (s.name_key, s.id) < (@after_key::text::text, @after_id::text::uuid)
	AND s.created_by = @created_by AND s.expires_at < @expires_before AND s.expires_at >= @expires_after AND EXISTS (SELECT FROM launch_index n WHERE n.satellite_id = s.id AND n.behind_since < 'infinity')
ORDER BY s.name_key DESC, s.id DESC
LIMIT @limit) found JOIN satellites s ON s.id = found.id
			JOIN satellite_versions v ON v.satellite_id = s.id AND v.number = s.latest_version
ORDER BY s.name_key DESC, s.id DESC
LIMIT @limit

-- by name: next page, descending, with a search and counted
SELECT count(*)::int AS count FROM (SELECT s.id, s.name, s.created_at, s.created_by, s.expires_at, s.updated_at, s.updated_by, s.revision,
			s.labels, s.latest_version, v.created_at AS version_created_at, v.created_by AS version_created_by,
			s.launch_count, s.launches_up, s.launches_degraded, s.launches_stale
FROM (SELECT s.id
FROM satellites s
WHERE (@only_id = '' OR s.id = nullif(@only_id, '')::uuid)
	AND s.name_key LIKE @pattern
	AND s.created_by = @created_by AND s.expires_at < @expires_before AND s.expires_at >= @expires_after AND EXISTS (SELECT FROM launch_index n WHERE n.satellite_id = s.id AND n.behind_since < 'infinity')
ORDER BY s.name_key DESC, s.id DESC
LIMIT @limit) found JOIN satellites s ON s.id = found.id
			JOIN satellite_versions v ON v.satellite_id = s.id AND v.number = s.latest_version
ORDER BY s.name_key DESC, s.id DESC
LIMIT @limit) every_page

