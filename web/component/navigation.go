package component

import "github.com/constellation-serving/constellation/internal/constellation"

// Entry is a link of the navigation; Section names it in Frame.Section.
type Entry struct{ Section, Name, URL string }

// Group is entries under one heading; Name "" has none.
type Group struct {
	Name    string
	Entries []Entry
}

// AccountURL is where a visitor's own account is.
const AccountURL = "/account"

// Navigation returns what someone of that role finds at the side of every page.
func Navigation(role string) []Group {
	groups := []Group{{Entries: []Entry{
		{"constellation", "Constellation", "/"}, {"launches", "Launches", "/launches"}, {"algorithms", "Algorithms", "/algorithms"},
	}}}
	if role == string(constellation.RoleAdmin) {
		groups = append(groups, adminGroup...)
	}
	return append(groups, Group{Entries: []Entry{{"docs", "Docs", "/docs"}}})
}

// adminGroup is what only administrators find.
var adminGroup = []Group{{"Admin", []Entry{
	{"users", "Users", "/users"}, {"registries", "Registries", "/registries"}, {"audit", "Audit log", "/audit"}, {"notifications", "Notifications", "/notifications"}, {"system", "System", "/system"},
}}}

// Key is a key of the keyboard and what it does anywhere in the panel.
type Key struct{ Key, Does string }

// Keys are the keyboard's short ways.
var Keys = []Key{
	{"Ctrl K", "Find a satellite, a launch instance, an algorithm or a page"},
	{"/", "Search this page"},
	{"J", "Next row"},
	{"K", "Row before"},
	{"Enter", "Open the row"},
	{"Esc", "Close a dialog or side sheet"},
	{"?", "This list"},
}
