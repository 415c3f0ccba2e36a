package runner

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
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
