package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// nested is oci2bwrap in a container: who runs it with what, and what it does.
// No refusal is none. opts are words of dockerSpec's and sandboxFlags'.
type nested struct {
	user    int
	opts    string
	refusal string // of what is said in one line
	hint    string
}

const (
	refusesProc       = "Can't mount proc"
	refusesNamespaces = "user namespaces are not available"
	refusesNamespace  = "new user namespace: operation not permitted"
	remediesProc      = "--security-opt unmask=ALL"
	remediesSeccomp   = "--security-opt seccomp=unconfined"
)

// nestings is what docs/nesting.md tells.
var nestings = []nested{
	{0, "", refusesNamespace, remediesSeccomp},
	{0, "seccomp", refusesProc, remediesProc},
	{0, "seccomp unmask", "", ""},
	{0, "unmask", refusesNamespace, remediesSeccomp},
	{0, "sysadmin", "pivot_root: Operation not permitted", remediesSeccomp},
	{0, "seccomp sysadmin", "", ""}, // real root's procfs is refused by nothing
	{0, "seccomp unmask nocaps", refusesNamespaces, "--cap-add SETFCAP"},
	{1001, "", refusesNamespaces, remediesSeccomp},
	{1001, "seccomp", refusesProc, remediesProc},
	{1001, "seccomp unmask", "", ""},
	{1001, "seccomp unmask sysadmin", "", ""},
}

// TestInContainer runs oci2bwrap in a container of runc's.
func TestInContainer(t *testing.T) {
	needs(t, "runc")
	if os.Getuid() != 0 {
		t.Skip("root's run makes the containers, of users too")
	}
	eachBwrap(t, func(t *testing.T, bwrapDir string) {
		work := workDir(t)
		root := containerRoot(t, work)
		for i, n := range nestings {
			spec := n.dockerSpec(t, bwrapDir, work, root)
			if err := os.WriteFile(filepath.Join(work, "config.json"), spec, 0o644); err != nil {
				t.Fatal(err)
			}
			n.check(t, exec.Command("runc", "--root", filepath.Join(work, "runc"), "run", "--bundle", work, fmt.Sprintf("nested-%d-%d-%d", os.Getpid(), time.Now().UnixNano(), i)))
		}
	})
}

// TestRootNote: a root that has to have a user namespace is told, and nobody
// else.
func TestRootNote(t *testing.T) {
	needImages(t)
	needs(t, "setpriv")
	if os.Getuid() != 0 {
		cmd := exec.Command(shared("bin/oci2bwrap"), "run", shared("images/tools"), "true")
		cmd.Env = environment(t, filepath.Dir(mustFind(t, "bwrap")), workDir(t))
		if out, err := cmd.CombinedOutput(); err != nil || strings.Contains(string(out), "root lacks") {
			t.Errorf("%v: %s", err, out)
		}
		return
	}
	cmd := exec.Command("setpriv", "--bounding-set", "-sys_admin", "--inh-caps", "-sys_admin", shared("bin/oci2bwrap"), "run", shared("images/tools"), "cat", "/proc/self/uid_map")
	cmd.Env = environment(t, filepath.Dir(mustFind(t, "bwrap")), workDir(t))
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "note: --userns: root lacks CAP_SYS_ADMIN") {
		t.Errorf("%v: %s", err, out)
	}
}

func mustFind(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		lacks(t, err.Error())
	}
	return path
}

// TestInSandbox runs oci2bwrap in a sandbox of its own.
func TestInSandbox(t *testing.T) {
	if !hasImages() {
		lacks(t, "no busybox to make images of: apt-get install busybox-static")
	}
	eachBwrap(t, func(t *testing.T, bwrapDir string) {
		work := workDir(t)
		for _, n := range nestings {
			if os.Getuid() != 0 {
				if n.user != 0 {
					continue // with a single id there is no other user
				}
				// With ids of its own the sandbox has one user namespace, whose
				// CAP_SYS_ADMIN may lift the masks anyway.
				if n.opts == "seccomp sysadmin" && oneID(t) {
					n.refusal, n.hint = refusesProc, remediesProc // not real root's
				}
				if n.opts == "sysadmin" {
					n.refusal = refusesProc + "|pivot_root"
					n.hint = "--security-opt"
				}
			}
			cmd := exec.Command(shared("bin/oci2bwrap"), slices.Concat([]string{"run", "-q", "--tmpfs", "/tmp:mode=1777", "--user", fmt.Sprint(n.user)}, n.sandboxFlags(bwrapDir),
				[]string{shared("images/tools"), "sh", "-c", n.script()})...)
			cmd.Env = environment(t, bwrapDir, work)
			n.check(t, cmd)
		}
	})
}

func (n nested) has(opt string) bool { return slices.Contains(strings.Fields(n.opts), opt) }

// script runs the inner command, which tells that it is process 1 and sees no
// process of the container.
func (n nested) script() string {
	return `oci2bwrap run -q --user 0 "$IMAGE" sh -c 'echo "ran as $(id -u), process $$"' 2>&1 || echo "status $?"`
}

func (n nested) check(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	cmd.Stdin = nil
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%d %q: %v\n%s", n.user, n.opts, err, out)
		return
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if n.refusal == "" {
		if len(lines) != 1 || lines[0] != "ran as 0, process 1" {
			t.Errorf("%d %q: does not run: %s", n.user, n.opts, out)
		}
		return
	}
	said := slices.ContainsFunc(strings.Split(n.refusal, "|"), func(r string) bool { return strings.Contains(lines[0], r) })
	if len(lines) != 3 || !said || !strings.HasPrefix(lines[1], "hint: ") || !strings.Contains(lines[1], n.hint) || lines[2] != "status 125" {
		t.Errorf("%d %q: refused otherwise: %s", n.user, n.opts, out)
	}
}

// sandboxFlags are oci2bwrap's for the container.
func (n nested) sandboxFlags(bwrapDir string) []string {
	flags := []string{"-v", shared("") + ":" + shared(""), "-e", "HOME=/tmp", "-e", "IMAGE=" + shared("images/tools"), "-e", "PATH=" + bwrapDir + ":" + shared("bin") + ":/bin"}
	for _, dir := range []string{"/usr", "/lib", "/lib64"} {
		if _, err := os.Stat(dir); err == nil {
			flags = append(flags, "-v", dir+":"+dir+":ro")
		}
	}
	for opt, words := range map[string][]string{
		"seccomp": {"--security-opt", "seccomp=unconfined"}, "unmask": {"--security-opt", "unmask=ALL"},
		"sysadmin": {"--cap-add", "SYS_ADMIN"}, "nocaps": {"--cap-drop", "ALL"},
	} {
		if n.has(opt) {
			flags = append(flags, words...)
		}
	}
	return flags
}

// dockerSpec is a container as docker makes one.
func (n nested) dockerSpec(t *testing.T, bwrapDir, work, root string) []byte {
	t.Helper()
	cmd := exec.Command(shared("bin/oci2bwrap"), slices.Concat([]string{"spec", "-q", "--tmpfs", "/tmp:mode=1777", "--network", "none", "--read-only", "--user", fmt.Sprint(n.user)}, n.sandboxFlags(bwrapDir),
		[]string{shared("images/tools"), "sh", "-c", n.script()})...)
	cmd.Env = environment(t, bwrapDir, work)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var spec specs.Spec
	if err := json.NewDecoder(bytes.NewReader(out)).Decode(&spec); err != nil {
		t.Fatal(err)
	}
	spec.Root.Path = root
	spec.Mounts = slices.DeleteFunc(spec.Mounts, func(m specs.Mount) bool { return strings.HasPrefix(m.Source, "files/") })
	doc, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// containerRoot is the image's files for runc.
func containerRoot(t *testing.T, work string) string {
	t.Helper()
	bundle := filepath.Join(work, "bundle")
	cmd := exec.Command(shared("bin/oci2bwrap"), "unpack", "-q", shared("images/tools"), bundle)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return filepath.Join(bundle, "rootfs")
}
