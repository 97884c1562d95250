package pasted

import (
	"errors"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"regexp"
	"strings"
	"testing"
)

// noImports has no package: a pattern's text needs none.
type noImports struct{}

func (noImports) Import(string) (*types.Package, error) { return nil, errors.New("no imports") }

// TestPatternsCompile compiles every pattern: one that does not compile would panic
// when a text comes that needs it, and not at start.
func TestPatternsCompile(t *testing.T) {
	fset := token.NewFileSet()
	var files []*ast.File
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		f, err := parser.ParseFile(fset, e.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	info := &types.Info{Types: map[ast.Expr]types.TypeAndValue{}}
	conf := types.Config{Importer: noImports{}, Error: func(error) {}} // only the constants are wanted
	_, _ = conf.Check("pasted", fset, files, info)
	n := 0
	for _, f := range files {
		ast.Inspect(f, func(node ast.Node) bool {
			lit, ok := node.(*ast.CompositeLit)
			if !ok {
				return true
			}
			if name, ok := lit.Type.(*ast.Ident); !ok || name.Name != "pattern" {
				return true
			}
			n++
			at := fset.Position(lit.Pos())
			if len(lit.Elts) != 1 {
				t.Errorf("%s: a pattern is text and nothing else", at)
				return true
			}
			v := info.Types[lit.Elts[0].(*ast.KeyValueExpr).Value].Value
			if v == nil {
				t.Errorf("%s: the text is not constant", at)
				return true
			}
			if _, err := regexp.Compile(constant.StringVal(v)); err != nil {
				t.Errorf("%s: %v", at, err)
			}
			return true
		})
	}
	if n < 80 {
		t.Errorf("found %d patterns only", n)
	}
}
