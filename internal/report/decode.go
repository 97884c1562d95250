package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// Decode reads a report that was saved as JSON. It fails where the bytes are not
// JSON, and where they are of another contract than Schema. Fields that it does not
// know are left out: a newer tcpwhy may have written them.
func Decode(data []byte) (*Report, error) {
	r := &Report{}
	if err := json.Unmarshal(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")), r); err != nil {
		if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) {
			return nil, fmt.Errorf("not a report: at byte %d: %w", syntax.Offset, err)
		}
		return nil, fmt.Errorf("not a report: %w", err)
	}
	switch r.Schema {
	case Schema:
		return r, nil
	case "":
		return nil, fmt.Errorf("not a report: it names no schema, %s is expected", Schema)
	}
	return nil, fmt.Errorf("a report of schema %q; %s is what this version reads", r.Schema, Schema)
}
