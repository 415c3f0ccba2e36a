package runner

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestEnable enables what a group has, in a made-up one.
func TestEnable(t *testing.T) {
	dir := t.TempDir()
	control := filepath.Join(dir, "cgroup.subtree_control")
	for file, content := range map[string]string{filepath.Join(dir, "cgroup.controllers"): "cpu memory pids\n", control: "pids\n"} {
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	lacking := enable(dir, []string{"io", "memory", "pids"})
	if len(lacking) != 1 || !strings.Contains(lacking["io"], `no controller "io"`) {
		t.Errorf("lacking %v, want io", lacking)
	}
	if data, err := os.ReadFile(control); err != nil || string(data) != "+memory" {
		t.Errorf("written %q, %v", data, err)
	}
	if err := os.Remove(control); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(control, 0o755); err != nil { // as the kernel refuses, for root too
		t.Fatal(err)
	}
	if lacking = enable(dir, []string{"memory"}); !strings.Contains(lacking["memory"], control) {
		t.Errorf("lacking %v, want memory with the error", lacking)
	}
}

// TestGroupMaker tells the group of a sandbox from a unit that is named alike.
func TestGroupMaker(t *testing.T) {
	for name, want := range map[string]string{
		"oci2bwrap-17-4031": "17", "oci2bwrap-17-held4031": "17", "oci2bwrap-web.service": "", "oci2bwrap-7.scope": "", "oci2bwrap-": "", "other-17-1": "",
	} {
		if pid, ok := groupMaker(name); ok != (want != "") || ok && pid != want {
			t.Errorf("%s: %q, %v", name, pid, ok)
		}
	}
}

// TestSweep: a group is left whose maker is dead, whether or not its parent has
// taken note, and no other is.
func TestSweep(t *testing.T) {
	dir := t.TempDir()
	dead := exec.Command("true")
	if err := dead.Start(); err != nil {
		t.Fatal(err)
	}
	group := func(pid int) string {
		name := filepath.Join(dir, fmt.Sprintf("%s%d-1", cgroupPrefix, pid))
		if err := os.Mkdir(name, 0o700); err != nil {
			t.Fatal(err)
		}
		return name
	}
	there := func(name string) bool {
		_, err := os.Lstat(name)
		return !errors.Is(err, os.ErrNotExist)
	}
	mine, left := group(os.Getpid()), group(dead.Process.Pid)
	for deadline := time.Now().Add(10 * time.Second); there(left); time.Sleep(time.Millisecond) {
		if sweepCgroups(dir); time.Now().After(deadline) {
			t.Fatal("the group of a process that has not been waited for is kept")
		}
	}
	if err := dead.Wait(); err != nil {
		t.Fatal(err)
	}
	left = group(dead.Process.Pid)
	if sweepCgroups(dir); there(left) || !there(mine) {
		t.Errorf("left %v, mine %v", there(left), there(mine))
	}
}
