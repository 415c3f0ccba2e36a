package e2e_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	ispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/oci2bwrap/oci2bwrap/fixtures"
)

// TestExamples runs every example of every command's --help, in a directory that
// has what they name. Only what no test can have is replaced.
func TestExamples(t *testing.T) {
	needImages(t)
	needs(t, "bwrap", "jq", "pasta")
	work := workDir(t)
	writeExampleImages(t, filepath.Join(work, "image-dir"), filepath.Join(work, "image-both"))
	for _, name := range []string{"result", "debian-12.5", "debian-12.6"} {
		if err := os.Symlink("image-dir", filepath.Join(work, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{"data", "source", "bundle", "tree"} {
		if err := os.Mkdir(filepath.Join(work, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(work, "config.json"), []byte(`{"config": {"Cmd": ["/bin/sh"]}}`), 0o644); err != nil {
		t.Fatal(err)
	}
	env := append(environment(t, "/usr/bin", work), "TMPDIR="+os.TempDir()) // of whose name podman takes no capitals
	for _, command := range []string{"run", "exec", "plan", "spec", "unpack", "export", "inspect", "cache", "cache list", "cache prune", "cache verify", "doctor", "parity", "version"} {
		examples := examplesOf(t, env, command)
		if len(examples) == 0 {
			t.Errorf("%s --help has no examples", command)
		}
		for _, example := range examples {
			t.Run(example, func(t *testing.T) { runExample(t, env, work, example) })
		}
	}
}

// writeExampleImages writes an image whose command ends when it has read a line,
// and else after a while, and one for two platforms, of which podman would not
// know which is meant.
func writeExampleImages(t *testing.T, dir, both string) {
	t.Helper()
	userland, err := fixtures.Userland()
	if err != nil {
		t.Fatal(err)
	}
	tools := fixtures.Layer{Entries: []fixtures.Entry{
		fixtures.File("bin/make", 0o755, "#!/bin/sh\n"), fixtures.File("bin/curl", 0o755, "#!/bin/sh\n"),
	}}
	config := ispec.ImageConfig{Env: []string{"PATH=/bin"}, Cmd: []string{"sh", "-c", "read line || sleep 5"}, StopSignal: "SIGKILL"}
	image := fixtures.Image{Tag: "v2", Config: config, Layers: []fixtures.Layer{userland, tools}}
	foreign := image
	foreign.Platform = ispec.Platform{OS: "linux", Architecture: "arm64"}
	if err := fixtures.WriteImages(dir, image); err != nil {
		t.Fatal(err)
	}
	if err := fixtures.WriteImages(both, image, foreign); err != nil {
		t.Fatal(err)
	}
}

func examplesOf(t *testing.T, env []string, command string) []string {
	t.Helper()
	help := output(t, 0, env, shared("bin/oci2bwrap"), append(strings.Fields(command), "--help")...)
	_, rest, _ := strings.Cut(help, "\nExamples:\n")
	rest, _, _ = strings.Cut(rest, "\n\n")
	var examples []string
	for line := range strings.Lines(rest) {
		examples = append(examples, strings.TrimSpace(line))
	}
	return examples
}

func runExample(t *testing.T, env []string, work, example string) {
	if engines := strings.Contains(example, " parity ") || strings.Contains(example, "runc"); engines && os.Getuid() != 0 {
		t.Skip("root's run asks the engines")
	} else if engines {
		needs(t, "runc", "podman")
	}
	if strings.Contains(example, "nix:") {
		if !hasNix() {
			lacks(t, "there is no Nix here")
		}
		if err := copyExecutable(shared("nix/image-text.json"), filepath.Join(work, "image.json")); err != nil {
			t.Fatal(err)
		}
	}
	if strings.Contains(example, "pasta") {
		needPasta(t)
	}
	for _, made := range []string{"image", "kept"} {
		if err := os.RemoveAll(filepath.Join(work, made)); err != nil {
			t.Fatal(err)
		}
	}
	if strings.Contains(example, " unpack ") {
		if err := os.RemoveAll(filepath.Join(work, "bundle")); err != nil {
			t.Fatal(err)
		}
	}
	script, _, _ := strings.Cut(example, " && skopeo") // there is no registry
	script = strings.ReplaceAll(script, "8080", freePort(t))
	if strings.Contains(script, "--platform") {
		script = strings.ReplaceAll(script, "image-dir", "image-both")
	}
	if strings.Contains(script, "4711") {
		script = "oci2bwrap run ./image-dir & " + strings.ReplaceAll(script, "4711", "$!")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", script)
	cmd.Dir, cmd.Env = work, env
	cmd.WaitDelay = 10 * time.Second              // for what an example has left in the background
	if !strings.Contains(script, "healthcheck") { // which needs a command that goes on
		cmd.Stdin = strings.NewReader("exit\n") // a line, or what a shell is told
	}
	out, err := cmd.CombinedOutput()
	if strings.Contains(example, " parity ") && cmd.ProcessState.ExitCode() == 1 {
		err = nil // a verdict as well; which one is for the tests of parity
	}
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
