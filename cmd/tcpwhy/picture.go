package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/tcpwhy/tcpwhy/internal/report"
	"github.com/tcpwhy/tcpwhy/internal/report/svg"
)

// pictures are the pictures of --format svg; all but the overview are of one finding.
var pictures = []string{"ladder", "ring", "clock", "sequence", "overview"}

// writePicture draws one picture of the report, of its first finding.
func writePicture(w io.Writer, name string, r *report.Report) error {
	if name == "overview" {
		return writeSVG(w, name, svg.Overview(r, svg.Options{}))
	}
	if len(r.Findings) == 0 {
		return errors.New("there is no finding to draw a picture of")
	}
	f := &r.Findings[0]
	draw := svg.Ladder
	switch name {
	case "ring":
		draw = svg.Ring
	case "clock":
		draw = svg.Clock
	case "sequence":
		draw = svg.TimeSequence
	}
	return writeSVG(w, name+" of "+f.ID, draw(f, svg.Options{}))
}

func writeSVG(w io.Writer, name string, picture []byte) error {
	if len(picture) == 0 {
		return fmt.Errorf("there is no %s: the report has not what it is drawn from", name)
	}
	_, err := w.Write(picture)
	return err
}
