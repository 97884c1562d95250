package confine

import (
	"runtime"
	"unsafe"

	"github.com/landlock-lsm/go-landlock/landlock"
	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"
)

// Offered tells what Apply would take, and takes nothing.
func Offered() Status {
	v, err := ll.LandlockGetABIVersion()
	if err != nil || v < 0 {
		v = 0
	}
	return Status{Files: v >= wholeFrom, Network: offersFilter(), Landlock: v}
}

// Apply lets this process, all of its threads, write below the given directories only, and
// make no sockets any more. It returns what of that is so. A directory that does not
// exist is passed over.
func Apply(writable ...string) Status {
	s := Offered()
	if s.Landlock > 0 && applyLandlock(writable) != nil {
		s.Files, s.Landlock = false, 0
	}
	s.Network = s.Network && applyFilter() == nil
	return s
}

// applyLandlock leaves reading, and running of programs (a pager), as they are. A pager
// needs the terminal, with its settings, and programs throw things away.
func applyLandlock(writable []string) error {
	rules := []landlock.Rule{
		landlock.RODirs("/"),
		landlock.RWFiles("/dev/tty", "/dev/pts").WithIoctlDev().IgnoreIfMissing(),
		landlock.RWFiles("/dev/null").IgnoreIfMissing(),
	}
	if len(writable) > 0 {
		rules = append(rules, landlock.RWDirs(writable...).IgnoreIfMissing())
	}
	return landlock.V9.BestEffort().Restrict(rules...)
}

// offersFilter tells whether the kernel takes filters that answer with an error.
func offersFilter() bool {
	action := uint32(unix.SECCOMP_RET_ERRNO)
	_, _, e := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_GET_ACTION_AVAIL, 0, uintptr(unsafe.Pointer(&action)))
	return auditArch != 0 && e == 0
}

// Where struct seccomp_data (linux/seccomp.h) has its fields.
const (
	atNumber = 0
	atArch   = 4
)

// applyFilter refuses all threads the system calls that make sockets. io_uring is refused whole,
// as it makes sockets past every filter.
func applyFilter() error {
	refuse := uint32(unix.SECCOMP_RET_ERRNO | unix.EACCES)
	load := func(at uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: at}
	}
	answer := func(a uint32) unix.SockFilter { return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: a} }
	// jump goes on behind the next yes or no instructions.
	jump := func(code uint16, k uint32, yes, no uint8) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_K | code, K: k, Jt: yes, Jf: no}
	}
	program := []unix.SockFilter{
		load(atArch),
		jump(unix.BPF_JEQ, auditArch, 0, 5), // another machine's numbers: refused
		load(atNumber),
		jump(unix.BPF_JGE, foreignNumbers, 3, 0),
		jump(unix.BPF_JEQ, unix.SYS_SOCKET, 2, 0),
		jump(unix.BPF_JEQ, unix.SYS_IO_URING_SETUP, 1, 0),
		answer(unix.SECCOMP_RET_ALLOW),
		answer(refuse),
	}
	prog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	// The thread that is forbidden new privileges must be the one that then installs the filter;
	// the filter takes both to the others.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	thread, _, e := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&prog)))
	runtime.KeepAlive(program)
	if e != 0 {
		return e
	}
	if thread != 0 {
		return unix.EBUSY // that thread has a filter of its own
	}
	return nil
}
