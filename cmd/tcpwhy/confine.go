package main

import (
	"path/filepath"
	"slices"
	"strings"
)

// noConfinement is the variable that leaves the program unconfined if it is "off".
const noConfinement = "TCPWHY_CONFINE"

// confineTo gives up, before bytes of strangers are read, what is not needed from here on: to
// write files but in the directories of the given ones (empty names are passed over), and the network.
// A pager that its user chose may write what it likes, so nothing is given up for one.
func (a *app) confineTo(outputs ...string) {
	if a.confine == nil || a.getenv(noConfinement) == "off" || !harmlessPager(a.pager()) {
		return
	}
	var dirs []string
	for _, name := range outputs {
		if name == "" {
			continue
		}
		dirs = append(dirs, filepath.Dir(name))
		// A link is followed, /dev/stdout among them.
		if target, err := filepath.EvalSymlinks(name); err == nil {
			dirs = append(dirs, filepath.Dir(target))
		}
	}
	a.confine(dirs...)
}

// harmlessPager tells whether a pager only shows; empty: there is none.
func harmlessPager(command string) bool {
	words := strings.Fields(command)
	return len(words) == 0 || slices.Contains([]string{"less", "more", "most"}, filepath.Base(words[0]))
}
