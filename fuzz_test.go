package tcpwhy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/flow"
	"github.com/tcpwhy/tcpwhy/internal/flow/plain"
)

// slowest is how much CPU time an input of a fuzzer may take.
const slowest = time.Second

// ways are the ways in which an input is explained, beside the usual one.
type ways byte

const (
	// alsoDuel: the second time both tables are fed at once, and all that they hand out is
	// compared, not only what the report says of it. Else the second time is the plain table's.
	alsoDuel ways = 1 << iota
	// alsoWorkers: the first time has two workers.
	alsoWorkers
	// alsoStreamed: the first time findings are written as they are answered, as the command does it.
	alsoStreamed
	// alsoLines: only connections are wanted.
	alsoLines
	// alsoLittle: there is room for a few findings, or for none. What a connection takes depends
	// on the table; so the second time is the fast one's, with one worker.
	alsoLittle
)

// options returns those of the first and of the second time. The third result is called at the
// end, and tells what differed beside the bytes.
func (w ways) options(facts byte) (first, second Options, rest func() string) {
	rest = func() string { return "" }
	o := Options{Facts: factsOf(facts), NoFindings: w&alsoLines != 0}
	if w&alsoLittle != 0 {
		o.MaxMemory = shareKept * (int64(facts)<<6 + 1)
	}
	first, second = o, o
	if w&alsoWorkers != 0 {
		first.Workers = 2
	}
	if w&alsoStreamed != 0 && !o.NoFindings {
		first.JSON = func(func(io.Writer) error) error { return nil } // told puts its own there
	}
	switch {
	case w&alsoLittle != 0:
	case w&alsoDuel != 0:
		var d *plain.Duel
		second.newTable = func(c flow.Config, s flow.Sink) table {
			d = plain.NewDuel(c, s)
			return d
		}
		rest = func() string {
			if d == nil {
				return "" // the file could not be read
			}
			return d.Difference
		}
	default:
		second.newTable = plainTable
	}
	return first, second, rest
}

// tryFile explains a file twice, and tells what is wrong with that: another report with the plain
// table, bytes that are no JSON, more time than an input may take.
func tryFile(file []byte, facts byte, w ways) error {
	first, second, rest := w.options(facts)
	fast, err := toldInTime(file, first)
	if err != nil {
		return err
	}
	slow, err := toldInTime(file, second)
	if err != nil {
		return fmt.Errorf("the second time: %w", err)
	}
	if d := rest(); d != "" {
		return errors.New(d)
	}
	if fast != slow {
		return errors.New(differs(fast, slow))
	}
	return isJSON(fast)
}

// toldInTime is told for what may not take long.
func toldInTime(file []byte, o Options) (string, error) {
	start := cpuTime()
	out, err := told(file, o)
	if took := cpuTime() - start; took > slowest && err == nil {
		err = fmt.Errorf("%d bytes take %v", len(file), took)
	}
	return out, err
}

// isJSON: what was told is values of JSON, or the word that a file cannot be read.
func isJSON(s string) error {
	const refused = "error: "
	if len(s) > len(refused) && s[:len(refused)] == refused {
		return nil
	}
	if json.Valid([]byte(s)) {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader([]byte(s)))
	for {
		var x json.RawMessage
		if err := d.Decode(&x); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("no JSON: %w", err)
		}
	}
}

// FuzzExplain: whatever the bytes of a file are, there is no panic, it does not take
// long, and both tables lead to the same report. How the file is read is one of ways.
func FuzzExplain(f *testing.F) {
	for _, file := range inputs(f) {
		if len(file) < 2048 { // large seeds make the fuzzer slow, not better
			f.Add(file, byte(0), byte(alsoDuel))
		}
	}
	f.Fuzz(func(t *testing.T, file []byte, facts, how byte) {
		if err := tryFile(file, facts, ways(how)); err != nil {
			t.Fatal(err)
		}
	})
}

// FuzzExplainScene is FuzzExplain where the bytes are a scene, which is written as a capture:
// so the segments meet each other far more often.
func FuzzExplainScene(f *testing.F) {
	r := rand.New(rand.NewPCG(9, 0))
	for i := range 20 {
		f.Add(randomBytes(r, 20+r.IntN(100)), byte(i), byte(alsoDuel))
	}
	f.Fuzz(func(t *testing.T, script []byte, facts, how byte) {
		if err := tryFile(sceneFile(t, script, 150), facts, ways(how)); err != nil {
			t.Fatal(err)
		}
	})
}

func randomBytes(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}
