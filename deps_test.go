package tcpwhy_test

import (
	"encoding/json"
	"errors"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/tcpwhy/tcpwhy"

// imports is the direction in which the program flows, bytes to report. A
// package is listed without the module's path ("." is the root); a pattern that
// ends in /... stands for a package and all below it, and counts for those that
// have no row of their own.
var imports = []struct {
	pkg string
	may []string
	why string
}{
	{"internal/seq", nil, "numbers that wrap know nothing of packets"},
	{"internal/segment", []string{"internal/seq"}, "a segment is numbers and flags, wherever it was seen"},
	{
		"internal/pasted",
		[]string{"internal/segment", "internal/seq"},
		"a text is one more container of packets: what they mean is for others",
	},
	{
		"internal/capture",
		[]string{"internal/pasted", "internal/segment", "internal/seq"},
		"bytes to segments: what the segments mean is for others",
	},
	{
		"internal/flow",
		[]string{"internal/segment", "internal/seq"},
		"it says what each end must remember, and judges nothing; it takes segments from anywhere",
	},
	{
		"internal/flow/plain",
		[]string{"internal/flow", "internal/segment", "internal/seq"},
		"the oracle of flow has its types and nothing of its way; nobody may import it but tests",
	},
	{
		"internal/flow/plain/scene",
		[]string{"internal/segment", "internal/seq"},
		"it makes segments of bytes; what becomes of them is the test's matter",
	},
	{
		"internal/kernel/...",
		[]string{"internal/kernel/...", "internal/segment", "internal/seq"},
		"the model must be right without files, clocks and captures",
	},
	{"internal/pages", nil, "memory, whatever is put into it"},
	{"internal/report", []string{"internal/pages"}, "the contract of the JSON must not move with the inside of the program"},
	{
		"internal/report/...",
		[]string{"internal/report/..."},
		"presenters see the report alone, so that a saved report gives the same page",
	},
	{
		"internal/diagnose/...",
		[]string{
			"internal/diagnose/...", "internal/flow", "internal/kernel/...",
			"internal/report", "internal/segment", "internal/seq",
		},
		"it holds frames against the model; it neither reads files nor prints",
	},
	{
		"internal/scenario",
		[]string{"internal/capture", "internal/segment", "internal/seq"},
		"a story is segments and a file of them; what is said about it is the test's matter",
	},
	{
		"internal/lab",
		[]string{"internal/capture", "internal/kernel/...", "internal/segment", "internal/seq"},
		"it holds the model against a real kernel; diagnoses and reports are not its matter",
	},
	{
		"internal/replay",
		[]string{"internal/capture", "internal/kernel/...", "internal/segment", "internal/seq"},
		"it holds captures against the model; diagnoses and reports are not its matter",
	},
	{
		"internal/export",
		[]string{"internal/capture", "internal/report", "internal/report/anonymize", "internal/segment"},
		"it copies frames, which a report does not have, under the report's words",
	},
	{
		".",
		[]string{
			"internal/capture", "internal/diagnose/...", "internal/flow", "internal/kernel/...",
			"internal/report", "internal/segment", "internal/seq",
		},
		"the public API joins the parts; how a report looks is the caller's choice",
	},
	{
		"internal/whatif",
		[]string{"internal/kernel/...", "internal/report/...", "internal/segment", "internal/seq"},
		"it asks the model without a capture, and compares finished reports",
	},
	{"internal/confine", nil, "it takes rights from a process, whatever that then does"},
	{
		"internal/web",
		[]string{".", "internal/report/...", "internal/whatif"},
		"it is a command that stays: it asks the public API, and shows what that says",
	},
	{
		"cmd/...",
		[]string{".", "internal/confine", "internal/export", "internal/lab", "internal/pages", "internal/replay", "internal/report/...", "internal/web", "internal/whatif"},
		"a command asks the public API, as any program would, and presents the report; only a question to the model itself has no capture",
	},
	{"bench/...", nil, "it measures the finished program from outside"},
}

// fits tells whether the package is the one, or among those, that pattern names.
func fits(pattern, pkg string) bool {
	if base, ok := strings.CutSuffix(pattern, "/..."); ok {
		return pkg == base || strings.HasPrefix(pkg, base+"/")
	}
	return pkg == pattern
}

// rowOf returns the index in imports of the row for the package, -1 if there is none.
func rowOf(pkg string) int {
	row := -1
	for i := range imports {
		if imports[i].pkg == pkg {
			return i
		}
		if fits(imports[i].pkg, pkg) {
			row = i
		}
	}
	return row
}

type goPackage struct {
	ImportPath string
	Dir        string
	Imports    []string
	GoFiles    []string
}

// goPackages lists the module's packages, with their imports outside of tests.
func goPackages(t *testing.T) []goPackage {
	t.Helper()
	out, err := exec.Command("go", "list", "-e", "-json=ImportPath,Dir,Imports,GoFiles", "./...").Output()
	if err != nil {
		if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
			t.Fatalf("go list: %v\n%s", err, exit.Stderr)
		}
		t.Skipf("no go command to list the packages: %v", err)
	}
	var all []goPackage
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		if len(p.GoFiles) > 0 {
			all = append(all, p)
		}
	}
}

// relative returns the package without the module's path; ok is false for a
// package of another module.
func relative(path string) (pkg string, ok bool) {
	if path == module {
		return ".", true
	}
	return strings.CutPrefix(path, module+"/")
}

func TestImportDirection(t *testing.T) {
	packages := goPackages(t)
	if len(packages) < 5 {
		t.Fatalf("only %d packages found", len(packages))
	}
	for _, p := range packages {
		pkg, ok := relative(p.ImportPath)
		if !ok {
			t.Errorf("%s is not of this module", p.ImportPath)
			continue
		}
		row := rowOf(pkg)
		if row < 0 {
			t.Errorf("%s is not in the table: say what it may import, and why", pkg)
			continue
		}
		for _, path := range p.Imports {
			imported, ok := relative(path)
			if !ok {
				continue
			}
			if !slices.ContainsFunc(imports[row].may, func(pattern string) bool { return fits(pattern, imported) }) {
				t.Errorf("%s imports %s, but may import only %q: %s", pkg, imported, imports[row].may, imports[row].why)
			}
		}
	}
}

// TestPackageComments: one file of each package says what it is for. Two would be
// joined by the documentation in the order of their names.
func TestPackageComments(t *testing.T) {
	for _, p := range goPackages(t) {
		var with []string
		for _, name := range p.GoFiles {
			f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, parser.PackageClauseOnly|parser.ParseComments)
			if err != nil {
				t.Error(err)
				continue
			}
			if f.Doc != nil {
				with = append(with, name)
			}
		}
		if len(with) != 1 {
			t.Errorf("%s: %d files have a package comment, want one: %q", p.ImportPath, len(with), with)
		}
	}
}

func TestFits(t *testing.T) {
	for _, tt := range []struct {
		pattern, pkg string
		want         bool
	}{
		{"internal/report", "internal/report", true},
		{"internal/report", "internal/report/text", false},
		{"internal/report/...", "internal/report", true},
		{"internal/report/...", "internal/report/text", true},
		{"internal/report/...", "internal/reporter", false},
		{".", ".", true},
		{".", "internal/seq", false},
	} {
		if got := fits(tt.pattern, tt.pkg); got != tt.want {
			t.Errorf("fits(%q, %q) = %v", tt.pattern, tt.pkg, got)
		}
	}
}
