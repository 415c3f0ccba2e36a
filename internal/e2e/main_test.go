// Package e2e_test runs the oci2bwrap binary as a person would: against the real
// bwrap, the machine's and a newer one, and, where the tests are started by root,
// once more as an ordinary user.
package e2e_test

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
)

// sharedVar names the directory of what all runs of this test binary use: the
// ordinary user's run finds there what root's run has made. Everybody may read
// it.
//
//	bin/oci2bwrap   the binary under test
//	bin/attack      what TestAttacks runs in a sandbox
//	bin/syscalls    the program of that directory; syscalls32 is its 32-bit form
//	e2e.test        this test binary
//	testdata/       the scripts
//	images/         the images of images_test.go
//	nix/            image JSON over store paths of this machine, where there is Nix
//	newer/bin       a newer bwrap, debian/{gzip,zstd} the Debian image, services/
//	                those of services, where OCI2BWRAP_FIXTURES names a directory
//	                that has them
//	reference       what runc printed for the Debian image, where root ran first
const sharedVar = "OCI2BWRAP_E2E_SHARED"

func TestMain(m *testing.M) {
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	if os.Getenv(sharedVar) != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "oci2bwrap-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if err := prepare(dir); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	os.Setenv(sharedVar, dir)
	return m.Run()
}

// prepare fills the shared directory.
func prepare(dir string) error {
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	for _, program := range []struct{ name, source, arch string }{
		{"oci2bwrap", "../../cmd/oci2bwrap", runtime.GOARCH},
		{"attack", "./attack", runtime.GOARCH},
		{"syscalls", "./syscalls", runtime.GOARCH},
		{"syscalls32", "./syscalls", map[string]string{"amd64": "386", "arm64": "arm"}[runtime.GOARCH]},
	} {
		build := exec.Command("go", "build", "-o", filepath.Join(dir, "bin", program.name), program.source)
		build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOARCH="+program.arch)
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("go build: %w: %s", err, out)
		}
	}
	if err := os.CopyFS(filepath.Join(dir, "testdata"), os.DirFS("testdata")); err != nil {
		return err
	}
	if err := copyExecutable("/proc/self/exe", filepath.Join(dir, "e2e.test")); err != nil {
		return err
	}
	if err := writeImages(filepath.Join(dir, "images")); err != nil {
		return err
	}
	if err := writeNix(filepath.Join(dir, "nix")); err != nil {
		return err
	}
	fixtures := os.Getenv("OCI2BWRAP_FIXTURES")
	if fixtures == "" {
		return nil
	}
	for from, to := range map[string]string{"newer-bwrap": "newer", "debian/gzip": "debian/gzip", "debian/zstd": "debian/zstd", "services": "services"} {
		source := filepath.Join(fixtures, from)
		if _, err := os.Stat(source); err != nil {
			continue // the test that wants it says so
		}
		if err := linkTree(source, filepath.Join(dir, to)); err != nil {
			return err
		}
	}
	return nil
}

// linkTree gives the files of from a second name each below to, or copies them
// where they are on another file system: they are hundreds of megabytes.
func linkTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		if entry.IsDir() {
			return os.MkdirAll(target, 0o755)
		}
		if os.Link(path, target) == nil {
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		return os.WriteFile(target, data, info.Mode().Perm())
	})
}

func copyExecutable(from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o755)
}

// shared is a path below the shared directory.
func shared(path string) string {
	return filepath.Join(os.Getenv(sharedVar), path)
}

// lacks ends a test for want of something that the machine should have: a skip
// for a person, a failure for CI.
func lacks(t testing.TB, reason string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(reason)
	}
	t.Skip(reason)
}

// needs ends the test where one of the programs is not in PATH.
func needs(t testing.TB, programs ...string) {
	t.Helper()
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			lacks(t, err.Error()+": its package is in .ci/packages")
		}
	}
}
