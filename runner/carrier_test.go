package runner

import (
	"io"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// A service manager gives a socket, which nobody can open: the command gets a
// pipe, one for both streams.
func TestSocketAsStream(t *testing.T) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "ours"), os.NewFile(uintptr(pair[1]), "theirs")
	defer ours.Close()
	c := sandbox(t, "sh", "-c", `echo 1; echo 2 >/dev/stdout; echo 3 >/dev/stderr; echo 4 >&2; exit 5`)
	c.Stdout, c.Stderr = theirs, theirs
	s, err := Create(t.Context(), *c)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	theirs.Close()
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	status, err := s.Wait()
	if err != nil || status.Code != 5 {
		t.Errorf("status %d, %v; want 5", status.Code, err)
	}
	if got, err := io.ReadAll(ours); string(got) != "1\n2\n3\n4\n" || err != nil {
		t.Errorf("read %q, %v", got, err)
	}
}

// A stream that the command can open is its own: nothing stands between.
func TestPipeIsGivenAsItIs(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	log, err := os.OpenFile(t.TempDir()+"/log", os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	own := &initSpec{UID: os.Getuid(), GID: os.Getgid(), KeepIDs: os.Getuid() != 0}
	other := &initSpec{UID: 4321, GID: 4321}
	for _, f := range []*os.File{w, log} {
		if !own.reopens(f, false) {
			t.Errorf("%s: its owner can't open it", f.Name())
		}
		if other.reopens(f, false) || own.reopens(f, true) {
			t.Errorf("%s: another user can open it", f.Name())
		}
	}
}
