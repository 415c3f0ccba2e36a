package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// writeNix fills the machine's Nix store with what fixtures/nix describes, and
// dir with the image JSON over it. Only root can, where no daemon is set up;
// without Nix the tests that want it say so.
func writeNix(dir string) error {
	if _, err := exec.LookPath("nix-build"); err != nil || os.Getuid() != 0 {
		return nil
	}
	if err := os.CopyFS(dir, os.DirFS("../../fixtures/nix")); err != nil {
		return err
	}
	for _, command := range [][]string{
		{"nix-build", "--no-out-link", "store.nix", "-A", "greeting", "-A", "greet", "-A", "root", "-A", "extra", "-A", "shell"},
		{"nix-store", "--add", "base"},
	} {
		if _, err := nix(dir, command...); err != nil {
			return err
		}
	}
	for name, args := range map[string][]string{
		"image-dir": {"image-dir.nix"}, "contract-root": {"contract.nix", "-A", "root"}, "contract-config.json": {"contract.nix", "-A", "imageConfig"},
	} {
		out, err := nix("../../fixtures/nix", append([]string{"nix-build", "--no-out-link"}, args...)...)
		if err != nil {
			return err
		}
		if err := os.Symlink(out, filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// nix runs one of Nix's programs: by root without a sandbox of its own and
// without a network.
func nix(dir string, command ...string) (string, error) {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "NIX_CONFIG=build-users-group =\nsubstituters =\nsandbox = false")
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", strings.Join(command, " "), err, said.String())
	}
	return strings.TrimSpace(string(out)), nil
}

// hasNix says whether writeNix found what it needs.
func hasNix() bool {
	_, err := os.Stat(shared("nix/store.nix"))
	return err == nil
}

// TestNixFixtures says what the scripts about Nix skip without.
func TestNixFixtures(t *testing.T) {
	if !hasNix() {
		lacks(t, "no Nix store that can be written to: apt-get install nix-bin, as root")
	}
	if _, err := os.Stat(filepath.Join("/nix/store", "825w8bd8988xnmrm7c8zp1d34a4nqk0j-image-root")); err != nil {
		t.Error(err)
	}
}

// TestNixWithPkgs evaluates what needs nixpkgs with a stub of it: there is
// none here to build it with.
func TestNixWithPkgs(t *testing.T) {
	if !hasNix() || os.Getuid() != 0 {
		t.Skip("only root's run has the sources and Nix: see TestNixFixtures")
	}
	out, err := nix("../..", "nix-instantiate", "--eval", "-E", `((import ./nix { }).withPkgs {
		buildGoModule = x: "/pkg"; runtimeShell = "/bin/sh"; coreutils = "/usr"; bubblewrap = "/bw";
		lib.escapeShellArgs = toString; writeShellScriptBin = name: text: name + ": " + text;
	}).mkBwrap { name = "app"; flags = [ "--network" "none" ]; }`)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out, "app: PATH=/bw/bin:$PATH exec /pkg/bin/oci2bwrap run --network none /nix/store/") || !strings.Contains(out, `\"$@\"`) {
		t.Errorf("mkBwrap is %s", out)
	}
}

// TestNixInterrupt presses Ctrl-C on an image from the store: its command may
// clean up, and one that does nothing about it ends all the same.
func TestNixInterrupt(t *testing.T) {
	if !hasNix() {
		lacks(t, "no Nix store that can be written to: apt-get install nix-bin, as root")
	}
	eachBwrap(t, func(t *testing.T, bwrapDir string) {
		image := []string{shared("nix/image-dir")}
		s := startImage(t, bwrapDir, image, "trap 'echo cleaned up; exit 7' INT; touch /sync/ready; while :; do sleep 0.05; done # $MARKER")
		s.ready()
		s.signal(syscall.SIGINT)
		s.ends(7)
		if got := s.out.String(); got != "cleaned up\n" {
			t.Errorf("printed %q", got)
		}
		s = startImage(t, bwrapDir, image, "touch /sync/ready; exec sleep $MARKER", "--stop-timeout", "1")
		s.ready()
		s.signal(syscall.SIGINT)
		s.ends(130)
	})
}
