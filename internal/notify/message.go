package notify

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// shown is how many notices a message names.
const shown = 10

// compose makes one message of notices: how many of each kind, and the first few.
func compose(r *constellation.NotificationRule, notices []constellation.Notice) *constellation.NoticeMessage {
	m := &constellation.NoticeMessage{Rule: r.Name, Count: len(notices)}
	counts := map[constellation.NoticeKind]int{}
	for i := range notices {
		counts[notices[i].Kind]++
	}
	var titles []string
	for _, kind := range constellation.NoticeKinds {
		if n := counts[kind.Kind]; n > 0 {
			m.Counts = append(m.Counts, constellation.NoticeCount{Kind: kind.Kind, Count: n})
			titles = append(titles, counted(n, kind.Kind))
		}
	}
	m.Title = strings.Join(titles, ", ")
	if len(notices) == 1 {
		m.Title = titleOf(&notices[0])
	}
	m.Title = plain(m.Title, maxName)
	// What is wrong comes before what is well again.
	sorted := slices.Clone(notices)
	slices.SortStableFunc(sorted, func(a, b constellation.Notice) int {
		switch {
		case a.Kind.Good() == b.Kind.Good():
			return 0
		case b.Kind.Good():
			return -1
		}
		return 1
	})
	m.Notices = sorted[:min(shown, len(sorted))]
	return m
}

func counted(n int, kind constellation.NoticeKind) string {
	if n == 1 {
		return "1 " + strings.ToLower(kind.Title(1)[:1]) + kind.Title(1)[1:]
	}
	return fmt.Sprintf("%d %s", n, kind.Title(n))
}

// titleOf is the title of one notice.
func titleOf(n *constellation.Notice) string {
	title := n.Kind.Title(1) + ": " + n.SubjectName
	if n.SatelliteName != "" && n.SatelliteName != n.SubjectName {
		title += " of " + n.SatelliteName
	}
	return title
}

// line is what a message says of one notice: who, and what.
func line(n *constellation.Notice) (who, what string) {
	who = n.SubjectName
	if n.SatelliteName != "" && n.SatelliteName != n.SubjectName {
		who += " of " + n.SatelliteName
	}
	what = n.Text
	if n.Kind != constellation.NoticeTest {
		what = strings.ToLower(n.Kind.Title(1)) + ": " + what
	}
	return who, what
}

// rest says how many notices a message does not name, "" when it names all.
func rest(m *constellation.NoticeMessage) string {
	if n := m.Count - len(m.Notices); n > 0 {
		return fmt.Sprintf("and %d more", n)
	}
	return ""
}

// lead says what else is to be known of a message, "" for nothing.
func lead(m *constellation.NoticeMessage) string {
	if m.Held {
		return "Kept during quiet hours."
	}
	return ""
}

// link is where one sees more of a notice, "" when there is no such place.
func link(publicURL string, n *constellation.Notice) string {
	switch {
	case n.SatelliteID != nil && n.SubjectKind == "launch":
		return publicURL + "/satellites/" + *n.SatelliteID + "/launches/" + n.SubjectID
	case n.SatelliteID != nil:
		return publicURL + "/satellites/" + *n.SatelliteID
	case n.SubjectKind == "destination":
		return publicURL + "/notifications"
	case n.SubjectKind == "owner":
		return publicURL + "/system/owners?q=" + url.QueryEscape(n.SubjectID)
	case n.SubjectKind == "backup":
		return publicURL + "/system/backups"
	case n.SubjectKind == "storage":
		return publicURL + "/system"
	case n.SubjectKind == "account":
		return publicURL + "/audit"
	}
	return ""
}
