package api

import (
	"context"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
)

func (s *server) importRoutes() {
	add(s, tagAlgorithms, "POST /v1/algorithms/{owner}/{name}/versions", admin, importID, "Import an image of another registry as a version, in the background", s.importVersion)
	add(s, tagAlgorithms, "DELETE /v1/algorithms/{owner}/{name}/versions/{git_hash}/import", admin, "cancelImport", "Cancel the import of a version", s.cancelImport)
	add(s, tagRegistries, "GET /v1/registries", admin, "listRegistries", "List the registries that images are imported from by a login, or otherwise than by plain HTTPS", s.listRegistries)
	add(s, tagRegistries, "POST /v1/registries", admin, "createRegistry", "Say how a registry is reached, with its login", s.createRegistry)
	add(s, tagRegistries, "GET /v1/registries/{registry_id}", admin, "getRegistry", "Show how a registry is reached", s.getRegistry)
	add(s, tagRegistries, "PATCH /v1/registries/{registry_id}", admin, "updateRegistry", "Change how a registry is reached, or its login", s.updateRegistry)
	add(s, tagRegistries, "DELETE /v1/registries/{registry_id}", admin, "deleteRegistry", "Forget a registry and its login", s.deleteRegistry)
	add(s, tagRegistries, "POST /v1/registries/{registry_id}/test", admin, "testRegistry", "Ask a registry whether it lets its login in", s.testRegistry)
}

// importID is the operation that asks for what is done later.
const importID = "importAlgorithmVersion"

// acceptLater gives the operation that asks for an import its answers: 202, and 200
// when the version is ready already.
func acceptLater(responses map[string]*huma.Response) {
	made := responses[strconv.Itoa(http.StatusCreated)]
	delete(responses, strconv.Itoa(http.StatusCreated))
	later, there := *made, *made
	later.Description = "It is being imported: look at the version until its state is ready or failed."
	there.Description = "It was imported from this image before; this is what there is."
	responses[strconv.Itoa(http.StatusAccepted)], responses[strconv.Itoa(http.StatusOK)] = &later, &there
}

type importVersionInput struct {
	AlgorithmPath
	Body apiv1.AlgorithmVersionImport
}

type importVersionOutput struct {
	Status int
	ETag   string `header:"ETag" doc:"For If-Match."`
	Body   apiv1.AlgorithmVersion
}

func (s *server) importVersion(ctx context.Context, in *importVersionInput) (*importVersionOutput, error) {
	c := callOf(ctx)
	request := control.ImportRequest{
		Ref:             constellation.AlgorithmRef{Owner: in.Owner, Name: in.Name, Hash: in.Body.GitHash},
		SemanticVersion: in.Body.SemanticVersion, Image: in.Body.Image,
	}
	if in.Body.Runtime != nil {
		request.Runtime = constellation.RuntimeChange(*in.Body.Runtime)
	}
	v, _, err := c.control.ImportVersion(ctx, c.principal, request)
	if err != nil {
		return nil, err
	}
	out := &importVersionOutput{Status: http.StatusAccepted, ETag: etag(int64(v.RuntimeRevision)), Body: wireAlgorithmVersion(v)}
	if v.State == constellation.VersionReady {
		out.Status = http.StatusOK
	}
	return out, nil
}

func (s *server) cancelImport(ctx context.Context, in *AlgorithmVersionPath) (*struct{}, error) {
	c := callOf(ctx)
	return nil, c.control.CancelImport(ctx, c.principal, in.ref())
}

func wireImport(i *constellation.Import) *apiv1.Import {
	if i == nil {
		return nil
	}
	wire := &apiv1.Import{
		Image: i.Image.String(), Digest: orNull(i.Digest), State: string(i.State), Phase: string(i.Phase), BytesDone: i.BytesDone, BytesPerSecond: i.Rate,
		Attempts: i.Attempts, NextAttemptAt: i.NextAt, Error: orNull(i.Error), RequestedAt: i.RequestedAt.UTC(), RequestedBy: i.RequestedBy,
		StartedAt: i.StartedAt, EndedAt: i.EndedAt,
	}
	if i.Bytes > 0 {
		wire.Bytes = &i.Bytes
	}
	return wire
}

// RegistryPath names a registry elsewhere.
type RegistryPath struct {
	RegistryID string `path:"registry_id" doc:"The registry's id, a UUID."`
}

type registryOutput struct{ Body apiv1.Registry }

func (s *server) listRegistries(ctx context.Context, in *ListInput) (*listOutput[apiv1.Registry], error) {
	c := callOf(ctx)
	page, err := c.control.ListForeignRegistries(ctx, c.principal, in.query())
	if err != nil {
		return nil, err
	}
	return listed(ctx, s, page, wireRegistry)
}

func (s *server) createRegistry(ctx context.Context, in *struct{ Body apiv1.RegistryCreate }) (*registryOutput, error) {
	c, b := callOf(ctx), in.Body
	r, err := c.control.CreateForeignRegistry(ctx, c.principal, b.Host, control.RegistryChange{PlainHTTP: &b.PlainHTTP, CA: &b.CA, Username: &b.Username, Password: &b.Password})
	if err != nil {
		return nil, err
	}
	return &registryOutput{wireRegistry(r)}, nil
}

func (s *server) getRegistry(ctx context.Context, in *RegistryPath) (*registryOutput, error) {
	c := callOf(ctx)
	r, err := c.control.GetForeignRegistry(ctx, c.principal, in.RegistryID)
	if err != nil {
		return nil, err
	}
	return &registryOutput{wireRegistry(r)}, nil
}

type updateRegistryInput struct {
	RegistryPath
	Body apiv1.RegistryUpdate
}

func (s *server) updateRegistry(ctx context.Context, in *updateRegistryInput) (*registryOutput, error) {
	c := callOf(ctx)
	r, err := c.control.UpdateForeignRegistry(ctx, c.principal, in.RegistryID, control.RegistryChange(in.Body))
	if err != nil {
		return nil, err
	}
	return &registryOutput{wireRegistry(r)}, nil
}

func (s *server) deleteRegistry(ctx context.Context, in *RegistryPath) (*struct{}, error) {
	c := callOf(ctx)
	return nil, c.control.DeleteForeignRegistry(ctx, c.principal, in.RegistryID)
}

type registryTestOutput struct{ Body apiv1.RegistryTest }

func (s *server) testRegistry(ctx context.Context, in *RegistryPath) (*registryTestOutput, error) {
	c := callOf(ctx)
	_, why, err := c.control.TestForeignRegistry(ctx, c.principal, in.RegistryID)
	if err != nil {
		return nil, err
	}
	return &registryTestOutput{apiv1.RegistryTest{Works: why == "", Error: orNull(why)}}, nil
}

func wireRegistry(r *constellation.ForeignRegistry) apiv1.Registry {
	return apiv1.Registry{
		ID: r.ID, Host: r.Host, PlainHTTP: r.PlainHTTP, CA: orNull(r.CA), Username: orNull(r.Username), HasPassword: r.HasPassword(),
		CreatedAt: r.CreatedAt.UTC(), CreatedBy: r.CreatedBy, UpdatedAt: r.UpdatedAt.UTC(), UpdatedBy: r.UpdatedBy, LastUsedAt: utc(r.LastUsedAt),
	}
}
