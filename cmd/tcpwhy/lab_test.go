package main

import (
	"encoding/json"
	"os"
	"runtime"
	"strings"
	"testing"
)

func TestLabUsage(t *testing.T) {
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"lab"}, "lab what?"},
		{[]string{"lab", "metrix"}, `lab has no "metrix"`},
		{[]string{"lab", "matrix", "--only", "time-wait"}, `no part "time-wait"`},
		{[]string{"lab", "matrix", "file.pcap"}, "file.pcap"},
		{[]string{"lab", "random", "--probes", "0"}, "--probes must be"},
		{[]string{"lab", "random", "--format", "xml"}, "must be text or json"},
		{[]string{"lab", "run"}, "no scenario given"},
	} {
		var out, errs strings.Builder
		if code := run(t.Context(), strings.NewReader(""), &out, &errs, c.args); code != exitUsage {
			t.Errorf("%v: exit code %d, want %d", c.args, code, exitUsage)
		}
		if !strings.Contains(errs.String(), c.says) || out.Len() > 0 {
			t.Errorf("%v: stdout %q, stderr %q, want %q in it", c.args, out.String(), errs.String(), c.says)
		}
	}
}

func TestLabJSON(t *testing.T) {
	out, ok := runLab(t, "", "random", "--probes", "40", "--seed", "5", "--format", "json")
	if !ok {
		return
	}
	var r struct {
		Kernel     string
		Probes     int
		Mismatches *int
		Seed       uint64
	}
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatal(err)
	}
	if r.Kernel == "" || r.Probes < 20 || r.Mismatches == nil || r.Seed != 5 {
		t.Errorf("%+v of\n%s", r, out)
	}
}

// runLab runs a command of the laboratory that must succeed; ok is false where there
// is no kernel to try, which the command must say.
func runLab(t *testing.T, stdin string, args ...string) (stdout string, ok bool) {
	t.Helper()
	var out, errs strings.Builder
	code := run(t.Context(), strings.NewReader(stdin), &out, &errs, append([]string{"lab"}, args...))
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		if code != exitFailed || !strings.Contains(errs.String(), "needs") {
			t.Errorf("exit code %d, stderr %q", code, errs.String())
		}
		return "", false
	}
	if code != exitDone {
		t.Fatalf("exit code %d\n%s%s", code, out.String(), errs.String())
	}
	return out.String(), true
}

// A scenario is told step by step, in JSON and in the notation that it was read from.
func TestLabRun(t *testing.T) {
	const story = "state TIME_WAIT\nnumbers ts_recent=none\n< S rcv_nxt(0)\nfollow-up\n"
	out, ok := runLab(t, story, "run", "--format", "json", "-")
	if !ok {
		return
	}
	var r struct {
		Kernel     string
		Probes     int
		Mismatches *int
		Seed       *uint64
		Scenarios  []struct {
			File, State, Text string
			Line              int
			Steps             []struct {
				Sent, Rule, Predicted string
				Observed              []string
			}
		}
	}
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatal(err)
	}
	if r.Kernel == "" || r.Probes != 1 || r.Mismatches == nil || r.Seed == nil || len(r.Scenarios) != 1 || len(r.Scenarios[0].Steps) != 2 {
		t.Fatalf("%+v of\n%s", r, out)
	}
	s := r.Scenarios[0]
	if s.File != "-" || s.Line != 1 || s.State != "TIME_WAIT" || s.Steps[0].Sent == "" || s.Steps[0].Rule != "ack-old-syn" ||
		s.Steps[0].Predicted == "" || len(s.Steps[0].Observed) != 1 {
		t.Errorf("%+v", s)
	}
	if out, ok = runLab(t, s.Text, "run", "-"); ok && (!strings.HasPrefix(out, "# -:1: as predicted\nstate TIME_WAIT") || !strings.Contains(out, ", 0 mismatches\n")) {
		t.Errorf("got\n%s", out)
	}
}

func TestLabRecord(t *testing.T) {
	dir := t.TempDir()
	out, ok := runLab(t, "", "record", "--out", dir, "no_listener_v6")
	if !ok {
		return
	}
	if !strings.HasPrefix(out, dir) || !strings.Contains(out, "/no_listener_v6.pcap: no-listener, 2 frames: syn: RST-ACK\n") {
		t.Errorf("got %q", out)
	}
	out, _ = runLab(t, "", "record", "--out", dir, "--format", "json", "no_listener_v6")
	var r struct {
		Recorded []struct {
			Case, Cause, File, Outcome string
			Frames                     int
		}
	}
	if err := json.Unmarshal([]byte(out), &r); err != nil || len(r.Recorded) != 1 {
		t.Fatalf("%v of %s", err, out)
	}
	if m := r.Recorded[0]; m.Case != "no_listener_v6" || m.Frames != 2 || m.Outcome != "syn: RST-ACK" {
		t.Errorf("%+v", m)
	}
}
