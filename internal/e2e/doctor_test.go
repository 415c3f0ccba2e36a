package e2e_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// diagnosis is what doctor --format json prints.
type diagnosis struct {
	Version int
	Run     bool
	Checks  []struct {
		Name, State, Found, Cost, Remedy string
		Fatal                            bool
	}
}

// diagnose runs doctor, by way of the words before it, and checks what is true of
// every diagnosis.
func diagnose(t *testing.T, env []string, words ...string) diagnosis {
	t.Helper()
	r := execute(t, env, words...)
	var d diagnosis
	if err := json.Unmarshal([]byte(r.out), &d); err != nil {
		t.Fatalf("%q: status %d: %v\n%s", words, r.status, err, r.out)
	}
	if d.Version != 1 || r.status != map[bool]int{true: 0, false: 1}[d.Run] {
		t.Errorf("%q: version %d, run %t, status %d", words, d.Version, d.Run, r.status)
	}
	fatal := false
	for _, c := range d.Checks {
		fatal = fatal || c.Fatal
		if !slices.Contains([]string{"ok", "limited", "missing"}, c.State) || (c.State == "ok") != (c.Cost == "") || c.State == "ok" && c.Remedy != "" || c.Fatal && c.State != "missing" {
			t.Errorf("%+v", c)
		}
	}
	if fatal == d.Run {
		t.Errorf("run %t, %+v", d.Run, d.Checks)
	}
	return d
}

// is checks a diagnosis' check.
func (d diagnosis) is(t *testing.T, name, state, remedy string) {
	t.Helper()
	for _, c := range d.Checks {
		if c.Name == name {
			if c.State != state || !strings.Contains(c.Remedy, remedy) {
				t.Errorf("%+v: want %s, remedy %q", c, state, remedy)
			}
			return
		}
	}
	t.Errorf("no check %q in %+v", name, d)
}

func TestDoctor(t *testing.T) {
	eachBwrap(t, func(t *testing.T, bwrapDir string) {
		env := environment(t, bwrapDir, workDir(t))
		doctor := []string{shared("bin/oci2bwrap"), "doctor", "--format", "json"}
		d := diagnose(t, env, doctor...)
		for _, name := range []string{"bubblewrap", "kernel", "user-namespaces", "sandbox", "proc", "overlay", "seccomp", "cache"} {
			d.is(t, name, "ok", "")
		}
		if again := diagnose(t, env, doctor...); len(again.Checks) != len(d.Checks) {
			t.Errorf("%+v", again)
		}

		noBwrap := append(slices.Clone(env), "PATH="+t.TempDir())
		d = diagnose(t, noBwrap, doctor...)
		d.is(t, "bubblewrap", "missing", "install")
		d.is(t, "sandbox", "missing", "")
		d.is(t, "pasta", "limited", "passt")

		d = diagnose(t, append(slices.Clone(env), "HOME=/proc/nowhere"), doctor...)
		d.is(t, "cache", "limited", "--cache-dir")
		d.is(t, "sandbox", "ok", "")
	})
}

// TestDoctorOfLimits makes the limits that hosts have.
func TestDoctorOfLimits(t *testing.T) {
	needs(t, "unshare", "pasta")
	eachBwrap(t, func(t *testing.T, bwrapDir string) {
		env := environment(t, bwrapDir, workDir(t))
		d := diagnose(t, env, "unshare", "--user", "--map-root-user", "sh", "-c",
			"echo 0 >/proc/sys/user/max_user_namespaces && exec oci2bwrap doctor --format json")
		d.is(t, "user-namespaces", "missing", "user.max_user_namespaces=")
		d.is(t, "sandbox", "missing", "user.max_user_namespaces=")
		d.is(t, "overlay", "limited", "user.max_user_namespaces=")
		d.is(t, "kernel", "ok", "")

		d = diagnose(t, env, "unshare", "--user", "--map-root-user", "--mount", "sh", "-c",
			"if [ -d /dev/net ]; then mount -t tmpfs tmpfs /dev/net || exit; fi; exec oci2bwrap doctor --format json")
		d.is(t, "pasta", "limited", "/dev/net/tun")
	})
}

// TestDoctorInContainer: what a container keeps from a sandbox in it, told by
// doctor and by run.
func TestDoctorInContainer(t *testing.T) {
	needs(t, "runc", "bwrap")
	if !hasImages() {
		lacks(t, "no busybox to make images of: apt-get install busybox-static")
	}
	if os.Getuid() != 0 {
		t.Skip("a user of a user's container has no place in its id map; root's run of this test has the same")
	}
	work := workDir(t)
	env := environment(t, "/usr/bin", work)
	program, bundle := shared("bin/oci2bwrap"), filepath.Join(work, "bundle")
	if r := execute(t, env, program, "unpack", shared("images/tools"), bundle); r.status != 0 {
		t.Fatal("unpack:", r)
	}
	contain := func(t *testing.T, flags []string, command ...string) []string {
		t.Helper()
		args := append([]string{program, "spec", "-q", "--passwd=false", "-e", "PATH=/usr/bin:/bin", "-e", "HOME=/tmp", "-w", "/",
			"-v", shared("bin") + ":/probes", "-v", shared("images") + ":/images", "-v", "/usr:/usr:ro", "-v", "/lib:/lib:ro", "-v", "/lib64:/lib64:ro"}, flags...)
		spec := execute(t, env, append(append(args, shared("images/tools")), command...)...)
		if spec.status != 0 {
			t.Fatal("spec:", spec)
		}
		if err := os.WriteFile(filepath.Join(bundle, "config.json"), []byte(spec.out), 0o644); err != nil {
			t.Fatal(err)
		}
		return []string{"runc", "--root", filepath.Join(work, "runc"), "run", "--bundle", bundle, "e2e-doctor"}
	}
	doctor := []string{"/probes/oci2bwrap", "doctor", "--format", "json"}
	user := []string{"--user", "33:33"}

	d := diagnose(t, env, contain(t, user, doctor...)...)
	d.is(t, "user-namespaces", "missing", "seccomp=unconfined")
	d.is(t, "sandbox", "missing", "seccomp=unconfined")

	user = append(user, "--security-opt", "seccomp=unconfined")
	d = diagnose(t, env, contain(t, user, doctor...)...)
	d.is(t, "user-namespaces", "ok", "")
	d.is(t, "proc", "missing", "unmask=ALL")
	d.is(t, "sandbox", "missing", "unmask=ALL")
	r := execute(t, env, contain(t, user, "sh", "-c", "/probes/oci2bwrap run /images/tools true 2>&1; echo $?")...)
	if !strings.Contains(r.out, "Can't mount proc") || !strings.Contains(r.out, "\nhint: parts of /proc are masked") || !strings.HasSuffix(r.out, "\n125\n") {
		t.Errorf("run under a masked /proc: %v", r)
	}

	user = append(user, "--security-opt", "unmask=ALL")
	d = diagnose(t, env, contain(t, user, doctor...)...)
	d.is(t, "proc", "ok", "")
	d.is(t, "sandbox", "ok", "")
	runs := []string{"sh", "-c", "/probes/oci2bwrap run -q /images/tools sh -c 'echo $$; exit 3'; echo $?"}
	for _, flags := range [][]string{user, {"--cap-add=ALL", "--security-opt", "seccomp=unconfined"}} {
		if r := execute(t, env, contain(t, flags, runs...)...); r.out != "1\n3\n" {
			t.Errorf("%q: run in a container: %v", flags, r)
		}
	}

	d = diagnose(t, env, contain(t, []string{"--security-opt", "seccomp=unconfined"}, doctor...)...)
	d.is(t, "sandbox", "missing", "unmask=ALL") // root enters a user namespace there
}
