package api

import (
	"maps"
	"strconv"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
)

// constraints are keywords of JSON Schema.
type constraints map[string]any

// bounds are what the server holds each input to, by schema and property, for
// the document. Huma is not told: it would refuse before we do, in words that
// are not ours.
func bounds() map[string]map[string]constraints {
	var (
		displayName = constraints{"minLength": 1, "maxLength": 200}
		description = constraints{"maxLength": 2000}
		role        = constraints{"enum": []string{"admin", "operator", "viewer"}}
		password    = constraints{"minLength": 12, "maxLength": 256}
		version     = constraints{"minimum": 1, "maximum": 1<<31 - 1}
		replicas    = constraints{"minimum": 0, "maximum": constellation.MaxReplicas}
		algorithms  = constraints{"maxItems": constellation.MaxAlgorithms}
		schedules   = constraints{"maxItems": constellation.MaxSchedules}
		// Not exclusiveMinimum, which is a number in OpenAPI 3.1, true or false
		// in 3.0, and so not read by every generator.
		zero = constraints{"enum": []int{0}}
		// One algorithm of a satellite, whole or as what of it changes.
		line = map[string]constraints{
			"algorithm":  {"pattern": `^[A-Za-z0-9_.-]{1,63}/[A-Za-z0-9_.-]{1,63}/([0-9a-f]{40}|[0-9a-f]{64})$`},
			"vanity_url": {"pattern": `^[A-Za-z0-9_]+(/[A-Za-z0-9_.-]+)+$`, "maxLength": 200},
			"replicas":   replicas,

			"min_replicas": replicas, "max_replicas": replicas,

			"env":              {"maxProperties": constellation.MaxEnv},
			"env_from":         {"maxItems": constellation.MaxEnvFrom},
			"volumes":          {"maxItems": constellation.MaxVolumes},
			"runtime_revision": {"minimum": 0, "maximum": 1<<31 - 1},
			"weights":          {"maxItems": constellation.MaxWeights},
		}
	)
	return map[string]map[string]constraints{
		"SatelliteCreate":         {"name": displayName, "algorithms": algorithms, "schedules": schedules},
		"SatellitePut":            {"algorithms": algorithms, "schedules": schedules},
		"SatelliteUpdate":         {"name": displayName},
		"SatelliteVersionCreate":  {"algorithms": algorithms, "schedules": schedules},
		"SatelliteAlgorithmInput": line,
		"SatelliteVersionPatch":   line,
		"EnvFromInput": {
			"name": {"pattern": `^[A-Za-z_][A-Za-z0-9_]*$`, "maxLength": constellation.MaxEnvName},
			"key":  {"pattern": `^[A-Za-z0-9_.-]+$`, "maxLength": 253},
		},
		"VolumeInput": {
			"name":       {"pattern": `^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`, "maxLength": constellation.MaxVolumeName},
			"mount_path": {"pattern": `^/`, "maxLength": constellation.MaxMountPath},
			"size":       {"pattern": `^[1-9][0-9]{0,14}(Ki|Mi|Gi|Ti|k|M|G|T)?$`},
		},
		"WeightsMountInput": {
			"artifact": {"pattern": `^[A-Za-z0-9_.-]{1,63}/[A-Za-z0-9_.-]{1,63}/([0-9a-f]{40}|[0-9a-f]{64})$`},
			"path":     {"pattern": `^/`, "maxLength": constellation.MaxMountPath},
		},
		"ScheduleInput": {
			"name":       {"pattern": `^[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?$`, "maxLength": constellation.MaxScheduleName},
			"cron":       {"minLength": 1, "maxLength": constellation.MaxCron},
			"vanity_url": {"pattern": `^[A-Za-z0-9_]+(/[A-Za-z0-9_.-]+)+$`, "maxLength": 200},
			"input":      {"maxLength": constellation.MaxScheduleInput},
		},
		"SatelliteKeyCreate": {"name": displayName},
		"KeyRateInput":       {"per_second": {"minimum": 0, "not": zero, "maximum": constellation.MaxKeyRate}, "burst": {"minimum": 0, "maximum": constellation.MaxKeyRate}},
		"LaunchCreate":       {"name": displayName, "description": description, "satellite_version": version},
		"LaunchUpdate":       {"name": displayName, "description": description, "satellite_version": version}, "LaunchPut": {"description": description, "satellite_version": version},
		"UserCreate": {"username": {"pattern": `^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$`}, "role": role, "password": password},
		"UserUpdate": {"role": role, "password": password},
		"KeyCreate":  {"name": displayName, "role": role, "satellite_id": {"format": "uuid"}, "scope": {"pattern": `^(push:[A-Za-z0-9_.-]+/([A-Za-z0-9_.-]+|\*)( |$))+$`}},
	}
}

// parameterBounds are what the server holds each parameter to, by where it is
// and its name: one means the same in every operation.
func parameterBounds() map[string]constraints {
	var (
		id     = constraints{"format": "uuid"}
		part   = constraints{"pattern": `^[A-Za-z0-9]+([_.-]?[A-Za-z0-9]+)*$`, "maxLength": 63}
		filter = constraints{"minLength": 1, "maxLength": control.MaxQuery}
	)
	resolutions := make([]string, len(constellation.HistoryResolutions))
	for i, r := range constellation.HistoryResolutions {
		resolutions[i] = r.Name
	}
	return map[string]constraints{
		"path satellite_id": id, "path launch_id": id, "path key_id": id,
		"path username": {"pattern": `^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$`},
		"path owner":    part, "path name": part,
		"path git_hash": {"pattern": `^([0-9a-f]{40}|[0-9a-f]{64})$`},
		"query q":       filter, "query name": filter, "query actor": filter, "query action": filter, "query target_kind": filter, "query target_id": filter,
		"query timeout":          {"pattern": `^([1-9]|[1-9][0-9]|1[01][0-9]|120)s?$`},
		"query marker":           {"minLength": 1, "maxLength": control.MaxMarker},
		"query resolution":       {"enum": resolutions},
		"query algorithm":        {"minLength": 1},
		"header Idempotency-Key": {"pattern": `^[ -~]+$`, "maxLength": control.MaxIdempotencyKey},
	}
}

// bindParameters puts the bounds into the parameters of a document, and what
// each list may be sorted by.
func bindParameters(paths map[string]any) {
	bounds, orders := parameterBounds(), control.Sorts()
	bound := map[string]bool{}
	for _, op := range eachOperation(paths) {
		parameters, _ := op["parameters"].([]any)
		for _, p := range parameters {
			p := p.(map[string]any)
			name := p["in"].(string) + " " + p["name"].(string)
			schema := p["schema"].(map[string]any)
			delete(schema, "description") // the parameter has the same
			maps.Copy(schema, bounds[name])
			bound[name] = true
			if name == "query sort" {
				schema["enum"] = orders[sorted[op["operationId"].(string)]].Values()
			}
		}
	}
	for name := range bounds {
		if !bound[name] {
			panic("bounds of a parameter that is not there: " + name)
		}
	}
}

// bind puts the bounds into a document's schemas; one that fits nothing there
// is a fault of this program.
func bind(schemas map[string]any) {
	for name, properties := range bounds() {
		for property, keywords := range properties {
			schema, ok := schemas[name].(map[string]any)
			if !ok {
				panic("bounds of a schema that is not there: " + name)
			}
			target, ok := schema["properties"].(map[string]any)[property].(map[string]any)
			if !ok {
				panic("bounds of a property that is not there: " + name + "." + strconv.Quote(property))
			}
			maps.Copy(target, keywords)
		}
	}
}
