package layout

import (
	"cmp"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// ggcrDir is go-containerregistry's source, with the images its own tests
// open. An ordinary user's run has a copy: the module cache is its owner's.
func ggcrDir(t *testing.T) string {
	t.Helper()
	if dir := os.Getenv(ggcrEnv); dir != "" {
		return dir
	}
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/google/go-containerregistry").Output()
	dir := strings.TrimSpace(string(out))
	if err == nil && dir != "" {
		_, err = os.Stat(filepath.Join(dir, "pkg/v1/tarball/testdata"))
	}
	if err != nil || dir == "" {
		skip(t, "go-containerregistry is not in the module cache: %v", err)
	}
	return dir
}

// skip skips a test for what the machine lacks; a machine of CI lacks nothing.
func skip(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// TestGoContainerRegistryImages opens, or refuses, what go-containerregistry's
// tests of pkg/v1/layout and pkg/v1/tarball do.
func TestGoContainerRegistryImages(t *testing.T) {
	base := filepath.Join(ggcrDir(t), "pkg/v1")
	for _, test := range []struct {
		path, tag string
		digest    string // start of the manifest's or, in a docker archive, the config's
		form      string
		platform  string // "" = linux/amd64
		err       string
	}{
		{path: "layout/testdata/test_index_one_image", digest: "98ceaf93", form: "oci"},
		{path: "layout/testdata/test_index", tag: "1", digest: "eebff607", form: "oci"},
		{path: "layout/testdata/test_index", tag: "3", digest: "eebff607", form: "oci"},
		{path: "layout/testdata/test_index", tag: "4", digest: "eebff607", form: "oci"},
		{path: "layout/testdata/test_index", tag: "2", err: `"2" is of media type "application/vnd.oci.descriptor.v1+json"`},
		{path: "layout/testdata/test_index", tag: "5", err: `no tag "5" in index.json (has: 1, 2, 3, 4)`},
		{path: "layout/testdata/test_gc_index", tag: "1", digest: "eebff607", form: "oci"},
		{path: "layout/testdata/test_gc_image_unknown_mediatype", err: "of media type"},
		{path: "layout/testdata/test_index_media_type", err: "an artifact"},
		{path: "layout/testdata", err: "not an image: the directory has none of oci-layout"},
		{path: "layout/testdata/does_not_exist", err: "no such file or directory"},

		{path: "tarball/testdata/test_image_1.tar", digest: "6e0b0504", form: "docker-archive"},
		{path: "tarball/testdata/test_image_2.tar", digest: "930705ce", form: "docker-archive"},
		{path: "tarball/testdata/test_load_manifest.tar", digest: "6e0b0504", form: "docker-archive"},
		{path: "tarball/testdata/test_bundle.tar", err: "several images for platform linux/amd64 (has: test_image_1, test_image_2)"},
		{path: "tarball/testdata/test_bundle.tar", tag: "test_image_1", digest: "6e0b0504", form: "docker-archive"},
		{path: "tarball/testdata/test_bundle.tar", tag: "test_image_2", digest: "930705ce", form: "docker-archive"},
		{path: "tarball/testdata/test_bundle.tar", tag: "test_image_1:latest", digest: "6e0b0504", form: "docker-archive"},
		{path: "tarball/testdata/test_bundle.tar", tag: "test_image_2:latest", digest: "930705ce", form: "docker-archive"},
		{path: "tarball/testdata/test_bundle.tar", tag: "index.docker.io/library/test_image_1:latest", digest: "6e0b0504", form: "docker-archive"},
		{path: "tarball/testdata/test_bundle.tar", tag: "@0", digest: "930705ce", form: "docker-archive"},
		{path: "tarball/testdata/test_bundle.tar", tag: "test_image_3", err: `no tag "test_image_3" in manifest.json (has: test_image_1, test_image_2)`},
		{path: "tarball/testdata/test_link.tar", tag: "bazel/v1/tarball:test_image_3", digest: "d4c9adac", form: "docker-archive"},
		{path: "tarball/testdata/hello-world-v25.tar", platform: "linux/arm64", digest: "ee301c92", form: "docker-archive"},
		{path: "tarball/testdata/hello-world-v25.tar", platform: "linux/arm64", tag: "@0", digest: "ee301c92", form: "docker-archive"},
		{path: "tarball/testdata/null_manifest.tar", err: "manifest.json: names no image"},
		{path: "tarball/testdata/no_manifest.tar", err: "docker before 1.10"},
		{path: "tarball/testdata/content.tar", err: "not an image"},
		{path: "tarball/testdata/bar", err: "not a tar archive"},
	} {
		t.Run(filepath.Base(test.path)+":"+test.tag, func(t *testing.T) {
			img, err := Open(Ref{Path: filepath.Join(base, test.path), Tag: test.tag}, OpenOptions{Platform: cmp.Or(test.platform, "linux/amd64")})
			if test.err != "" {
				wantError(t, err, test.err)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer img.Close()
			digest := img.Digest
			if digest.Hex == "" {
				digest = img.ConfigDigest
			}
			if !strings.HasPrefix(digest.Hex, test.digest) || img.Form != test.form {
				t.Errorf("got %s, form %s, want %s, form %s", digest, img.Form, test.digest, test.form)
			}
			if err := Unpack(t.Context(), img, filepath.Join(tempDir(t), "root"), UnpackOptions{}); err != nil {
				t.Error(err)
			}
		})
	}
}

// wantError checks for an error of one line that says what.
func wantError(t *testing.T, err error, what string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), what) || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %v, want one line with %q", err, what)
	}
}

// wantHint checks for an error whose hint says what; "" = that has none.
func wantHint(t *testing.T, err error, what string) {
	t.Helper()
	var h interface{ Hint() string }
	switch {
	case what == "" && errors.As(err, &h):
		t.Errorf("%v: hint %q, want none", err, h.Hint())
	case what != "" && (!errors.As(err, &h) || !strings.Contains(h.Hint(), what)):
		t.Errorf("%v: want a hint with %q", err, what)
	}
}
