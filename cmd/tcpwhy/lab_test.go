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
	var out, errs strings.Builder
	code := run(t.Context(), strings.NewReader(""), &out, &errs, []string{"lab", "random", "--probes", "40", "--seed", "5", "--format", "json"})
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		if code != exitFailed || !strings.Contains(errs.String(), "needs") {
			t.Errorf("exit code %d, stderr %q", code, errs.String())
		}
		return
	}
	if code != exitDone {
		t.Fatalf("exit code %d\n%s%s", code, out.String(), errs.String())
	}
	var r struct {
		Kernel     string
		Probes     int
		Mismatches *int
		Seed       uint64
	}
	if err := json.Unmarshal([]byte(out.String()), &r); err != nil {
		t.Fatal(err)
	}
	if r.Kernel == "" || r.Probes < 20 || r.Mismatches == nil || r.Seed != 5 {
		t.Errorf("%+v of\n%s", r, out.String())
	}
}
