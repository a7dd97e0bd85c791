package api

import (
	"context"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/constellation"
)

func (s *server) algorithmRoutes() {
	add(s, tagAlgorithms, "GET /v1/algorithms", viewer, "listAlgorithms", "List algorithms", s.listAlgorithms)
	add(s, tagAlgorithms, "GET /v1/algorithms/{owner}/{name}", viewer, "getAlgorithm", "Show an algorithm and its newest version", s.getAlgorithm)
	add(s, tagAlgorithms, "GET /v1/algorithms/{owner}/{name}/versions", viewer, "listAlgorithmVersions", "List an algorithm's versions", s.listAlgorithmVersions)
	add(s, tagAlgorithms, "GET /v1/algorithms/{owner}/{name}/versions/{git_hash}", viewer, "getAlgorithmVersion", "Show one version of an algorithm", s.getAlgorithmVersion)
	add(s, tagAlgorithms, "PATCH /v1/algorithms/{owner}/{name}/versions/{git_hash}", admin, "updateAlgorithmVersion", "Correct the runtime settings of a version, for what is made from then on", s.updateAlgorithmVersion)
	add(s, tagAlgorithms, "DELETE /v1/algorithms/{owner}/{name}/versions/{git_hash}", admin, "deleteAlgorithmVersion", "Remove a version that no satellite has", s.deleteAlgorithmVersion)
}

// AlgorithmPath names an algorithm.
type AlgorithmPath struct {
	Owner string `path:"owner" doc:"Ignoring case." example:"neo"`
	Name  string `path:"name" doc:"Ignoring case." example:"hello"`
}

type algorithmOutput struct{ Body apiv1.Algorithm }

type listAlgorithmsInput struct {
	ListInput
	NameInput
}

func (s *server) listAlgorithms(ctx context.Context, in *listAlgorithmsInput) (*listOutput[apiv1.Algorithm], error) {
	c := callOf(ctx)
	query := in.query()
	query.Name = in.Name
	page, err := c.control.ListAlgorithms(ctx, c.principal, query)
	if err != nil {
		return nil, err
	}
	return listed(ctx, s, page, wireAlgorithm)
}

func (s *server) getAlgorithm(ctx context.Context, in *AlgorithmPath) (*algorithmOutput, error) {
	c := callOf(ctx)
	algorithm, err := c.control.GetAlgorithm(ctx, c.principal, in.Owner, in.Name)
	if err != nil {
		return nil, err
	}
	return &algorithmOutput{wireAlgorithm(algorithm)}, nil
}

type listAlgorithmVersionsInput struct {
	AlgorithmPath
	ListInput
}

func (s *server) listAlgorithmVersions(ctx context.Context, in *listAlgorithmVersionsInput) (*listOutput[apiv1.AlgorithmVersion], error) {
	c := callOf(ctx)
	page, err := c.control.ListAlgorithmVersions(ctx, c.principal, in.Owner, in.Name, in.query())
	if err != nil {
		return nil, err
	}
	return listed(ctx, s, page, wireAlgorithmVersion)
}

// AlgorithmVersionPath names a version of an algorithm.
type AlgorithmVersionPath struct {
	AlgorithmPath
	GitHash string `path:"git_hash" doc:"40 lower-case hex digits, or 64 of a SHA-256 repository." example:"0123456789012345678901234567890123456789"`
}

func (p AlgorithmVersionPath) ref() constellation.AlgorithmRef {
	return constellation.AlgorithmRef{Owner: p.Owner, Name: p.Name, Hash: p.GitHash}
}

type algorithmVersionOutput struct {
	ETag string `header:"ETag" doc:"For If-Match."`
	Body apiv1.AlgorithmVersion
}

func (s *server) getAlgorithmVersion(ctx context.Context, in *AlgorithmVersionPath) (*algorithmVersionOutput, error) {
	c := callOf(ctx)
	version, err := c.control.GetAlgorithmVersion(ctx, c.principal, in.ref())
	if err != nil {
		return nil, err
	}
	return versionOutput(version), nil
}

func versionOutput(v *constellation.AlgorithmVersion) *algorithmVersionOutput {
	return &algorithmVersionOutput{ETag: etag(int64(v.RuntimeRevision)), Body: wireAlgorithmVersion(v)}
}

type updateAlgorithmVersionInput struct {
	AlgorithmVersionPath
	IfMatchInput
	Body apiv1.AlgorithmVersionUpdate
}

func (s *server) updateAlgorithmVersion(ctx context.Context, in *updateAlgorithmVersionInput) (*algorithmVersionOutput, error) {
	c := callOf(ctx)
	revision, err := in.revision()
	if err != nil {
		return nil, err
	}
	version, err := c.control.CorrectRuntime(ctx, c.principal, in.ref(), revision, constellation.RuntimeChange(in.Body.Runtime))
	if err != nil {
		return nil, err
	}
	return versionOutput(version), nil
}

type deleteAlgorithmVersionInput struct {
	AlgorithmVersionPath
	IfMatchInput
}

func (s *server) deleteAlgorithmVersion(ctx context.Context, in *deleteAlgorithmVersionInput) (*struct{}, error) {
	c := callOf(ctx)
	revision, err := in.revision()
	if err != nil {
		return nil, err
	}
	return nil, c.control.DeleteAlgorithmVersion(ctx, c.principal, in.ref(), revision)
}

func wireAlgorithm(a *constellation.Algorithm) apiv1.Algorithm {
	wire := apiv1.Algorithm{Owner: a.Owner, Name: a.Name, CreatedAt: a.CreatedAt.UTC(), VersionCount: a.VersionCount}
	if a.LatestVersion != nil {
		latest := wireAlgorithmVersion(a.LatestVersion)
		wire.LatestVersion = &latest
	}
	return wire
}

func wireAlgorithmVersion(v *constellation.AlgorithmVersion) apiv1.AlgorithmVersion {
	wire := apiv1.AlgorithmVersion{
		Algorithm: v.Ref().String(), Owner: v.Owner, Name: v.Name, GitHash: v.GitHash,
		SemanticVersion: orNull(v.SemanticVersion), State: string(v.State), Kind: string(v.Kind()), RuntimeRevision: v.RuntimeRevision,
		Image: apiv1.Image{
			Repository: v.Image.Repository, Digest: v.Image.Digest, MediaType: v.Image.MediaType,
			Size: v.Image.Size, Platforms: append([]string{}, v.Image.Platforms...),
		},
		CreatedAt: v.CreatedAt.UTC(), CreatedBy: v.CreatedBy, Import: wireImport(v.Import),
	}
	if w := v.Weights; w != nil {
		wire.Weights = &apiv1.Weights{Form: string(w.Form), UnpackedSize: w.UnpackedSize, Files: w.Files}
		return wire
	}
	wire.Runtime = wireRuntime(v.Runtime)
	return wire
}

func wireRuntime(r constellation.Runtime) *apiv1.Runtime {
	return &apiv1.Runtime{
		Protocol: string(r.Protocol), Port: r.Port, Path: r.Path, Concurrency: r.Concurrency,
		HealthPath: r.HealthPath, Network: r.Network, CPU: r.CPU, Memory: r.Memory, GPU: r.GPU,
		Response: r.Response, HTTP2: r.HTTP2, MaxBody: r.MaxBody, IdleTimeout: r.IdleTimeout,
	}
}
