package convert

import (
	"errors"
	"fmt"
	"strings"

	ispec "github.com/opencontainers/image-spec/specs-go/v1"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Spec converts an image config to a runtime Spec, as image-spec's
// conversion.md says, and adds the surroundings that podman gives a container.
// Where that document leaves the choice, podman's is taken.
//
// All faults of the config and the options are returned at once, joined; each
// is one line that names its field. Root.Path is "rootfs", relative to the
// bundle, as are the Sources of Result.Files.
func Spec(img ispec.Image, root Rootfs, host Host, o Options) (*Result, error) {
	root.FS = root.files()
	c := &conversion{img: img, root: root, host: host, o: o}
	c.res = &Result{
		Spec: &specs.Spec{
			Version:  specVersion,
			Process:  &specs.Process{Terminal: o.Terminal, NoNewPrivileges: true},
			Root:     &specs.Root{Path: "rootfs", Readonly: !o.Writable},
			Hostname: c.hostname(),
			Linux:    &specs.Linux{Resources: o.Resources},
		},
		Files:  map[string][]byte{},
		Origin: map[string]string{"root.readonly": "default"},
	}
	if o.Writable {
		c.res.Origin["root.readonly"] = "--writable"
	}

	// Verbatim Fields
	c.workingDir()
	env := c.env()
	c.args()
	// Annotation Fields, and Config.ExposedPorts of Optional Fields
	c.annotations()
	// Parsed Fields: Config.User
	user := c.user()
	// Optional Fields: Config.Volumes, among all other mounts
	c.mounts()
	c.sysctl()

	c.defaultEnv(env, user)
	c.surroundings(user)
	c.idMaps()
	if err := errors.Join(c.faults...); err != nil {
		return nil, err
	}
	return c.res, nil
}

// specVersion is the oldest runtime-spec that has every field we set: a
// runtime may refuse a version newer than itself.
const specVersion = "1.0.2"

// conversion is one call of Spec under way.
type conversion struct {
	img    ispec.Image
	root   Rootfs
	host   Host
	o      Options
	res    *Result
	faults []error

	accountFile accountFiles
}

func (c *conversion) fault(field, format string, args ...any) {
	c.faults = append(c.faults, fmt.Errorf("%s: %w", field, fmt.Errorf(format, args...)))
}

func (c *conversion) note(field, format string, args ...any) {
	c.res.Notes = append(c.res.Notes, Note{Field: field, Text: fmt.Sprintf(format, args...)})
}

// hasNUL reports a NUL, which ends a string for the kernel: what stands
// behind it would be dropped without a word.
func (c *conversion) hasNUL(field, s string) bool {
	if strings.IndexByte(s, 0) < 0 {
		return false
	}
	c.fault(field, "NUL byte in %q", s)
	return true
}

// fromImage reports the field to blame and the origin to show for a value
// that a flag may replace.
func fromImage(flagged bool, field, flag string) string {
	if flagged {
		return flag
	}
	return field
}

// maxHostname is the kernel's __NEW_UTS_LEN.
const maxHostname = 64

func (c *conversion) hostname() string {
	name := c.o.Hostname
	switch {
	case name != "":
	case c.o.Network == NetworkHost && c.host.Hostname != "":
		return c.host.Hostname
	default:
		return "sandbox"
	}
	if len(name) > maxHostname {
		c.fault("--hostname", "%q is longer than %d bytes", name, maxHostname)
	}
	if strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		c.fault("--hostname", "%q holds a space or a control character", name)
	}
	return name
}

// surroundings sets what neither the image nor a flag speaks of.
func (c *conversion) surroundings(u user) {
	s := c.res.Spec
	s.Process.Rlimits, s.Process.OOMScoreAdj = c.o.Rlimits, c.o.OOMScoreAdj
	c.capabilities(u)
	c.seccomp()
	for _, t := range []specs.LinuxNamespaceType{
		specs.PIDNamespace, specs.IPCNamespace, specs.UTSNamespace, specs.MountNamespace, specs.CgroupNamespace,
	} {
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: t})
	}
	switch c.o.Network {
	case NetworkHost:
	case NetworkNone, NetworkPasta:
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.NetworkNamespace})
	default:
		c.fault("--network", "%q is none of host, none and pasta", c.o.Network)
	}
	c.userNamespace(u)
	c.masks()
}

// userNamespace names the one that the sandbox is to have, if any.
func (c *conversion) userNamespace(u user) {
	l := c.res.Spec.Linux
	switch {
	case c.single():
		l.UIDMappings = []specs.LinuxIDMapping{{ContainerID: u.uid, HostID: uint32(c.host.UID), Size: 1}}
		l.GIDMappings = []specs.LinuxIDMapping{{ContainerID: u.gid, HostID: uint32(c.host.GID), Size: 1}}
	case c.host.Mapped != nil && c.host.Mapped.Own:
		l.UIDMappings, l.GIDMappings = c.host.Mapped.UIDs, c.host.Mapped.GIDs
	default:
		return
	}
	l.Namespaces = append(l.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
}

// ordinary says that the caller is not real root.
func (c *conversion) ordinary() bool { return c.host.ordinary() }

// single says that the sandbox has a user namespace with a single id.
func (c *conversion) single() bool { return c.host.single() }
