package engine

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// storage keeps podman and buildah to directories of our own: what the caller
// has of images and containers is neither used nor added to.
func (e *Engine) storage() []string {
	return []string{"--storage-driver", "overlay", "--root", filepath.Join(e.Dir, "storage"), "--runroot", e.RunDir}
}

func (e *Engine) podmanWays() []way {
	ways := []way{e.podmanWay("", nil)}
	for _, runtime := range []string{"crun", "runc"} {
		ways = append(ways, e.podmanWay("runtime "+runtime+", cgroupfs", []string{"--runtime", runtime, "--cgroup-manager=cgroupfs"}))
	}
	return ways
}

func (e *Engine) podmanWay(what string, global []string) way {
	return way{what: what, argv: func(id string, r Run) []string {
		argv := append(append([]string{"podman"}, e.storage()...), global...)
		argv = append(argv, "run", "--rm", "--quiet", "--name", id)
		argv = append(argv, e.Flags...)
		if r.Probe != nil {
			argv = append(argv, "--preserve-fds", "1")
		}
		// The whole command line, as ours has it, and not what the image adds.
		return append(append(argv, "--entrypoint", entrypoint(r.Args[:1]), e.Image), r.Args[1:]...)
	}}
}

// entrypoint is podman's JSON form, which no word can be mistaken for.
func entrypoint(args []string) string {
	return `["` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(strings.Join(args, " ")) + `"]`
}

// probePath is where buildah shows the probe: it passes no descriptors on.
const probePath = "/.oci2bwrap-probe"

func (e *Engine) buildahWays() []way {
	container := filepath.Base(e.Dir)
	prepare := func(Run) error {
		if e.made {
			return nil
		}
		argv := append(e.storage(), "from", "--quiet", "--name", container, e.Image)
		out, err := exec.Command("buildah", argv...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("from %s: %s", e.Image, lastLine(string(out)))
		}
		e.made = true
		return nil
	}
	return []way{{what: "chroot isolation", prepare: prepare, argv: func(_ string, r Run) []string {
		argv := append(append([]string{"buildah"}, e.storage()...), "run", "--isolation", "chroot")
		argv = append(argv, e.Flags...)
		args := r.Args
		if r.Probe != nil {
			self, _ := os.Readlink("/proc/self/exe")
			argv = append(argv, "--volume", self+":"+probePath+":ro")
			args = append([]string{probePath}, args[1:]...)
		}
		return append(append(argv, container, "--"), args...)
	}}}
}

// Close removes what the engine has kept in its directory.
func (e *Engine) Close() error {
	if Bundled(e.Name) {
		return nil
	}
	// Files of other ids than the caller's, and mounts, are podman's to remove.
	if e.made {
		exec.Command("buildah", append(e.storage(), "rm", "--all")...).Run()
	}
	exec.Command(e.Name, append(e.storage(), "rmi", "--all", "--force")...).Run()
	if os.Geteuid() != 0 {
		return exec.Command(e.Name, "unshare", "rm", "-rf", e.Dir, e.RunDir).Run()
	}
	return errors.Join(os.RemoveAll(e.Dir), os.RemoveAll(e.RunDir))
}
