package e2e_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

// eachBwrap runs test with the machine's bwrap and with a newer one. dir is the
// directory that has it.
func eachBwrap(t *testing.T, test func(t *testing.T, dir string)) {
	t.Run("machine's bwrap", func(t *testing.T) {
		needs(t, "bwrap")
		path, err := exec.LookPath("bwrap")
		if err != nil {
			t.Fatal(err)
		}
		test(t, filepath.Dir(path))
	})
	t.Run("newer bwrap", func(t *testing.T) {
		if _, err := os.Stat(shared("newer/bin/bwrap")); err != nil {
			lacks(t, "OCI2BWRAP_FIXTURES names no directory with a newer bwrap: make test builds it as root")
		}
		test(t, shared("newer/bin"))
	})
}

// environment is what oci2bwrap is started with, to use the bwrap in dir: a home
// of its own in work, and nothing of the tests' environment.
func environment(t testing.TB, bwrapDir, work string) []string {
	t.Helper()
	for _, dir := range []string{"home", "tmp"} {
		if err := os.MkdirAll(filepath.Join(work, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	env := []string{
		"PATH=" + bwrapDir + ":" + shared("bin") + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=" + filepath.Join(work, "home"),
		"TMPDIR=" + filepath.Join(work, "tmp"),
		"IMAGES=" + shared("images"),
		"NIX_IMAGES=" + shared("nix"),
		"HOST_SECRET=of the host",
		"UID=" + strconv.Itoa(os.Getuid()),
		"GID=" + strconv.Itoa(os.Getgid()),
	}
	if !oneID(t) && os.Getuid() != 0 {
		// What belongs to other ids only who has them can remove.
		t.Cleanup(func() { cleanUp(t, env, "cache", "prune", "--all") })
	}
	return env
}

// cleanUp runs oci2bwrap once the test is over.
func cleanUp(t testing.TB, env []string, args ...string) {
	cmd := exec.Command(shared("bin/oci2bwrap"), args...)
	cmd.Env = env
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%q: %v: %s", args, err, out)
	}
}
