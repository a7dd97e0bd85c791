package apply_test

import (
	"strings"
	"testing"

	"github.com/constellation-serving/constellation/internal/kube/apply"
)

// A rollback goes to the last version that was ready before what was tried
// last, and says in which direction that is.
func TestRollbackTo(t *testing.T) {
	t.Parallel()
	history := func(versions ...int) []apply.PastVersion { // a negative one was gone back from
		var list []apply.PastVersion
		for _, v := range versions {
			list = append(list, apply.PastVersion{Version: max(v, -v), RolledBack: v < 0})
		}
		return list
	}
	tests := map[string]struct {
		inventory apply.Inventory
		wanted    int
		want      apply.RollbackTarget
		refused   string
	}{
		"back":                       {apply.Inventory{Wanted: 2, Installed: 2, History: history(1, 2)}, 0, apply.RollbackTarget{Version: 1, Direction: apply.Back}, ""},
		"never forward by itself":    {apply.Inventory{Wanted: 1, Installed: 1, History: history(-2, 1)}, 0, apply.RollbackTarget{}, "none of those that the cluster keeps (2, 1) was ready before it"},
		"forward when asked":         {apply.Inventory{Wanted: 1, Installed: 1, History: history(-2, 1)}, 2, apply.RollbackTarget{Version: 2, Direction: apply.Forward}, ""},
		"past what was left":         {apply.Inventory{Wanted: 3, Installed: 3, History: history(-2, 1, 3)}, 0, apply.RollbackTarget{Version: 1, Direction: apply.Back}, ""},
		"to a greater number":        {apply.Inventory{Wanted: 1, Installed: 1, History: history(2, 1)}, 0, apply.RollbackTarget{Version: 2, Direction: apply.Back}, ""},
		"a failed deploy":            {apply.Inventory{Wanted: 3, Installed: 2, RolloutID: "x", History: history(1, 2)}, 0, apply.RollbackTarget{Version: 2, Direction: apply.Clearing, Failed: 3}, ""},
		"a failed deploy of itself":  {apply.Inventory{Wanted: 2, Installed: 2, RolloutID: "x", History: history(1, 2)}, 0, apply.RollbackTarget{Version: 2, Direction: apply.Clearing, Failed: 2}, ""},
		"one that did not wait":      {apply.Inventory{Wanted: 3, Installed: 2, History: history(1, 2)}, 0, apply.RollbackTarget{Version: 2, Direction: apply.Clearing, Failed: 3}, ""},
		"a failed deploy, further":   {apply.Inventory{Wanted: 3, Installed: 2, RolloutID: "x", History: history(1, 2)}, 1, apply.RollbackTarget{Version: 1, Direction: apply.Back, Failed: 3}, ""},
		"a failed rollback":          {apply.Inventory{Wanted: 1, Installed: 2, RolloutID: "x", Back: true, History: history(1, 2)}, 0, apply.RollbackTarget{Version: 1, Direction: apply.Back, GoingOn: true}, ""},
		"a failed first deploy":      {apply.Inventory{Wanted: 1, RolloutID: "x"}, 0, apply.RollbackTarget{}, "no version was ready in this namespace yet"},
		"nothing before":             {apply.Inventory{Wanted: 1, Installed: 1, History: history(1)}, 0, apply.RollbackTarget{}, "none of those that the cluster keeps (1) was ready before it"},
		"not kept":                   {apply.Inventory{Wanted: 2, Installed: 2, History: history(1, 2)}, 7, apply.RollbackTarget{}, "version 7 is not kept on the cluster; it keeps 1, 2"},
		"the installed one not kept": {apply.Inventory{Wanted: 3, Installed: 2, RolloutID: "x", History: history(1)}, 0, apply.RollbackTarget{}, "deploy version 2 again"},
	}
	for name, test := range tests {
		got, err := test.inventory.RollbackTo(test.wanted)
		switch {
		case test.refused != "":
			if err == nil || !strings.Contains(err.Error(), test.refused) {
				t.Errorf("%s: %+v, %v; want it refused with %q", name, got, err, test.refused)
			}
		case err != nil || got != test.want:
			t.Errorf("%s: %+v, %v; want %+v", name, got, err, test.want)
		}
	}
}
