package layout

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// statPath says whether path is a directory.
func statPath(path string) (isDir bool, err error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, &hinted{
			errors.New("no such file or directory"),
			"IMAGE is a path on this machine; skopeo copy or crane pull --format=oci fetches one",
		}
	}
	if err != nil {
		return false, err
	}
	return info.IsDir(), nil
}

func isArchive(form string) bool { return strings.HasSuffix(form, "-archive") }

// isFile says whether a form is a file's, and not a directory's.
func isFile(form string) bool { return isArchive(form) || form == "nix" }

const formHint = "without a transport, a path is recognised by its content"

func wrongKind(form string, isDir bool) error {
	if isDir {
		return &hinted{fmt.Errorf("transport %q reads a file, and this is a directory", form), formHint}
	}
	return &hinted{fmt.Errorf("transport %q reads a directory, and this is not one", form), formHint}
}

// wrongForm adds to err what helps where a path has not what the transport's
// form is known by.
func wrongForm(err error, form string, has func(name string) bool) error {
	marker := map[string]string{
		"oci": layoutFile, "oci-archive": layoutFile, "docker-archive": dockerFile,
		"dir": versionFile, "layers": configFile, "bundle": configFile,
	}[form]
	if err == nil || marker == "" || has(marker) {
		return err
	}
	return &hinted{err, formHint}
}

// dirForms are the forms of directories, each with the entries it is known by,
// all of them.
var dirForms = []struct {
	form    string
	entries []string
	looked  string // what this is called when it isn't there
}{
	{"oci", []string{layoutFile}, "oci-layout"},
	{"dir", []string{dockerFile, versionFile}, "manifest.json with version"},
	{"bundle", []string{configFile}, "config.json with an ociVersion"},
	{"layers", []string{configFile, rootfsName}, "config.json with rootfs"},
	{"layers", []string{configFile, layersName}, "config.json with layers"},
}

// recogniseDir tells by its content which form of image a directory holds.
func recogniseDir(path string, limits Limits) (string, error) {
	var found []string
	for _, f := range dirForms {
		if slices.Contains(found, f.form) || slices.ContainsFunc(f.entries, func(name string) bool {
			_, err := os.Lstat(filepath.Join(path, name))
			return err != nil
		}) {
			continue
		}
		switch bundle, err := isBundle(path, limits); {
		case f.entries[0] != configFile:
		case err != nil:
			return "", err
		case bundle != (f.form == "bundle"):
			continue
		}
		found = append(found, f.form)
	}
	switch len(found) {
	case 0:
		return "", noForm(path)
	case 1:
		return found[0], nil
	}
	return "", &hinted{
		fmt.Errorf("the directory is of %d forms at once: %s", len(found), strings.Join(found, ", ")),
		"say which one is meant, as in " + found[0] + ":DIR",
	}
}

// noForm says what was looked for in a directory, and what comes near.
func noForm(path string) error {
	names, err := os.ReadDir(path)
	if err != nil {
		return err
	}
	if len(names) == 0 {
		return errors.New("not an image: the directory is empty")
	}
	var looked []string
	for _, f := range dirForms {
		looked = append(looked, f.looked)
	}
	fault := fmt.Errorf("not an image: the directory has none of %s", strings.Join(looked, ", "))
	has := func(name string) bool {
		return slices.ContainsFunc(names, func(e fs.DirEntry) bool { return e.Name() == name })
	}
	switch {
	case has("usr") || has("bin"):
		return &hinted{fault, "rootfs:DIR with --config FILE takes a directory as the root"}
	case has(dockerFile):
		return &hinted{fault, "an extracted docker archive is not read: give the archive itself"}
	}
	return fault
}

// recogniseArchive tells an archive's form by its members.
func recogniseArchive(a *tarball) (string, error) {
	oci := a.has(layoutFile) && a.has(indexFile)
	switch {
	case oci:
		return "oci-archive", nil // with a manifest.json, too: docker 25 writes both
	case a.has(dockerFile):
		return "docker-archive", nil
	case a.has(legacyFile):
		return "", &hinted{
			fmt.Errorf("an archive of docker before 1.10, with %s and no %s, which is not supported", legacyFile, dockerFile),
			"docker load and docker save make a newer one of it",
		}
	case len(a.members) == 0:
		return "", errNoMembers
	}
	fault := fmt.Errorf("not an image: the archive has neither %s with %s nor %s (its first member: %s)", layoutFile, indexFile, dockerFile, quote(a.first))
	for name := range a.members {
		if strings.HasPrefix(name, "usr/") || strings.HasPrefix(name, "bin/") {
			return "", &hinted{fault, "it looks like a root filesystem: unpack it, and take rootfs:DIR with --config FILE"}
		}
	}
	return "", fault
}

// locateArchive opens the archive at path; form "" is recognised.
func locateArchive(path, form string, o OpenOptions) (*location, error) {
	f, size, err := openSource(path, o)
	if err != nil {
		return nil, err
	}
	p, err := placeOf(f, size, form, o)
	if err != nil {
		return nil, also(err, f.Close())
	}
	return p, nil
}

// locateStdin opens the archive that comes on stdin.
func locateStdin(form string, o OpenOptions) (*location, error) {
	if form == "nix" {
		return nil, &hinted{errors.New("the image JSON names store paths and is read from a file, not from stdin"), "nix:FILE"}
	}
	if form != "" && !isArchive(form) {
		return nil, fmt.Errorf("transport %q reads a directory, and stdin is not one", form)
	}
	f, size, err := openStdin(o.Stdin, o)
	var own interface{ Hint() string }
	var read *fs.PathError // as of a directory
	switch {
	case errors.As(err, &own): // as that there is no room to spool it
		return nil, fmt.Errorf("stdin: %w", err)
	case errors.Is(err, errEmpty) || errors.Is(err, errNoTar) || errors.As(err, &read):
		return nil, &hinted{fmt.Errorf("stdin: %w", err), "an archive on stdin comes from a pipe or a file, as in ./result | oci2bwrap run -"}
	case err != nil:
		return nil, fmt.Errorf("stdin: %w", err)
	}
	p, err := placeOf(f, size, form, o)
	if err != nil {
		return nil, also(err, f.Close())
	}
	return p, nil
}

func placeOf(f content, size int64, form string, o OpenOptions) (*location, error) {
	a, err := indexArchive(f, size, o.Limits)
	if err != nil {
		return nil, err
	}
	named := form != ""
	if !named {
		if form, err = recogniseArchive(a); err != nil {
			return nil, err
		}
	}
	if form == "oci-archive" {
		oci, err := openOCI(a, o.Limits)
		if err != nil {
			return nil, wrongForm(err, form, a.has)
		}
		// Docker 25's index.json lists nothing that was saved without a name.
		if named || len(oci.index.Manifests) > 0 || len(oci.items) == 0 {
			return &location{form, oci, f}, nil
		}
		form = "docker-archive"
	}
	docker, err := openDocker(a, o.Limits)
	if err != nil {
		return nil, wrongForm(err, form, a.has)
	}
	return &location{form, docker, f}, nil
}
