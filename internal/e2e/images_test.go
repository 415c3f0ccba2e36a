package e2e_test

import (
	"archive/tar"
	"os"
	"path/filepath"
	"slices"

	ispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/oci2bwrap/oci2bwrap/fixtures"
)

// writeImages writes the images of the scripts into dir, each a layout of its
// own. Where the machine has no busybox there are none, and the tests that want
// one say so.
func writeImages(dir string) error {
	userland, err := fixtures.Userland()
	if err != nil {
		return nil
	}
	set := func(paths ...string) map[string]struct{} {
		m := map[string]struct{}{}
		for _, path := range paths {
			m[path] = struct{}{}
		}
		return m
	}
	tools := ispec.ImageConfig{
		Env:        []string{"PATH=/bin", "GREETING=a b=c", "TWICE=first", "TWICE=second"},
		Cmd:        []string{"/bin/sh", "-c", "echo the default command"},
		WorkingDir: "/missing/dir",
		StopSignal: "SIGUSR1",
	}
	app := ispec.ImageConfig{
		User:       "app",
		Env:        []string{"PATH=/bin"},
		Entrypoint: []string{"/bin/echo", "entry"},
		Cmd:        []string{"cmd", ""},
	}
	volumes := ispec.ImageConfig{
		Cmd:     []string{"/bin/sh"},
		Env:     []string{"PATH=/bin"},
		Volumes: set("/data", "/data/sub", "/var/run/service", "/srv/a/b", "/missing", "/link/below"),
	}
	content := fixtures.Layer{Entries: []fixtures.Entry{
		fixtures.Dir("data", 0o750),
		fixtures.File("data/file", 0o640, "seed\n"),
		fixtures.Dir("data/sub", 0o1777),
		fixtures.File("data/sub/file", 0o644, "seed below\n"),
		fixtures.Dir("srv", 0o755),
		fixtures.Dir("run", 0o755),
		fixtures.Dir("run/service", 0o755),
		fixtures.File("run/service/file", 0o644, "seed in run\n"),
		fixtures.Dir("var", 0o755),
		fixtures.Symlink("var/run", "/run"),
		fixtures.File("var/file", 0o644, "seed in var\n"),
		fixtures.Symlink("link", "../opt"),
		fixtures.Dir("opt", 0o755),
	}}
	programs := fixtures.Layer{Entries: []fixtures.Entry{
		fixtures.Dir("usr", 0o755),
		fixtures.File("usr/data", 0o644, "not a program\n"),
		fixtures.File("usr/script", 0o755, "#!/no/such/interpreter\n"),
		fixtures.Dir("usr/dir", 0o755),
	}}
	service := ispec.ImageConfig{
		Env:        []string{"PATH=/bin"},
		Entrypoint: []string{"/entrypoint"},
		Cmd:        []string{"id"},
		Volumes:    set("/data"),
	}
	// As the official images of services do it: begin as root, take the volume,
	// go on as the service's user.
	owners := fixtures.Layer{Entries: []fixtures.Entry{
		fixtures.File("entrypoint", 0o755, "#!/bin/sh\nset -e\nchown -R app:4001 /data\nexec busybox su app -c \"$*\"\n"),
		fixtures.Dir("data", 0o755),
		fixtures.File("data/file", 0o600, "seed\n"),
		fixtures.Dir("srv", 0o755),
		fixtures.Dir("srv/private", 0o700).OwnedBy(33, 44),
		fixtures.File("srv/private/file", 0o600, "of 33\n").OwnedBy(33, 44),
	}}
	planted := programs // for parity: a mode bit and a changed file
	planted.Entries = slices.Clone(programs.Entries)
	planted.Entries[1] = fixtures.File("usr/data", 0o644, "not a pr0gram\n")
	planted.Entries[2].Mode |= 0o4000
	for name, image := range map[string]fixtures.Image{
		"service": {Config: service, Layers: []fixtures.Layer{userland, owners}},
		"planted": {Tag: "v1", Config: tools, Layers: []fixtures.Layer{userland, planted}},
		"tools":   {Tag: "v1", Config: tools, Layers: []fixtures.Layer{userland, programs}},
		"app":     {Tag: "v1", Config: app, Layers: []fixtures.Layer{userland}},
		"volumes": {Config: volumes, Layers: []fixtures.Layer{userland, content}},
	} {
		if err := fixtures.WriteImages(filepath.Join(dir, name), image); err != nil {
			return err
		}
	}
	err = fixtures.WriteImages(filepath.Join(dir, "several"),
		fixtures.Image{Tag: "v1", Config: app, Layers: []fixtures.Layer{userland}},
		fixtures.Image{Tag: "v2", Config: tools, Layers: []fixtures.Layer{userland}})
	if err != nil {
		return err
	}
	if err := writeHostileImage(filepath.Join(dir, "hostile"), filepath.Join(dir, "victim"), userland); err != nil {
		return err
	}
	return writeBadImages(filepath.Join(dir, "bad"))
}

// writeHostileImage writes an image whose links lead to victim on the host, for a
// bwrap that follows them from its own root, where the host is at /oldroot. victim
// is made, and everybody may write to it.
func writeHostileImage(dir, victim string, userland fixtures.Layer) error {
	if err := os.Mkdir(victim, 0o777); err != nil {
		return err
	}
	if err := os.Chmod(victim, 0o777); err != nil {
		return err
	}
	config := ispec.ImageConfig{
		Env:        []string{"PATH=/bin"},
		Cmd:        []string{"/bin/sh", "-c", "echo survived; touch /link/volume/x /rel/x; true"},
		WorkingDir: "/link/cwd",
		Volumes:    map[string]struct{}{"/link/volume": {}, "/rel": {}, "/var/lib/x": {}},
	}
	links := fixtures.Layer{Entries: []fixtures.Entry{
		{Header: tar.Header{Typeflag: tar.TypeReg, Name: ".wh.etc"}},
		fixtures.Symlink("link", "/oldroot"+victim),
		fixtures.Symlink("rel", "../../oldroot"+victim),
		fixtures.Symlink("var", "../oldroot"+victim+"/missing"),
		fixtures.Symlink("run", victim),
	}}
	etc := fixtures.Layer{Entries: []fixtures.Entry{fixtures.Symlink("etc", "/oldroot"+victim)}}
	kernel := fixtures.Layer{Entries: []fixtures.Entry{
		fixtures.Symlink("dev", "../oldroot"+victim),
		fixtures.Symlink("proc", "/oldroot"+victim),
	}}
	if err := fixtures.WriteLayout(dir+"-kernel", "", config, userland, kernel); err != nil {
		return err
	}
	return fixtures.WriteLayout(dir, "", config, userland, links, etc)
}

// hasImages says whether writeImages found what it makes them of.
func hasImages() bool {
	_, err := os.Stat(shared("images/tools"))
	return err == nil
}
