package replay

import (
	"fmt"
	"io"
)

// Report is a result as it is printed, and marshalled as JSON.
type Report struct {
	Kernel string `json:"kernel"`
	// Arrived and Probes count the segments that arrived and the frames that the
	// end sent, each of which was held against the model.
	Arrived int `json:"arrived"`
	Probes  int `json:"probes"`
	// Explained counts the frames by the way in which they are explained.
	Explained  map[string]int `json:"explained"`
	Mismatches int            `json:"mismatches"`
	// Unexplained is the first frame that contradicts the model, and the last that
	// was looked at.
	Unexplained *Unexplained `json:"unexplained,omitempty"`
}

// Report puts a result into words.
func (r *Result) Report(h *Host) *Report {
	out := &Report{Kernel: h.Profile.String(), Arrived: r.Arrived, Probes: r.Sent, Explained: map[string]int{}, Unexplained: r.Unexplained}
	for w, n := range r.By {
		out.Explained[Way(w).String()] = n
	}
	if r.Unexplained != nil {
		out.Mismatches = 1
	}
	return out
}

// WriteText writes the report for a terminal.
func (r *Report) WriteText(w io.Writer) error {
	_, err := fmt.Fprintf(w, "kernel %s: %d segments arrived, %d frames sent\n", r.Kernel, r.Arrived, r.Probes)
	for way := range Ways {
		if n := r.Explained[way.String()]; n > 0 && err == nil {
			_, err = fmt.Fprintf(w, "%6d explained by %s\n", n, way)
		}
	}
	switch u := r.Unexplained; {
	case err != nil:
		return err
	case u == nil:
		_, err = fmt.Fprintln(w, "nothing contradicts the model")
		return err
	case u.Missing:
		_, err = fmt.Fprintf(w, "frame %d: what had to follow did not come\n", u.Frame)
	default:
		_, err = fmt.Fprintf(w, "frame %d: nothing explains it: %s\n", u.Frame, u.Segment)
	}
	for _, e := range r.Unexplained.Expected {
		if err == nil {
			_, err = fmt.Fprintf(w, "  %s\n", e)
		}
	}
	return err
}
