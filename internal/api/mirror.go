package api

import (
	"context"
	"net/http"
	"net/url"

	"github.com/go-chi/chi/v5"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/httpserve"
)

func (s *server) mirrorRoutes(router chi.Router) {
	add(s, tagRegistries, "GET /v1/mirrors", admin, "listMirrors", "List the rules by which tags of other registries become versions", s.listMirrors)
	add(s, tagRegistries, "POST /v1/mirrors", admin, "createMirror", "Have tags of another registry become versions of an algorithm", s.createMirror)
	add(s, tagRegistries, "GET /v1/mirrors/{mirror_id}", admin, "getMirror", "Show a mirror, and what its last poll came to", s.getMirror)
	add(s, tagRegistries, "PATCH /v1/mirrors/{mirror_id}", admin, "updateMirror", "Change a mirror, or turn it off or on", s.updateMirror)
	add(s, tagRegistries, "DELETE /v1/mirrors/{mirror_id}", admin, "deleteMirror", "Remove a mirror; its versions stay", s.deleteMirror)
	add(s, tagRegistries, "GET /v1/mirrors/{mirror_id}/tags", admin, "listMirrorTags", "List the tags that a mirror matches, and what became of them", s.mirrorTags)
	add(s, tagRegistries, "POST /v1/mirrors/{mirror_id}/poll", admin, "pollMirror", "Poll a mirror now", s.pollMirror)
	add(s, tagRegistries, "POST /v1/mirrors/{mirror_id}/webhook", admin, "createMirrorWebhook", "Make the secret address at which a registry tells of pushes, in place of one that there was", s.makeMirrorWebhook)
	add(s, tagRegistries, "DELETE /v1/mirrors/{mirror_id}/webhook", admin, "deleteMirrorWebhook", "End the secret address of a mirror", s.deleteMirrorWebhook)
	router.Post("/v1/mirrors/{mirror_id}/notify", func(w http.ResponseWriter, r *http.Request) {
		if err := s.toldOfPush(w, r); err != nil {
			httpserve.Refuse(w, r, func() { httpserve.WriteError(w, r, err) })
		}
	})
}

// MirrorPath names a mirror.
type MirrorPath struct {
	MirrorID string `path:"mirror_id" doc:"The mirror's id, a UUID."`
}

type (
	mirrorOutput        struct{ Body apiv1.Mirror }
	mirrorTagsOutput    struct{ Body apiv1.MirrorTags }
	mirrorWebhookOutput struct{ Body apiv1.MirrorWebhook }
)

type listMirrorsInput struct {
	ListInput
	Algorithm string `query:"algorithm" doc:"Keeps the mirrors of this algorithm, OWNER/NAME." example:"neo/hello"`
}

func (s *server) listMirrors(ctx context.Context, in *listMirrorsInput) (*listOutput[apiv1.Mirror], error) {
	c := callOf(ctx)
	page, err := c.control.ListMirrors(ctx, c.principal, in.Algorithm, in.query())
	if err != nil {
		return nil, err
	}
	return listed(ctx, s, page, wireMirror)
}

func (s *server) createMirror(ctx context.Context, in *struct{ Body apiv1.MirrorCreate }) (*mirrorOutput, error) {
	c, b := callOf(ctx), in.Body
	m, err := c.control.CreateMirror(ctx, c.principal, b.Algorithm, b.Source, control.MirrorChange{Tags: &b.Tags, Keep: b.Keep, IntervalSeconds: b.IntervalSeconds, Disabled: b.Disabled})
	if err != nil {
		return nil, err
	}
	return &mirrorOutput{wireMirror(m)}, nil
}

func (s *server) getMirror(ctx context.Context, in *MirrorPath) (*mirrorOutput, error) {
	c := callOf(ctx)
	m, err := c.control.GetMirror(ctx, c.principal, in.MirrorID)
	if err != nil {
		return nil, err
	}
	return &mirrorOutput{wireMirror(m)}, nil
}

type updateMirrorInput struct {
	MirrorPath
	Body apiv1.MirrorUpdate
}

func (s *server) updateMirror(ctx context.Context, in *updateMirrorInput) (*mirrorOutput, error) {
	c := callOf(ctx)
	m, err := c.control.UpdateMirror(ctx, c.principal, in.MirrorID, control.MirrorChange(in.Body))
	if err != nil {
		return nil, err
	}
	return &mirrorOutput{wireMirror(m)}, nil
}

func (s *server) deleteMirror(ctx context.Context, in *MirrorPath) (*struct{}, error) {
	c := callOf(ctx)
	return nil, c.control.DeleteMirror(ctx, c.principal, in.MirrorID)
}

func (s *server) mirrorTags(ctx context.Context, in *MirrorPath) (*mirrorTagsOutput, error) {
	c := callOf(ctx)
	tags, err := c.control.MirrorTags(ctx, c.principal, in.MirrorID)
	if err != nil {
		return nil, err
	}
	return &mirrorTagsOutput{apiv1.MirrorTags{Results: mapped(tags, wireMirrorTag)}}, nil
}

func (s *server) pollMirror(ctx context.Context, in *MirrorPath) (*mirrorOutput, error) {
	c := callOf(ctx)
	m, err := c.control.PollMirror(ctx, c.principal, in.MirrorID)
	if err != nil {
		return nil, err
	}
	return &mirrorOutput{wireMirror(m)}, nil
}

func (s *server) makeMirrorWebhook(ctx context.Context, in *MirrorPath) (*mirrorWebhookOutput, error) {
	c := callOf(ctx)
	m, secret, err := c.control.MakeMirrorWebhook(ctx, c.principal, in.MirrorID)
	if err != nil {
		return nil, err
	}
	return &mirrorWebhookOutput{apiv1.MirrorWebhook{URL: s.publicURL + control.MirrorNotifyPath(m.ID) + "?secret=" + url.QueryEscape(secret)}}, nil
}

func (s *server) deleteMirrorWebhook(ctx context.Context, in *MirrorPath) (*struct{}, error) {
	c := callOf(ctx)
	return nil, c.control.RemoveMirrorWebhook(ctx, c.principal, in.MirrorID)
}

// toldOfPush is called by registries, with a secret that is no API key. It is beside
// Huma, as what they post is theirs to say.
func (s *server) toldOfPush(w http.ResponseWriter, r *http.Request) error {
	secret := r.URL.Query().Get("secret")
	if secret == "" {
		var err error
		if secret, err = presentedKey(r.Header.Get("Authorization")); err != nil {
			return err
		}
	}
	body, err := readBody(r)
	if err != nil {
		return err
	}
	polled, err := s.control.ToldOfPush(r.Context(), chi.URLParam(r, "mirror_id"), secret, body)
	if err != nil {
		return err
	}
	answer := `{"polled":false}`
	if polled {
		answer = `{"polled":true}`
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	_, _ = w.Write([]byte(answer + "\n")) // the registry is gone: nobody to tell
	return nil
}

func wireMirror(m *constellation.Mirror) apiv1.Mirror {
	wire := apiv1.Mirror{
		ID: m.ID, Algorithm: m.Algorithm(), Source: m.Source, Tags: m.Tags, Keep: m.Keep, IntervalSeconds: m.IntervalSeconds, Disabled: m.Disabled, HasWebhook: m.HasWebhook,
		State: string(m.State()), Error: orNull(m.Error), PolledAt: utc(m.PolledAt), TagsListed: m.Listed, TagsMatched: m.Matched, Importing: m.Importing, Failed: m.Failed,
		CreatedAt: m.CreatedAt.UTC(), CreatedBy: m.CreatedBy, UpdatedAt: m.UpdatedAt.UTC(), UpdatedBy: m.UpdatedBy,
	}
	if !m.Disabled {
		wire.NextPollAt = utc(&m.NextAt)
	}
	return wire
}

func wireMirrorTag(t constellation.MirrorTag) apiv1.MirrorTag {
	return apiv1.MirrorTag{
		Tag: t.Tag, Digest: orNull(t.Digest), GitHash: orNull(t.GitHash), State: orNull(string(t.State)), SeenAt: t.SeenAt.UTC(), Gone: t.Gone, Error: orNull(t.Error),
	}
}
