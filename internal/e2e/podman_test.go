package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestNamesAsPodman compares /etc/hosts, /etc/hostname, /etc/resolv.conf, passwd
// and group with those that podman writes into a container of the same files.
func TestNamesAsPodman(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("podman is asked by root's run: without, it needs subordinate ids")
	}
	needs(t, "bwrap", "podman", "runc")
	if !hasImages() {
		lacks(t, "no busybox to make images of: apt-get install busybox-static")
	}
	work := t.TempDir()
	env := environment(t, "/usr/bin", work)
	bundle := filepath.Join(work, "bundle")
	output(t, 0, env, shared("bin/oci2bwrap"), "unpack", shared("images/tools"), bundle)
	show := "for f in hosts hostname resolv.conf passwd group; do echo [$f]; cat /etc/$f; echo; done 2>/dev/null; hostname; whoami; echo $HOME"
	for _, flags := range [][]string{
		{"--network", "host"},
		{"--network", "none", "--hostname", "web"},
		{"--network", "host", "--add-host", "db:192.0.2.9", "--add-host", "localhost:192.0.2.10"},
		{"--network", "host", "--dns", "192.0.2.53", "--dns-search", "example.org", "--dns-option", "ndots:2"},
		{"--network", "none", "--hostname", "web", "--no-hosts"},
		{"--network", "host", "--read-only", "--user", "4242:4243", "--workdir", "/etc"},
		{"--network", "host", "--read-only", "--user", "1234:4243"},
	} {
		t.Run(strings.Join(flags, " "), func(t *testing.T) {
			podman := []string{
				"--root", filepath.Join(work, "podman"), "--runroot", filepath.Join(work, "podman-run"), "--storage-driver", "vfs",
				"--runtime", "runc", "--cgroup-manager", "cgroupfs", "--events-backend", "none",
				"run", "--rm", "--log-driver", "none", "--name", "e2e-names", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024",
			}
			podman = append(append(podman, flags...), "--rootfs", filepath.Join(bundle, "rootfs"), "sh", "-c", show)
			want := output(t, 0, env, "podman", podman...)
			got := output(t, 0, env, shared("bin/oci2bwrap"), append(append([]string{"run", "--quiet"}, flags...), shared("images/tools"), "sh", "-c", show)...)
			// podman gives its containers a name beside the host name, and its
			// /etc/hostname ends without a newline.
			want = strings.ReplaceAll(want, "web e2e-names\n", "web\n")
			if got, want := collapse(got), collapse(want); got != want {
				t.Errorf("differs from podman's:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

// collapse drops empty lines.
func collapse(s string) string {
	for strings.Contains(s, "\n\n") {
		s = strings.ReplaceAll(s, "\n\n", "\n")
	}
	return s
}
