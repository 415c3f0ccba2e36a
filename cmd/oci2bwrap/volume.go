package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/oci2bwrap/oci2bwrap/convert"
)

// parseVolume reads SRC:DST[:OPTIONS] or DST.
func parseVolume(s string) (convert.Volume, error) {
	parts := strings.Split(s, ":")
	if len(parts) > 3 {
		return convert.Volume{}, errors.New("is not SRC:DST[:OPTIONS]")
	}
	dst := parts[min(1, len(parts)-1)]
	if !filepath.IsAbs(dst) {
		err := fmt.Errorf("destination %q is not absolute", dst)
		if len(parts) == 1 {
			return convert.Volume{}, &hinted{err, "-v " + hostPath(s) + ":/DST shows a directory of the host"}
		}
		return convert.Volume{}, err
	}
	v := convert.Volume{Destination: dst}
	if len(parts) == 1 {
		return v, nil
	}
	if len(parts) == 3 {
		v.Options = strings.Split(parts[2], ",")
	}
	if err := overlayDirs(v.Options); err != nil {
		return v, err
	}
	var err error
	v.Source, err = bindSource(parts[0])
	return v, err
}

// overlayDirs resolves the directories of an overlay among the options, as
// bindSource does.
func overlayDirs(options []string) error {
	for i, o := range options {
		key, dir, _ := strings.Cut(o, "=")
		if key != "upperdir" && key != "workdir" {
			continue
		}
		real, err := bindSource(hostPath(dir))
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		options[i] = key + "=" + real
	}
	return nil
}

// bindSource resolves the source of a bind now, by the caller's own view, so
// that what is planned is what is mounted.
func bindSource(s string) (string, error) {
	if s == "" {
		return "", errors.New("has no source")
	}
	if !strings.ContainsAny(s[:1], "./") {
		return "", &hinted{fmt.Errorf("%q names a volume, and there is no store of volumes", s), "write ./" + s + " for a directory"}
	}
	abs, err := filepath.Abs(s)
	if err != nil {
		return "", err
	}
	real, err := filepath.EvalSymlinks(abs)
	if errors.Is(err, os.ErrNotExist) {
		return "", &hinted{err, "make it before: nothing is made on the host"}
	}
	return real, err
}

// mountDoc is a --mount taken apart.
type mountDoc struct {
	kind, src, dst string
	words          []string // as -v and --tmpfs have them
}

// parseMount reads KEY=VALUE,... with podman's keys, and adds what it says to
// the options.
func parseMount(s string, o *convert.Options) error {
	m := mountDoc{kind: "volume"}
	for _, word := range strings.Split(s, ",") {
		key, value, hasValue := strings.Cut(word, "=")
		if err := m.set(key, value, hasValue); err != nil {
			return err
		}
	}
	if m.dst == "" {
		return &hinted{errors.New("has no destination"), "--mount type=bind,src=./DIR,dst=/DST"}
	}
	if !filepath.IsAbs(m.dst) {
		return fmt.Errorf("destination %q is not absolute", m.dst)
	}
	switch m.kind {
	case "bind":
		source, err := bindSource(hostPath(m.src))
		if err != nil {
			return err
		}
		if err := overlayDirs(m.words); err != nil {
			return err
		}
		o.Volumes = append(o.Volumes, convert.Volume{Source: source, Destination: m.dst, Options: m.words, Flag: "--mount"})
	case "tmpfs":
		if m.src != "" {
			return errors.New("a tmpfs has no source")
		}
		o.Tmpfs = append(o.Tmpfs, convert.Tmpfs{Destination: m.dst, Options: m.words, Flag: "--mount"})
	case "volume":
		if m.src != "" {
			return &hinted{fmt.Errorf("%q names a volume, and there is no store of volumes", m.src), "write type=bind,src=./" + strings.TrimPrefix(m.src, "./") + " for a directory"}
		}
		o.Volumes = append(o.Volumes, convert.Volume{Destination: m.dst, Options: m.words, Flag: "--mount"})
	default:
		return fmt.Errorf("type %q is not supported (has: bind, tmpfs, volume)", m.kind)
	}
	return nil
}

// hostPath is a path in a place where there is no name that it could be.
func hostPath(s string) string {
	if s != "" && !strings.ContainsAny(s[:1], "./") {
		return "./" + s
	}
	return s
}

// set takes one KEY[=VALUE] of a --mount over.
func (m *mountDoc) set(key, value string, hasValue bool) error {
	yes := !hasValue || value == "true" || value == "1"
	no := hasValue && (value == "false" || value == "0")
	either := func(on, off string) error {
		switch {
		case yes && on != "":
			m.words = append(m.words, on)
		case no && off != "":
			m.words = append(m.words, off)
		case !yes && !no:
			return fmt.Errorf("%s=%s: neither true nor false", key, value)
		}
		return nil
	}
	switch key {
	case "type":
		m.kind = value
	case "src", "source":
		m.src = value
	case "dst", "destination", "target":
		m.dst = value
	case "ro", "readonly":
		return either("ro", "rw")
	case "rw":
		return either("rw", "ro")
	case "bind-nonrecursive":
		return either("bind", "rbind")
	case "bind-propagation":
		m.words = append(m.words, value)
	case "relabel":
		if value != "shared" && value != "private" {
			return fmt.Errorf("relabel=%s: neither shared nor private", value)
		}
		m.words = append(m.words, map[string]string{"shared": "z", "private": "Z"}[value])
	case "U", "chown":
		return either("U", "")
	case "idmap":
		if yes || no {
			return either("idmap", "")
		}
		m.words = append(m.words, key+"="+value)
	case "tmpfs-size", "tmpfs-mode":
		m.words = append(m.words, strings.TrimPrefix(key, "tmpfs-")+"="+value)
	case "upperdir", "workdir":
		m.words = append(m.words, key+"="+value)
	case "consistency": // docker's, for other systems
	default:
		if hasValue {
			return fmt.Errorf("option %q is not supported", key)
		}
		m.words = append(m.words, key) // noexec, tmpcopyup and the like are judged by their kind
	}
	return nil
}
