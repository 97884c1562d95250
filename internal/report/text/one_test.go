package text

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"
)

// One finding by itself, and what stands around the findings, are as in the whole.
func TestParts(t *testing.T) {
	for _, name := range []string{"open", "many", "selected", "none"} {
		r := load(t, "testdata/"+name+".json")
		for _, width := range []int{0, 40, 72} {
			o := Options{Width: width, All: true}
			var whole, around bytes.Buffer
			if err := Write(&whole, r, o); err != nil {
				t.Fatal(err)
			}
			for i := range r.Findings {
				var one bytes.Buffer
				if err := WriteFinding(&one, r, i, o); err != nil {
					t.Fatal(err)
				}
				if one.Len() == 0 || !strings.Contains(whole.String(), "\n\n"+one.String()+"\n") {
					t.Errorf("%s, width %d: finding %d is not in the whole as it stands alone:\n%s", name, width, i, one.String())
				}
			}
			if err := WriteCapture(&around, r, o); err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(around.String()) {
				if len(r.Findings) > maxPlain && !strings.Contains(whole.String(), line) {
					t.Errorf("%s, width %d: %q is not in the whole", name, width, line)
				}
			}
		}
	}
}

// Where there is no room behind the sender, a segment stands below, within the width.
func TestLadderOnNarrowTerminal(t *testing.T) {
	r := load(t, "testdata/open.json")
	for width := 40; width < 100; width++ {
		var b bytes.Buffer
		if err := WriteLadder(&b, r, &r.Findings[0], width); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(b.String()) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > width {
				t.Errorf("width %d: %d columns: %q", width, n, line)
			}
		}
	}
}
