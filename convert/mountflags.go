package convert

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// flagMounts applies -v, --mount and --tmpfs.
func (c *conversion) flagMounts(l *mountList) {
	taken := map[string]string{}
	put := func(flag string, m specs.Mount) {
		if other, ok := taken[m.Destination]; ok {
			c.fault(flag, "%q is mounted already, by %s", m.Destination, other)
			return
		}
		taken[m.Destination] = flag
		l.put(m, flag)
	}
	for _, v := range c.o.Volumes {
		flag := cmp.Or(v.Flag, "-v")
		dst, ok := c.destination(flag, v.Destination)
		if !ok || c.hasNUL(flag, v.Source) {
			continue
		}
		if v.Source != "" && !strings.HasPrefix(v.Source, "/") {
			c.fault(flag, "source %q is not absolute", v.Source)
			continue
		}
		m, err := c.volume(v, dst, flag)
		if err != nil {
			c.fault(flag, "%q: %w", v.Destination, err)
			continue
		}
		put(flag, m)
	}
	for _, t := range c.o.Tmpfs {
		flag := cmp.Or(t.Flag, "--tmpfs")
		dst, ok := c.destination(flag, t.Destination)
		if !ok {
			continue
		}
		options, err := tmpfsFlag(c.owned(t.Options))
		if err != nil {
			c.fault(flag, "%q: %w", t.Destination, err)
			continue
		}
		put(flag, specs.Mount{Destination: dst, Type: "tmpfs", Source: "tmpfs", Options: options})
	}
}

// owned says whose a tmpfs is that is to be the command's user's. With a single
// id all are.
func (c *conversion) owned(options []string) []string {
	i := slices.Index(options, "U")
	if i < 0 {
		return options
	}
	owner := []string{}
	if u := c.res.Spec.Process.User; !c.single() {
		owner = append(owner, fmt.Sprintf("uid=%d", u.UID), fmt.Sprintf("gid=%d", u.GID))
	}
	return slices.Replace(slices.Clone(options), i, i+1, owner...)
}

// volume is the mount of a -v: a bind, a directory in memory that shows what
// the image has there, or an overlay.
func (c *conversion) volume(v Volume, dst, flag string) (specs.Mount, error) {
	w, err := c.volumeOptions(v, flag)
	if err != nil {
		return specs.Mount{}, err
	}
	m := specs.Mount{Destination: dst, Type: "bind", Source: v.Source, Options: w.options}
	if w.idmap && (w.overlay || w.chown || v.Source == "") {
		return m, &hinted{errors.New(`option "idmap" is for a bind alone`), "leave it out"}
	}
	if w.chown && w.overlay {
		return m, &hinted{errors.New(`options "O" and "U" contradict each other: one leaves the source alone`), "leave one of them out"}
	}
	switch {
	case v.Source == "" && w.chown:
		return m, &hinted{errors.New(`option "U" is for a file or directory of the host`), "--tmpfs " + dst + ":U is an empty directory of the command's user"}
	case v.Source == "" && w.overlay:
		return m, &hinted{errors.New(`option "O" is for a directory of the host`), "leave it out: what is written to an empty volume vanishes as well"}
	case v.Source == "":
		m = c.scratch(dst)
		m.Options = append(m.Options, slices.DeleteFunc(w.options, func(o string) bool { return slices.Contains(volumeDefaults[:], o) })...)
	case w.overlay && slices.Contains(w.options, "ro"):
		return m, &hinted{errors.New(`options "O" and "ro" contradict each other`), "leave one of them out"}
	case w.overlay:
		bindOnly := slices.Concat(volumeKinds[0], volumeKinds[1])
		m.Type, m.Source = "overlay", "overlay"
		w.overlaid.Lower = v.Source
		m.Options = append(w.overlaid.options(), slices.DeleteFunc(w.options, func(o string) bool { return slices.Contains(bindOnly, o) })...)
		_, err = ParseOverlaid(m)
	case w.overlaid != (Overlaid{}):
		err = &hinted{errors.New("upperdir and workdir are of an overlay"), "add O"}
	case w.idmap:
		m.Options = append(m.Options, w.ids)
	}
	if err == nil && w.chown {
		c.res.Chown = append(c.res.Chown, v.Source)
	}
	return m, err
}

// volumeDefaults are podman's options of a bind; each gives way to one of its
// own kind.
var volumeDefaults = [...]string{"rbind", "rprivate", "nosuid", "nodev", "rw"}

// volumeKinds are the options of -v, by what they decide.
var volumeKinds = [...][]string{
	{"rbind", "bind"},
	{"rprivate", "private", "slave", "rslave", "shared", "rshared", "unbindable", "runbindable"},
	{"nosuid", "suid"},
	{"nodev", "dev"},
	{"rw", "ro", "rro"},
	{"exec", "noexec"},
	{"noatime", "atime", "relatime", "strictatime"},
	{"nodiratime", "diratime"},
}

// volumeWish is what the options of a -v ask for.
type volumeWish struct {
	options  []string // of the mount: podman's defaults, and what was asked for
	overlay  bool
	idmap    bool     // the files are to have the owners that a map gives them
	ids      string   // that option as it is
	chown    bool     // the source is to be the command's user's
	overlaid Overlaid // where its writes are to be kept
}

func (c *conversion) volumeOptions(v Volume, flag string) (w volumeWish, err error) {
	given := v.Options
	if v.ReadOnly {
		given = append(slices.Clone(given), "ro")
	}
	chosen := [len(volumeKinds)]string{}
	copy(chosen[:], volumeDefaults[:])
	for _, o := range given {
		kind := slices.IndexFunc(volumeKinds[:], func(words []string) bool { return slices.Contains(words, o) })
		switch {
		case kind >= 0:
			chosen[kind] = o
		case o == "z" || o == "Z":
			c.note(flag, "%q: %q changes no label: SELinux labels are not implemented", v.Destination, o)
		case o == "U":
			w.chown = true
		case o == "O":
			w.overlay = true
		case strings.HasPrefix(o, "upperdir="):
			w.overlaid.Upper = strings.TrimPrefix(o, "upperdir=")
		case strings.HasPrefix(o, "workdir="):
			w.overlaid.Work = strings.TrimPrefix(o, "workdir=")
		case o == "idmap" || strings.HasPrefix(o, "idmap="):
			w.idmap, w.ids = true, o
		case o == "" || o == "nocopy" || o == "copy" && v.Source == "": // of a volume: it is always seeded
		default:
			return w, fmt.Errorf("option %q is none of ro, rw, exec, noexec, suid, nosuid, dev, nodev, bind, rbind, [r]private, [r]slave, [r]shared, O, upperdir=DIR, workdir=DIR, idmap[=IDS], U, z, Z", o)
		}
	}
	w.options = slices.DeleteFunc(chosen[:], func(o string) bool { return o == "" })
	return w, nil
}

// tmpfsWords are the options of --tmpfs without a value, each with the one
// that says the opposite, which the default gives way to.
var tmpfsWords = [...][2]string{
	{"nosuid", "suid"}, {"nodev", "dev"}, {"tmpcopyup", "notmpcopyup"}, {"exec", "noexec"}, {"rw", "ro"},
	{"noatime", "atime"}, {"relatime", "strictatime"}, {"nodiratime", "diratime"},
}

// tmpfsFlag checks the options of --tmpfs and adds podman's defaults.
func tmpfsFlag(given []string) ([]string, error) {
	options := []string{}
	add := func(o string) {
		if !slices.Contains(options, o) {
			options = append(options, o)
		}
	}
	for _, w := range tmpfsWords[:3] {
		if !slices.Contains(given, w[1]) {
			add(w[0])
		}
	}
	for _, o := range given {
		key, value, hasValue := strings.Cut(o, "=")
		known := slices.ContainsFunc(tmpfsWords[:], func(w [2]string) bool { return o == w[0] || o == w[1] })
		switch {
		case o == "notmpcopyup": // ours, and podman's; the runtime-spec has no such word
		case known:
			add(o)
		case hasValue && key == "size" && size(value):
			add(o)
		case hasValue && key == "mode" && len(value) <= 4 && value != "" && strings.Trim(value, "01234567") == "":
			add(o)
		case hasValue && (key == "uid" || key == "gid") && digits(value) && len(value) <= 9:
			add(o)
		case hasValue && (key == "nr_inodes" || key == "nr_blocks") && size(value):
			add(o)
		default:
			return nil, fmt.Errorf("option %q is none of size=BYTES[kmg%%], mode=OCTAL, uid=N, gid=N, nr_inodes=N, ro, rw, exec, noexec, suid, nosuid, dev, nodev, noatime, tmpcopyup, notmpcopyup", o)
		}
	}
	return options, nil
}

// size takes what tmpfs does: "64m", "50%".
func size(s string) bool {
	if s != "" && strings.ContainsRune("kmgKMG%", rune(s[len(s)-1])) {
		s = s[:len(s)-1]
	}
	return digits(s) && len(s) <= 15
}
