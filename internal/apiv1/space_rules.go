package apiv1

import "time"

// Quota is how many bytes an owner's repositories may take.
type Quota struct {
	Owner string    `json:"owner" doc:"In lower case." example:"neo"`
	Bytes int64     `json:"bytes" doc:"Pushes beyond it are refused." example:"50000000000"`
	SetAt time.Time `json:"set_at"`
	SetBy string    `json:"set_by"`
}

// QuotaPut is the body of PUT /v1/quotas/{owner}.
type QuotaPut struct {
	Bytes int64 `json:"bytes" minimum:"0" doc:"How many bytes the owner's repositories may take. What is there stays." example:"50000000000"`
}

// RetentionRule says which versions of algorithms go by themselves.
type RetentionRule struct {
	Scope        string    `json:"scope" doc:"* for every algorithm, an owner, or OWNER/NAME, in lower case; the narrowest that fits counts." example:"neo"`
	KeepVersions int       `json:"keep_versions" doc:"How many of the newest versions of an algorithm stay." example:"20"`
	AfterDays    int       `json:"after_days" doc:"How many days the others stay after they were pushed." example:"90"`
	SetAt        time.Time `json:"set_at"`
	SetBy        string    `json:"set_by"`
}

// RetentionRulePut is the body of PUT /v1/retention.
type RetentionRulePut struct {
	KeepVersions int `json:"keep_versions" minimum:"0" maximum:"100000" doc:"How many of the newest versions of an algorithm stay." example:"20"`
	AfterDays    int `json:"after_days" minimum:"0" maximum:"100000" doc:"How many days the others stay after they were pushed; what a satellite has stays in any case." example:"90"`
}

// RetiredVersions answers GET /v1/retention/versions.
type RetiredVersions struct {
	Versions []string `json:"versions" doc:"OWNER/NAME/HASH of those that the next garbage collection removes, the oldest first, up to 1000." example:"[\"neo/hello/0123456789012345678901234567890123456789\"]"`
	More     bool     `json:"more" doc:"There are more than these."`
}
