package html

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"io"
)

const (
	plainType  = "application/json"
	packedType = "application/gzip;base64"
	// maxPlain is the size from which the report inside the page is packed, in bytes.
	maxPlain = 500_000
	// maxUnpacked bounds what a packed report may become, in bytes: a few kilobytes can
	// pretend to be gigabytes.
	maxUnpacked = 1 << 30
)

// pack returns what stands between the tags of the report's element, and its type. The
// JSON of encoding/json has no "<" in it (it writes \u003c), so that no string of a
// report can end the element.
func pack(data []byte) (kind string, _ template.JS) {
	if len(data) <= maxPlain {
		return plainType, template.JS(data) //nolint:gosec // see above
	}
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // a level that exists; writing to a buffer does not fail
	_, _ = z.Write(data)
	_ = z.Close()
	return packedType, template.JS(base64.StdEncoding.EncodeToString(b.Bytes())) //nolint:gosec // letters, digits, + / =
}

// IsPage tells whether the bytes are a page: HTML by its first character that is no space.
func IsPage(data []byte) bool {
	return bytes.HasPrefix(bytes.TrimLeft(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")), " \t\r\n"), []byte("<"))
}

// Extract returns the JSON of the report that a page carries. It fails where the page
// carries none: it is another page, or was saved by a program that changed it.
func Extract(page []byte) ([]byte, error) {
	for _, kind := range []string{plainType, packedType} {
		_, rest, ok := bytes.Cut(page, []byte(`<script type="`+kind+`" id="report">`))
		if !ok {
			continue
		}
		data, _, ok := bytes.Cut(rest, []byte("</script>"))
		if !ok {
			return nil, errors.New("the report in the page has no end: the file is cut short")
		}
		if kind == plainType {
			return data, nil
		}
		return unpack(bytes.TrimSpace(data))
	}
	return nil, errors.New("the page carries no report of tcpwhy")
}

func unpack(data []byte) ([]byte, error) {
	z, err := gzip.NewReader(base64.NewDecoder(base64.StdEncoding, bytes.NewReader(data)))
	if err != nil {
		return nil, fmt.Errorf("the report in the page cannot be unpacked: %w", err)
	}
	out, err := io.ReadAll(io.LimitReader(z, maxUnpacked+1))
	if err != nil {
		return nil, fmt.Errorf("the report in the page cannot be unpacked: %w", err)
	}
	if len(out) > maxUnpacked {
		return nil, fmt.Errorf("the report in the page is larger than %d bytes", maxUnpacked)
	}
	return out, nil
}
