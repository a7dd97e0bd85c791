package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// insertWeights adds what the algorithms of a new satellite version read; ids are
// the ids of the versions of their weights, in their order.
func (db *DB) insertWeights(ctx context.Context, satelliteID string, v *constellation.SatelliteVersion, ids []string) error {
	var urls, paths []string
	var positions []int
	for _, a := range v.Algorithms {
		for i, w := range a.Weights {
			urls, positions, paths = append(urls, a.VanityURL), append(positions, i+1), append(paths, w.Path)
		}
	}
	if len(urls) == 0 {
		return nil
	}
	return db.exec(ctx, "insert weights of satellite algorithms", `
		INSERT INTO satellite_weights (satellite_id, number, vanity_url, position, algorithm_version_id, path)
		SELECT @id::uuid, @number::int, row.vanity_url, row.position, row.version_id, row.path
		FROM unnest(@urls::text[], @positions::int[], @version_ids::uuid[], @paths::text[]) AS row(vanity_url, position, version_id, path)`,
		pgx.NamedArgs{"id": satelliteID, "number": v.Number, "urls": urls, "positions": positions, "version_ids": ids, "paths": paths})
}

// satelliteWeights returns what the algorithms of many satellite versions read, in
// one query, by version and vanity URL.
func (db *DB) satelliteWeights(ctx context.Context, keys []versionKey) (map[versionKey]map[string][]constellation.WeightsMount, error) {
	type row struct {
		SatelliteID string
		Number      int
		VanityURL   string
		Owner       string
		Name        string
		GitHash     string
		Path        string
	}
	rows, err := collect[row](ctx, db, "get weights of satellite algorithms", `
		SELECT s.satellite_id, s.number, s.vanity_url, o.name AS owner, g.name, v.git_hash, s.path
		FROM unnest(@ids::uuid[], @numbers::int[]) AS wanted(id, number)
		JOIN satellite_weights s ON s.satellite_id = wanted.id AND s.number = wanted.number
		JOIN algorithm_versions v ON v.id = s.algorithm_version_id
		JOIN algorithms g ON g.id = v.algorithm_id JOIN owners o ON o.id = g.owner_id
		ORDER BY s.satellite_id, s.number, s.vanity_url, s.position`,
		pgx.NamedArgs{
			"ids":     each(keys, func(k *versionKey) string { return k.id }),
			"numbers": each(keys, func(k *versionKey) int { return k.number }),
		})
	if err != nil {
		return nil, err
	}
	weights := map[versionKey]map[string][]constellation.WeightsMount{}
	for _, r := range rows {
		k := versionKey{r.SatelliteID, r.Number}
		if weights[k] == nil {
			weights[k] = map[string][]constellation.WeightsMount{}
		}
		weights[k][r.VanityURL] = append(weights[k][r.VanityURL], constellation.WeightsMount{
			Artifact: constellation.AlgorithmRef{Owner: r.Owner, Name: r.Name, Hash: r.GitHash}, Path: r.Path,
		})
	}
	return weights, nil
}
