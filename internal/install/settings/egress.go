package settings

import (
	"fmt"

	"github.com/constellation-serving/constellation/internal/kube/egress"
)

func checkEgress(value string) (string, error) {
	list, err := egress.Parse(value)
	return egress.Format(list), err
}

// egress reads what algorithms may reach.
func (s Stage) egress() (map[string][]egress.Entry, error) {
	lists := map[string][]egress.Entry{}
	for vanity, value := range s.Egress {
		list, err := egress.Parse(value)
		if err != nil {
			return nil, fmt.Errorf("stage.egress.%s %w", vanity, err)
		}
		lists[vanity] = list
	}
	if names := egress.Names(lists); len(names) > egress.MaxNames {
		return nil, fmt.Errorf("stage.egress has %d names, and may have %d: write ranges of addresses", len(names), egress.MaxNames)
	}
	return lists, nil
}
