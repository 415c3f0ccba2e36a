package inroot

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
)

func link(target string) *fstest.MapFile {
	return &fstest.MapFile{Mode: fs.ModeSymlink | 0o777, Data: []byte(target)}
}

func testTree() fstest.MapFS {
	return fstest.MapFS{
		"etc/passwd":    {Mode: 0o644},
		"run":           {Mode: fs.ModeDir | 0o755},
		"var/lib":       {Mode: fs.ModeDir | 0o755},
		"var/run":       link("/run"),
		"var/lock":      link("../../../run/lock"),
		"abs":           link("/etc/passwd"),
		"out":           link("../../../../etc"),
		"dangling":      link("/nowhere/deep"),
		"climbs":        link("nowhere/../etc"),
		"loop":          link("loop"),
		"slashed":       link("etc/passwd/"),
		"twice":         link("var/run"),
		"empty":         link(""),
		"etc/back/here": link(".."),
	}
}

func TestResolve(t *testing.T) {
	long := strings.Repeat("n", 256)
	for _, tt := range []struct {
		name, want, missing string
		err                 error
	}{
		{name: "/", want: "/"},
		{name: "..", want: "/"},
		{name: "/../../etc/./", want: "/etc"},
		{name: "etc/passwd", want: "/etc/passwd"},
		{name: "/etc/passwd/", err: ErrNotDir},
		{name: "/etc/passwd/.", err: ErrNotDir},
		{name: "/etc/passwd/..", err: ErrNotDir},
		{name: "/var/run", want: "/run"},
		{name: "/var/run/app/x", want: "/run/app/x", missing: "/run/app"},
		{name: "/var/run/../etc", want: "/etc"},
		{name: "/var/lock", want: "/run/lock", missing: "/run/lock"},
		{name: "/abs", want: "/etc/passwd"},
		{name: "/abs/", err: ErrNotDir},
		{name: "/out/passwd", want: "/etc/passwd"},
		{name: "/dangling", want: "/nowhere/deep", missing: "/nowhere"},
		{name: "/dangling/er/", want: "/nowhere/deep/er", missing: "/nowhere"},
		{name: "/climbs", err: fs.ErrNotExist},
		{name: "/none/..", err: fs.ErrNotExist},
		{name: "/none/./x", want: "/none/x", missing: "/none"},
		{name: "/loop", err: ErrLoop},
		{name: "/slashed", err: ErrNotDir},
		{name: "/twice/", want: "/run"},
		{name: "/empty", err: fs.ErrNotExist},
		{name: "/etc/back/here/passwd", want: "/etc/passwd"},
		{name: "", err: fs.ErrNotExist},
		{name: "/a\x00b", err: fs.ErrInvalid},
		{name: "/" + long, err: ErrNameTooLong},
		{name: "/none/" + long, err: ErrNameTooLong},
		{name: "/" + strings.Repeat("./", 2048), err: ErrNameTooLong},
	} {
		got, err := Resolve(testTree(), tt.name)
		if !errors.Is(err, tt.err) || got.Name != tt.want || got.Missing != tt.missing {
			t.Errorf("Resolve(%.40q) = %+v, %v; want %q, missing %q, %v", tt.name, got, err, tt.want, tt.missing, tt.err)
		}
	}
}

func TestResolveParent(t *testing.T) {
	for name, want := range map[string]string{
		"/abs":     "/abs",
		"/twice":   "/twice",
		"/twice/":  "/run",
		"/twice/.": "/run",
		"/out/":    "/etc",
		"/loop":    "/loop",
		"/var/run": "/var/run",
	} {
		got, err := ResolveParent(testTree(), name)
		if err != nil || got.Name != want || got.Missing != "" {
			t.Errorf("ResolveParent(%q) = %+v, %v; want %q", name, got, err, want)
		}
	}
}

func TestErrorNamesThePlaceOnce(t *testing.T) {
	_, err := Resolve(testTree(), "/var/../abs/x")
	if want := `resolve "/var/../abs/x": "/etc/passwd": not a directory`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
