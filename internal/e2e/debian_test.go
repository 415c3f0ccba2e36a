package e2e_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// reportStatus is what fixtures/debian/report.sh ends with.
const reportStatus = 7

// commands are what the Debian image is run with: its own Cmd, and another.
var commands = map[string][]string{
	"Cmd":     nil,
	"COMMAND": {"an argument", "", "x=y $HOME"},
}

// TestDebianImage holds a run of the Debian image against runc as root, twice:
// against the bundle that umoci makes of it, for what the image alone determines,
// and against our own, for everything.
func TestDebianImage(t *testing.T) {
	needs(t, "runc", "umoci")
	for _, compression := range []string{"gzip", "zstd"} {
		t.Run(compression, func(t *testing.T) {
			image := shared("debian/" + compression)
			if _, err := os.Stat(image); err != nil {
				lacks(t, "OCI2BWRAP_FIXTURES names no directory with the Debian image: make test builds it as root")
			}
			umoci := reference(t, "umoci", makeUmociBundle)
			own := reference(t, "own-"+compression, func(t *testing.T, work string) bundle { return makeOwnBundle(t, work, image+":v1") })
			if umoci == nil || own == nil {
				lacks(t, "only root can run runc for every user of an image, and it has not run before")
			}
			work := workDir(t)
			eachBwrap(t, func(t *testing.T, bwrapDir string) {
				env := environment(t, bwrapDir, work)
				for name, command := range commands {
					t.Run(name, func(t *testing.T) {
						args := append([]string{"run", "--quiet", image + ":v1"}, command...)
						got := sections(t, output(t, reportStatus, env, shared("bin/oci2bwrap"), args...))
						sameAsOwnBundle(t, got, own[name])
						sameAsImage(t, got, umoci[name])
					})
				}
			})
		})
	}
}

// sameAsOwnBundle compares everything with runc on the bundle of oci2bwrap
// unpack, but for two things that are to differ.
func sameAsOwnBundle(t *testing.T, got, want map[string][]string) {
	t.Helper()
	// runc 1.1 copies a seeded directory under its umask. We keep what the image
	// has.
	differs := map[string]string{
		"/data/sub drwxr-xr-t 1234:1234": "/data/sub drwxrwxrwt 1234:1234",
		"/var/tmp no":                    "/var/tmp yes",
	}
	one := oneID(t)
	if one {
		// With a map of one id the image's user owns the writable directories that
		// belong to root in the image.
		for _, dir := range []string{"/run", "/var", "/var/run/service", "/missing/volume"} {
			differs[dir+" no"] = dir + " yes"
		}
	}
	for name, lines := range want {
		expected := slices.Clone(lines)
		for i, line := range expected {
			expected[i] = cmp.Or(differs[line], line)
			if name == "volumes" && one {
				expected[i] = strings.Replace(expected[i], " 0:0", " 1234:1234", 1)
			}
		}
		switch {
		case one && name == "groups":
			noGroups(t, got)
		case one && name == "owners":
			oneOwner(t, got, want)
		default:
			sameSection(t, name, got, map[string][]string{name: expected}, nil)
		}
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
	if oneID(t) {
		noGroups(t, got)
		oneOwner(t, got, want)
		return
	}
	sameSection(t, "groups", got, want, nil)
	sameSection(t, "owners", got, want, nil)
}

// A map of one id has room for the image's user alone: it can have no further
// groups.
func noGroups(t *testing.T, got map[string][]string) {
	t.Helper()
	if groups := strings.Fields(strings.Join(got["groups"], " ")); len(groups) != 1 {
		t.Errorf("groups with a map of one id: %q, want none", groups)
	}
}

// oneOwner checks that the image's user owns all that the caller unpacked.
func oneOwner(t *testing.T, got, want map[string][]string) {
	t.Helper()
	if len(got["owners"]) != len(want["owners"]) {
		t.Errorf("%d files have owners, want %d", len(got["owners"]), len(want["owners"]))
	}
	for _, line := range got["owners"] {
		if !strings.HasSuffix(line, " 1234:1234") {
			t.Errorf("owner with a map of one id: %q, want 1234:1234", line)
		}
	}
}

// bundle is a directory that runc runs, and how its process is changed to run one
// of the commands.
type bundle struct {
	dir string
	set func(t *testing.T, command []string)
}

// reference is what runc prints on the bundle that make makes, by the name of the
// command. Root makes it, once; an ordinary user reads what root has made, and
// gets nil where root did not run.
func reference(t *testing.T, kind string, make func(t *testing.T, work string) bundle) map[string]map[string][]string {
	t.Helper()
	dir := shared("reference/" + kind)
	if _, err := os.Stat(dir); err != nil && os.Getuid() != 0 {
		return nil
	} else if err != nil {
		writeReference(t, dir, make)
	}
	reports := map[string]map[string][]string{}
	for name := range commands {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		reports[name] = sections(t, string(data))
	}
	return reports
}

func writeReference(t *testing.T, dir string, make func(t *testing.T, work string) bundle) {
	t.Helper()
	work := workDir(t)
	b := make(t, work)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, command := range commands {
		b.set(t, command)
		id := fmt.Sprintf("oci2bwrap-e2e-%s-%d", name, os.Getpid())
		report := output(t, reportStatus, os.Environ(), "runc", "--root", filepath.Join(work, "runc"), "run", "--bundle", b.dir, id)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(report), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// makeUmociBundle has umoci unpack the image; it knows gzip alone.
func makeUmociBundle(t *testing.T, work string) bundle {
	t.Helper()
	dir := filepath.Join(work, "bundle")
	output(t, 0, os.Environ(), "umoci", "unpack", "--image", shared("debian/gzip")+":v1", dir)
	var args any // of the image's own command
	return bundle{dir, func(t *testing.T, command []string) {
		changeConfig(t, dir, func(process map[string]any) {
			if args == nil {
				args = process["args"]
			}
			process["terminal"] = false
			delete(process, "rlimits")
			process["args"] = args
			if command != nil {
				process["args"] = append([]string{"/usr/local/bin/report"}, command...)
			}
		})
	}}
}

// makeOwnBundle has oci2bwrap unpack the image, and print the config.json of each
// command.
func makeOwnBundle(t *testing.T, work, image string) bundle {
	t.Helper()
	dir := filepath.Join(work, "bundle")
	env := environment(t, "/usr/bin", work)
	output(t, 0, env, shared("bin/oci2bwrap"), "unpack", image, dir)
	return bundle{dir, func(t *testing.T, command []string) {
		spec := output(t, 0, env, shared("bin/oci2bwrap"), append([]string{"spec", image}, command...)...)
		if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(spec), 0o644); err != nil {
			t.Fatal(err)
		}
	}}
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
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.WaitDelay = time.Second
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
