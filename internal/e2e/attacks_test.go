package e2e_test

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// documented are the attacks that docs/security.md says may succeed, and when:
// "" always, else in a run with that word in its name.
var documented = map[string]string{
	"connect to an abstract socket outside": "network host",
	"connect to a port of the host":         "network host",
	"write to the root":                     "writable",
	"make a file in the root":               "writable",
	"change the mode of the root":           "writable",

	// What the system call filter refuses, and the kernel does not.
	"make a user namespace":        "unconfined",
	"catch page faults of its own": "unconfined",
	"make an io_uring":             "unconfined",
	"add a key":                    "unconfined",
	"talk to hypervisors by vsock": "unconfined",
	"open a performance counter":   "unconfined",
	"make a BPF map":               "unconfined",
}

// TestAttacks runs the program attack in sandboxes: what it tries is refused,
// unless it is documented.
func TestAttacks(t *testing.T) {
	needImages(t)
	// The session's keys are the thread's, and of what it starts.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	outside := attackTargets(t)
	eachBwrap(t, func(t *testing.T, bwrapDir string) {
		for name, flags := range map[string][]string{
			"network host":               nil,
			"network none":               {"--network", "none"},
			"writable, network none":     {"--writable", "--network", "none"},
			"unconfined, network none":   {"--security-opt", "seccomp=unconfined", "--network", "none"},
			"another user, network none": {"--user", "1234:1234", "--network", "none"},
		} {
			if os.Getuid() != 0 && strings.HasPrefix(name, "another") {
				continue // without subordinate ids there is only one
			}
			t.Run(name, func(t *testing.T) {
				// Not in a goroutine of t.Run's, or the keys would be others.
				out := attackRun(t, bwrapDir, append(flags, outside...))
				judgeAttacks(t, name, out)
			})
		}
	})
}

// attackTargets makes what there is to reach, and gives the flags that tell
// the program.
func attackTargets(t *testing.T) []string {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("of the host"), 0o644); err != nil {
		t.Fatal(err)
	}
	abstract := fmt.Sprintf("oci2bwrap-attack-%d", os.Getpid())
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	unixSocket, err := net.Listen("unix", "@"+abstract)
	if err != nil {
		t.Fatal(err)
	}
	key := os.Getpid()
	shm, err := unix.SysvShmGet(key, 4096, unix.IPC_CREAT|0o666)
	if err != nil {
		t.Fatal(err)
	}
	shared, err := os.CreateTemp("/dev/shm", "attack-*")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		tcp.Close()
		unixSocket.Close()
		os.Remove(shared.Name())
		if _, err := unix.SysvShmCtl(shm, unix.IPC_RMID, nil); err != nil {
			t.Error(err)
		}
	})
	_, port, _ := net.SplitHostPort(tcp.Addr().String())
	return []string{
		"-e", "ATTACK_SECRET=" + secret, "-e", "ATTACK_SOCKET=" + abstract, "-e", "ATTACK_PORT=" + port,
		"-e", fmt.Sprintf("ATTACK_SHM=%d", key), "-e", fmt.Sprintf("ATTACK_PID=%d", os.Getpid()),
	}
}

// attackRun runs all attacks, with a key in the session's keyring.
func attackRun(t *testing.T, bwrapDir string, flags []string) string {
	runtime.LockOSThread() // for good: the thread has another keyring then
	if _, err := unix.KeyctlJoinSessionKeyring(fmt.Sprintf("oci2bwrap-attack-%d", os.Getpid())); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.AddKey("user", "oci2bwrap-attack", []byte("of the host"), unix.KEY_SPEC_SESSION_KEYRING); err != nil {
		t.Fatal(err)
	}
	args := append([]string{"run", "--quiet", "-v", shared("bin/attack") + ":/attack:ro"}, flags...)
	cmd := exec.Command(shared("bin/oci2bwrap"), append(args, shared("images/tools"), "/attack")...)
	cmd.Env = environment(t, bwrapDir, workDir(t))
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s%s", err, out, complaint.Bytes())
	}
	return string(out)
}

func judgeAttacks(t *testing.T, run, out string) {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	var done []string
	for _, line := range lines {
		name, verdict, _ := strings.Cut(line, "\t")
		t.Log(line)
		switch {
		case strings.HasPrefix(verdict, "refused"):
		case verdict == "done":
			done = append(done, name)
		default:
			t.Errorf("no verdict: %q", line)
		}
	}
	if len(lines) != 85 { // as docs/security.md says
		t.Errorf("%d attacks", len(lines))
	}
	for _, name := range done {
		if when, ok := documented[name]; !ok || !strings.Contains(run, when) {
			t.Errorf("not refused: %s", name)
		}
	}
	t.Logf("%d attacks, %d done: %s", len(lines), len(done), strings.Join(slices.Sorted(slices.Values(done)), "; "))
}

// TestTerminalAttack has the caller's terminal as the command's stdin, without
// the help of a filter.
func TestTerminalAttack(t *testing.T) {
	needImages(t)
	eachBwrap(t, func(t *testing.T, bwrapDir string) {
		p := newTerminal(t)
		before := p.settings()
		p.run(bwrapDir, "--quiet", "--security-opt", "seccomp=unconfined", "-v", shared("bin/attack")+":/attack:ro", shared("images/tools"), "/attack", "terminal")
		p.expect("terminal\trefused: .*")
		p.ends(0, before)
	})
}

// TestOwnBinary makes oci2bwrap's own binary the command, and has it start a
// program of the image's that tries to write to it.
func TestOwnBinary(t *testing.T) {
	needImages(t)
	before, err := os.ReadFile(shared("bin/oci2bwrap"))
	if err != nil {
		t.Fatal(err)
	}
	eachBwrap(t, func(t *testing.T, bwrapDir string) {
		work := workDir(t)
		out := filepath.Join(work, "out")
		if err := os.Mkdir(out, 0o777); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(shared("bin/oci2bwrap"), "run", "--quiet", "--security-opt", "seccomp=unconfined", "-v", shared("bin/attack")+":/opt/bwrap:ro", "-v", out+":/out",
			"-e", "PATH=/opt:/bin", "--entrypoint", "/proc/self/exe", shared("images/tools"),
			"run", "--cache-dir", "/tmp/cache", "--rootfs", "/", "true")
		cmd.Env = environment(t, bwrapDir, work)
		said, err := cmd.CombinedOutput()
		if cmd.ProcessState.ExitCode() != 125 {
			t.Errorf("%v: %s", err, said)
		}
		verdict, err := os.ReadFile(filepath.Join(out, "verdict"))
		if err != nil || !strings.HasPrefix(string(verdict), "own binary\trefused") {
			t.Errorf("%v: %q: %s", err, verdict, said)
		}
		t.Logf("%s", verdict)

		// With --init the binary stays process 1, beside the command.
		cmd = exec.Command(shared("bin/oci2bwrap"), "run", "--quiet", "--init", "--security-opt", "seccomp=unconfined", "-v", shared("bin/attack")+":/attack:ro", shared("images/tools"), "/attack", "own binary")
		cmd.Env = environment(t, bwrapDir, workDir(t))
		if said, err := cmd.CombinedOutput(); err != nil || !strings.HasPrefix(string(said), "own binary\trefused") {
			t.Errorf("%v: %s", err, said)
		}
	})
	if after, err := os.ReadFile(shared("bin/oci2bwrap")); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the binary was changed: %v", err)
	}
}
