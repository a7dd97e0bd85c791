// Uses the types that openapi-typescript generated into api.d.ts.
import createClient from "openapi-fetch";
import type { components, paths } from "./api.js";

declare const process: { argv: string[] };
const [, , address, secret, satellite] = process.argv;

const client = createClient<paths>({ baseUrl: address, headers: { Authorization: `Bearer ${secret}` } });
const satellites = "/v1/satellites/{satellite_id}/launches" as const;

const made = await client.POST(satellites, { params: { path: { satellite_id: satellite } }, body: { name: "new" } });
if (!made.data) throw new Error(`make a launch: ${made.error.error.message}`);
const read = await client.GET("/v1/satellites/{satellite_id}/launches/{launch_id}", {
  params: { path: { satellite_id: satellite, launch_id: made.data.id } },
});
if (!read.data) throw new Error(`read the launch: ${read.error.error.message}`);
const report: components["schemas"]["LaunchReport"] | null = read.data.report;
const running: number | null = read.data.running_version;
console.log("launch", read.data.name, read.data.status, "etag", read.response.headers.get("ETag"),
  "report", report !== null, "running", running !== null, "seen", read.data.last_seen_at !== null);

const shown = await client.POST("/v1/satellites/{satellite_id}/keys", { params: { path: { satellite_id: satellite } }, body: { name: "billing" } });
if (!shown.data) throw new Error(`make a key: ${shown.error.error.message}`);
const rate: components["schemas"]["KeyRate"] | null = shown.data.rate;
console.log("key", shown.data.name, shown.data.key.startsWith(shown.data.prefix), "rate", rate !== null,
  "expires", shown.data.expires_at !== null, "of", shown.data.algorithms.length);

const listed = await client.GET("/v1/satellites", { params: { query: { limit: 1, sort: "created_at", expand: "algorithms" } } });
if (!listed.data) throw new Error(`list satellites: ${listed.error.error.message}`);
const first = listed.data.results[0];
console.log("satellites", listed.data.results.length, first.name, first.latest_version.algorithms?.[0].vanity_url, "more", listed.data.next_link !== null);
const keys = await client.GET("/v1/satellites/{satellite_id}/keys", { params: { path: { satellite_id: satellite } } });
if (!keys.data) throw new Error(`list keys: ${keys.error.error.message}`);
console.log("keys", keys.data.results.length, "more", keys.data.marker !== null);
const versions = await client.GET("/v1/algorithms");
if (!versions.data) throw new Error(`list algorithms: ${versions.error.error.message}`);
const newest: components["schemas"]["AlgorithmVersion"] | null = versions.data.results[0].latest_version;
console.log("algorithm", newest?.name, "semantic version", newest?.semantic_version !== null);

const gone = await client.GET("/v1/satellites/{satellite_id}/launches/{launch_id}", {
  params: { path: { satellite_id: satellite, launch_id: "00000000-0000-0000-0000-000000000000" } },
});
console.log("not found:", gone.error?.error.code, gone.error?.error.reason);
const again = await client.POST(satellites, { params: { path: { satellite_id: satellite } }, body: { name: "NEW" } });
console.log("conflict:", again.error?.error.code, again.error?.error.reason, again.error?.error.fields?.[0].field);
