//go:build unix

package main

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"
)

// It prints where it answers, and an interrupt ends it as something ordinary.
func TestServe(t *testing.T) {
	var out, errs lockedBuffer
	a := newApp(strings.NewReader(""), &out, &errs)
	code := make(chan int, 1)
	go func() { code <- a.run(context.Background(), []string{"serve"}) }()
	for end := time.Now().Add(10 * time.Second); !strings.HasSuffix(out.String(), "\n"); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("no URL: %q", errs.String())
		}
	}
	url := strings.TrimSpace(out.String())
	if !strings.HasPrefix(url, "http://127.0.0.1:") {
		t.Errorf("it answers on %s", url)
	}
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close() // the status is what counts
	if resp.StatusCode != http.StatusOK {
		t.Error(resp.Status)
	}
	interrupt(t)
	select {
	case c := <-code:
		if c != exitDone {
			t.Errorf("code %d: %s", c, errs.String())
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the interrupt does not end it")
	}
	if strings.Contains(errs.String(), "error") {
		t.Error(errs.String())
	}
}

func TestByteSize(t *testing.T) {
	for in, want := range map[string]string{"1": "1B", "1024": "1KiB", "500MiB": "500MiB", "2GiB": "2GiB", "2048MiB": "2GiB", "1TiB": "1TiB", "7B": "7B"} {
		var b byteSize
		if err := b.Set(in); err != nil || b.String() != want {
			t.Errorf("%s: %s, want %s (%v)", in, b.String(), want, err)
		}
	}
	for _, in := range []string{"", "x", "-1", "0", "1.5GiB", "9223372036854775807KiB", "GiB"} {
		if err := new(byteSize).Set(in); err == nil {
			t.Errorf("%q is taken", in)
		}
	}
}
