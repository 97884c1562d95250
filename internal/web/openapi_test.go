package web

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
)

type schema map[string]any

// TestOpenAPI holds the description and the handlers against each other: the operations, and
// what each one answers.
func TestOpenAPI(t *testing.T) {
	b, err := embedded.ReadFile("openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Paths map[string]map[string]struct {
			Responses map[string]struct {
				Content map[string]struct{ Schema schema }
			}
		}
		Components struct{ Schemas map[string]schema }
	}
	if err := json.Unmarshal(b, &doc); err != nil {
		t.Fatal(err)
	}
	s := newServer(t, Config{MaxUpload: 2000})
	var have, told []string
	for _, r := range s.routes() {
		if strings.HasPrefix(r.path, "/api/") {
			have = append(have, r.method+" "+r.path)
		}
	}
	for path, ops := range doc.Paths {
		for method := range ops {
			told = append(told, strings.ToUpper(method)+" "+path)
		}
	}
	slices.Sort(have)
	slices.Sort(told)
	if !slices.Equal(have, told) {
		t.Fatalf("handlers  %q\ndescribed %q", have, told)
	}
	capture, err := os.ReadFile(founding)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	try := func(method, path, target, contentType string, body []byte) {
		t.Helper()
		r := s.request(method, target, bytes.NewReader(body))
		if contentType != "" {
			r.Header.Set("Content-Type", contentType)
		}
		w := do(s, r)
		op := doc.Paths[path][strings.ToLower(method)]
		response, ok := op.Responses[fmt.Sprint(w.Code)]
		if !ok {
			t.Errorf("%s %s: %d is not described: %s", method, target, w.Code, w.Body)
			return
		}
		if w.Code < 300 {
			seen[method+" "+path] = true
		}
		ct, _, _ := strings.Cut(w.Header().Get("Content-Type"), ";")
		content, ok := response.Content[ct]
		if !ok {
			if w.Code != http.StatusNoContent {
				t.Errorf("%s %s: %d: type %q is not described", method, target, w.Code, ct)
			}
			return
		}
		if ct != "application/json" {
			return
		}
		var v any
		if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
			t.Fatal(err)
		}
		for _, problem := range check(doc.Components.Schemas, content.Schema, v, "$") {
			t.Errorf("%s %s: %d: %s", method, target, w.Code, problem)
		}
	}
	get := func(path, target string) { t.Helper(); try("GET", path, target, "", nil) }
	const one = "/api/captures/{capture}"
	try("POST", "/api/captures", "/api/captures?name=a.pcap&fact=server:kernel=3.10", "", capture)
	try("POST", "/api/captures", "/api/captures?fact=x", "", capture)
	try("POST", "/api/captures", "/api/captures", "text/plain", capture)
	try("POST", "/api/captures", "/api/captures", "", []byte("no capture"))
	try("POST", "/api/captures", "/api/captures", "", make([]byte, 3000))
	get("/api/captures", "/api/captures")
	get("/api/info", "/api/info")
	get("/api/openapi.json", "/api/openapi.json")
	get(one, "/api/captures/c1")
	get(one, "/api/captures/c9")
	get(one+"/report", "/api/captures/c1/report")
	get(one+"/page", "/api/captures/c1/page")
	get(one+"/overview", "/api/captures/c1/overview")
	get(one+"/overview", "/api/captures/c1/overview?width=x")
	get(one+"/findings", "/api/captures/c1/findings")
	get(one+"/findings", "/api/captures/c1/findings?sort=x")
	get(one+"/findings/{finding}", "/api/captures/c1/findings/f1")
	get(one+"/findings/{finding}", "/api/captures/c1/findings/f2")
	for picture := range pictures {
		get(one+"/findings/{finding}/pictures/{picture}", "/api/captures/c1/findings/f1/pictures/"+picture+"?width=600")
	}
	get(one+"/connections", "/api/captures/c1/connections")
	get(one+"/connections", "/api/captures/c1/connections?from=x")
	for _, kernel := range []string{"all", "", "3.10"} {
		q := Question{State: "time-wait", Kernel: kernel, Segment: "S 1:1(0) win 1", Settings: map[string]string{"rcv_nxt": "9"}}
		try("POST", "/api/whatif", "/api/whatif", "", []byte(marshal(t, q)))
		for _, problem := range check(doc.Components.Schemas, schema{"$ref": "#/components/schemas/Question"}, asJSON(t, q), "$") {
			t.Errorf("question: %s", problem)
		}
	}
	try("POST", "/api/whatif", "/api/whatif", "", []byte("{}"))
	try("POST", "/api/whatif", "/api/whatif", "text/plain", []byte("{}"))
	try("DELETE", one, "/api/captures/c1", "", nil)
	for _, name := range told {
		if name != "GET /api/events" && !seen[name] { // that one never ends by itself; TestServeStops reads it
			t.Errorf("%s was not tried with success", name)
		}
	}
}

func asJSON(t *testing.T, v any) (out any) {
	t.Helper()
	if err := json.Unmarshal([]byte(marshal(t, v)), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// check holds a value against the part of JSON Schema that the description uses.
func check(all map[string]schema, s schema, v any, at string) (problems []string) {
	if ref, ok := s["$ref"].(string); ok {
		target, ok := all[strings.TrimPrefix(ref, "#/components/schemas/")]
		if !ok {
			return []string{at + ": there is no schema " + ref}
		}
		return check(all, target, v, at)
	}
	if want, ok := s["const"]; ok && v != want {
		problems = append(problems, fmt.Sprintf("%s: %v, want %v", at, v, want))
	}
	kind := fmt.Sprint(s["type"])
	switch x := v.(type) {
	case map[string]any:
		problems = append(problems, wrongKind(at, kind, "object")...)
		props, _ := s["properties"].(map[string]any)
		required, _ := s["required"].([]any)
		for _, name := range required {
			if _, ok := x[name.(string)]; !ok {
				problems = append(problems, fmt.Sprintf("%s: %s is missing", at, name))
			}
		}
		for _, name := range slices.Sorted(maps.Keys(x)) {
			if p, ok := props[name].(map[string]any); ok {
				problems = append(problems, check(all, p, x[name], at+"."+name)...)
			} else if s["additionalProperties"] == false {
				problems = append(problems, fmt.Sprintf("%s: %s is not described", at, name))
			}
		}
	case []any:
		problems = append(problems, wrongKind(at, kind, "array")...)
		items, _ := s["items"].(map[string]any)
		for i, e := range x {
			problems = append(problems, check(all, items, e, fmt.Sprintf("%s[%d]", at, i))...)
		}
	case string:
		problems = append(problems, wrongKind(at, kind, "string")...)
	case bool:
		problems = append(problems, wrongKind(at, kind, "boolean")...)
	case float64:
		if kind != "number" {
			problems = append(problems, wrongKind(at, kind, "integer")...)
		}
	case nil:
		problems = append(problems, at+": null")
	}
	return problems
}

func wrongKind(at, want, got string) []string {
	if want == got || want == "<nil>" {
		return nil
	}
	return []string{fmt.Sprintf("%s: it is a %s, described as %s", at, got, want)}
}
