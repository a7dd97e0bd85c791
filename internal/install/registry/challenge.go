package registry

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/constellation-serving/constellation/internal/install/connection"
)

// challenged is the transport beneath the registry's client. Of the ways to
// log in that a registry offers, in one header or in several, it leaves the one
// that the client above can take: Bearer, else Basic.
type challenged struct {
	base http.RoundTripper
}

// RoundTrip refuses a token server that is reached without TLS when the
// registry is reached with it.
func (c challenged) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := c.base.RoundTrip(request)
	if err != nil || response.StatusCode != http.StatusUnauthorized {
		return response, err
	}
	chosen := chooseChallenge(challengesOf(response.Header.Values("WWW-Authenticate")))
	if chosen == nil {
		return response, nil
	}
	if realm, err := url.Parse(chosen.realm); chosen.is("Bearer") && err == nil {
		if err := connection.CheckDowngrade(request.URL, realm); err != nil {
			_ = response.Body.Close()
			return nil, err
		}
	}
	response.Header.Set("WWW-Authenticate", chosen.text)
	return response, nil
}

// challenge is one way to log in, as RFC 9110 section 11.6.1 writes it.
type challenge struct {
	scheme string
	realm  string
	text   string // as it came
}

func (c challenge) is(scheme string) bool { return strings.EqualFold(c.scheme, scheme) }

var (
	// authParam is a name and its value, a token or quoted.
	authParam = regexp.MustCompile("^([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*=[ \t]*(\"(?:[^\"\\\\]|\\\\.)*\"|[!#$%&'*+.^_`|~0-9A-Za-z-]+)$")
	// listPart is what stands between the commas of a list; those in quotes
	// are its own.
	listPart = regexp.MustCompile(`(?:[^,"]|"(?:[^"\\]|\\.)*"?)+`)
)

// challengesOf reads every challenge of all headers. A part of the list that is
// no parameter begins the next challenge.
func challengesOf(headers []string) []challenge {
	var all []challenge
	for _, header := range headers {
		begun := false // parameters belong to a challenge of the same header
		for _, part := range listPart.FindAllString(header, -1) {
			part = strings.TrimSpace(part)
			switch {
			case part == "":
			case begun && authParam.MatchString(part):
				last := &all[len(all)-1]
				last.text += ", " + part
				last.noteRealm(part)
			default:
				scheme, rest, _ := strings.Cut(part, " ")
				all = append(all, challenge{scheme: scheme, text: part})
				all[len(all)-1].noteRealm(strings.TrimSpace(rest))
				begun = true
			}
		}
	}
	return all
}

// noteRealm notes a parameter that is the realm.
func (c *challenge) noteRealm(param string) {
	if m := authParam.FindStringSubmatch(param); m != nil && strings.EqualFold(m[1], "realm") {
		c.realm = strings.ReplaceAll(strings.Trim(m[2], `"`), `\`, "")
	}
}

// chooseChallenge returns the challenge to answer, nil when none can be.
func chooseChallenge(all []challenge) *challenge {
	var basic *challenge
	for i := range all {
		switch c := &all[i]; {
		case c.is("Bearer") && c.realm != "":
			return c
		case c.is("Basic") && basic == nil:
			basic = c
		}
	}
	return basic
}

// schemeNames lists ways to log in for a message.
func schemeNames(all []challenge) string {
	names := make([]string, len(all))
	for i, c := range all {
		names[i] = c.scheme
	}
	return strings.Join(names, " or ")
}
