package report

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

// fill sets everything below v, slices to two elements, so that a field that was
// added is in every test.
func fill(v reflect.Value, n *int) {
	*n++
	switch v.Kind() {
	case reflect.String:
		v.SetString("text")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(*n))
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(*n % 200))
	case reflect.Float64:
		v.SetFloat(float64(*n) / 8)
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), n)
		}
	case reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i), n)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			fill(v.Index(i), n)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	default:
		panic("a report has a " + v.Kind().String() + ": teach mapStrings what it is")
	}
}

func full() *Report {
	r, n := &Report{}, 0
	fill(reflect.ValueOf(r).Elem(), &n)
	return r
}

func TestMapStringsReachesEveryString(t *testing.T) {
	r := full()
	before, _ := json.Marshal(r)
	got := MapStrings(r, strings.ToUpper)
	after, _ := json.Marshal(got)
	if want := strings.ReplaceAll(string(before), `"text"`, `"TEXT"`); string(after) != want {
		t.Errorf("got\n%s\nwant\n%s", after, want)
	}
	if strings.Count(string(after), "TEXT") < 100 {
		t.Error("hardly any string was met")
	}
	// The copy is one in depth.
	got.Findings[0].Causes[0].Evidence[0].Frames[0] = 4711
	*got.Findings[0].Ring.After = false
	if again, _ := json.Marshal(r); string(again) != string(before) {
		t.Error("the copy shares memory with the report")
	}
}

func TestMapStringsKeepsNil(t *testing.T) {
	r := &Report{Findings: []Finding{{}}, Connections: []Connection{}}
	before, _ := json.Marshal(r)
	after, _ := json.Marshal(MapStrings(r, func(s string) string { return s }))
	if string(after) != string(before) {
		t.Errorf("got %s, want %s", after, before)
	}
}

func TestDecode(t *testing.T) {
	r := full()
	r.Schema = Schema
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Decode(append([]byte("\xef\xbb\xbf"), data...))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, r) {
		t.Error("what was saved is not what is read")
	}
	for in, want := range map[string]string{
		"":                                     "at byte 0",
		"{":                                    "at byte 1",
		"[]":                                   "not a report",
		"null":                                 "names no schema",
		`{"schema":"tcpwhy.report/2"}`:         `schema "tcpwhy.report/2"`,
		`{"schema":"tcpwhy.report/1"} x`:       "at byte",
		`{"schema":"tcpwhy.report/1","new":1}`: "",
	} {
		_, err := Decode([]byte(in))
		if got := errText(err); want == "" && err != nil || !strings.Contains(got, want) {
			t.Errorf("%q: error %q, want %q", in, got, want)
		}
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
