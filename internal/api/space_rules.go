package api

import (
	"context"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/constellation"
)

func (s *server) spaceRuleRoutes() {
	add(s, tagSystem, "GET /v1/quotas", admin, "listQuotas", "List how many bytes owners may take", s.listQuotas)
	add(s, tagSystem, "PUT /v1/quotas/{owner}", admin, "putQuota", "Say how many bytes an owner's repositories may take", s.putQuota)
	add(s, tagSystem, "DELETE /v1/quotas/{owner}", admin, "deleteQuota", "Let an owner's repositories take any number of bytes", s.deleteQuota)
	add(s, tagSystem, "GET /v1/retention", admin, "listRetentionRules", "List the rules by which versions of algorithms go by themselves", s.listRetentionRules)
	add(s, tagSystem, "PUT /v1/retention", admin, "putRetentionRule", "Say which versions of algorithms go by themselves", s.putRetentionRule)
	add(s, tagSystem, "DELETE /v1/retention", admin, "deleteRetentionRule", "Remove a retention rule", s.deleteRetentionRule)
	add(s, tagSystem, "GET /v1/retention/versions", admin, "previewRetention", "Say which versions the rules let go now, or would with another rule", s.previewRetention)
}

// QuotaPath names an owner.
type QuotaPath struct {
	Owner string `path:"owner" doc:"Ignoring case." example:"neo"`
}

type quotaOutput struct{ Body apiv1.Quota }

func (s *server) listQuotas(ctx context.Context, in *ListInput) (*listOutput[apiv1.Quota], error) {
	c := callOf(ctx)
	page, err := c.control.ListQuotas(ctx, c.principal, in.query())
	if err != nil {
		return nil, err
	}
	return listed(ctx, s, page, wireQuota)
}

func (s *server) putQuota(ctx context.Context, in *struct {
	QuotaPath
	DryRunInput
	Body apiv1.QuotaPut
},
) (*quotaOutput, error) {
	c := callOf(ctx)
	q, err := c.control.SetQuota(ctx, c.principal, in.Owner, in.Body.Bytes)
	if err != nil {
		return nil, err
	}
	return &quotaOutput{wireQuota(q)}, nil
}

func (s *server) deleteQuota(ctx context.Context, in *QuotaPath) (*struct{}, error) {
	c := callOf(ctx)
	return nil, c.control.RemoveQuota(ctx, c.principal, in.Owner)
}

func wireQuota(q *constellation.Quota) apiv1.Quota {
	return apiv1.Quota{Owner: q.Owner, Bytes: q.Bytes, SetAt: q.SetAt.UTC(), SetBy: q.SetBy}
}

// everyScope is the scope of the rule of all algorithms, on the wire.
const everyScope = "*"

// ScopeQuery names what a retention rule is of.
type ScopeQuery struct {
	Scope string `query:"scope" required:"true" doc:"* for every algorithm, an owner, or OWNER/NAME." example:"neo"`
}

func (q ScopeQuery) scope() string { return readScope(q.Scope) }

func readScope(text string) string {
	if text == everyScope {
		return ""
	}
	return text
}

type retentionRuleOutput struct{ Body apiv1.RetentionRule }

func (s *server) listRetentionRules(ctx context.Context, in *ListInput) (*listOutput[apiv1.RetentionRule], error) {
	c := callOf(ctx)
	page, err := c.control.ListRetentionRules(ctx, c.principal, in.query())
	if err != nil {
		return nil, err
	}
	return listed(ctx, s, page, wireRetentionRule)
}

func (s *server) putRetentionRule(ctx context.Context, in *struct {
	ScopeQuery
	DryRunInput
	Body apiv1.RetentionRulePut
},
) (*retentionRuleOutput, error) {
	c := callOf(ctx)
	if err := checkScope(in.Scope); err != nil {
		return nil, err
	}
	r, err := c.control.SetRetentionRule(ctx, c.principal, constellation.RetentionRule{Scope: in.scope(), Keep: in.Body.KeepVersions, Days: in.Body.AfterDays})
	if err != nil {
		return nil, err
	}
	return &retentionRuleOutput{wireRetentionRule(r)}, nil
}

func (s *server) deleteRetentionRule(ctx context.Context, in *ScopeQuery) (*struct{}, error) {
	c := callOf(ctx)
	if err := checkScope(in.Scope); err != nil {
		return nil, err
	}
	return nil, c.control.RemoveRetentionRule(ctx, c.principal, in.scope())
}

// checkScope keeps a scope that was left empty from being that of every algorithm.
func checkScope(scope string) error {
	var v constellation.Validation
	if scope == "" {
		v.Add("scope", "a scope is * for every algorithm, an owner, or OWNER/NAME; it is empty")
	}
	return v.Err()
}

type previewRetentionInput struct {
	Scope        string `query:"scope" doc:"With keep_versions and after_days: as if this scope had such a rule." example:"neo"`
	KeepVersions int    `query:"keep_versions" minimum:"0" maximum:"100000" doc:"How many of the newest versions of an algorithm would stay." example:"20"`
	AfterDays    int    `query:"after_days" minimum:"0" maximum:"100000" doc:"How many days the others would stay." example:"90"`
}

type retiredVersionsOutput struct{ Body apiv1.RetiredVersions }

func (s *server) previewRetention(ctx context.Context, in *previewRetentionInput) (*retiredVersionsOutput, error) {
	c := callOf(ctx)
	var as *constellation.RetentionRule
	if in.Scope != "" {
		as = &constellation.RetentionRule{Scope: readScope(in.Scope), Keep: in.KeepVersions, Days: in.AfterDays}
	}
	versions, more, err := c.control.PreviewRetention(ctx, c.principal, as)
	if err != nil {
		return nil, err
	}
	wire := apiv1.RetiredVersions{Versions: []string{}, More: more}
	for _, v := range versions {
		wire.Versions = append(wire.Versions, v.String())
	}
	return &retiredVersionsOutput{wire}, nil
}

func wireRetentionRule(r *constellation.RetentionRule) apiv1.RetentionRule {
	wire := apiv1.RetentionRule{Scope: r.Scope, KeepVersions: r.Keep, AfterDays: r.Days, SetAt: r.SetAt.UTC(), SetBy: r.SetBy}
	if wire.Scope == "" {
		wire.Scope = everyScope
	}
	return wire
}
