-- by name: first page
SELECT s.id AS satellite_id, s.name AS satellite_name, s.latest_version AS satellite_version,
			array_agg(x.vanity_url ORDER BY x.position) AS vanity_urls, sum(x.replicas)::int AS replicas,
			array_agg(DISTINCT a.runtime_revision) AS runtime_revisions
FROM satellite_uses x JOIN satellites s ON s.id = x.satellite_id AND s.latest_version = x.number
			JOIN satellite_algorithms a ON (a.satellite_id, a.number, a.position) = (x.satellite_id, x.number, x.position)
WHERE x.algorithm_version_id = @version_id
GROUP BY s.id
ORDER BY s.name_key ASC, s.id ASC
LIMIT @limit

-- by name: next page
SELECT s.id AS satellite_id, s.name AS satellite_name, s.latest_version AS satellite_version,
			array_agg(x.vanity_url ORDER BY x.position) AS vanity_urls, sum(x.replicas)::int AS replicas,
			array_agg(DISTINCT a.runtime_revision) AS runtime_revisions
FROM satellite_uses x JOIN satellites s ON s.id = x.satellite_id AND s.latest_version = x.number
			JOIN satellite_algorithms a ON (a.satellite_id, a.number, a.position) = (x.satellite_id, x.number, x.position)
WHERE x.algorithm_version_id = @version_id
	AND (s.name_key, s.id) > (@after_key::text::text, @after_id::text::uuid)
GROUP BY s.id
ORDER BY s.name_key ASC, s.id ASC
LIMIT @limit

