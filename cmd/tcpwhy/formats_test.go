package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// A file that is written keeps its rights, follows a link, and is left alone by a failure.
func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	path, link := filepath.Join(dir, "report.html"), filepath.Join(dir, "link.html")
	say := func(s string, err error) func(io.Writer) error {
		return func(w io.Writer) error {
			_, werr := io.WriteString(w, s)
			return errors.Join(werr, err)
		}
	}
	check := func(want string) {
		t.Helper()
		if got, err := os.ReadFile(path); err != nil || string(got) != want {
			t.Errorf("the file has %q (%v), want %q", got, err, want)
		}
		if all, err := os.ReadDir(dir); err != nil || len(all) > 2 {
			t.Errorf("something is left in the folder: %v %v", all, err)
		}
	}
	if err := writeFile(path, say("one", nil)); err != nil {
		t.Fatal(err)
	}
	check("one")
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	if err := writeFile(path, say("half", broken)); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
	check("one")
	if err := os.Symlink(path, link); err != nil {
		t.Skip(err)
	}
	if err := writeFile(link, say("two", nil)); err != nil {
		t.Fatal(err)
	}
	check("two")
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("the file's rights changed: %v %v", info.Mode(), err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode().Type() != os.ModeSymlink {
		t.Errorf("the link became a file: %v %v", info.Mode(), err)
	}
	if err := writeFile(os.DevNull, say("three", nil)); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(os.DevNull); err != nil || info.Mode().IsRegular() {
		t.Errorf("the device became a file: %v", err)
	}
}
