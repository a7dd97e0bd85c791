-- by number: first page
SELECT v.number, v.created_at, v.created_by
FROM satellite_versions v
WHERE v.satellite_id = @id
ORDER BY v.number ASC, v.number ASC
LIMIT @limit

-- by number: search
SELECT v.number, v.created_at, v.created_by
FROM satellite_versions v
WHERE v.satellite_id = @id
	AND (v.number::text || ' ' || lower(v.created_by)) LIKE @pattern
ORDER BY v.number ASC, v.number ASC
LIMIT @limit

-- by number: search in two letters
SELECT v.number, v.created_at, v.created_by
FROM satellite_versions v
WHERE v.satellite_id = @id
	AND (v.number::text || ' ' || lower(v.created_by)) LIKE @pattern
ORDER BY v.number ASC, v.number ASC
LIMIT @limit

-- by number: next page
SELECT v.number, v.created_at, v.created_by
FROM satellite_versions v
WHERE v.satellite_id = @id
	AND (v.number, v.number) > (@after_key::text::bigint, @after_id::text::bigint)
ORDER BY v.number ASC, v.number ASC
LIMIT @limit

-- by number: next page, descending, with a search and counted
SELECT v.number, v.created_at, v.created_by
FROM satellite_versions v
WHERE v.satellite_id = @id
	AND (v.number::text || ' ' || lower(v.created_by)) LIKE @pattern
	AND (v.number, v.number) < (@after_key::text::bigint, @after_id::text::bigint)
ORDER BY v.number DESC, v.number DESC
LIMIT @limit

-- by number: next page, descending, with a search and counted
SELECT count(*)::int AS count FROM (SELECT v.number, v.created_at, v.created_by
FROM satellite_versions v
WHERE v.satellite_id = @id
	AND (v.number::text || ' ' || lower(v.created_by)) LIKE @pattern
ORDER BY v.number DESC, v.number DESC
LIMIT @limit) every_page

