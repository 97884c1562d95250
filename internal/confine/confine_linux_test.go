package confine

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// asChild names the directories that the child of a test works in; it is set in that child alone.
const asChild = "CONFINE_TEST_CHILD"

// TestMain is the child's main, too: what it takes from itself cannot be given back.
func TestMain(m *testing.M) {
	if dirs, ok := os.LookupEnv(asChild); ok {
		closed, open, _ := strings.Cut(dirs, ":")
		child(closed, open)
		return
	}
	os.Exit(m.Run())
}

// child tries all that it may not do any more, and what it still may, and prints what came out.
func child(closed, open string) {
	// Threads that were there before must be confined, too.
	ready, threads := make(chan struct{}), make(chan string)
	for range 4 {
		go func() {
			runtime.LockOSThread()
			<-ready
			_, err := os.Create(filepath.Join(closed, "thread"))
			_, socket := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
			threads <- outcome("thread create", err) + outcome("thread socket", socket)
		}()
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("status", Apply(open))
	close(ready)
	for range 4 {
		fmt.Print(<-threads)
	}
	file := filepath.Join(closed, "file")
	_, err = os.Create(filepath.Join(closed, "new"))
	fmt.Print(outcome("create", err))
	_, err = os.OpenFile(file, os.O_WRONLY, 0)
	fmt.Print(outcome("write", err))
	fmt.Print(outcome("truncate", os.Truncate(file, 0)))
	fmt.Print(outcome("remove", os.Remove(file)))
	fmt.Print(outcome("rename", os.Rename(file, file+"2")))
	fmt.Print(outcome("mkdir", os.Mkdir(filepath.Join(closed, "dir"), 0o700)))
	fmt.Print(outcome("symlink", os.Symlink("x", filepath.Join(closed, "link"))))
	fmt.Print(outcome("shell", exec.Command("sh", "-c", "echo > "+filepath.Join(closed, "shell")+" 2>/dev/null").Run()))
	_, err = net.Dial("tcp", listener.Addr().String())
	fmt.Print(outcome("connect", err))
	_, err = net.Dial("udp", "127.0.0.1:53")
	fmt.Print(outcome("udp", err))
	_, err = net.Dial("unix", "/nowhere")
	fmt.Print(outcome("unix", err))
	_, _, e := unix.Syscall(unix.SYS_IO_URING_SETUP, 1, 0, 0)
	fmt.Print(outcome("io_uring", e))
	_, err = os.ReadFile(file)
	fmt.Print(outcome("read", err))
	fmt.Print(outcome("write to the directory", os.WriteFile(filepath.Join(open, "out.tmp"), nil, 0o600)))
	fmt.Print(outcome("rename in the directory", os.Rename(filepath.Join(open, "out.tmp"), filepath.Join(open, "out"))))
	fmt.Print(outcome("null", exec.Command("sh", "-c", "echo > /dev/null").Run()))
}

func outcome(what string, err error) string {
	var exit *exec.ExitError
	switch e := unix.Errno(0); {
	case err == nil, errors.As(err, &e) && e == 0:
		return what + ": done\n"
	case errors.Is(err, unix.EACCES), errors.As(err, &exit):
		return what + ": refused\n"
	}
	return fmt.Sprintf("%s: %v\n", what, err)
}

// TestApply: a confined process, even root's, neither writes nor connects.
func TestApply(t *testing.T) {
	offered := Offered()
	if !offered.Files || !offered.Network {
		t.Skipf("this kernel does not offer it all: %v", offered)
	}
	closed, open := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(closed, "file"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), asChild+"="+closed+":"+open)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	want := fmt.Sprintf("status %v\n", offered) + strings.Repeat("thread create: refused\nthread socket: refused\n", 4)
	for _, what := range []string{"create", "write", "truncate", "remove", "rename", "mkdir", "symlink", "shell", "connect", "udp", "unix", "io_uring"} {
		want += what + ": refused\n"
	}
	for _, what := range []string{"read", "write to the directory", "rename in the directory", "null"} {
		want += what + ": done\n"
	}
	if string(out) != want {
		t.Errorf("got:\n%s\nwant:\n%s", out, want)
	}
	left, err := os.ReadDir(closed)
	if err != nil || len(left) != 1 {
		t.Errorf("%v lie there, %v", left, err)
	}
}

func TestString(t *testing.T) {
	for _, tt := range []struct {
		s    Status
		want string
	}{
		{Status{}, "files may be written, the network may be used"},
		{Status{Landlock: 2}, "no files are written, but might be cut off (Landlock 2), the network may be used"},
		{Status{Files: true, Landlock: 7, Network: true}, "no files are written (Landlock 7), no network (seccomp)"},
	} {
		if got := tt.s.String(); got != tt.want {
			t.Errorf("%+v: %s", tt.s, got)
		}
	}
}
