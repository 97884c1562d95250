package main

import (
	"os"

	"golang.org/x/term"
)

// terminalWidth returns the columns of the terminal that a stream is; 0 where
// it is none.
func terminalWidth(stream any) int {
	f, ok := stream.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return 0
	}
	if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 0 {
		return w
	}
	return 80 // a terminal that does not tell
}

// textWidth chooses the width of the text for a terminal's: lines over 140
// columns are hard to read. 0 stands for the usual width.
func textWidth(terminal int) int { return min(terminal, 140) }

// useColor decides about colour: a terminal gets it unless its user or its kind
// speaks against it (https://no-color.org).
func useColor(mode string, terminal bool, getenv func(string) string) bool {
	switch mode {
	case "always":
		return true
	case "never":
		return false
	}
	return terminal && getenv("NO_COLOR") == "" && getenv("TERM") != "dumb"
}
