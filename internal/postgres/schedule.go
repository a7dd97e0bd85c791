package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// insertSchedules adds the schedules of a new satellite version.
func (db *DB) insertSchedules(ctx context.Context, satelliteID string, number int, schedules []constellation.Schedule) error {
	text := func(of func(*constellation.Schedule) string) []string { return each(schedules, of) }
	return db.exec(ctx, "insert satellite schedules", `
		INSERT INTO satellite_schedules (satellite_id, number, position, name, name_key, cron, time_zone, vanity_url, input, content_type, missed)
		SELECT @id::uuid, @number::int, row.position, row.name, row.name_key, row.cron, row.time_zone, row.vanity_url, row.input, row.content_type, row.missed
		FROM unnest(@names::text[], @keys::text[], @crons::text[], @zones::text[], @urls::text[], @inputs::text[], @types::text[], @missed::text[])
			WITH ORDINALITY AS row(name, name_key, cron, time_zone, vanity_url, input, content_type, missed, position)`,
		pgx.NamedArgs{
			"id": satelliteID, "number": number,
			"names":  text(func(s *constellation.Schedule) string { return s.Name }),
			"keys":   text(func(s *constellation.Schedule) string { return constellation.Fold(s.Name) }),
			"crons":  text(func(s *constellation.Schedule) string { return s.Cron }),
			"zones":  text(func(s *constellation.Schedule) string { return s.TimeZone }),
			"urls":   text(func(s *constellation.Schedule) string { return s.VanityURL }),
			"inputs": text(func(s *constellation.Schedule) string { return s.Input }),
			"types":  text(func(s *constellation.Schedule) string { return s.ContentType }),
			"missed": text(func(s *constellation.Schedule) string { return s.Missed }),
		})
}

// satelliteSchedules returns the schedules of many satellite versions in one
// query, by position.
func (db *DB) satelliteSchedules(ctx context.Context, keys []versionKey) (map[versionKey][]constellation.Schedule, error) {
	type row struct {
		SatelliteID string
		Number      int
		constellation.Schedule
	}
	rows, err := collect[row](ctx, db, "get satellite schedules", `
		SELECT s.satellite_id, s.number, s.name, s.cron, s.time_zone, s.vanity_url, s.input, s.content_type, s.missed
		FROM unnest(@ids::uuid[], @numbers::int[]) AS wanted(id, number)
		JOIN satellite_schedules s ON s.satellite_id = wanted.id AND s.number = wanted.number
		ORDER BY s.satellite_id, s.number, s.position`,
		pgx.NamedArgs{
			"ids":     each(keys, func(k *versionKey) string { return k.id }),
			"numbers": each(keys, func(k *versionKey) int { return k.number }),
		})
	if err != nil {
		return nil, err
	}
	schedules := make(map[versionKey][]constellation.Schedule, len(keys))
	for _, r := range rows {
		k := versionKey{r.SatelliteID, r.Number}
		schedules[k] = append(schedules[k], r.Schedule)
	}
	return schedules, nil
}
