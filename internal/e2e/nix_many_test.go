package e2e_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// TestNixMany runs an image of 3,000 store paths: all of them are seen, no
// other, and none can be written to. Only root makes store paths, so its run does
// it for the ordinary user as well.
func TestNixMany(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("root's run does it as an ordinary user, too: only root can make store paths")
	}
	if !hasNix() {
		lacks(t, "no Nix store that can be written to: apt-get install nix-bin, as root")
	}
	dir := shared("many")
	t.Cleanup(func() {
		if out, err := exec.Command("sh", "../../fixtures/nix/many.sh", "--remove", dir).CombinedOutput(); err != nil {
			t.Errorf("store paths are left behind: %v: %s", err, out)
		}
	})
	if out, err := exec.Command("sh", "../../fixtures/nix/many.sh", "3000", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	raw, err := os.ReadFile(filepath.Join(dir, "paths"))
	if err != nil {
		t.Fatal(err)
	}
	paths := strings.Fields(strings.ReplaceAll(string(raw), "/nix/store/", "")) // the root first
	if len(paths) != 3001 {
		t.Fatalf("%d store paths", len(paths))
	}
	slices.Sort(paths[1:])
	eachBwrap(t, func(t *testing.T, bwrapDir string) {
		for name, credential := range map[string]*syscall.Credential{"root": nil, "user": makeUser(t, ordinary)} {
			t.Run(name, func(t *testing.T) {
				t.Run("image JSON", func(t *testing.T) {
					checkMany(t, bwrapDir, credential, []string{filepath.Join(dir, "image.json")}, paths[1:])
				})
				t.Run("root", func(t *testing.T) {
					image := []string{"--config", "config.json", "rootfs:" + filepath.Join(dir, "root")}
					checkMany(t, bwrapDir, credential, image, paths)
				})
			})
		}
	})
}

// checkMany runs the image, whose store is to hold paths, sorted.
func checkMany(t *testing.T, bwrapDir string, credential *syscall.Credential, image, paths []string) {
	work := workDir(t)
	env := environment(t, bwrapDir, work)
	config := []byte(`{"Entrypoint": ["/bin/sh", "-c"], "Env": ["PATH=/bin"]}`)
	if err := os.WriteFile(filepath.Join(work, "config.json"), config, 0o644); err != nil {
		t.Fatal(err)
	}
	if credential != nil {
		give(t, work, credential)
	}
	run := func(script string) string {
		t.Helper()
		cmd := exec.Command(shared("bin/oci2bwrap"), append(append([]string{"run"}, image...), script)...)
		cmd.Env, cmd.Dir = env, work
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential}
		var said strings.Builder
		cmd.Stderr = &said
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v: %s", script, err, said.String())
		}
		if said.String() != "" {
			t.Errorf("%s: said %s", script, said.String())
		}
		return string(out)
	}
	want := slices.Sorted(slices.Values(paths))
	if got := strings.Fields(run("ls -a /nix/store")); !slices.Equal(got, append([]string{".", ".."}, want...)) {
		t.Errorf("the store has %d names, want the %d of the closure", len(got)-2, len(want))
	}
	if got := lines(run("cat /nix/store/*-many/number")); len(got) != 3000 || got[2999] != "3000" {
		t.Errorf("%d of the paths can be read", len(got))
	}
	// Opened for writing, not asked for: modes say nothing to root.
	refused := run(`n=0; for p in /nix/store /nix/store/* /nix/store/*-many/number; do
		[ -d "$p" ] && file=$p/new || file=$p
		{ true >"$file"; } 2>/dev/null && echo "$p" || n=$((n + 1))
	done; echo $n`)
	if want := strconv.Itoa(1 + len(paths) + 3000); strings.TrimSpace(refused) != want {
		t.Errorf("what can be written to, and how much can't: %s, want only %s", refused, want)
	}
}

// give makes a directory and all that is in it the user's, and lets the user
// get there.
func give(t *testing.T, dir string, to *syscall.Credential) {
	t.Helper()
	for up := filepath.Dir(dir); up != "/" && up != os.TempDir(); up = filepath.Dir(up) {
		if err := os.Chmod(up, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, int(to.Uid), int(to.Gid))
	})
	if err != nil {
		t.Fatal(err)
	}
}
