package tcpwhy

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tcpwhy/tcpwhy/internal/report"
)

// post is what was established about a text that somebody posted.
type post struct {
	Accept          []string `json:"accept"`
	NegativeControl bool     `json:"negative_control"`
}

// TestPosts explains texts whose cause is known: the public posts of testdata/text, and those that
// were made up after the shapes of many others, in testdata/posts. One of the accepted causes must be
// the verdict, or one of at most three that stay open; and what is no problem must not be called one.
func TestPosts(t *testing.T) {
	for _, x := range []struct {
		dir           string
		posts, fewest int // how many there are at least, and how many must be right
	}{
		{"text", 29, 26},
		{"posts", 59, 57},
	} {
		t.Run(x.dir, func(t *testing.T) {
			files, err := filepath.Glob(filepath.Join("testdata", x.dir, "*.txt"))
			if err != nil || len(files) < x.posts {
				t.Fatalf("only %d posts: %v", len(files), err)
			}
			right := 0
			for _, file := range files {
				if readsPost(t, file) {
					right++
				}
			}
			t.Logf("%d of %d right", right, len(files))
			if right < x.fewest {
				t.Errorf("only %d of %d posts get one of their causes", right, len(files))
			}
		})
	}
}

// readsPost explains one post and tells whether it got one of its causes.
func readsPost(t *testing.T, file string) bool {
	t.Helper()
	var p post
	label, err := os.ReadFile(strings.TrimSuffix(file, ".txt") + ".json")
	if err == nil {
		err = json.Unmarshal(label, &p)
	}
	if err != nil {
		t.Fatal(err)
	}
	r, err := Explain(t.Context(), []string{file}, Options{})
	if err != nil {
		t.Errorf("%s: %v", file, err)
		return false
	}
	how, ok := p.judge(r)
	t.Logf("%-52s %s", strings.TrimSuffix(filepath.Base(file), ".txt"), how)
	for i := range r.Findings {
		v := &r.Findings[i].Verdict
		if p.NegativeControl && v.Severity == report.Problem {
			t.Errorf("%s: %s is called a problem", file, r.Findings[i].Question)
		}
		if v.Certainty == report.Certain && !slices.Contains(p.Accept, v.Cause) {
			t.Errorf("%s: certain of %s, which was not the cause (%v)", file, v.Cause, p.Accept)
		}
	}
	return ok
}

// judge tells how a report answers the post.
func (p *post) judge(r *Report) (string, bool) {
	var out []string
	ok := false
	for i := range r.Findings {
		f := &r.Findings[i]
		var standing []string
		for _, c := range f.Causes {
			if c.Stands != report.RuledOut {
				standing = append(standing, c.Cause)
			}
		}
		says := fmt.Sprintf("%s: %s %s", f.Question, f.Verdict.Certainty, f.Verdict.Cause)
		if f.Verdict.Certainty == report.Open {
			says += strings.Join(standing, "|")
			ok = ok || len(standing) <= 3 && slices.ContainsFunc(standing, func(c string) bool { return slices.Contains(p.Accept, c) })
		} else if slices.Contains(p.Accept, f.Verdict.Cause) {
			ok = true
		}
		out = append(out, says)
	}
	mark := "WRONG "
	if ok {
		mark = "right "
	}
	if len(out) > 6 {
		out = append(out[:6], fmt.Sprintf("… %d more", len(out)-6))
	}
	return mark + strings.Join(out, "; ") + fmt.Sprintf(" (%v)", p.Accept), ok
}
