package tcpwhy

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/tcpwhy/tcpwhy/internal/report"
	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// namer puts the names that a text has for hosts back in place of the addresses
// that were invented for them. nil: there are none.
type namer struct{ plain, quoted *strings.Replacer }

func newNamer(names map[segment.Addr]string) *namer {
	if len(names) == 0 {
		return nil
	}
	var addrs []segment.Addr
	for a := range names {
		addrs = append(addrs, a)
	}
	// An address may be the beginning of another one: the longer goes first.
	slices.SortFunc(addrs, func(a, b segment.Addr) int {
		if d := len(b.String()) - len(a.String()); d != 0 {
			return d
		}
		return strings.Compare(a.String(), b.String())
	})
	var plain, quoted []string
	for _, a := range addrs {
		q, err := json.Marshal(names[a])
		if err != nil {
			continue // no string fails
		}
		plain = append(plain, a.String(), names[a])
		quoted = append(quoted, a.String(), string(q[1:len(q)-1]))
	}
	return &namer{strings.NewReplacer(plain...), strings.NewReplacer(quoted...)}
}

// name puts names into one string.
func (n *namer) name(s string) string {
	if n == nil {
		return s
	}
	return n.plain.Replace(s)
}

// connection names the ends of a connection.
func (n *namer) connection(c *report.Connection) {
	if n != nil {
		c.Client, c.Server = n.plain.Replace(c.Client), n.plain.Replace(c.Server)
	}
}

// report names the hosts wherever a report speaks of them. It goes through
// JSON, the one form that has every string of a report.
func (n *namer) report(r *Report) (*Report, error) {
	if n == nil {
		return r, nil
	}
	b, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	out := &Report{}
	if err := json.Unmarshal([]byte(n.quoted.Replace(string(b))), out); err != nil {
		return nil, err
	}
	return out, nil
}
