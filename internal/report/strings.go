package report

import "reflect"

// MapStrings returns a copy of the report in which f was applied to every string, in
// the order in which the JSON has them. Nothing of the copy is shared with r.
func MapStrings(r *Report, f func(string) string) *Report {
	out := new(Report)
	mapStrings(reflect.ValueOf(out).Elem(), reflect.ValueOf(r).Elem(), f)
	return out
}

// mapStrings fills to, the zero value of its type, from from. A slice or a pointer
// that is nil stays nil: the JSON tells it from an empty one.
func mapStrings(to, from reflect.Value, f func(string) string) {
	switch from.Kind() {
	case reflect.String:
		to.SetString(f(from.String()))
	case reflect.Struct:
		for i := range from.NumField() {
			mapStrings(to.Field(i), from.Field(i), f)
		}
	case reflect.Array:
		for i := range from.Len() {
			mapStrings(to.Index(i), from.Index(i), f)
		}
	case reflect.Slice:
		if from.IsNil() {
			return
		}
		to.Set(reflect.MakeSlice(from.Type(), from.Len(), from.Len()))
		for i := range from.Len() {
			mapStrings(to.Index(i), from.Index(i), f)
		}
	case reflect.Pointer:
		if from.IsNil() {
			return
		}
		to.Set(reflect.New(from.Type().Elem()))
		mapStrings(to.Elem(), from.Elem(), f)
	default: // numbers and truth values; a test holds that a report has nothing else
		to.Set(from)
	}
}
