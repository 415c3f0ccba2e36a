package bwrap

import (
	"fmt"
	"path"
	"slices"
	"strconv"
)

// MaxArgs is the number of arguments that bubblewrap takes at most, those
// read from a descriptor included.
const MaxArgs = 9000

// Target is where a Plan is lowered to.
type Target struct {
	Features Features
	StageDir string // an existing directory that the stage may cover with its mounts

	// Reading writes the whole plan in bubblewrap's words, for people, be they
	// options that it lacks here.
	Reading bool

	// Script lets the command run without the init: bubblewrap sets up of the
	// process what it can.
	Script bool
}

// Lower turns the plan into what the target can do. The error names what it
// can't.
func Lower(p *Plan, t Target) (*Command, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	l := lowering{Target: t}
	l.namespaces(p)
	rest := make([]Op, len(p.Steps))
	for i, s := range p.Steps {
		rest[i] = s.Op
	}
	if t.Features.Stage && !t.Reading {
		var staged []Op
		staged, rest = split(p.Steps, p.Namespaces)
		rest, l.cmd.Late = late(rest, hasNull(p.Steps))
		if dst, ok := covered(p, rest); ok {
			l.cmd.Late = append([]Op{Proc{Dst: dst}}, l.cmd.Late...)
		}
		l.cmd.Stage = &Stage{Dir: t.StageDir, Ops: staged, FuseOverlay: t.Features.FuseOverlay, Handed: handed(staged, rest)}
		l.add("--dev-bind", l.cmd.Stage.Root(), "/") // the stage has set the flags of each mount
	}
	for _, op := range rest {
		if err := l.step(op); err != nil {
			return nil, err
		}
	}
	l.cmd.Sysctl, l.cmd.Domainname, l.cmd.Join = p.Sysctl, p.Namespaces.Domainname, p.Namespaces.Join
	l.cmd.Time, l.cmd.Clocks = p.Namespaces.Time, p.Namespaces.Clocks
	if t.Script {
		l.scriptProcess(p)
	} else {
		l.process(p)
	}
	l.cmd.Cgroup = p.Cgroup

	n := 0
	for _, o := range l.cmd.Options {
		n += len(o)
	}
	if n > MaxArgs-20 && !t.Reading {
		return nil, fmt.Errorf("plan needs %d arguments, bubblewrap takes %d", n, MaxArgs)
	}
	l.cmd.Process = p.Process
	l.cmd.UIDMap, l.cmd.GIDMap = p.Namespaces.UIDMap, p.Namespaces.GIDMap
	l.cmd.KeepGroups = p.Namespaces.single() || p.Namespaces.OneID
	return &l.cmd, nil
}

// maxOverlayOptions keeps an option string below the page that mount(2)
// copies: past that it is cut silently, and a cut path can be another
// directory.
const maxOverlayOptions = 3500

func overlayLength(lower []string) int {
	n := 0
	for _, l := range lower {
		n += 2*len(l) + 1 // every byte may need an escape
	}
	return n
}

type lowering struct {
	Target
	cmd Command
}

func (l *lowering) add(words ...string) {
	o := make(Option, len(words))
	for i, w := range words {
		o[i].Text = w
	}
	l.cmd.Options = append(l.cmd.Options, o)
}

// single says that bubblewrap makes the user namespace, and maps one id.
func (n Namespaces) single() bool { return n.User && !n.Mapped && n.UIDMap == nil }

func (l *lowering) namespaces(p *Plan) {
	n := p.Namespaces
	if n.single() {
		l.add("--unshare-user")
		l.add("--uid", strconv.Itoa(p.Process.UID))
		l.add("--gid", strconv.Itoa(p.Process.GID))
	}
	if n.UIDMap != nil {
		l.add("--unshare-user")
	}
	for _, ns := range []struct {
		own  bool
		name string
	}{{n.PID, "pid"}, {n.IPC, "ipc"}, {n.UTS, "uts"}, {n.Net, "net"}, {n.Cgroup, "cgroup"}} {
		if ns.own {
			l.add("--unshare-" + ns.name)
		}
	}
	if n.UTS && n.Hostname != "" {
		l.add("--hostname", n.Hostname)
	}
}

func (l *lowering) step(op Op) error {
	switch o := op.(type) {
	case Bind:
		if o.IDMap == nil {
			l.add(bindOption(o), o.Src, o.Dst)
			return nil
		}
		if !l.Reading {
			return fmt.Errorf("%s: bubblewrap can't map the ids of a mount, and what is mounted there before or around it is bubblewrap's", o.Dst)
		}
		l.add(bindOption(o), "<id-mapped>"+o.Src, o.Dst)
	case Tmpfs:
		l.tmpfs(o)
	case Overlay:
		return l.overlay(o)
	case Dir:
		l.add("--perms", octal(o.Mode), "--dir", o.Dst)
	case File:
		kind := "--bind-data"
		if o.ReadOnly {
			kind = "--ro-bind-data"
		}
		l.cmd.Options = append(l.cmd.Options, Option{{Text: "--perms"}, {Text: octal(o.Mode)}, {Text: kind},
			{Data: &Data{Name: path.Base(o.Dst), Bytes: o.Data}}, {Text: o.Dst}})
	case Closure:
		l.closure(o)
	case Symlink:
		l.add("--symlink", o.Target, o.Dst)
	case Proc:
		l.add("--proc", o.Dst)
	case Dev:
		l.add("--dev", o.Dst)
	case Mqueue:
		l.add("--mqueue", o.Dst)
	case Sysfs:
		l.add(bindOption(Bind{ReadOnly: o.ReadOnly}), "/sys", o.Dst)
	case Cgroup: // that of the host's /sys is shown
	case Node:
		if !l.Reading {
			return fmt.Errorf("%s: bubblewrap can't make a device node, and there is no mount namespace to make one in: %s", o.Dst, l.Features.Reason)
		}
		l.add("--dev-bind", fmt.Sprintf("<%c %d:%d>", o.Kind, o.Major, o.Minor), o.Dst)
	case RemountRO:
		l.add("--remount-ro", o.Dst)
	default:
		return fmt.Errorf("operation %s has no lowering", op.name())
	}
	return nil
}

func (l *lowering) closure(c Closure) {
	l.add("--perms", "0755", "--tmpfs", c.Dst)
	for _, p := range c.Paths {
		if dst := path.Join(c.Dst, p.Name); p.Link != "" {
			l.add("--symlink", p.Link, dst)
		} else {
			l.add("--ro-bind", p.Src, dst)
		}
	}
	l.add("--remount-ro", c.Dst)
}

func bindOption(b Bind) string {
	switch {
	case b.Devices || b.Attr&Device != 0:
		return "--dev-bind"
	case b.ReadOnly:
		return "--ro-bind"
	}
	return "--bind"
}

func (l *lowering) tmpfs(o Tmpfs) {
	words := []string{"--perms", octal(o.Mode)}
	if o.Size > 0 {
		words = append(words, "--size", strconv.FormatInt(o.Size, 10))
	}
	l.add(append(words, "--tmpfs", o.Dst)...)
}

func (l *lowering) overlay(o Overlay) error {
	switch {
	case l.Reading:
	case !l.Features.Overlay:
		return fmt.Errorf("%s: bubblewrap has no overlay here, and there is no mount namespace to make one in: %s", o.Dst, l.Features.Reason)
	case o.Merged || len(o.Whiteouts) > 0:
		return fmt.Errorf("%s: bubblewrap can't merge layers with whiteouts, and there is no mount namespace to do it in: %s", o.Dst, l.Features.Reason)
	case o.Upper != "":
		return fmt.Errorf("%s: the writes can't be kept in %s without a mount namespace to prepare it in: %s", o.Dst, o.Upper, l.Features.Reason)
	case !o.Owned:
		return fmt.Errorf("%s: bubblewrap can't make mount points in directories of another owner", o.Dst)
	case overlayLength(o.Lower) > maxOverlayOptions:
		return fmt.Errorf("%s: the names of %d layers are longer than an overlay's options may be", o.Dst, len(o.Lower))
	}
	var words []string
	if o.Merged {
		words = append(words, "--overlay-src", "<merged>"+o.Dst)
	}
	for _, lower := range o.Lower {
		words = append(words, "--overlay-src", lower)
	}
	switch {
	case o.Work != "":
		l.add(append(words, "--overlay", o.Upper, o.Work, o.Dst)...)
	case o.Upper != "":
		l.add(append(words, "--overlay", path.Join(o.Upper, "upper"), path.Join(o.Upper, "work"), o.Dst)...)
	default:
		l.add(append(words, "--tmp-overlay", o.Dst)...)
	}
	l.add("--chmod", octal(o.Mode), o.Dst)
	for _, p := range o.Points {
		if !p.File { // bubblewrap makes the file under a bound file itself
			l.add("--perms", "0755", "--dir", p.Path)
		}
	}
	return nil
}

// process adds what every sandbox has. The in-sandbox init sets the rest;
// the capabilities that it needs for that come on top of the command's, and
// it drops them.
func (l *lowering) process(p *Plan) {
	caps := append([]string{"CAP_SETPCAP"}, p.Process.Capabilities.Bounding...)
	// The init mounts (a terminal's /dev/console too), and sets what is the
	// namespaces'.
	if len(l.cmd.Late) > 0 || l.cmd.Stage != nil && l.cmd.Stage.Handed != "" || p.Process.Terminal || len(p.Sysctl) > 0 || p.Namespaces.Domainname != "" {
		caps = append(caps, "CAP_SYS_ADMIN")
	}
	if len(p.Sysctl) > 0 {
		caps = append(caps, "CAP_NET_ADMIN")
	}
	if p.Process.Raises {
		caps = append(caps, "CAP_SYS_RESOURCE")
	}
	if p.Process.urgent() {
		caps = append(caps, "CAP_SYS_NICE")
	}
	if !p.Namespaces.single() {
		caps = append(caps, "CAP_SETUID", "CAP_SETGID")
	}
	slices.Sort(caps)
	l.add("--cap-drop", "ALL")
	for _, c := range slices.Compact(caps) {
		l.add("--cap-add", c)
	}
	l.add("--clearenv")
	l.add("--chdir", "/")
	if p.Namespaces.PID {
		l.add("--as-pid-1")
	}
	l.add("--new-session")
	l.add("--die-with-parent")
	if s := p.Process.Seccomp; s != nil && l.Reading { // else the init installs it
		l.cmd.Options = append(l.cmd.Options, Option{{Text: "--seccomp"}, {Data: &Data{Name: "seccomp", Bytes: s.BPF}}})
	}
}
