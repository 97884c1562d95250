package lab

import (
	"regexp"
	"sync"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
)

// debian finds the stable version that Debian's kernel is built from: uname -r
// shows only that of its first release ("6.1.0-37-amd64"), uname -v the real one.
var debian = onUse(`Debian (\d+\.\d+\.\d+)-\d`)

// onUse compiles a regular expression when it is first asked for: the laboratory is
// part of a program that mostly does something else.
func onUse(text string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(text) })
}

// profileOf reads what uname -r and uname -v print.
func profileOf(release, version string) (kernel.Profile, error) {
	m := debian().FindStringSubmatch(version)
	if m == nil {
		return kernel.ParseRelease(release)
	}
	p, err := kernel.ParseRelease(m[1])
	p.Label = release + " (Debian " + m[1] + ")"
	return p, err
}
