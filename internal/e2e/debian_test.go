package e2e_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// reportStatus is what fixtures/debian/report.sh ends with.
const reportStatus = 7

// commands are what the Debian image is run with: its own Cmd, and another.
var commands = map[string][]string{
	"Cmd":     nil,
	"COMMAND": {"an argument", "", "x=y $HOME"},
}

// TestDebianImage holds a run of the Debian image against runc, twice: against
// the bundle that umoci makes of it, for what the image alone determines, and
// against our own, for everything.
func TestDebianImage(t *testing.T) {
	needs(t, "runc", "umoci")
	for _, compression := range []string{"gzip", "zstd"} {
		t.Run(compression, func(t *testing.T) {
			image := shared("debian/" + compression)
			if _, err := os.Stat(image); err != nil {
				lacks(t, "OCI2BWRAP_FIXTURES names no directory with the Debian image: make test builds it as root")
			}
			work := workDir(t)
			umoci := reference(t)
			bundle := ownBundle(t, work, image+":v1")
			eachBwrap(t, func(t *testing.T, bwrapDir string) {
				env := environment(t, bwrapDir, work)
				for name, command := range commands {
					t.Run(name, func(t *testing.T) {
						args := append([]string{"run", "--quiet", image + ":v1"}, command...)
						got := sections(t, output(t, reportStatus, env, shared("bin/oci2bwrap"), args...))
						sameAsOwnBundle(t, got, bundle[name])
						if umoci == nil {
							t.Log("root has not run before: not compared with umoci's bundle")
							return
						}
						sameAsImage(t, got, umoci[name])
					})
				}
			})
		})
	}
}

// sameAsOwnBundle compares with runc on the bundle of oci2bwrap unpack.
func sameAsOwnBundle(t *testing.T, got, want map[string][]string) {
	t.Helper()
	for name := range want {
		sameSection(t, name, got, want, nil)
	}
	for name := range got {
		if want[name] == nil {
			t.Errorf("section %q is not in the other report", name)
		}
	}
}

// sameAsImage compares what the image alone determines with runc on umoci's
// bundle, as root. umoci leaves volumes empty, and has its own capability set,
// masks and read-only paths: those are no part of it.
func sameAsImage(t *testing.T, got, want map[string][]string) {
	t.Helper()
	for _, name := range []string{"args", "cwd", "ids", "umask", "pid", "descriptors", "files", "tree", "devices", "stdin"} {
		sameSection(t, name, got, want, nil)
	}
	sameSection(t, "env", got, want, func(line string) bool {
		// Defaults of ours that umoci has not.
		return strings.HasPrefix(line, "HOSTNAME=") || line == "container=oci2bwrap"
	})
	if os.Getuid() == 0 {
		sameSection(t, "groups", got, want, nil)
		sameSection(t, "owners", got, want, nil)
		return
	}
	// A map of one id has room for the image's user alone: it can have no further
	// groups, and owns all that the caller unpacked.
	if groups := strings.Fields(strings.Join(got["groups"], " ")); len(groups) != 1 {
		t.Errorf("groups with a map of one id: %q, want none", groups[1:])
	}
	if len(got["owners"]) != len(want["owners"]) {
		t.Errorf("%d files have owners, want %d", len(got["owners"]), len(want["owners"]))
	}
	for _, line := range got["owners"] {
		if !strings.HasSuffix(line, " 1234:1234") {
			t.Errorf("owner with a map of one id: %q, want 1234:1234", line)
		}
	}
}

// reference is what runc prints on umoci's bundle, by the name of the command.
// Root makes it, once; an ordinary user reads what root has made, and gets nil
// where root did not run.
func reference(t *testing.T) map[string]map[string][]string {
	t.Helper()
	reports := map[string]map[string][]string{}
	for name := range commands {
		data, err := os.ReadFile(shared("reference/" + name))
		if err != nil {
			if os.Getuid() != 0 {
				return nil
			}
			makeReference(t)
			return reference(t)
		}
		reports[name] = sections(t, string(data))
	}
	return reports
}

func makeReference(t *testing.T) {
	t.Helper()
	work := workDir(t)
	bundle := filepath.Join(work, "bundle")
	// umoci knows gzip alone.
	run(t, work, "umoci", "unpack", "--image", shared("debian/gzip")+":v1", bundle)
	if err := os.MkdirAll(shared("reference"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, command := range commands {
		changeConfig(t, bundle, func(process map[string]any) {
			process["terminal"] = false
			delete(process, "rlimits")
			if command != nil {
				process["args"] = append([]string{"/usr/local/bin/report"}, command...)
			}
		})
		report := runc(t, work, bundle, "reference-"+name)
		if err := os.WriteFile(shared("reference/"+name), []byte(report), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// ownBundle is what runc prints on the bundle of oci2bwrap unpack, by the name of
// the command.
func ownBundle(t *testing.T, work, image string) map[string]map[string][]string {
	t.Helper()
	bundle := filepath.Join(work, "bundle")
	bin := shared("bin/oci2bwrap")
	env := environment(t, "/usr/bin", work)
	output(t, 0, env, bin, "unpack", image, bundle)
	reports := map[string]map[string][]string{}
	for name, command := range commands {
		spec := output(t, 0, env, bin, append([]string{"spec", image}, command...)...)
		if err := os.WriteFile(filepath.Join(bundle, "config.json"), []byte(spec), 0o644); err != nil {
			t.Fatal(err)
		}
		reports[name] = sections(t, runc(t, work, bundle, "own-"+name))
	}
	return reports
}

// runc returns what a run of bundle prints.
func runc(t *testing.T, work, bundle, name string) string {
	t.Helper()
	id := fmt.Sprintf("oci2bwrap-e2e-%s-%d", name, os.Getpid())
	return output(t, reportStatus, append(os.Environ(), "XDG_RUNTIME_DIR="+work),
		"runc", "--root", filepath.Join(work, "runc"), "run", "--bundle", bundle, id)
}

// changeConfig rewrites the process of a bundle.
func changeConfig(t *testing.T, bundle string, change func(process map[string]any)) {
	t.Helper()
	path := filepath.Join(bundle, "config.json")
	var config map[string]any
	if err := readJSON(path, &config); err != nil {
		t.Fatal(err)
	}
	change(config["process"].(map[string]any))
	data, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// output runs a program, which must end with status, and returns its stdout.
func output(t *testing.T, status int, env []string, program string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	var stdout, stderr bytes.Buffer
	cmd.Env, cmd.Stdout, cmd.Stderr = env, &stdout, &stderr
	cmd.Stdin = strings.NewReader("from the caller\n")
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if got := cmd.ProcessState.ExitCode(); got != status {
		t.Fatalf("%s %q: %v, want status %d\n%s", program, args, cmd.ProcessState, status, stderr.Bytes())
	}
	return stdout.String()
}

func run(t *testing.T, dir, program string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %q: %v: %s", program, args, err, out)
	}
}
