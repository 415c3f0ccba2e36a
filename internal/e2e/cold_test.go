package e2e_test

import (
	"os/exec"
	"sync"
	"testing"
)

// TestColdStarts starts many runs of one image at once, with nothing in the cache.
func TestColdStarts(t *testing.T) {
	needImages(t)
	eachBwrap(t, func(t *testing.T, bwrapDir string) {
		env := environment(t, bwrapDir, workDir(t))
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() {
				cmd := exec.CommandContext(t.Context(), shared("bin/oci2bwrap"), "run", "--quiet", shared("images/tools"))
				cmd.Env = env
				out, err := cmd.CombinedOutput()
				if err != nil || string(out) != "the default command\n" {
					t.Errorf("%v: %q", err, out)
				}
			})
		}
		group.Wait()
	})
}
