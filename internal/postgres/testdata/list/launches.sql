-- by created_at: first page
SELECT l.id, l.satellite_id, l.satellite_version, l.name, l.description, l.created_at, l.created_by,
			l.updated_at, l.updated_by, l.revision, l.labels, r.first_seen_at, r.last_seen_at, r.running_version,
			coalesce(r.system_version, '') AS system_version, coalesce(r.status, 'never_seen') AS status,
			coalesce(r.status_reason, '') AS status_reason, r.status_since, coalesce(r.ready, 0) AS ready,
			coalesce(r.wanted, 0) AS wanted, coalesce(r.interval_seconds, 0) AS report_seconds
FROM launches l LEFT JOIN launch_reports r ON r.launch_id = l.id
WHERE l.satellite_id = @satellite_id
ORDER BY l.created_at ASC, l.id ASC
LIMIT @limit

-- by created_at: search
SELECT l.id, l.satellite_id, l.satellite_version, l.name, l.description, l.created_at, l.created_by,
			l.updated_at, l.updated_by, l.revision, l.labels, r.first_seen_at, r.last_seen_at, r.running_version,
			coalesce(r.system_version, '') AS system_version, coalesce(r.status, 'never_seen') AS status,
			coalesce(r.status_reason, '') AS status_reason, r.status_since, coalesce(r.ready, 0) AS ready,
			coalesce(r.wanted, 0) AS wanted, coalesce(r.interval_seconds, 0) AS report_seconds
FROM launches l LEFT JOIN launch_reports r ON r.launch_id = l.id
WHERE l.satellite_id = @satellite_id
	AND l.name_key LIKE @pattern
ORDER BY l.created_at ASC, l.id ASC
LIMIT @limit

-- by created_at: search in two letters
SELECT l.id, l.satellite_id, l.satellite_version, l.name, l.description, l.created_at, l.created_by,
			l.updated_at, l.updated_by, l.revision, l.labels, r.first_seen_at, r.last_seen_at, r.running_version,
			coalesce(r.system_version, '') AS system_version, coalesce(r.status, 'never_seen') AS status,
			coalesce(r.status_reason, '') AS status_reason, r.status_since, coalesce(r.ready, 0) AS ready,
			coalesce(r.wanted, 0) AS wanted, coalesce(r.interval_seconds, 0) AS report_seconds
FROM launches l LEFT JOIN launch_reports r ON r.launch_id = l.id
WHERE l.satellite_id = @satellite_id
	AND l.name_key LIKE @pattern
ORDER BY l.created_at ASC, l.id ASC
LIMIT @limit

-- by created_at: next page
SELECT l.id, l.satellite_id, l.satellite_version, l.name, l.description, l.created_at, l.created_by,
			l.updated_at, l.updated_by, l.revision, l.labels, r.first_seen_at, r.last_seen_at, r.running_version,
			coalesce(r.system_version, '') AS system_version, coalesce(r.status, 'never_seen') AS status,
			coalesce(r.status_reason, '') AS status_reason, r.status_since, coalesce(r.ready, 0) AS ready,
			coalesce(r.wanted, 0) AS wanted, coalesce(r.interval_seconds, 0) AS report_seconds
FROM launches l LEFT JOIN launch_reports r ON r.launch_id = l.id
WHERE l.satellite_id = @satellite_id
	AND (l.created_at, l.id) > (@after_key::text::timestamptz, @after_id::text::uuid)
ORDER BY l.created_at ASC, l.id ASC
LIMIT @limit

-- by created_at: next page, descending, with a search and counted
SELECT l.id, l.satellite_id, l.satellite_version, l.name, l.description, l.created_at, l.created_by,
			l.updated_at, l.updated_by, l.revision, l.labels, r.first_seen_at, r.last_seen_at, r.running_version,
			coalesce(r.system_version, '') AS system_version, coalesce(r.status, 'never_seen') AS status,
			coalesce(r.status_reason, '') AS status_reason, r.status_since, coalesce(r.ready, 0) AS ready,
			coalesce(r.wanted, 0) AS wanted, coalesce(r.interval_seconds, 0) AS report_seconds
FROM launches l LEFT JOIN launch_reports r ON r.launch_id = l.id
WHERE l.satellite_id = @satellite_id
	AND l.name_key LIKE @pattern
	AND (l.created_at, l.id) < (@after_key::text::timestamptz, @after_id::text::uuid)
ORDER BY l.created_at DESC, l.id DESC
LIMIT @limit

-- by created_at: next page, descending, with a search and counted
SELECT count(*)::int AS count FROM (SELECT l.id, l.satellite_id, l.satellite_version, l.name, l.description, l.created_at, l.created_by,
			l.updated_at, l.updated_by, l.revision, l.labels, r.first_seen_at, r.last_seen_at, r.running_version,
			coalesce(r.system_version, '') AS system_version, coalesce(r.status, 'never_seen') AS status,
			coalesce(r.status_reason, '') AS status_reason, r.status_since, coalesce(r.ready, 0) AS ready,
			coalesce(r.wanted, 0) AS wanted, coalesce(r.interval_seconds, 0) AS report_seconds
FROM launches l LEFT JOIN launch_reports r ON r.launch_id = l.id
WHERE l.satellite_id = @satellite_id
	AND l.name_key LIKE @pattern
ORDER BY l.created_at DESC, l.id DESC
LIMIT @limit) every_page

-- by last_seen_at: first page
SELECT l.id, l.satellite_id, l.satellite_version, l.name, l.description, l.created_at, l.created_by,
			l.updated_at, l.updated_by, l.revision, l.labels, r.first_seen_at, r.last_seen_at, r.running_version,
			coalesce(r.system_version, '') AS system_version, coalesce(r.status, 'never_seen') AS status,
			coalesce(r.status_reason, '') AS status_reason, r.status_since, coalesce(r.ready, 0) AS ready,
			coalesce(r.wanted, 0) AS wanted, coalesce(r.interval_seconds, 0) AS report_seconds
FROM launches l LEFT JOIN launch_reports r ON r.launch_id = l.id
WHERE l.satellite_id = @satellite_id
ORDER BY coalesce(r.last_seen_at, '-infinity') ASC, l.id ASC
LIMIT @limit

-- by last_seen_at: search
SELECT l.id, l.satellite_id, l.satellite_version, l.name, l.description, l.created_at, l.created_by,
			l.updated_at, l.updated_by, l.revision, l.labels, r.first_seen_at, r.last_seen_at, r.running_version,
			coalesce(r.system_version, '') AS system_version, coalesce(r.status, 'never_seen') AS status,
			coalesce(r.status_reason, '') AS status_reason, r.status_since, coalesce(r.ready, 0) AS ready,
			coalesce(r.wanted, 0) AS wanted, coalesce(r.interval_seconds, 0) AS report_seconds
FROM launches l LEFT JOIN launch_reports r ON r.launch_id = l.id
WHERE l.satellite_id = @satellite_id
	AND l.name_key LIKE @pattern
ORDER BY coalesce(r.last_seen_at, '-infinity') ASC, l.id ASC
LIMIT @limit

-- by last_seen_at: search in two letters
SELECT l.id, l.satellite_id, l.satellite_version, l.name, l.description, l.created_at, l.created_by,
			l.updated_at, l.updated_by, l.revision, l.labels, r.first_seen_at, r.last_seen_at, r.running_version,
			coalesce(r.system_version, '') AS system_version, coalesce(r.status, 'never_seen') AS status,
			coalesce(r.status_reason, '') AS status_reason, r.status_since, coalesce(r.ready, 0) AS ready,
			coalesce(r.wanted, 0) AS wanted, coalesce(r.interval_seconds, 0) AS report_seconds
FROM launches l LEFT JOIN launch_reports r ON r.launch_id = l.id
WHERE l.satellite_id = @satellite_id
	AND l.name_key LIKE @pattern
ORDER BY coalesce(r.last_seen_at, '-infinity') ASC, l.id ASC
LIMIT @limit

-- by last_seen_at: next page
SELECT l.id, l.satellite_id, l.satellite_version, l.name, l.description, l.created_at, l.created_by,
			l.updated_at, l.updated_by, l.revision, l.labels, r.first_seen_at, r.last_seen_at, r.running_version,
			coalesce(r.system_version, '') AS system_version, coalesce(r.status, 'never_seen') AS status,
			coalesce(r.status_reason, '') AS status_reason, r.status_since, coalesce(r.ready, 0) AS ready,
			coalesce(r.wanted, 0) AS wanted, coalesce(r.interval_seconds, 0) AS report_seconds
FROM launches l LEFT JOIN launch_reports r ON r.launch_id = l.id
WHERE l.satellite_id = @satellite_id
	AND (coalesce(r.last_seen_at, '-infinity'), l.id) > (@after_key::text::timestamptz, @after_id::text::uuid)
ORDER BY coalesce(r.last_seen_at, '-infinity') ASC, l.id ASC
LIMIT @limit

-- by last_seen_at: next page, descending, with a search and counted
SELECT l.id, l.satellite_id, l.satellite_version, l.name, l.description, l.created_at, l.created_by,
			l.updated_at, l.updated_by, l.revision, l.labels, r.first_seen_at, r.last_seen_at, r.running_version,
			coalesce(r.system_version, '') AS system_version, coalesce(r.status, 'never_seen') AS status,
			coalesce(r.status_reason, '') AS status_reason, r.status_since, coalesce(r.ready, 0) AS ready,
			coalesce(r.wanted, 0) AS wanted, coalesce(r.interval_seconds, 0) AS report_seconds
FROM launches l LEFT JOIN launch_reports r ON r.launch_id = l.id
WHERE l.satellite_id = @satellite_id
	AND l.name_key LIKE @pattern
	AND (coalesce(r.last_seen_at, '-infinity'), l.id) < (@after_key::text::timestamptz, @after_id::text::uuid)
ORDER BY coalesce(r.last_seen_at, '-infinity') DESC, l.id DESC
LIMIT @limit

-- by last_seen_at: next page, descending, with a search and counted
SELECT count(*)::int AS count FROM (SELECT l.id, l.satellite_id, l.satellite_version, l.name, l.description, l.created_at, l.created_by,
			l.updated_at, l.updated_by, l.revision, l.labels, r.first_seen_at, r.last_seen_at, r.running_version,
			coalesce(r.system_version, '') AS system_version, coalesce(r.status, 'never_seen') AS status,
			coalesce(r.status_reason, '') AS status_reason, r.status_since, coalesce(r.ready, 0) AS ready,
			coalesce(r.wanted, 0) AS wanted, coalesce(r.interval_seconds, 0) AS report_seconds
FROM launches l LEFT JOIN launch_reports r ON r.launch_id = l.id
WHERE l.satellite_id = @satellite_id
	AND l.name_key LIKE @pattern
ORDER BY coalesce(r.last_seen_at, '-infinity') DESC, l.id DESC
LIMIT @limit) every_page

-- by name: first page
SELECT l.id, l.satellite_id, l.satellite_version, l.name, l.description, l.created_at, l.created_by,
			l.updated_at, l.updated_by, l.revision, l.labels, r.first_seen_at, r.last_seen_at, r.running_version,
			coalesce(r.system_version, '') AS system_version, coalesce(r.status, 'never_seen') AS status,
			coalesce(r.status_reason, '') AS status_reason, r.status_since, coalesce(r.ready, 0) AS ready,
			coalesce(r.wanted, 0) AS wanted, coalesce(r.interval_seconds, 0) AS report_seconds
FROM launches l LEFT JOIN launch_reports r ON r.launch_id = l.id
WHERE l.satellite_id = @satellite_id
ORDER BY l.name_key ASC, l.id ASC
LIMIT @limit

-- by name: search
SELECT l.id, l.satellite_id, l.satellite_version, l.name, l.description, l.created_at, l.created_by,
			l.updated_at, l.updated_by, l.revision, l.labels, r.first_seen_at, r.last_seen_at, r.running_version,
			coalesce(r.system_version, '') AS system_version, coalesce(r.status, 'never_seen') AS status,
			coalesce(r.status_reason, '') AS status_reason, r.status_since, coalesce(r.ready, 0) AS ready,
			coalesce(r.wanted, 0) AS wanted, coalesce(r.interval_seconds, 0) AS report_seconds
FROM launches l LEFT JOIN launch_reports r ON r.launch_id = l.id
WHERE l.satellite_id = @satellite_id
	AND l.name_key LIKE @pattern
ORDER BY l.name_key ASC, l.id ASC
LIMIT @limit

-- by name: search in two letters
SELECT l.id, l.satellite_id, l.satellite_version, l.name, l.description, l.created_at, l.created_by,
			l.updated_at, l.updated_by, l.revision, l.labels, r.first_seen_at, r.last_seen_at, r.running_version,
			coalesce(r.system_version, '') AS system_version, coalesce(r.status, 'never_seen') AS status,
			coalesce(r.status_reason, '') AS status_reason, r.status_since, coalesce(r.ready, 0) AS ready,
			coalesce(r.wanted, 0) AS wanted, coalesce(r.interval_seconds, 0) AS report_seconds
FROM launches l LEFT JOIN launch_reports r ON r.launch_id = l.id
WHERE l.satellite_id = @satellite_id
	AND l.name_key LIKE @pattern
ORDER BY l.name_key ASC, l.id ASC
LIMIT @limit

-- by name: next page
SELECT l.id, l.satellite_id, l.satellite_version, l.name, l.description, l.created_at, l.created_by,
			l.updated_at, l.updated_by, l.revision, l.labels, r.first_seen_at, r.last_seen_at, r.running_version,
			coalesce(r.system_version, '') AS system_version, coalesce(r.status, 'never_seen') AS status,
			coalesce(r.status_reason, '') AS status_reason, r.status_since, coalesce(r.ready, 0) AS ready,
			coalesce(r.wanted, 0) AS wanted, coalesce(r.interval_seconds, 0) AS report_seconds
FROM launches l LEFT JOIN launch_reports r ON r.launch_id = l.id
WHERE l.satellite_id = @satellite_id
	AND (l.name_key, l.id) > (@after_key::text::text, @after_id::text::uuid)
ORDER BY l.name_key ASC, l.id ASC
LIMIT @limit

-- by name: next page, descending, with a search and counted
SELECT l.id, l.satellite_id, l.satellite_version, l.name, l.description, l.created_at, l.created_by,
			l.updated_at, l.updated_by, l.revision, l.labels, r.first_seen_at, r.last_seen_at, r.running_version,
			coalesce(r.system_version, '') AS system_version, coalesce(r.status, 'never_seen') AS status,
			coalesce(r.status_reason, '') AS status_reason, r.status_since, coalesce(r.ready, 0) AS ready,
			coalesce(r.wanted, 0) AS wanted, coalesce(r.interval_seconds, 0) AS report_seconds
FROM launches l LEFT JOIN launch_reports r ON r.launch_id = l.id
WHERE l.satellite_id = @satellite_id
	AND l.name_key LIKE @pattern
	AND (l.name_key, l.id) < (@after_key::text::text, @after_id::text::uuid)
ORDER BY l.name_key DESC, l.id DESC
LIMIT @limit

-- by name: next page, descending, with a search and counted
SELECT count(*)::int AS count FROM (SELECT l.id, l.satellite_id, l.satellite_version, l.name, l.description, l.created_at, l.created_by,
			l.updated_at, l.updated_by, l.revision, l.labels, r.first_seen_at, r.last_seen_at, r.running_version,
			coalesce(r.system_version, '') AS system_version, coalesce(r.status, 'never_seen') AS status,
			coalesce(r.status_reason, '') AS status_reason, r.status_since, coalesce(r.ready, 0) AS ready,
			coalesce(r.wanted, 0) AS wanted, coalesce(r.interval_seconds, 0) AS report_seconds
FROM launches l LEFT JOIN launch_reports r ON r.launch_id = l.id
WHERE l.satellite_id = @satellite_id
	AND l.name_key LIKE @pattern
ORDER BY l.name_key DESC, l.id DESC
LIMIT @limit) every_page

-- by satellite_version: first page
SELECT l.id, l.satellite_id, l.satellite_version, l.name, l.description, l.created_at, l.created_by,
			l.updated_at, l.updated_by, l.revision, l.labels, r.first_seen_at, r.last_seen_at, r.running_version,
			coalesce(r.system_version, '') AS system_version, coalesce(r.status, 'never_seen') AS status,
			coalesce(r.status_reason, '') AS status_reason, r.status_since, coalesce(r.ready, 0) AS ready,
			coalesce(r.wanted, 0) AS wanted, coalesce(r.interval_seconds, 0) AS report_seconds
FROM launches l LEFT JOIN launch_reports r ON r.launch_id = l.id
WHERE l.satellite_id = @satellite_id
ORDER BY l.satellite_version ASC, l.id ASC
LIMIT @limit

-- by satellite_version: search
SELECT l.id, l.satellite_id, l.satellite_version, l.name, l.description, l.created_at, l.created_by,
			l.updated_at, l.updated_by, l.revision, l.labels, r.first_seen_at, r.last_seen_at, r.running_version,
			coalesce(r.system_version, '') AS system_version, coalesce(r.status, 'never_seen') AS status,
			coalesce(r.status_reason, '') AS status_reason, r.status_since, coalesce(r.ready, 0) AS ready,
			coalesce(r.wanted, 0) AS wanted, coalesce(r.interval_seconds, 0) AS report_seconds
FROM launches l LEFT JOIN launch_reports r ON r.launch_id = l.id
WHERE l.satellite_id = @satellite_id
	AND l.name_key LIKE @pattern
ORDER BY l.satellite_version ASC, l.id ASC
LIMIT @limit

-- by satellite_version: search in two letters
SELECT l.id, l.satellite_id, l.satellite_version, l.name, l.description, l.created_at, l.created_by,
			l.updated_at, l.updated_by, l.revision, l.labels, r.first_seen_at, r.last_seen_at, r.running_version,
			coalesce(r.system_version, '') AS system_version, coalesce(r.status, 'never_seen') AS status,
			coalesce(r.status_reason, '') AS status_reason, r.status_since, coalesce(r.ready, 0) AS ready,
			coalesce(r.wanted, 0) AS wanted, coalesce(r.interval_seconds, 0) AS report_seconds
FROM launches l LEFT JOIN launch_reports r ON r.launch_id = l.id
WHERE l.satellite_id = @satellite_id
	AND l.name_key LIKE @pattern
ORDER BY l.satellite_version ASC, l.id ASC
LIMIT @limit

-- by satellite_version: next page
SELECT l.id, l.satellite_id, l.satellite_version, l.name, l.description, l.created_at, l.created_by,
			l.updated_at, l.updated_by, l.revision, l.labels, r.first_seen_at, r.last_seen_at, r.running_version,
			coalesce(r.system_version, '') AS system_version, coalesce(r.status, 'never_seen') AS status,
			coalesce(r.status_reason, '') AS status_reason, r.status_since, coalesce(r.ready, 0) AS ready,
			coalesce(r.wanted, 0) AS wanted, coalesce(r.interval_seconds, 0) AS report_seconds
FROM launches l LEFT JOIN launch_reports r ON r.launch_id = l.id
WHERE l.satellite_id = @satellite_id
	AND (l.satellite_version, l.id) > (@after_key::text::bigint, @after_id::text::uuid)
ORDER BY l.satellite_version ASC, l.id ASC
LIMIT @limit

-- by satellite_version: next page, descending, with a search and counted
SELECT l.id, l.satellite_id, l.satellite_version, l.name, l.description, l.created_at, l.created_by,
			l.updated_at, l.updated_by, l.revision, l.labels, r.first_seen_at, r.last_seen_at, r.running_version,
			coalesce(r.system_version, '') AS system_version, coalesce(r.status, 'never_seen') AS status,
			coalesce(r.status_reason, '') AS status_reason, r.status_since, coalesce(r.ready, 0) AS ready,
			coalesce(r.wanted, 0) AS wanted, coalesce(r.interval_seconds, 0) AS report_seconds
FROM launches l LEFT JOIN launch_reports r ON r.launch_id = l.id
WHERE l.satellite_id = @satellite_id
	AND l.name_key LIKE @pattern
	AND (l.satellite_version, l.id) < (@after_key::text::bigint, @after_id::text::uuid)
ORDER BY l.satellite_version DESC, l.id DESC
LIMIT @limit

-- by satellite_version: next page, descending, with a search and counted
SELECT count(*)::int AS count FROM (SELECT l.id, l.satellite_id, l.satellite_version, l.name, l.description, l.created_at, l.created_by,
			l.updated_at, l.updated_by, l.revision, l.labels, r.first_seen_at, r.last_seen_at, r.running_version,
			coalesce(r.system_version, '') AS system_version, coalesce(r.status, 'never_seen') AS status,
			coalesce(r.status_reason, '') AS status_reason, r.status_since, coalesce(r.ready, 0) AS ready,
			coalesce(r.wanted, 0) AS wanted, coalesce(r.interval_seconds, 0) AS report_seconds
FROM launches l LEFT JOIN launch_reports r ON r.launch_id = l.id
WHERE l.satellite_id = @satellite_id
	AND l.name_key LIKE @pattern
ORDER BY l.satellite_version DESC, l.id DESC
LIMIT @limit) every_page

