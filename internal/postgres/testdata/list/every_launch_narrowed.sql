-- by behind_since: first page
begin

-- by behind_since: first page
SELECT set_config('enable_seqscan', 'off', true), set_config('jit', 'off', true)

-- by behind_since: first page
SELECT l.id, l.satellite_id, l.satellite_version, l.name, l.description, l.created_at, l.created_by,
			l.updated_at, l.updated_by, l.revision, l.labels, r.first_seen_at, r.last_seen_at, r.running_version,
			coalesce(r.system_version, '') AS system_version, coalesce(r.status, 'never_seen') AS status,
			coalesce(r.status_reason, '') AS status_reason, r.status_since, coalesce(r.ready, 0) AS ready,
			coalesce(r.wanted, 0) AS wanted, coalesce(r.interval_seconds, 0) AS report_seconds,
			s.name AS satellite_name, s.latest_version, s.expires_at, n.health, nullif(n.behind_since, 'infinity') AS behind_since,
			CASE n.health WHEN 1 THEN n.seen_at END AS silent_since, 0::bigint AS calls, 0::bigint AS errors
FROM (
		WITH first AS MATERIALIZED (SELECT n.launch_id
FROM (SELECT n.*
FROM ((SELECT n.*
FROM launch_index n
WHERE n.health = 0
	AND n.behind_since <= @behind_by
ORDER BY n.behind_since ASC, n.launch_id ASC
LIMIT @near)
UNION ALL
(SELECT n.*
FROM launch_index n
WHERE n.health = 1
	AND n.behind_since <= @behind_by
ORDER BY n.behind_since ASC, n.launch_id ASC
LIMIT @near)) n
ORDER BY n.behind_since ASC, n.launch_id ASC
LIMIT @near) n
WHERE n.behind_since <= @behind_by
	AND n.satellite_id = @of_satellite
	AND EXISTS (SELECT FROM launches l WHERE l.id = n.launch_id AND l.created_by = @created_by AND l.label_terms && @label_terms_0::text[] AND l.label_terms <> '{}' OFFSET 0)
	AND EXISTS (SELECT FROM satellites s WHERE s.id = n.satellite_id AND s.expires_at < @expires_before AND s.expires_at >= @expires_after OFFSET 0)
	AND EXISTS (SELECT FROM satellite_uses x JOIN algorithm_versions v ON v.id = x.algorithm_version_id
			JOIN algorithms a ON a.id = v.algorithm_id JOIN owners o ON o.id = a.owner_id
			WHERE o.name_key = @owner AND a.id = @algorithm_id AND (@version_id = '' OR v.id = nullif(@version_id, '')::uuid) AND x.satellite_id = n.satellite_id AND x.number = n.wanted OFFSET 0)
ORDER BY n.behind_since ASC, n.launch_id ASC
LIMIT @limit)
		SELECT launch_id FROM first WHERE (SELECT count(*) FROM first) = @limit
		UNION ALL
		(SELECT n.launch_id
FROM launch_index n JOIN launches l ON l.id = n.launch_id JOIN satellites s ON s.id = n.satellite_id
WHERE n.health = ANY (@healths::smallint[]) AND n.behind_since <= @behind_by AND l.created_by = @created_by AND l.label_terms && @label_terms_0::text[] AND l.label_terms <> '{}' AND l.satellite_id = @of_satellite AND s.expires_at < @expires_before AND s.expires_at >= @expires_after AND (l.satellite_id, l.satellite_version) IN (SELECT x.satellite_id, x.number FROM satellite_uses x JOIN algorithm_versions v ON v.id = x.algorithm_version_id
			JOIN algorithms a ON a.id = v.algorithm_id JOIN owners o ON o.id = a.owner_id
			WHERE o.name_key = @owner AND a.id = @algorithm_id AND (@version_id = '' OR v.id = nullif(@version_id, '')::uuid))
	AND (SELECT count(*) FROM first) < @limit
ORDER BY n.behind_since ASC, n.launch_id ASC
LIMIT @limit)) found JOIN launch_index n ON n.launch_id = found.launch_id
			JOIN launches l ON l.id = n.launch_id JOIN satellites s ON s.id = n.satellite_id LEFT JOIN launch_reports r ON r.launch_id = n.launch_id
ORDER BY n.behind_since ASC, n.launch_id ASC
LIMIT @limit

-- by behind_since: first page
commit

-- by behind_since: search
begin

-- by behind_since: search
SELECT set_config('enable_seqscan', 'off', true), set_config('jit', 'off', true)

-- by behind_since: search
SELECT l.id, l.satellite_id, l.satellite_version, l.name, l.description, l.created_at, l.created_by,
			l.updated_at, l.updated_by, l.revision, l.labels, r.first_seen_at, r.last_seen_at, r.running_version,
			coalesce(r.system_version, '') AS system_version, coalesce(r.status, 'never_seen') AS status,
			coalesce(r.status_reason, '') AS status_reason, r.status_since, coalesce(r.ready, 0) AS ready,
			coalesce(r.wanted, 0) AS wanted, coalesce(r.interval_seconds, 0) AS report_seconds,
			s.name AS satellite_name, s.latest_version, s.expires_at, n.health, nullif(n.behind_since, 'infinity') AS behind_since,
			CASE n.health WHEN 1 THEN n.seen_at END AS silent_since, 0::bigint AS calls, 0::bigint AS errors
FROM (
		WITH first AS MATERIALIZED (SELECT n.launch_id
FROM (SELECT n.*
FROM ((SELECT n.*
FROM launch_index n
WHERE n.health = 0
	AND n.behind_since <= @behind_by
ORDER BY n.behind_since ASC, n.launch_id ASC
LIMIT @near)
UNION ALL
(SELECT n.*
FROM launch_index n
WHERE n.health = 1
	AND n.behind_since <= @behind_by
ORDER BY n.behind_since ASC, n.launch_id ASC
LIMIT @near)) n
ORDER BY n.behind_since ASC, n.launch_id ASC
LIMIT @near) n
WHERE n.behind_since <= @behind_by
	AND n.satellite_id = @of_satellite
	AND EXISTS (SELECT FROM launches l WHERE l.id = n.launch_id AND l.created_by = @created_by AND l.label_terms && @label_terms_0::text[] AND l.label_terms <> '{}' AND l.name_key LIKE @pattern OFFSET 0)
	AND EXISTS (SELECT FROM satellites s WHERE s.id = n.satellite_id AND s.expires_at < @expires_before AND s.expires_at >= @expires_after OFFSET 0)
	AND EXISTS (SELECT FROM satellite_uses x JOIN algorithm_versions v ON v.id = x.algorithm_version_id
			JOIN algorithms a ON a.id = v.algorithm_id JOIN owners o ON o.id = a.owner_id
			WHERE o.name_key = @owner AND a.id = @algorithm_id AND (@version_id = '' OR v.id = nullif(@version_id, '')::uuid) AND x.satellite_id = n.satellite_id AND x.number = n.wanted OFFSET 0)
ORDER BY n.behind_since ASC, n.launch_id ASC
LIMIT @limit)
		SELECT launch_id FROM first WHERE (SELECT count(*) FROM first) = @limit
		UNION ALL
		(SELECT n.launch_id
FROM launch_index n JOIN launches l ON l.id = n.launch_id JOIN satellites s ON s.id = n.satellite_id
WHERE n.health = ANY (@healths::smallint[]) AND n.behind_since <= @behind_by AND l.created_by = @created_by AND l.label_terms && @label_terms_0::text[] AND l.label_terms <> '{}' AND l.satellite_id = @of_satellite AND s.expires_at < @expires_before AND s.expires_at >= @expires_after AND (l.satellite_id, l.satellite_version) IN (SELECT x.satellite_id, x.number FROM satellite_uses x JOIN algorithm_versions v ON v.id = x.algorithm_version_id
			JOIN algorithms a ON a.id = v.algorithm_id JOIN owners o ON o.id = a.owner_id
			WHERE o.name_key = @owner AND a.id = @algorithm_id AND (@version_id = '' OR v.id = nullif(@version_id, '')::uuid))
	AND l.name_key LIKE @pattern
	AND (SELECT count(*) FROM first) < @limit
ORDER BY n.behind_since ASC, n.launch_id ASC
LIMIT @limit)) found JOIN launch_index n ON n.launch_id = found.launch_id
			JOIN launches l ON l.id = n.launch_id JOIN satellites s ON s.id = n.satellite_id LEFT JOIN launch_reports r ON r.launch_id = n.launch_id
ORDER BY n.behind_since ASC, n.launch_id ASC
LIMIT @limit

-- by behind_since: search
commit

-- by behind_since: search in two letters
begin

-- by behind_since: search in two letters
SELECT set_config('enable_seqscan', 'off', true), set_config('jit', 'off', true)

-- by behind_since: search in two letters
SELECT l.id, l.satellite_id, l.satellite_version, l.name, l.description, l.created_at, l.created_by,
			l.updated_at, l.updated_by, l.revision, l.labels, r.first_seen_at, r.last_seen_at, r.running_version,
			coalesce(r.system_version, '') AS system_version, coalesce(r.status, 'never_seen') AS status,
			coalesce(r.status_reason, '') AS status_reason, r.status_since, coalesce(r.ready, 0) AS ready,
			coalesce(r.wanted, 0) AS wanted, coalesce(r.interval_seconds, 0) AS report_seconds,
			s.name AS satellite_name, s.latest_version, s.expires_at, n.health, nullif(n.behind_since, 'infinity') AS behind_since,
			CASE n.health WHEN 1 THEN n.seen_at END AS silent_since, 0::bigint AS calls, 0::bigint AS errors
FROM (
		WITH first AS MATERIALIZED (SELECT n.launch_id
FROM (SELECT n.*
FROM ((SELECT n.*
FROM launch_index n
WHERE n.health = 0
	AND n.behind_since <= @behind_by
ORDER BY n.behind_since ASC, n.launch_id ASC
LIMIT @near)
UNION ALL
(SELECT n.*
FROM launch_index n
WHERE n.health = 1
	AND n.behind_since <= @behind_by
ORDER BY n.behind_since ASC, n.launch_id ASC
LIMIT @near)) n
ORDER BY n.behind_since ASC, n.launch_id ASC
LIMIT @near) n
WHERE n.behind_since <= @behind_by
	AND n.satellite_id = @of_satellite
	AND EXISTS (SELECT FROM launches l WHERE l.id = n.launch_id AND l.created_by = @created_by AND l.label_terms && @label_terms_0::text[] AND l.label_terms <> '{}' AND l.name_key LIKE @pattern OFFSET 0)
	AND EXISTS (SELECT FROM satellites s WHERE s.id = n.satellite_id AND s.expires_at < @expires_before AND s.expires_at >= @expires_after OFFSET 0)
	AND EXISTS (SELECT FROM satellite_uses x JOIN algorithm_versions v ON v.id = x.algorithm_version_id
			JOIN algorithms a ON a.id = v.algorithm_id JOIN owners o ON o.id = a.owner_id
			WHERE o.name_key = @owner AND a.id = @algorithm_id AND (@version_id = '' OR v.id = nullif(@version_id, '')::uuid) AND x.satellite_id = n.satellite_id AND x.number = n.wanted OFFSET 0)
ORDER BY n.behind_since ASC, n.launch_id ASC
LIMIT @limit)
		SELECT launch_id FROM first WHERE (SELECT count(*) FROM first) = @limit
		UNION ALL
		(SELECT n.launch_id
FROM launch_index n JOIN launches l ON l.id = n.launch_id JOIN satellites s ON s.id = n.satellite_id
WHERE n.health = ANY (@healths::smallint[]) AND n.behind_since <= @behind_by AND l.created_by = @created_by AND l.label_terms && @label_terms_0::text[] AND l.label_terms <> '{}' AND l.satellite_id = @of_satellite AND s.expires_at < @expires_before AND s.expires_at >= @expires_after AND (l.satellite_id, l.satellite_version) IN (SELECT x.satellite_id, x.number FROM satellite_uses x JOIN algorithm_versions v ON v.id = x.algorithm_version_id
			JOIN algorithms a ON a.id = v.algorithm_id JOIN owners o ON o.id = a.owner_id
			WHERE o.name_key = @owner AND a.id = @algorithm_id AND (@version_id = '' OR v.id = nullif(@version_id, '')::uuid))
	AND l.name_key LIKE @pattern
	AND (SELECT count(*) FROM first) < @limit
ORDER BY n.behind_since ASC, n.launch_id ASC
LIMIT @limit)) found JOIN launch_index n ON n.launch_id = found.launch_id
			JOIN launches l ON l.id = n.launch_id JOIN satellites s ON s.id = n.satellite_id LEFT JOIN launch_reports r ON r.launch_id = n.launch_id
ORDER BY n.behind_since ASC, n.launch_id ASC
LIMIT @limit

-- by behind_since: search in two letters
commit

-- by behind_since: next page
begin

-- by behind_since: next page
SELECT set_config('enable_seqscan', 'off', true), set_config('jit', 'off', true)

-- by behind_since: next page
SELECT l.id, l.satellite_id, l.satellite_version, l.name, l.description, l.created_at, l.created_by,
			l.updated_at, l.updated_by, l.revision, l.labels, r.first_seen_at, r.last_seen_at, r.running_version,
			coalesce(r.system_version, '') AS system_version, coalesce(r.status, 'never_seen') AS status,
			coalesce(r.status_reason, '') AS status_reason, r.status_since, coalesce(r.ready, 0) AS ready,
			coalesce(r.wanted, 0) AS wanted, coalesce(r.interval_seconds, 0) AS report_seconds,
			s.name AS satellite_name, s.latest_version, s.expires_at, n.health, nullif(n.behind_since, 'infinity') AS behind_since,
			CASE n.health WHEN 1 THEN n.seen_at END AS silent_since, 0::bigint AS calls, 0::bigint AS errors
FROM (
		WITH first AS MATERIALIZED (SELECT n.launch_id
FROM (SELECT n.*
FROM ((SELECT n.*
FROM launch_index n
WHERE n.health = 0
	AND (n.behind_since, n.launch_id) > (@after_key::text::timestamptz, @after_id::text::uuid)
	AND n.behind_since <= @behind_by
ORDER BY n.behind_since ASC, n.launch_id ASC
LIMIT @near)
UNION ALL
(SELECT n.*
FROM launch_index n
WHERE n.health = 1
	AND (n.behind_since, n.launch_id) > (@after_key::text::timestamptz, @after_id::text::uuid)
	AND n.behind_since <= @behind_by
ORDER BY n.behind_since ASC, n.launch_id ASC
LIMIT @near)) n
ORDER BY n.behind_since ASC, n.launch_id ASC
LIMIT @near) n
WHERE n.behind_since <= @behind_by
	AND n.satellite_id = @of_satellite
	AND EXISTS (SELECT FROM launches l WHERE l.id = n.launch_id AND l.created_by = @created_by AND l.label_terms && @label_terms_0::text[] AND l.label_terms <> '{}' OFFSET 0)
	AND EXISTS (SELECT FROM satellites s WHERE s.id = n.satellite_id AND s.expires_at < @expires_before AND s.expires_at >= @expires_after OFFSET 0)
	AND EXISTS (SELECT FROM satellite_uses x JOIN algorithm_versions v ON v.id = x.algorithm_version_id
			JOIN algorithms a ON a.id = v.algorithm_id JOIN owners o ON o.id = a.owner_id
			WHERE o.name_key = @owner AND a.id = @algorithm_id AND (@version_id = '' OR v.id = nullif(@version_id, '')::uuid) AND x.satellite_id = n.satellite_id AND x.number = n.wanted OFFSET 0)
ORDER BY n.behind_since ASC, n.launch_id ASC
LIMIT @limit)
		SELECT launch_id FROM first WHERE (SELECT count(*) FROM first) = @limit
		UNION ALL
		(SELECT n.launch_id
FROM launch_index n JOIN launches l ON l.id = n.launch_id JOIN satellites s ON s.id = n.satellite_id
WHERE n.health = ANY (@healths::smallint[]) AND n.behind_since <= @behind_by AND l.created_by = @created_by AND l.label_terms && @label_terms_0::text[] AND l.label_terms <> '{}' AND l.satellite_id = @of_satellite AND s.expires_at < @expires_before AND s.expires_at >= @expires_after AND (l.satellite_id, l.satellite_version) IN (SELECT x.satellite_id, x.number FROM satellite_uses x JOIN algorithm_versions v ON v.id = x.algorithm_version_id
			JOIN algorithms a ON a.id = v.algorithm_id JOIN owners o ON o.id = a.owner_id
			WHERE o.name_key = @owner AND a.id = @algorithm_id AND (@version_id = '' OR v.id = nullif(@version_id, '')::uuid))
	AND (n.behind_since, n.launch_id) > (@after_key::text::timestamptz, @after_id::text::uuid)
	AND (SELECT count(*) FROM first) < @limit
ORDER BY n.behind_since ASC, n.launch_id ASC
LIMIT @limit)) found JOIN launch_index n ON n.launch_id = found.launch_id
			JOIN launches l ON l.id = n.launch_id JOIN satellites s ON s.id = n.satellite_id LEFT JOIN launch_reports r ON r.launch_id = n.launch_id
ORDER BY n.behind_since ASC, n.launch_id ASC
LIMIT @limit

-- by behind_since: next page
commit

-- by behind_since: next page, descending, with a search and counted
begin

-- by behind_since: next page, descending, with a search and counted
SELECT set_config('enable_seqscan', 'off', true), set_config('jit', 'off', true)

-- by behind_since: next page, descending, with a search and counted
SELECT l.id, l.satellite_id, l.satellite_version, l.name, l.description, l.created_at, l.created_by,
			l.updated_at, l.updated_by, l.revision, l.labels, r.first_seen_at, r.last_seen_at, r.running_version,
			coalesce(r.system_version, '') AS system_version, coalesce(r.status, 'never_seen') AS status,
			coalesce(r.status_reason, '') AS status_reason, r.status_since, coalesce(r.ready, 0) AS ready,
			coalesce(r.wanted, 0) AS wanted, coalesce(r.interval_seconds, 0) AS report_seconds,
			s.name AS satellite_name, s.latest_version, s.expires_at, n.health, nullif(n.behind_since, 'infinity') AS behind_since,
			CASE n.health WHEN 1 THEN n.seen_at END AS silent_since, 0::bigint AS calls, 0::bigint AS errors
FROM (
		WITH first AS MATERIALIZED (SELECT n.launch_id
FROM (SELECT n.*
FROM ((SELECT n.*
FROM launch_index n
WHERE n.health = 0
	AND (n.behind_since, n.launch_id) < (@after_key::text::timestamptz, @after_id::text::uuid)
	AND n.behind_since <= @behind_by
ORDER BY n.behind_since DESC, n.launch_id DESC
LIMIT @near)
UNION ALL
(SELECT n.*
FROM launch_index n
WHERE n.health = 1
	AND (n.behind_since, n.launch_id) < (@after_key::text::timestamptz, @after_id::text::uuid)
	AND n.behind_since <= @behind_by
ORDER BY n.behind_since DESC, n.launch_id DESC
LIMIT @near)) n
ORDER BY n.behind_since DESC, n.launch_id DESC
LIMIT @near) n
WHERE n.behind_since <= @behind_by
	AND n.satellite_id = @of_satellite
	AND EXISTS (SELECT FROM launches l WHERE l.id = n.launch_id AND l.created_by = @created_by AND l.label_terms && @label_terms_0::text[] AND l.label_terms <> '{}' AND l.name_key LIKE @pattern OFFSET 0)
	AND EXISTS (SELECT FROM satellites s WHERE s.id = n.satellite_id AND s.expires_at < @expires_before AND s.expires_at >= @expires_after OFFSET 0)
	AND EXISTS (SELECT FROM satellite_uses x JOIN algorithm_versions v ON v.id = x.algorithm_version_id
			JOIN algorithms a ON a.id = v.algorithm_id JOIN owners o ON o.id = a.owner_id
			WHERE o.name_key = @owner AND a.id = @algorithm_id AND (@version_id = '' OR v.id = nullif(@version_id, '')::uuid) AND x.satellite_id = n.satellite_id AND x.number = n.wanted OFFSET 0)
ORDER BY n.behind_since DESC, n.launch_id DESC
LIMIT @limit)
		SELECT launch_id FROM first WHERE (SELECT count(*) FROM first) = @limit
		UNION ALL
		(SELECT n.launch_id
FROM launch_index n JOIN launches l ON l.id = n.launch_id JOIN satellites s ON s.id = n.satellite_id
WHERE n.health = ANY (@healths::smallint[]) AND n.behind_since <= @behind_by AND l.created_by = @created_by AND l.label_terms && @label_terms_0::text[] AND l.label_terms <> '{}' AND l.satellite_id = @of_satellite AND s.expires_at < @expires_before AND s.expires_at >= @expires_after AND (l.satellite_id, l.satellite_version) IN (SELECT x.satellite_id, x.number FROM satellite_uses x JOIN algorithm_versions v ON v.id = x.algorithm_version_id
			JOIN algorithms a ON a.id = v.algorithm_id JOIN owners o ON o.id = a.owner_id
			WHERE o.name_key = @owner AND a.id = @algorithm_id AND (@version_id = '' OR v.id = nullif(@version_id, '')::uuid))
	AND l.name_key LIKE @pattern
	AND (n.behind_since, n.launch_id) < (@after_key::text::timestamptz, @after_id::text::uuid)
	AND (SELECT count(*) FROM first) < @limit
ORDER BY n.behind_since DESC, n.launch_id DESC
LIMIT @limit)) found JOIN launch_index n ON n.launch_id = found.launch_id
			JOIN launches l ON l.id = n.launch_id JOIN satellites s ON s.id = n.satellite_id LEFT JOIN launch_reports r ON r.launch_id = n.launch_id
ORDER BY n.behind_since DESC, n.launch_id DESC
LIMIT @limit

-- by behind_since: next page, descending, with a search and counted
SELECT count(*)::int AS count FROM (SELECT n.launch_id
FROM launch_index n JOIN launches l ON l.id = n.launch_id JOIN satellites s ON s.id = n.satellite_id
WHERE n.health = ANY (@healths::smallint[]) AND n.behind_since <= @behind_by AND l.created_by = @created_by AND l.label_terms && @label_terms_0::text[] AND l.label_terms <> '{}' AND l.satellite_id = @of_satellite AND s.expires_at < @expires_before AND s.expires_at >= @expires_after AND (l.satellite_id, l.satellite_version) IN (SELECT x.satellite_id, x.number FROM satellite_uses x JOIN algorithm_versions v ON v.id = x.algorithm_version_id
			JOIN algorithms a ON a.id = v.algorithm_id JOIN owners o ON o.id = a.owner_id
			WHERE o.name_key = @owner AND a.id = @algorithm_id AND (@version_id = '' OR v.id = nullif(@version_id, '')::uuid))
	AND l.name_key LIKE @pattern
LIMIT @limit) every_page

-- by behind_since: next page, descending, with a search and counted
commit

-- by name: first page
begin

-- by name: first page
SELECT set_config('enable_seqscan', 'off', true), set_config('jit', 'off', true)

-- by name: first page
SELECT l.id, l.satellite_id, l.satellite_version, l.name, l.description, l.created_at, l.created_by,
			l.updated_at, l.updated_by, l.revision, l.labels, r.first_seen_at, r.last_seen_at, r.running_version,
			coalesce(r.system_version, '') AS system_version, coalesce(r.status, 'never_seen') AS status,
			coalesce(r.status_reason, '') AS status_reason, r.status_since, coalesce(r.ready, 0) AS ready,
			coalesce(r.wanted, 0) AS wanted, coalesce(r.interval_seconds, 0) AS report_seconds,
			s.name AS satellite_name, s.latest_version, s.expires_at, n.health, nullif(n.behind_since, 'infinity') AS behind_since,
			CASE n.health WHEN 1 THEN n.seen_at END AS silent_since, 0::bigint AS calls, 0::bigint AS errors
FROM (
		WITH first AS MATERIALIZED (SELECT n.launch_id
FROM (SELECT n.*
FROM ((SELECT n.*
FROM launch_index n
WHERE n.health = 0
ORDER BY n.name_key ASC, n.launch_id ASC
LIMIT @near)
UNION ALL
(SELECT n.*
FROM launch_index n
WHERE n.health = 1
ORDER BY n.name_key ASC, n.launch_id ASC
LIMIT @near)) n
ORDER BY n.name_key ASC, n.launch_id ASC
LIMIT @near) n
WHERE n.behind_since <= @behind_by
	AND n.satellite_id = @of_satellite
	AND EXISTS (SELECT FROM launches l WHERE l.id = n.launch_id AND l.created_by = @created_by AND l.label_terms && @label_terms_0::text[] AND l.label_terms <> '{}' OFFSET 0)
	AND EXISTS (SELECT FROM satellites s WHERE s.id = n.satellite_id AND s.expires_at < @expires_before AND s.expires_at >= @expires_after OFFSET 0)
	AND EXISTS (SELECT FROM satellite_uses x JOIN algorithm_versions v ON v.id = x.algorithm_version_id
			JOIN algorithms a ON a.id = v.algorithm_id JOIN owners o ON o.id = a.owner_id
			WHERE o.name_key = @owner AND a.id = @algorithm_id AND (@version_id = '' OR v.id = nullif(@version_id, '')::uuid) AND x.satellite_id = n.satellite_id AND x.number = n.wanted OFFSET 0)
ORDER BY n.name_key ASC, n.launch_id ASC
LIMIT @limit)
		SELECT launch_id FROM first WHERE (SELECT count(*) FROM first) = @limit
		UNION ALL
		(SELECT n.launch_id
FROM launch_index n JOIN launches l ON l.id = n.launch_id JOIN satellites s ON s.id = n.satellite_id
WHERE n.health = ANY (@healths::smallint[]) AND n.behind_since <= @behind_by AND l.created_by = @created_by AND l.label_terms && @label_terms_0::text[] AND l.label_terms <> '{}' AND l.satellite_id = @of_satellite AND s.expires_at < @expires_before AND s.expires_at >= @expires_after AND (l.satellite_id, l.satellite_version) IN (SELECT x.satellite_id, x.number FROM satellite_uses x JOIN algorithm_versions v ON v.id = x.algorithm_version_id
			JOIN algorithms a ON a.id = v.algorithm_id JOIN owners o ON o.id = a.owner_id
			WHERE o.name_key = @owner AND a.id = @algorithm_id AND (@version_id = '' OR v.id = nullif(@version_id, '')::uuid))
	AND (SELECT count(*) FROM first) < @limit
ORDER BY n.name_key ASC, n.launch_id ASC
LIMIT @limit)) found JOIN launch_index n ON n.launch_id = found.launch_id
			JOIN launches l ON l.id = n.launch_id JOIN satellites s ON s.id = n.satellite_id LEFT JOIN launch_reports r ON r.launch_id = n.launch_id
ORDER BY n.name_key ASC, n.launch_id ASC
LIMIT @limit

-- by name: first page
commit

-- by name: search
begin

-- by name: search
SELECT set_config('enable_seqscan', 'off', true), set_config('jit', 'off', true)

-- by name: search
SELECT l.id, l.satellite_id, l.satellite_version, l.name, l.description, l.created_at, l.created_by,
			l.updated_at, l.updated_by, l.revision, l.labels, r.first_seen_at, r.last_seen_at, r.running_version,
			coalesce(r.system_version, '') AS system_version, coalesce(r.status, 'never_seen') AS status,
			coalesce(r.status_reason, '') AS status_reason, r.status_since, coalesce(r.ready, 0) AS ready,
			coalesce(r.wanted, 0) AS wanted, coalesce(r.interval_seconds, 0) AS report_seconds,
			s.name AS satellite_name, s.latest_version, s.expires_at, n.health, nullif(n.behind_since, 'infinity') AS behind_since,
			CASE n.health WHEN 1 THEN n.seen_at END AS silent_since, 0::bigint AS calls, 0::bigint AS errors
FROM (
		WITH first AS MATERIALIZED (SELECT n.launch_id
FROM (SELECT n.*
FROM ((SELECT n.*
FROM launch_index n
WHERE n.health = 0
ORDER BY n.name_key ASC, n.launch_id ASC
LIMIT @near)
UNION ALL
(SELECT n.*
FROM launch_index n
WHERE n.health = 1
ORDER BY n.name_key ASC, n.launch_id ASC
LIMIT @near)) n
ORDER BY n.name_key ASC, n.launch_id ASC
LIMIT @near) n
WHERE n.behind_since <= @behind_by
	AND n.satellite_id = @of_satellite
	AND EXISTS (SELECT FROM launches l WHERE l.id = n.launch_id AND l.created_by = @created_by AND l.label_terms && @label_terms_0::text[] AND l.label_terms <> '{}' AND l.name_key LIKE @pattern OFFSET 0)
	AND EXISTS (SELECT FROM satellites s WHERE s.id = n.satellite_id AND s.expires_at < @expires_before AND s.expires_at >= @expires_after OFFSET 0)
	AND EXISTS (SELECT FROM satellite_uses x JOIN algorithm_versions v ON v.id = x.algorithm_version_id
			JOIN algorithms a ON a.id = v.algorithm_id JOIN owners o ON o.id = a.owner_id
			WHERE o.name_key = @owner AND a.id = @algorithm_id AND (@version_id = '' OR v.id = nullif(@version_id, '')::uuid) AND x.satellite_id = n.satellite_id AND x.number = n.wanted OFFSET 0)
ORDER BY n.name_key ASC, n.launch_id ASC
LIMIT @limit)
		SELECT launch_id FROM first WHERE (SELECT count(*) FROM first) = @limit
		UNION ALL
		(SELECT n.launch_id
FROM launch_index n JOIN launches l ON l.id = n.launch_id JOIN satellites s ON s.id = n.satellite_id
WHERE n.health = ANY (@healths::smallint[]) AND n.behind_since <= @behind_by AND l.created_by = @created_by AND l.label_terms && @label_terms_0::text[] AND l.label_terms <> '{}' AND l.satellite_id = @of_satellite AND s.expires_at < @expires_before AND s.expires_at >= @expires_after AND (l.satellite_id, l.satellite_version) IN (SELECT x.satellite_id, x.number FROM satellite_uses x JOIN algorithm_versions v ON v.id = x.algorithm_version_id
			JOIN algorithms a ON a.id = v.algorithm_id JOIN owners o ON o.id = a.owner_id
			WHERE o.name_key = @owner AND a.id = @algorithm_id AND (@version_id = '' OR v.id = nullif(@version_id, '')::uuid))
	AND l.name_key LIKE @pattern
	AND (SELECT count(*) FROM first) < @limit
ORDER BY n.name_key ASC, n.launch_id ASC
LIMIT @limit)) found JOIN launch_index n ON n.launch_id = found.launch_id
			JOIN launches l ON l.id = n.launch_id JOIN satellites s ON s.id = n.satellite_id LEFT JOIN launch_reports r ON r.launch_id = n.launch_id
ORDER BY n.name_key ASC, n.launch_id ASC
LIMIT @limit

-- by name: search
commit

-- by name: search in two letters
begin

-- by name: search in two letters
SELECT set_config('enable_seqscan', 'off', true), set_config('jit', 'off', true)

-- by name: search in two letters
SELECT l.id, l.satellite_id, l.satellite_version, l.name, l.description, l.created_at, l.created_by,
			l.updated_at, l.updated_by, l.revision, l.labels, r.first_seen_at, r.last_seen_at, r.running_version,
			coalesce(r.system_version, '') AS system_version, coalesce(r.status, 'never_seen') AS status,
			coalesce(r.status_reason, '') AS status_reason, r.status_since, coalesce(r.ready, 0) AS ready,
			coalesce(r.wanted, 0) AS wanted, coalesce(r.interval_seconds, 0) AS report_seconds,
			s.name AS satellite_name, s.latest_version, s.expires_at, n.health, nullif(n.behind_since, 'infinity') AS behind_since,
			CASE n.health WHEN 1 THEN n.seen_at END AS silent_since, 0::bigint AS calls, 0::bigint AS errors
FROM (
		WITH first AS MATERIALIZED (SELECT n.launch_id
FROM (SELECT n.*
FROM ((SELECT n.*
FROM launch_index n
WHERE n.health = 0
ORDER BY n.name_key ASC, n.launch_id ASC
LIMIT @near)
UNION ALL
(SELECT n.*
FROM launch_index n
WHERE n.health = 1
ORDER BY n.name_key ASC, n.launch_id ASC
LIMIT @near)) n
ORDER BY n.name_key ASC, n.launch_id ASC
LIMIT @near) n
WHERE n.behind_since <= @behind_by
	AND n.satellite_id = @of_satellite
	AND EXISTS (SELECT FROM launches l WHERE l.id = n.launch_id AND l.created_by = @created_by AND l.label_terms && @label_terms_0::text[] AND l.label_terms <> '{}' AND l.name_key LIKE @pattern OFFSET 0)
	AND EXISTS (SELECT FROM satellites s WHERE s.id = n.satellite_id AND s.expires_at < @expires_before AND s.expires_at >= @expires_after OFFSET 0)
	AND EXISTS (SELECT FROM satellite_uses x JOIN algorithm_versions v ON v.id = x.algorithm_version_id
			JOIN algorithms a ON a.id = v.algorithm_id JOIN owners o ON o.id = a.owner_id
			WHERE o.name_key = @owner AND a.id = @algorithm_id AND (@version_id = '' OR v.id = nullif(@version_id, '')::uuid) AND x.satellite_id = n.satellite_id AND x.number = n.wanted OFFSET 0)
ORDER BY n.name_key ASC, n.launch_id ASC
LIMIT @limit)
		SELECT launch_id FROM first WHERE (SELECT count(*) FROM first) = @limit
		UNION ALL
		(SELECT n.launch_id
FROM launch_index n JOIN launches l ON l.id = n.launch_id JOIN satellites s ON s.id = n.satellite_id
WHERE n.health = ANY (@healths::smallint[]) AND n.behind_since <= @behind_by AND l.created_by = @created_by AND l.label_terms && @label_terms_0::text[] AND l.label_terms <> '{}' AND l.satellite_id = @of_satellite AND s.expires_at < @expires_before AND s.expires_at >= @expires_after AND (l.satellite_id, l.satellite_version) IN (SELECT x.satellite_id, x.number FROM satellite_uses x JOIN algorithm_versions v ON v.id = x.algorithm_version_id
			JOIN algorithms a ON a.id = v.algorithm_id JOIN owners o ON o.id = a.owner_id
			WHERE o.name_key = @owner AND a.id = @algorithm_id AND (@version_id = '' OR v.id = nullif(@version_id, '')::uuid))
	AND l.name_key LIKE @pattern
	AND (SELECT count(*) FROM first) < @limit
ORDER BY n.name_key ASC, n.launch_id ASC
LIMIT @limit)) found JOIN launch_index n ON n.launch_id = found.launch_id
			JOIN launches l ON l.id = n.launch_id JOIN satellites s ON s.id = n.satellite_id LEFT JOIN launch_reports r ON r.launch_id = n.launch_id
ORDER BY n.name_key ASC, n.launch_id ASC
LIMIT @limit

-- by name: search in two letters
commit

-- by name: next page
begin

-- by name: next page
SELECT set_config('enable_seqscan', 'off', true), set_config('jit', 'off', true)

-- by name: next page
SELECT l.id, l.satellite_id, l.satellite_version, l.name, l.description, l.created_at, l.created_by,
			l.updated_at, l.updated_by, l.revision, l.labels, r.first_seen_at, r.last_seen_at, r.running_version,
			coalesce(r.system_version, '') AS system_version, coalesce(r.status, 'never_seen') AS status,
			coalesce(r.status_reason, '') AS status_reason, r.status_since, coalesce(r.ready, 0) AS ready,
			coalesce(r.wanted, 0) AS wanted, coalesce(r.interval_seconds, 0) AS report_seconds,
			s.name AS satellite_name, s.latest_version, s.expires_at, n.health, nullif(n.behind_since, 'infinity') AS behind_since,
			CASE n.health WHEN 1 THEN n.seen_at END AS silent_since, 0::bigint AS calls, 0::bigint AS errors
FROM (
		WITH first AS MATERIALIZED (SELECT n.launch_id
FROM (SELECT n.*
FROM ((SELECT n.*
FROM launch_index n
WHERE n.health = 0
	AND (n.name_key, n.launch_id) > (@after_key::text::text, @after_id::text::uuid)
ORDER BY n.name_key ASC, n.launch_id ASC
LIMIT @near)
UNION ALL
(SELECT n.*
FROM launch_index n
WHERE n.health = 1
	AND (n.name_key, n.launch_id) > (@after_key::text::text, @after_id::text::uuid)
ORDER BY n.name_key ASC, n.launch_id ASC
LIMIT @near)) n
ORDER BY n.name_key ASC, n.launch_id ASC
LIMIT @near) n
WHERE n.behind_since <= @behind_by
	AND n.satellite_id = @of_satellite
	AND EXISTS (SELECT FROM launches l WHERE l.id = n.launch_id AND l.created_by = @created_by AND l.label_terms && @label_terms_0::text[] AND l.label_terms <> '{}' OFFSET 0)
	AND EXISTS (SELECT FROM satellites s WHERE s.id = n.satellite_id AND s.expires_at < @expires_before AND s.expires_at >= @expires_after OFFSET 0)
	AND EXISTS (SELECT FROM satellite_uses x JOIN algorithm_versions v ON v.id = x.algorithm_version_id
			JOIN algorithms a ON a.id = v.algorithm_id JOIN owners o ON o.id = a.owner_id
			WHERE o.name_key = @owner AND a.id = @algorithm_id AND (@version_id = '' OR v.id = nullif(@version_id, '')::uuid) AND x.satellite_id = n.satellite_id AND x.number = n.wanted OFFSET 0)
ORDER BY n.name_key ASC, n.launch_id ASC
LIMIT @limit)
		SELECT launch_id FROM first WHERE (SELECT count(*) FROM first) = @limit
		UNION ALL
		(SELECT n.launch_id
FROM launch_index n JOIN launches l ON l.id = n.launch_id JOIN satellites s ON s.id = n.satellite_id
WHERE n.health = ANY (@healths::smallint[]) AND n.behind_since <= @behind_by AND l.created_by = @created_by AND l.label_terms && @label_terms_0::text[] AND l.label_terms <> '{}' AND l.satellite_id = @of_satellite AND s.expires_at < @expires_before AND s.expires_at >= @expires_after AND (l.satellite_id, l.satellite_version) IN (SELECT x.satellite_id, x.number FROM satellite_uses x JOIN algorithm_versions v ON v.id = x.algorithm_version_id
			JOIN algorithms a ON a.id = v.algorithm_id JOIN owners o ON o.id = a.owner_id
			WHERE o.name_key = @owner AND a.id = @algorithm_id AND (@version_id = '' OR v.id = nullif(@version_id, '')::uuid))
	AND (n.name_key, n.launch_id) > (@after_key::text::text, @after_id::text::uuid)
	AND (SELECT count(*) FROM first) < @limit
ORDER BY n.name_key ASC, n.launch_id ASC
LIMIT @limit)) found JOIN launch_index n ON n.launch_id = found.launch_id
			JOIN launches l ON l.id = n.launch_id JOIN satellites s ON s.id = n.satellite_id LEFT JOIN launch_reports r ON r.launch_id = n.launch_id
ORDER BY n.name_key ASC, n.launch_id ASC
LIMIT @limit

-- by name: next page
commit

-- by name: next page, descending, with a search and counted
begin

-- by name: next page, descending, with a search and counted
SELECT set_config('enable_seqscan', 'off', true), set_config('jit', 'off', true)

-- by name: next page, descending, with a search and counted
SELECT l.id, l.satellite_id, l.satellite_version, l.name, l.description, l.created_at, l.created_by,
			l.updated_at, l.updated_by, l.revision, l.labels, r.first_seen_at, r.last_seen_at, r.running_version,
			coalesce(r.system_version, '') AS system_version, coalesce(r.status, 'never_seen') AS status,
			coalesce(r.status_reason, '') AS status_reason, r.status_since, coalesce(r.ready, 0) AS ready,
			coalesce(r.wanted, 0) AS wanted, coalesce(r.interval_seconds, 0) AS report_seconds,
			s.name AS satellite_name, s.latest_version, s.expires_at, n.health, nullif(n.behind_since, 'infinity') AS behind_since,
			CASE n.health WHEN 1 THEN n.seen_at END AS silent_since, 0::bigint AS calls, 0::bigint AS errors
FROM (
		WITH first AS MATERIALIZED (SELECT n.launch_id
FROM (SELECT n.*
FROM ((SELECT n.*
FROM launch_index n
WHERE n.health = 0
	AND (n.name_key, n.launch_id) < (@after_key::text::text, @after_id::text::uuid)
ORDER BY n.name_key DESC, n.launch_id DESC
LIMIT @near)
UNION ALL
(SELECT n.*
FROM launch_index n
WHERE n.health = 1
	AND (n.name_key, n.launch_id) < (@after_key::text::text, @after_id::text::uuid)
ORDER BY n.name_key DESC, n.launch_id DESC
LIMIT @near)) n
ORDER BY n.name_key DESC, n.launch_id DESC
LIMIT @near) n
WHERE n.behind_since <= @behind_by
	AND n.satellite_id = @of_satellite
	AND EXISTS (SELECT FROM launches l WHERE l.id = n.launch_id AND l.created_by = @created_by AND l.label_terms && @label_terms_0::text[] AND l.label_terms <> '{}' AND l.name_key LIKE @pattern OFFSET 0)
	AND EXISTS (SELECT FROM satellites s WHERE s.id = n.satellite_id AND s.expires_at < @expires_before AND s.expires_at >= @expires_after OFFSET 0)
	AND EXISTS (SELECT FROM satellite_uses x JOIN algorithm_versions v ON v.id = x.algorithm_version_id
			JOIN algorithms a ON a.id = v.algorithm_id JOIN owners o ON o.id = a.owner_id
			WHERE o.name_key = @owner AND a.id = @algorithm_id AND (@version_id = '' OR v.id = nullif(@version_id, '')::uuid) AND x.satellite_id = n.satellite_id AND x.number = n.wanted OFFSET 0)
ORDER BY n.name_key DESC, n.launch_id DESC
LIMIT @limit)
		SELECT launch_id FROM first WHERE (SELECT count(*) FROM first) = @limit
		UNION ALL
		(SELECT n.launch_id
FROM launch_index n JOIN launches l ON l.id = n.launch_id JOIN satellites s ON s.id = n.satellite_id
WHERE n.health = ANY (@healths::smallint[]) AND n.behind_since <= @behind_by AND l.created_by = @created_by AND l.label_terms && @label_terms_0::text[] AND l.label_terms <> '{}' AND l.satellite_id = @of_satellite AND s.expires_at < @expires_before AND s.expires_at >= @expires_after AND (l.satellite_id, l.satellite_version) IN (SELECT x.satellite_id, x.number FROM satellite_uses x JOIN algorithm_versions v ON v.id = x.algorithm_version_id
			JOIN algorithms a ON a.id = v.algorithm_id JOIN owners o ON o.id = a.owner_id
			WHERE o.name_key = @owner AND a.id = @algorithm_id AND (@version_id = '' OR v.id = nullif(@version_id, '')::uuid))
	AND l.name_key LIKE @pattern
	AND (n.name_key, n.launch_id) < (@after_key::text::text, @after_id::text::uuid)
	AND (SELECT count(*) FROM first) < @limit
ORDER BY n.name_key DESC, n.launch_id DESC
LIMIT @limit)) found JOIN launch_index n ON n.launch_id = found.launch_id
			JOIN launches l ON l.id = n.launch_id JOIN satellites s ON s.id = n.satellite_id LEFT JOIN launch_reports r ON r.launch_id = n.launch_id
ORDER BY n.name_key DESC, n.launch_id DESC
LIMIT @limit

-- by name: next page, descending, with a search and counted
SELECT count(*)::int AS count FROM (SELECT n.launch_id
FROM launch_index n JOIN launches l ON l.id = n.launch_id JOIN satellites s ON s.id = n.satellite_id
WHERE n.health = ANY (@healths::smallint[]) AND n.behind_since <= @behind_by AND l.created_by = @created_by AND l.label_terms && @label_terms_0::text[] AND l.label_terms <> '{}' AND l.satellite_id = @of_satellite AND s.expires_at < @expires_before AND s.expires_at >= @expires_after AND (l.satellite_id, l.satellite_version) IN (SELECT x.satellite_id, x.number FROM satellite_uses x JOIN algorithm_versions v ON v.id = x.algorithm_version_id
			JOIN algorithms a ON a.id = v.algorithm_id JOIN owners o ON o.id = a.owner_id
			WHERE o.name_key = @owner AND a.id = @algorithm_id AND (@version_id = '' OR v.id = nullif(@version_id, '')::uuid))
	AND l.name_key LIKE @pattern
LIMIT @limit) every_page

-- by name: next page, descending, with a search and counted
commit

-- by status: first page
begin

-- by status: first page
SELECT set_config('enable_seqscan', 'off', true), set_config('jit', 'off', true)

-- by status: first page
SELECT l.id, l.satellite_id, l.satellite_version, l.name, l.description, l.created_at, l.created_by,
			l.updated_at, l.updated_by, l.revision, l.labels, r.first_seen_at, r.last_seen_at, r.running_version,
			coalesce(r.system_version, '') AS system_version, coalesce(r.status, 'never_seen') AS status,
			coalesce(r.status_reason, '') AS status_reason, r.status_since, coalesce(r.ready, 0) AS ready,
			coalesce(r.wanted, 0) AS wanted, coalesce(r.interval_seconds, 0) AS report_seconds,
			s.name AS satellite_name, s.latest_version, s.expires_at, n.health, nullif(n.behind_since, 'infinity') AS behind_since,
			CASE n.health WHEN 1 THEN n.seen_at END AS silent_since, 0::bigint AS calls, 0::bigint AS errors
FROM (
		WITH first AS MATERIALIZED (SELECT n.launch_id
FROM (SELECT n.*
FROM ((SELECT n.*
FROM launch_index n
WHERE n.health = 0
ORDER BY n.health ASC, n.name_key ASC, n.launch_id ASC
LIMIT @near)
UNION ALL
(SELECT n.*
FROM launch_index n
WHERE n.health = 1
ORDER BY n.health ASC, n.name_key ASC, n.launch_id ASC
LIMIT @near)) n
ORDER BY n.health ASC, n.name_key ASC, n.launch_id ASC
LIMIT @near) n
WHERE n.behind_since <= @behind_by
	AND n.satellite_id = @of_satellite
	AND EXISTS (SELECT FROM launches l WHERE l.id = n.launch_id AND l.created_by = @created_by AND l.label_terms && @label_terms_0::text[] AND l.label_terms <> '{}' OFFSET 0)
	AND EXISTS (SELECT FROM satellites s WHERE s.id = n.satellite_id AND s.expires_at < @expires_before AND s.expires_at >= @expires_after OFFSET 0)
	AND EXISTS (SELECT FROM satellite_uses x JOIN algorithm_versions v ON v.id = x.algorithm_version_id
			JOIN algorithms a ON a.id = v.algorithm_id JOIN owners o ON o.id = a.owner_id
			WHERE o.name_key = @owner AND a.id = @algorithm_id AND (@version_id = '' OR v.id = nullif(@version_id, '')::uuid) AND x.satellite_id = n.satellite_id AND x.number = n.wanted OFFSET 0)
ORDER BY n.health ASC, n.name_key ASC, n.launch_id ASC
LIMIT @limit)
		SELECT launch_id FROM first WHERE (SELECT count(*) FROM first) = @limit
		UNION ALL
		(SELECT n.launch_id
FROM launch_index n JOIN launches l ON l.id = n.launch_id JOIN satellites s ON s.id = n.satellite_id
WHERE n.health = ANY (@healths::smallint[]) AND n.behind_since <= @behind_by AND l.created_by = @created_by AND l.label_terms && @label_terms_0::text[] AND l.label_terms <> '{}' AND l.satellite_id = @of_satellite AND s.expires_at < @expires_before AND s.expires_at >= @expires_after AND (l.satellite_id, l.satellite_version) IN (SELECT x.satellite_id, x.number FROM satellite_uses x JOIN algorithm_versions v ON v.id = x.algorithm_version_id
			JOIN algorithms a ON a.id = v.algorithm_id JOIN owners o ON o.id = a.owner_id
			WHERE o.name_key = @owner AND a.id = @algorithm_id AND (@version_id = '' OR v.id = nullif(@version_id, '')::uuid))
	AND (SELECT count(*) FROM first) < @limit
ORDER BY n.health ASC, n.name_key ASC, n.launch_id ASC
LIMIT @limit)) found JOIN launch_index n ON n.launch_id = found.launch_id
			JOIN launches l ON l.id = n.launch_id JOIN satellites s ON s.id = n.satellite_id LEFT JOIN launch_reports r ON r.launch_id = n.launch_id
ORDER BY n.health ASC, n.name_key ASC, n.launch_id ASC
LIMIT @limit

-- by status: first page
commit

-- by status: search
begin

-- by status: search
SELECT set_config('enable_seqscan', 'off', true), set_config('jit', 'off', true)

-- by status: search
SELECT l.id, l.satellite_id, l.satellite_version, l.name, l.description, l.created_at, l.created_by,
			l.updated_at, l.updated_by, l.revision, l.labels, r.first_seen_at, r.last_seen_at, r.running_version,
			coalesce(r.system_version, '') AS system_version, coalesce(r.status, 'never_seen') AS status,
			coalesce(r.status_reason, '') AS status_reason, r.status_since, coalesce(r.ready, 0) AS ready,
			coalesce(r.wanted, 0) AS wanted, coalesce(r.interval_seconds, 0) AS report_seconds,
			s.name AS satellite_name, s.latest_version, s.expires_at, n.health, nullif(n.behind_since, 'infinity') AS behind_since,
			CASE n.health WHEN 1 THEN n.seen_at END AS silent_since, 0::bigint AS calls, 0::bigint AS errors
FROM (
		WITH first AS MATERIALIZED (SELECT n.launch_id
FROM (SELECT n.*
FROM ((SELECT n.*
FROM launch_index n
WHERE n.health = 0
ORDER BY n.health ASC, n.name_key ASC, n.launch_id ASC
LIMIT @near)
UNION ALL
(SELECT n.*
FROM launch_index n
WHERE n.health = 1
ORDER BY n.health ASC, n.name_key ASC, n.launch_id ASC
LIMIT @near)) n
ORDER BY n.health ASC, n.name_key ASC, n.launch_id ASC
LIMIT @near) n
WHERE n.behind_since <= @behind_by
	AND n.satellite_id = @of_satellite
	AND EXISTS (SELECT FROM launches l WHERE l.id = n.launch_id AND l.created_by = @created_by AND l.label_terms && @label_terms_0::text[] AND l.label_terms <> '{}' AND l.name_key LIKE @pattern OFFSET 0)
	AND EXISTS (SELECT FROM satellites s WHERE s.id = n.satellite_id AND s.expires_at < @expires_before AND s.expires_at >= @expires_after OFFSET 0)
	AND EXISTS (SELECT FROM satellite_uses x JOIN algorithm_versions v ON v.id = x.algorithm_version_id
			JOIN algorithms a ON a.id = v.algorithm_id JOIN owners o ON o.id = a.owner_id
			WHERE o.name_key = @owner AND a.id = @algorithm_id AND (@version_id = '' OR v.id = nullif(@version_id, '')::uuid) AND x.satellite_id = n.satellite_id AND x.number = n.wanted OFFSET 0)
ORDER BY n.health ASC, n.name_key ASC, n.launch_id ASC
LIMIT @limit)
		SELECT launch_id FROM first WHERE (SELECT count(*) FROM first) = @limit
		UNION ALL
		(SELECT n.launch_id
FROM launch_index n JOIN launches l ON l.id = n.launch_id JOIN satellites s ON s.id = n.satellite_id
WHERE n.health = ANY (@healths::smallint[]) AND n.behind_since <= @behind_by AND l.created_by = @created_by AND l.label_terms && @label_terms_0::text[] AND l.label_terms <> '{}' AND l.satellite_id = @of_satellite AND s.expires_at < @expires_before AND s.expires_at >= @expires_after AND (l.satellite_id, l.satellite_version) IN (SELECT x.satellite_id, x.number FROM satellite_uses x JOIN algorithm_versions v ON v.id = x.algorithm_version_id
			JOIN algorithms a ON a.id = v.algorithm_id JOIN owners o ON o.id = a.owner_id
			WHERE o.name_key = @owner AND a.id = @algorithm_id AND (@version_id = '' OR v.id = nullif(@version_id, '')::uuid))
	AND l.name_key LIKE @pattern
	AND (SELECT count(*) FROM first) < @limit
ORDER BY n.health ASC, n.name_key ASC, n.launch_id ASC
LIMIT @limit)) found JOIN launch_index n ON n.launch_id = found.launch_id
			JOIN launches l ON l.id = n.launch_id JOIN satellites s ON s.id = n.satellite_id LEFT JOIN launch_reports r ON r.launch_id = n.launch_id
ORDER BY n.health ASC, n.name_key ASC, n.launch_id ASC
LIMIT @limit

-- by status: search
commit

-- by status: search in two letters
begin

-- by status: search in two letters
SELECT set_config('enable_seqscan', 'off', true), set_config('jit', 'off', true)

-- by status: search in two letters
SELECT l.id, l.satellite_id, l.satellite_version, l.name, l.description, l.created_at, l.created_by,
			l.updated_at, l.updated_by, l.revision, l.labels, r.first_seen_at, r.last_seen_at, r.running_version,
			coalesce(r.system_version, '') AS system_version, coalesce(r.status, 'never_seen') AS status,
			coalesce(r.status_reason, '') AS status_reason, r.status_since, coalesce(r.ready, 0) AS ready,
			coalesce(r.wanted, 0) AS wanted, coalesce(r.interval_seconds, 0) AS report_seconds,
			s.name AS satellite_name, s.latest_version, s.expires_at, n.health, nullif(n.behind_since, 'infinity') AS behind_since,
			CASE n.health WHEN 1 THEN n.seen_at END AS silent_since, 0::bigint AS calls, 0::bigint AS errors
FROM (
		WITH first AS MATERIALIZED (SELECT n.launch_id
FROM (SELECT n.*
FROM ((SELECT n.*
FROM launch_index n
WHERE n.health = 0
ORDER BY n.health ASC, n.name_key ASC, n.launch_id ASC
LIMIT @near)
UNION ALL
(SELECT n.*
FROM launch_index n
WHERE n.health = 1
ORDER BY n.health ASC, n.name_key ASC, n.launch_id ASC
LIMIT @near)) n
ORDER BY n.health ASC, n.name_key ASC, n.launch_id ASC
LIMIT @near) n
WHERE n.behind_since <= @behind_by
	AND n.satellite_id = @of_satellite
	AND EXISTS (SELECT FROM launches l WHERE l.id = n.launch_id AND l.created_by = @created_by AND l.label_terms && @label_terms_0::text[] AND l.label_terms <> '{}' AND l.name_key LIKE @pattern OFFSET 0)
	AND EXISTS (SELECT FROM satellites s WHERE s.id = n.satellite_id AND s.expires_at < @expires_before AND s.expires_at >= @expires_after OFFSET 0)
	AND EXISTS (SELECT FROM satellite_uses x JOIN algorithm_versions v ON v.id = x.algorithm_version_id
			JOIN algorithms a ON a.id = v.algorithm_id JOIN owners o ON o.id = a.owner_id
			WHERE o.name_key = @owner AND a.id = @algorithm_id AND (@version_id = '' OR v.id = nullif(@version_id, '')::uuid) AND x.satellite_id = n.satellite_id AND x.number = n.wanted OFFSET 0)
ORDER BY n.health ASC, n.name_key ASC, n.launch_id ASC
LIMIT @limit)
		SELECT launch_id FROM first WHERE (SELECT count(*) FROM first) = @limit
		UNION ALL
		(SELECT n.launch_id
FROM launch_index n JOIN launches l ON l.id = n.launch_id JOIN satellites s ON s.id = n.satellite_id
WHERE n.health = ANY (@healths::smallint[]) AND n.behind_since <= @behind_by AND l.created_by = @created_by AND l.label_terms && @label_terms_0::text[] AND l.label_terms <> '{}' AND l.satellite_id = @of_satellite AND s.expires_at < @expires_before AND s.expires_at >= @expires_after AND (l.satellite_id, l.satellite_version) IN (SELECT x.satellite_id, x.number FROM satellite_uses x JOIN algorithm_versions v ON v.id = x.algorithm_version_id
			JOIN algorithms a ON a.id = v.algorithm_id JOIN owners o ON o.id = a.owner_id
			WHERE o.name_key = @owner AND a.id = @algorithm_id AND (@version_id = '' OR v.id = nullif(@version_id, '')::uuid))
	AND l.name_key LIKE @pattern
	AND (SELECT count(*) FROM first) < @limit
ORDER BY n.health ASC, n.name_key ASC, n.launch_id ASC
LIMIT @limit)) found JOIN launch_index n ON n.launch_id = found.launch_id
			JOIN launches l ON l.id = n.launch_id JOIN satellites s ON s.id = n.satellite_id LEFT JOIN launch_reports r ON r.launch_id = n.launch_id
ORDER BY n.health ASC, n.name_key ASC, n.launch_id ASC
LIMIT @limit

-- by status: search in two letters
commit

-- by status: next page
begin

-- by status: next page
SELECT set_config('enable_seqscan', 'off', true), set_config('jit', 'off', true)

-- by status: next page
SELECT l.id, l.satellite_id, l.satellite_version, l.name, l.description, l.created_at, l.created_by,
			l.updated_at, l.updated_by, l.revision, l.labels, r.first_seen_at, r.last_seen_at, r.running_version,
			coalesce(r.system_version, '') AS system_version, coalesce(r.status, 'never_seen') AS status,
			coalesce(r.status_reason, '') AS status_reason, r.status_since, coalesce(r.ready, 0) AS ready,
			coalesce(r.wanted, 0) AS wanted, coalesce(r.interval_seconds, 0) AS report_seconds,
			s.name AS satellite_name, s.latest_version, s.expires_at, n.health, nullif(n.behind_since, 'infinity') AS behind_since,
			CASE n.health WHEN 1 THEN n.seen_at END AS silent_since, 0::bigint AS calls, 0::bigint AS errors
FROM (
		WITH first AS MATERIALIZED (SELECT n.launch_id
FROM (SELECT n.*
FROM ((SELECT n.*
FROM launch_index n
WHERE n.health = 0
	AND (n.health, n.name_key, n.launch_id) > (@after_group::text::smallint, @after_key::text::text, @after_id::text::uuid)
ORDER BY n.health ASC, n.name_key ASC, n.launch_id ASC
LIMIT @near)
UNION ALL
(SELECT n.*
FROM launch_index n
WHERE n.health = 1
	AND (n.health, n.name_key, n.launch_id) > (@after_group::text::smallint, @after_key::text::text, @after_id::text::uuid)
ORDER BY n.health ASC, n.name_key ASC, n.launch_id ASC
LIMIT @near)) n
ORDER BY n.health ASC, n.name_key ASC, n.launch_id ASC
LIMIT @near) n
WHERE n.behind_since <= @behind_by
	AND n.satellite_id = @of_satellite
	AND EXISTS (SELECT FROM launches l WHERE l.id = n.launch_id AND l.created_by = @created_by AND l.label_terms && @label_terms_0::text[] AND l.label_terms <> '{}' OFFSET 0)
	AND EXISTS (SELECT FROM satellites s WHERE s.id = n.satellite_id AND s.expires_at < @expires_before AND s.expires_at >= @expires_after OFFSET 0)
	AND EXISTS (SELECT FROM satellite_uses x JOIN algorithm_versions v ON v.id = x.algorithm_version_id
			JOIN algorithms a ON a.id = v.algorithm_id JOIN owners o ON o.id = a.owner_id
			WHERE o.name_key = @owner AND a.id = @algorithm_id AND (@version_id = '' OR v.id = nullif(@version_id, '')::uuid) AND x.satellite_id = n.satellite_id AND x.number = n.wanted OFFSET 0)
ORDER BY n.health ASC, n.name_key ASC, n.launch_id ASC
LIMIT @limit)
		SELECT launch_id FROM first WHERE (SELECT count(*) FROM first) = @limit
		UNION ALL
		(SELECT n.launch_id
FROM launch_index n JOIN launches l ON l.id = n.launch_id JOIN satellites s ON s.id = n.satellite_id
WHERE n.health = ANY (@healths::smallint[]) AND n.behind_since <= @behind_by AND l.created_by = @created_by AND l.label_terms && @label_terms_0::text[] AND l.label_terms <> '{}' AND l.satellite_id = @of_satellite AND s.expires_at < @expires_before AND s.expires_at >= @expires_after AND (l.satellite_id, l.satellite_version) IN (SELECT x.satellite_id, x.number FROM satellite_uses x JOIN algorithm_versions v ON v.id = x.algorithm_version_id
			JOIN algorithms a ON a.id = v.algorithm_id JOIN owners o ON o.id = a.owner_id
			WHERE o.name_key = @owner AND a.id = @algorithm_id AND (@version_id = '' OR v.id = nullif(@version_id, '')::uuid))
	AND (n.health, n.name_key, n.launch_id) > (@after_group::text::smallint, @after_key::text::text, @after_id::text::uuid)
	AND (SELECT count(*) FROM first) < @limit
ORDER BY n.health ASC, n.name_key ASC, n.launch_id ASC
LIMIT @limit)) found JOIN launch_index n ON n.launch_id = found.launch_id
			JOIN launches l ON l.id = n.launch_id JOIN satellites s ON s.id = n.satellite_id LEFT JOIN launch_reports r ON r.launch_id = n.launch_id
ORDER BY n.health ASC, n.name_key ASC, n.launch_id ASC
LIMIT @limit

-- by status: next page
commit

-- by status: next page, descending, with a search and counted
begin

-- by status: next page, descending, with a search and counted
SELECT set_config('enable_seqscan', 'off', true), set_config('jit', 'off', true)

-- by status: next page, descending, with a search and counted
SELECT l.id, l.satellite_id, l.satellite_version, l.name, l.description, l.created_at, l.created_by,
			l.updated_at, l.updated_by, l.revision, l.labels, r.first_seen_at, r.last_seen_at, r.running_version,
			coalesce(r.system_version, '') AS system_version, coalesce(r.status, 'never_seen') AS status,
			coalesce(r.status_reason, '') AS status_reason, r.status_since, coalesce(r.ready, 0) AS ready,
			coalesce(r.wanted, 0) AS wanted, coalesce(r.interval_seconds, 0) AS report_seconds,
			s.name AS satellite_name, s.latest_version, s.expires_at, n.health, nullif(n.behind_since, 'infinity') AS behind_since,
			CASE n.health WHEN 1 THEN n.seen_at END AS silent_since, 0::bigint AS calls, 0::bigint AS errors
FROM (
		WITH first AS MATERIALIZED (SELECT n.launch_id
FROM (SELECT n.*
FROM ((SELECT n.*
FROM launch_index n
WHERE n.health = 0
	AND (n.health, n.name_key, n.launch_id) < (@after_group::text::smallint, @after_key::text::text, @after_id::text::uuid)
ORDER BY n.health DESC, n.name_key DESC, n.launch_id DESC
LIMIT @near)
UNION ALL
(SELECT n.*
FROM launch_index n
WHERE n.health = 1
	AND (n.health, n.name_key, n.launch_id) < (@after_group::text::smallint, @after_key::text::text, @after_id::text::uuid)
ORDER BY n.health DESC, n.name_key DESC, n.launch_id DESC
LIMIT @near)) n
ORDER BY n.health DESC, n.name_key DESC, n.launch_id DESC
LIMIT @near) n
WHERE n.behind_since <= @behind_by
	AND n.satellite_id = @of_satellite
	AND EXISTS (SELECT FROM launches l WHERE l.id = n.launch_id AND l.created_by = @created_by AND l.label_terms && @label_terms_0::text[] AND l.label_terms <> '{}' AND l.name_key LIKE @pattern OFFSET 0)
	AND EXISTS (SELECT FROM satellites s WHERE s.id = n.satellite_id AND s.expires_at < @expires_before AND s.expires_at >= @expires_after OFFSET 0)
	AND EXISTS (SELECT FROM satellite_uses x JOIN algorithm_versions v ON v.id = x.algorithm_version_id
			JOIN algorithms a ON a.id = v.algorithm_id JOIN owners o ON o.id = a.owner_id
			WHERE o.name_key = @owner AND a.id = @algorithm_id AND (@version_id = '' OR v.id = nullif(@version_id, '')::uuid) AND x.satellite_id = n.satellite_id AND x.number = n.wanted OFFSET 0)
ORDER BY n.health DESC, n.name_key DESC, n.launch_id DESC
LIMIT @limit)
		SELECT launch_id FROM first WHERE (SELECT count(*) FROM first) = @limit
		UNION ALL
		(SELECT n.launch_id
FROM launch_index n JOIN launches l ON l.id = n.launch_id JOIN satellites s ON s.id = n.satellite_id
WHERE n.health = ANY (@healths::smallint[]) AND n.behind_since <= @behind_by AND l.created_by = @created_by AND l.label_terms && @label_terms_0::text[] AND l.label_terms <> '{}' AND l.satellite_id = @of_satellite AND s.expires_at < @expires_before AND s.expires_at >= @expires_after AND (l.satellite_id, l.satellite_version) IN (SELECT x.satellite_id, x.number FROM satellite_uses x JOIN algorithm_versions v ON v.id = x.algorithm_version_id
			JOIN algorithms a ON a.id = v.algorithm_id JOIN owners o ON o.id = a.owner_id
			WHERE o.name_key = @owner AND a.id = @algorithm_id AND (@version_id = '' OR v.id = nullif(@version_id, '')::uuid))
	AND l.name_key LIKE @pattern
	AND (n.health, n.name_key, n.launch_id) < (@after_group::text::smallint, @after_key::text::text, @after_id::text::uuid)
	AND (SELECT count(*) FROM first) < @limit
ORDER BY n.health DESC, n.name_key DESC, n.launch_id DESC
LIMIT @limit)) found JOIN launch_index n ON n.launch_id = found.launch_id
			JOIN launches l ON l.id = n.launch_id JOIN satellites s ON s.id = n.satellite_id LEFT JOIN launch_reports r ON r.launch_id = n.launch_id
ORDER BY n.health DESC, n.name_key DESC, n.launch_id DESC
LIMIT @limit

-- by status: next page, descending, with a search and counted
SELECT count(*)::int AS count FROM (SELECT n.launch_id
FROM launch_index n JOIN launches l ON l.id = n.launch_id JOIN satellites s ON s.id = n.satellite_id
WHERE n.health = ANY (@healths::smallint[]) AND n.behind_since <= @behind_by AND l.created_by = @created_by AND l.label_terms && @label_terms_0::text[] AND l.label_terms <> '{}' AND l.satellite_id = @of_satellite AND s.expires_at < @expires_before AND s.expires_at >= @expires_after AND (l.satellite_id, l.satellite_version) IN (SELECT x.satellite_id, x.number FROM satellite_uses x JOIN algorithm_versions v ON v.id = x.algorithm_version_id
			JOIN algorithms a ON a.id = v.algorithm_id JOIN owners o ON o.id = a.owner_id
			WHERE o.name_key = @owner AND a.id = @algorithm_id AND (@version_id = '' OR v.id = nullif(@version_id, '')::uuid))
	AND l.name_key LIKE @pattern
LIMIT @limit) every_page

-- by status: next page, descending, with a search and counted
commit

