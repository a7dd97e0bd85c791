package admin

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/httpserve"
	"github.com/constellation-serving/constellation/internal/ratelimit"
)

// anyone is the role of a route that needs nobody signed in.
const anyone constellation.Role = ""

// Where satellites are edited: a new one, and one that there is.
const (
	newDraft  = "/satellites/new"
	editDraft = "/satellites/{satellite_id}/edit"
)

// route is one address and method of the panel, and the role that its visitor
// needs at least. The control layer decides again, for every surface alike;
// here it keeps people from forms that they could not send.
type route struct {
	method, pattern string
	role            constellation.Role
	handle          handler
}

// routes returns everything the panel answers, beside /static/.
func (s *server) routes() []route {
	const viewer, operator, admin = constellation.RoleViewer, constellation.RoleOperator, constellation.RoleAdmin
	const satellite = "/satellites/{satellite_id}"
	const launch = satellite + "/launches/{launch_id}"
	const version = "/algorithms/{owner}/{name}/{hash}"
	const mirrors = "/algorithms/{owner}/{name}/mirrors"
	const user = "/users/{username}"
	const quota = "/system/owners/{owner}/quota"
	const tokenRule = "/token-rules/{rule_id}" //nolint:gosec // an address
	const registry = "/registries/{registry_id}"
	const destination = "/notifications/destinations/{destination_id}"
	return []route{
		{"GET", "/setup", anyone, s.showSetup},
		{"POST", "/setup", anyone, s.setup},
		{"GET", "/invitation", anyone, s.showInvitation},
		{"POST", "/invitation", anyone, s.acceptInvitation},
		{"GET", "/login", anyone, s.showLogin},
		{"POST", "/login", anyone, s.login},
		{"GET", "/login/{provider}", anyone, s.beginSignIn},
		{"GET", "/login/{provider}/callback", anyone, s.finishSignIn},
		{"POST", "/logout", anyone, s.logout},
		{"POST", "/theme", anyone, s.setTheme},
		{"GET", "/docs", anyone, s.showDocs},
		{"GET", "/docs/api", anyone, s.showReference},
		{"GET", "/docs/{chapter}", anyone, s.showChapter},

		{"GET", "/", viewer, s.listSatellites},
		{"GET", launchesPath, viewer, s.listLaunches},
		{"GET", "/live", viewer, s.live},
		{"GET", "/find", viewer, s.find},

		{"GET", newDraft, admin, s.showEditor},
		{"POST", newDraft, admin, s.save},
		{"POST", newDraft + "/empty", admin, s.saveAsIs},
		{"POST", newDraft + "/add", admin, s.openNewLine},
		{"POST", newDraft + "/lines/{index}/change", admin, s.openLine},
		{"POST", newDraft + "/lines/{index}/remove", admin, s.removeLine},
		{"POST", newDraft + "/admin-key", admin, s.makeAdminKey},
		{"GET", newDraft + "/algorithm", admin, s.showAlgorithmForm},
		{"POST", newDraft + "/algorithm", admin, s.putAlgorithm},
		{"POST", newDraft + "/algorithm/choices", admin, s.showChoices},
		{"POST", newDraft + "/schedules/add", admin, s.openNewSchedule},
		{"POST", newDraft + "/schedules/{index}/change", admin, s.openSchedule},
		{"POST", newDraft + "/schedules/{index}/remove", admin, s.removeSchedule},
		{"GET", newDraft + "/schedule", admin, s.showScheduleForm},
		{"POST", newDraft + "/schedule", admin, s.putSchedule},
		{"POST", newDraft + "/schedule/runs", admin, s.showRuns},
		{"GET", editDraft, admin, s.showEditor},
		{"POST", editDraft, admin, s.save},
		{"POST", editDraft + "/preview", admin, s.preview},
		{"POST", editDraft + "/rebase", admin, s.rebase},
		{"POST", editDraft + "/discard", admin, s.discard},
		{"POST", editDraft + "/add", admin, s.openNewLine},
		{"POST", editDraft + "/lines/{index}/change", admin, s.openLine},
		{"POST", editDraft + "/lines/{index}/settings", admin, s.takeSettings},
		{"POST", editDraft + "/lines/{index}/remove", admin, s.removeLine},
		{"POST", editDraft + "/admin-key", admin, s.makeAdminKey},
		{"GET", editDraft + "/algorithm", admin, s.showAlgorithmForm},
		{"POST", editDraft + "/algorithm", admin, s.putAlgorithm},
		{"POST", editDraft + "/algorithm/choices", admin, s.showChoices},
		{"POST", editDraft + "/schedules/add", admin, s.openNewSchedule},
		{"POST", editDraft + "/schedules/{index}/change", admin, s.openSchedule},
		{"POST", editDraft + "/schedules/{index}/remove", admin, s.removeSchedule},
		{"GET", editDraft + "/schedule", admin, s.showScheduleForm},
		{"POST", editDraft + "/schedule", admin, s.putSchedule},
		{"POST", editDraft + "/schedule/runs", admin, s.showRuns},

		{"GET", satellite, viewer, s.showSatellite},
		{"GET", satellite + "/algorithms", viewer, s.showAlgorithms},
		{"GET", satellite + "/versions", viewer, s.showVersions},
		{"GET", satellite + "/versions/compare", viewer, s.compareVersions},
		{"GET", satellite + "/versions/{number}/again", admin, s.previewRestore},
		{"POST", satellite + "/versions/{number}/again", admin, s.makeAgain},
		{"GET", satellite + "/versions/{number}/remove", admin, s.askRemoveSatelliteVersion},
		{"POST", satellite + "/versions/{number}/remove", admin, s.removeSatelliteVersion},
		{"GET", satellite + "/authentication", viewer, s.showKeys},
		{"GET", satellite + "/keys/new", admin, s.askKey},
		{"POST", satellite + "/keys/new", admin, s.createSatelliteKey},
		{"GET", satellite + "/keys/{key_id}/revoke", admin, s.askRevoke},
		{"POST", satellite + "/keys/{key_id}/revoke", admin, s.revokeSatelliteKey},
		{"GET", satellite + "/activity", viewer, s.showActivity},
		{"GET", satellite + "/renew", admin, s.askRenew},
		{"POST", satellite + "/renew", admin, s.renew},
		{"GET", satellite + "/remove", admin, s.askRemove},
		{"POST", satellite + "/remove", admin, s.remove},

		{"GET", satellite + "/launches/new", operator, s.askNewLaunch},
		{"POST", satellite + "/launches/new", operator, s.createLaunch},
		{"GET", launch, viewer, s.showLaunch},
		{"GET", launch + "/edit", operator, s.askEditLaunch},
		{"POST", launch + "/edit", operator, s.editLaunch},
		{"GET", launch + "/remove", operator, s.askRemoveLaunch},
		{"POST", launch + "/remove", operator, s.removeLaunch},
		{"GET", launch + "/promote", operator, s.askPromote},
		{"POST", launch + "/promote", operator, s.promote},
		{"GET", launch + "/dead-letters", viewer, s.showDeadLetters},
		{"GET", launch + "/dead-letters/decide", operator, s.askDecision},
		{"POST", launch + "/dead-letters/decide", operator, s.decide},
		{"GET", launch + "/rollback", operator, s.askRollBack},
		{"POST", launch + "/rollback", operator, s.rollBack},

		{"GET", "/algorithms", viewer, s.listAlgorithms},
		{"GET", "/algorithms/push", admin, s.showPush},
		{"GET", "/algorithms/import", admin, s.showImport},
		{"POST", "/algorithms/import", admin, s.importVersion},
		{"GET", "/algorithms/{owner}/{name}", viewer, s.showAlgorithm},
		{"GET", mirrors + "/new", admin, s.newMirror},
		{"POST", mirrors + "/new", admin, s.createMirror},
		{"GET", mirrors + "/{mirror_id}/edit", admin, s.editMirror},
		{"POST", mirrors + "/{mirror_id}/edit", admin, s.saveMirror},
		{"POST", mirrors + "/{mirror_id}/poll", admin, s.pollMirror},
		{"GET", mirrors + "/{mirror_id}/tags", admin, s.showMirrorTags},
		{"GET", mirrors + "/{mirror_id}/webhook", admin, s.askWebhook},
		{"POST", mirrors + "/{mirror_id}/webhook", admin, s.makeWebhook},
		{"GET", mirrors + "/{mirror_id}/webhook/end", admin, s.askEndWebhook},
		{"POST", mirrors + "/{mirror_id}/webhook/end", admin, s.endWebhook},
		{"GET", mirrors + "/{mirror_id}/remove", admin, s.askRemoveMirror},
		{"POST", mirrors + "/{mirror_id}/remove", admin, s.removeMirror},
		{"GET", version, viewer, s.showAlgorithmVersion},
		{"POST", version + "/import/cancel", admin, s.cancelImport},
		{"POST", version + "/import/retry", admin, s.retryImport},
		{"GET", version + "/settings", admin, s.askSettings},
		{"POST", version + "/settings", admin, s.correctSettings},
		{"GET", version + "/remove", admin, s.askRemoveVersion},
		{"POST", version + "/remove", admin, s.removeVersion},

		{"GET", "/account", viewer, s.showAccount},
		{"GET", "/account/keys/new", viewer, s.newAccountKey},
		{"POST", "/account/keys/new", viewer, s.createAccountKey},
		{"GET", "/account/keys/{key_id}/revoke", viewer, s.confirmAccountKey},
		{"POST", "/account/keys/{key_id}/revoke", viewer, s.revokeAccountKey},
		{"GET", "/account/password", viewer, s.showPassword},
		{"POST", "/account/password", viewer, s.changePassword},
		{"POST", "/account/sessions/{session_id}/end", viewer, s.endSession},
		{"GET", "/account/sign-out", viewer, s.confirmSignOut},
		{"POST", "/account/sign-out", viewer, s.signOutEverywhere},

		{"GET", "/users", admin, s.listUsers},
		{"GET", "/users/new", admin, s.newUser},
		{"POST", "/users/new", admin, s.inviteUser},
		{"GET", user, admin, s.showUser},
		{"POST", user + "/role", admin, s.changeRole},
		{"POST", user + "/provider", admin, s.changeProvider},
		{"GET", user + "/password", admin, s.confirmUser(askReset)},
		{"POST", user + "/password", admin, s.resetPassword},
		{"GET", user + "/disable", admin, s.confirmUser(askDisable)},
		{"POST", user + "/disable", admin, s.setDisabled(true, askDisable, "The user is disabled, and signed out everywhere.")},
		{"GET", user + "/enable", admin, s.confirmUser(askEnable)},
		{"POST", user + "/enable", admin, s.setDisabled(false, askEnable, "The user may sign in again.")},
		{"GET", user + "/keys/new", admin, s.newUserKey},
		{"POST", user + "/keys/new", admin, s.createUserKey},
		{"GET", user + "/keys/{key_id}/revoke", admin, s.confirmUserKey},
		{"POST", user + "/keys/{key_id}/revoke", admin, s.revokeUserKey},
		{"POST", user + "/sessions/{session_id}/end", admin, s.endUserSession},
		{"GET", user + "/sign-out", admin, s.confirmUser(askSignOut)},
		{"POST", user + "/sign-out", admin, s.signUserOut},

		{"GET", "/token-rules", admin, s.listTokenRules},
		{"GET", "/token-rules/new", admin, s.newTokenRule},
		{"POST", "/token-rules/new", admin, s.createTokenRule},
		{"GET", "/token-rules/try", admin, s.askToken},
		{"POST", "/token-rules/try", admin, s.tryToken},
		{"GET", tokenRule + "/edit", admin, s.editTokenRule},
		{"POST", tokenRule + "/edit", admin, s.saveTokenRule},
		{"GET", tokenRule + "/remove", admin, s.askRemoveTokenRule},
		{"POST", tokenRule + "/remove", admin, s.removeTokenRule},

		{"GET", "/audit", admin, s.showAudit},
		{"GET", "/audit/export.csv", admin, s.exportCSV},
		{"GET", "/audit/export.json", admin, s.exportJSON},
		{"GET", "/registries", admin, s.listRegistries},
		{"GET", "/registries/new", admin, s.newRegistry},
		{"POST", "/registries/new", admin, s.createRegistry},
		{"GET", registry + "/edit", admin, s.editRegistry},
		{"POST", registry + "/edit", admin, s.saveRegistry},
		{"POST", registry + "/test", admin, s.testRegistry},
		{"GET", registry + "/remove", admin, s.askRemoveRegistry},
		{"POST", registry + "/remove", admin, s.removeRegistry},
		{"GET", "/notifications", admin, s.listDestinations},
		{"GET", "/notifications/destinations/new", admin, s.newDestination},
		{"POST", "/notifications/destinations/new", admin, s.createDestination},
		{"GET", destination + "/edit", admin, s.editDestination},
		{"POST", destination + "/edit", admin, s.saveDestination},
		{"POST", destination + "/test", admin, s.testDestination},
		{"GET", destination + "/remove", admin, s.askRemoveDestination},
		{"POST", destination + "/remove", admin, s.removeDestination},
		{"GET", "/notifications/rules", admin, s.listNotificationRules},
		{"GET", "/notifications/rules/new", admin, s.newNotificationRule},
		{"POST", "/notifications/rules/new", admin, s.createNotificationRule},
		{"GET", "/notifications/rules/{rule_id}/edit", admin, s.editNotificationRule},
		{"POST", "/notifications/rules/{rule_id}/edit", admin, s.saveNotificationRule},
		{"GET", "/notifications/rules/{rule_id}/remove", admin, s.askRemoveNotificationRule},
		{"POST", "/notifications/rules/{rule_id}/remove", admin, s.removeNotificationRule},
		{"GET", "/notifications/log", admin, s.showDeliveries},
		{"POST", "/notifications/log/{delivery_id}/resend", admin, s.resendDelivery},
		{"GET", "/system", admin, s.showSystem},
		{"GET", "/system/free", admin, s.confirmFree},
		{"POST", "/system/free", admin, s.freeSpace},
		{"GET", "/system/owners", admin, s.listOwners},
		{"GET", "/system/owners/quota", admin, s.askQuota},
		{"POST", "/system/owners/quota", admin, s.setQuota},
		{"GET", quota, admin, s.askQuota},
		{"POST", quota, admin, s.setQuota},
		{"GET", quota + "/remove", admin, s.askRemoveQuota},
		{"POST", quota + "/remove", admin, s.removeQuota},
		{"GET", "/system/repositories", admin, s.listRepositories},
		{"GET", "/system/retention", admin, s.listRetention},
		{"GET", "/system/retention/versions", admin, s.showRetired},
		{"GET", "/system/retention/new", admin, s.newRetention},
		{"POST", "/system/retention/new", admin, s.putRetention(false)},
		{"POST", "/system/retention/preview", admin, s.previewRetention},
		{"GET", "/system/retention/edit", admin, s.editRetention},
		{"POST", "/system/retention/edit", admin, s.putRetention(true)},
		{"GET", "/system/retention/remove", admin, s.askRemoveRetention},
		{"POST", "/system/retention/remove", admin, s.removeRetention},
		{"GET", "/system/backups", admin, s.listBackups},
	}
}

// errAnswered is returned by what has answered a request itself.
var errAnswered = errors.New("the request is answered")

// answered returns errAnswered, unless answering failed.
func answered(err error) error {
	if err != nil {
		return err
	}
	return errAnswered
}

// open returns the handler of a route: it asks who is there, reads the form and
// loads what the address names.
func (s *server) open(route route) http.HandlerFunc {
	return s.handle(func(r *request) error {
		if route.role == anyone {
			narrow(r)
		} else if err := s.admit(r, route.role); err != nil {
			return err
		}
		if err := s.count(r, route); err != nil {
			return err
		}
		if r.Method == http.MethodPost {
			if err := parseForm(r.Request); err != nil {
				return err
			}
		}
		if r.tidied() {
			return errAnswered
		}
		if err := s.load(r, route); err != nil {
			return err
		}
		return route.handle(r)
	})
}

// admit lets those through who have a session and a role; others sign in first
// and come back, to a form with what they had typed.
func (s *server) admit(r *request, role constellation.Role) error {
	p, err := s.session(r.Request)
	switch {
	case err == nil && p.Role.Rank() >= role.Rank():
		r.p = p
		return nil
	case err == nil:
		return constellation.Errorf(constellation.KindForbidden, "This page needs the role %s; %s has the role %s. Ask an administrator.", role, p.Username, p.Role)
	case constellation.KindOf(err) != constellation.KindUnauthenticated:
		return err
	}
	if refused := s.countStranger(r); refused != nil {
		return refused
	}
	switch {
	case r.Method == http.MethodPost:
		narrow(r)
		return answered(s.signInAgain(r))
	case r.URL.Path == "/live": // the stream's reader stops on this
		return err
	}
	next := r.URL
	if current, err := url.Parse(r.Header.Get("HX-Current-URL")); err == nil && r.fragment() != "" {
		next = current
		next.Path, next.RawPath = s.root.own(next.Path), ""
	}
	target := "/login"
	if path := next.RequestURI(); path != "/" {
		target += "?next=" + url.QueryEscape(path)
	}
	r.redirect(target)
	return errAnswered
}

// signIns are the addresses at which people sign in by a provider, or by a link that
// guessing could find; failed passwords are counted where they are checked.
var signIns = []string{"GET /login/{provider}", "GET /login/{provider}/callback", "POST /setup", "POST /invitation"}

// count counts a request to a route, and refuses one that is too many: of a session, or
// of an address. The stream of changes is bounded by how many of them are open.
func (s *server) count(r *request, route route) error {
	switch {
	case route.pattern == "/live":
		return nil
	case r.p.SessionID != "":
		return s.limits.Count(r.Context(), r.w.Header(), ratelimit.Session, r.p.SessionID)
	case slices.Contains(signIns, route.method+" "+route.pattern):
		return s.limits.Count(r.Context(), r.w.Header(), ratelimit.SignIn, ratelimit.Network(httpserve.Address(r.Request)))
	}
	return s.countStranger(r)
}

func (s *server) countStranger(r *request) error {
	return s.limits.Count(r.Context(), r.w.Header(), ratelimit.Address, ratelimit.Network(httpserve.Address(r.Request)))
}

// narrow bounds the form of somebody whom we do not know: how much it has, and
// how long it takes.
func narrow(r *request) {
	const most, within = 256 << 10, 10 * time.Second
	if r.Method == http.MethodPost {
		httpserve.BodyWithin(r.w, r.Request, within)
		r.Body = http.MaxBytesReader(r.w, r.Body, most)
	}
}

// Route is an address of the panel, its method, and the role that its visitor
// needs at least, "" for none.
type Route struct {
	Method, Pattern string
	Role            constellation.Role
}

// Routes returns the table of all that the panel answers, for those who check it.
func Routes() []Route {
	var list []Route
	for _, r := range new(server).routes() {
		list = append(list, Route{r.method, r.pattern, r.role})
	}
	return list
}
