package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/tcpwhy/tcpwhy/internal/confine"
	"github.com/tcpwhy/tcpwhy/internal/report"
)

// A release sets these with -ldflags "-X main.version=v1.2.3 -X main.commit=... -X main.date=...".
// Without them the build information that the go command records is used.
var version, commit, date string

// versionInfo is what "tcpwhy version" tells.
type versionInfo struct {
	Version  string `json:"version"`
	Commit   string `json:"commit,omitempty"`
	Date     string `json:"date,omitempty"` // of the commit
	Modified bool   `json:"modified"`       // built from a tree with changes
	Go       string `json:"go"`
	Platform string `json:"platform"`
	Schema   string `json:"schema"` // of the JSON report
	// Reading is what the program gives up here before it reads a capture.
	Reading confine.Status `json:"reading"`
}

func readVersion() versionInfo {
	v := versionInfo{
		Version: version, Commit: commit, Date: date,
		Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH, Schema: report.Schema,
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		v.fill(info)
	}
	if v.Version == "" {
		v.Version = "(devel)"
	}
	return v
}

// fill takes from the build information what the linker was not told.
func (v *versionInfo) fill(info *debug.BuildInfo) {
	if v.Version == "" {
		v.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision" && v.Commit == "":
			v.Commit = s.Value
		case s.Key == "vcs.time" && v.Date == "":
			v.Date = s.Value
		case s.Key == "vcs.modified":
			v.Modified = s.Value == "true"
		}
	}
}

// String prints it on one line.
func (v versionInfo) String() string {
	s := "tcpwhy " + v.Version + " ("
	if v.Commit != "" {
		s += "commit " + v.Commit[:min(len(v.Commit), 12)]
		if v.Modified {
			s += " with changes"
		}
		s += ", "
	}
	if v.Date != "" {
		s += v.Date + ", "
	}
	return s + v.Go + ", " + v.Platform + ")"
}

func (a *app) versionCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Long: `Version prints which tcpwhy this is, what it was built from, the version of its
JSON report, and what it gives up on this machine before it reads a capture: to
write files, but in the directory of --output, and the network. With
TCPWHY_CONFINE=off it gives up nothing.`,
		Example: "  tcpwhy version\n  tcpwhy version --format json",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			v := readVersion()
			v.Reading = confine.Offered()
			if format == "json" {
				return writeJSON(a.stdout, v)
			}
			_, err := fmt.Fprintf(a.stdout, "%v\nwhile it reads a capture: %v\n", v, v.Reading)
			return err
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	addChoice(cmd, &format, "format", "how to write it", "text", "json")
	return cmd
}
