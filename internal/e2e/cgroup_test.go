package e2e_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// cgroupTop is where cgroup v2 is mounted.
func cgroupTop(t *testing.T) string {
	t.Helper()
	for _, dir := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		if _, err := os.Stat(filepath.Join(dir, "cgroup.subtree_control")); err == nil {
			return dir
		}
	}
	lacks(t, "cgroup v2 is not mounted")
	return ""
}

// TestCgroup limits a bundle through a control group: the caller's own, by root,
// and one that root has given to an ordinary user. It is there while the sandbox
// is, and what a killed run leaves is gone after the next.
func TestCgroup(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("a control group has to be given to the user: root's run does both")
	}
	needImages(t)
	needs(t, "setpriv")
	top := filepath.Join(cgroupTop(t), fmt.Sprintf("oci2bwrap-e2e.%d", os.Getpid()))
	leaf := filepath.Join(top, "leaf")
	// What the ordinary user's groups are to have, root has to hand down.
	control := filepath.Join(cgroupTop(t), "cgroup.subtree_control")
	before, err := os.ReadFile(control)
	if err == nil {
		err = os.WriteFile(control, []byte("+hugetlb"), 0)
	}
	if err != nil {
		lacks(t, "cgroup v2 has no limit of huge pages here: "+err.Error())
	}
	if !strings.Contains(string(before), "hugetlb") {
		t.Cleanup(func() { _ = os.WriteFile(control, []byte("-hugetlb"), 0) }) // with a controller there crun refuses to start beside cgroup v1
	}
	if err := os.MkdirAll(leaf, 0o755); err != nil {
		lacks(t, "the control groups can't be written to: "+err.Error())
	}
	t.Cleanup(func() {
		os.Remove(leaf)
		if err := os.Remove(top); err != nil {
			t.Error(err)
		}
	})
	user := makeUser(t, ordinary)
	for _, test := range []struct {
		name   string
		become []string
	}{
		{"root", nil},
		{"user", []string{"setpriv", "--reuid", fmt.Sprint(user.Uid), "--regid", fmt.Sprint(user.Gid), "--clear-groups"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.become != nil {
				for _, dir := range []string{top, leaf} {
					for _, name := range []string{"", "cgroup.procs", "cgroup.subtree_control"} {
						if err := os.Chown(filepath.Join(dir, name), int(user.Uid), int(user.Gid)); err != nil {
							t.Fatal(err)
						}
					}
				}
			}
			eachBwrap(t, func(t *testing.T, bwrapDir string) {
				work := openDir(t, int(user.Uid))
				env := environment(t, bwrapDir, work)
				if err := exec.Command("chown", "-R", fmt.Sprint(user.Uid), work).Run(); err != nil {
					t.Fatal(err)
				}
				sh := func(script string) string {
					args := append([]string{"-c", `echo $$ >"$0/cgroup.procs" && exec "$@"`, leaf}, test.become...)
					return output(t, 0, env, "sh", append(args, "sh", "-ec", script)...)
				}
				bundle := filepath.Join(work, "bundle")
				sh("oci2bwrap unpack $IMAGES/tools " + bundle)
				limit(t, filepath.Join(bundle, "config.json"))
				groups := "find " + top + " -name 'oci2bwrap-*-*'"
				inGroup := "until grep -qs 'populated 1' $(" + groups + ")/cgroup.events; do sleep 0.02; done; "
				got := sh("cd " + work + "; mkfifo go; oci2bwrap run -q " + bundle + " sh -c 'cat /proc/self/cgroup; read _' <go >seen & exec 9>go; " + inGroup +
					"cd $(" + groups + "); cat hugetlb.2MB.max hugetlb.2MB.rsvd.max cgroup.max.depth; cd /; exec 9>&-; wait; cd " + work + "; cat seen; rm go seen; echo left; " + groups)
				entered := sh("oci2bwrap run -q " + bundle + " sleep 2 & sleep 0.6; oci2bwrap exec $! grep 0:: /proc/self/cgroup; wait")
				if entered != "0::/\n" {
					t.Errorf("exec is in %q, not in the sandbox's group", entered)
				}
				if !strings.Contains(got, "0::/\n") || !strings.Contains("\n"+got, "\n4194304\n4194304\n3\n") || !strings.HasSuffix(got, "\nleft\n") {
					t.Errorf("got %q, want a group of its own with the limits, and nothing after", got)
				}
				got = sh("oci2bwrap run -q " + bundle + " sleep 50 & " + inGroup + "kill -9 $!; wait; " + groups + " | wc -l; while grep -q . $(" + groups + ")/cgroup.procs; do sleep 0.01; done; oci2bwrap run -q " + bundle + " true; " + groups)
				if got != "1\n" {
					t.Errorf("after a kill and a run: %q, want one group before the run and none after", got)
				}
			})
		})
	}
}

// openDir is a directory that another user may enter.
func openDir(t *testing.T, uid int) string {
	t.Helper()
	dir := workDir(t)
	for d := dir; d != "/" && d != os.TempDir(); d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chown(dir, uid, -1); err != nil {
		t.Fatal(err)
	}
	return dir
}

// limit sets a limit that needs a controller, and one that doesn't.
func limit(t *testing.T, file string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var config map[string]any
	if err := json.Unmarshal(data, &config); err != nil {
		t.Fatal(err)
	}
	config["linux"].(map[string]any)["resources"] = map[string]any{
		"hugepageLimits": []map[string]any{{"pageSize": "2MB", "limit": 4 << 20}},
		"unified":        map[string]string{"cgroup.max.depth": "3"},
	}
	if data, err = json.Marshal(config); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, data, 0o644); err != nil {
		t.Fatal(err)
	}
}
