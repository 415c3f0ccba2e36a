package runner

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestNamespaceRemedy recognises the limits by their texts, in a made-up
// procfs.
func TestNamespaceRemedy(t *testing.T) {
	for _, tt := range []struct {
		file, content string
		err           error
		want          string
	}{
		{"sys/user/max_user_namespaces", "0\n", unix.ENOSPC, "max_user_namespaces=15000"},
		{"sys/user/max_user_namespaces", "96365\n", unix.ENOSPC, "or run as root"},
		{"sys/kernel/unprivileged_userns_clone", "0\n", unix.EPERM, "unprivileged_userns_clone=1"},
		{"sys/kernel/apparmor_restrict_unprivileged_userns", "1\n", unix.EACCES, "AppArmor profile"},
		{"self/status", "Name:\tx\nSeccomp:\t2\n", fmt.Errorf("clone: %w", unix.EPERM), "seccomp=unconfined"},
		{"self/status", "Name:\tx\nSeccomp:\t2\n", unix.ENOSPC, "or run as root"},
		{"self/status", "Name:\tx\nSeccomp:\t0\n", unix.EPERM, "or run as root"},
	} {
		proc := t.TempDir()
		file := filepath.Join(proc, tt.file)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(tt.content), 0o644); err != nil {
			t.Fatal(err)
		}
		if got := namespaceRemedy(proc, tt.err); !strings.Contains(got, tt.want) {
			t.Errorf("%s = %q, %v: %q", tt.file, tt.content, tt.err, got)
		}
	}
}

func TestUnifiedCgroup(t *testing.T) {
	for data, want := range map[string]string{
		"0::/user.slice/x.scope\n": "/user.slice/x.scope", "0::/\n": "", "9:cpu:/a\n0::/b\n": "/b", "9:cpu:/a\n": "none", "": "none",
	} {
		got, ok := unifiedCgroup(data)
		if !ok {
			got = "none"
		}
		if got != want {
			t.Errorf("%q: %q", data, got)
		}
	}
}
