package convert

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// maxPath is the kernel's PATH_MAX without its NUL.
const maxPath = 4095

// workingDir sets process.cwd: absolute and clean, ".." at the root stays
// there, empty is "/".
func (c *conversion) workingDir() {
	dir := c.img.Config.WorkingDir
	if c.o.Workdir != "" {
		dir = c.o.Workdir
	}
	field := fromImage(c.o.Workdir != "", "config.WorkingDir", "--workdir")
	cwd := path.Clean("/" + dir)
	c.res.Spec.Process.Cwd = cwd
	c.res.Origin["process.cwd"] = field
	if dir == "" {
		c.res.Origin["process.cwd"] = "default"
	}
	if c.hasNUL(field, dir) {
		return
	}
	if len(cwd) > maxPath {
		c.fault(field, "has %d bytes, and a path at most %d", len(cwd), maxPath)
		c.res.Spec.Process.Cwd = "/"
		return
	}
	// /proc/self/fd/N and /proc/PID/root are doors to other file systems.
	if strings.HasPrefix(cwd, "/proc/") {
		c.fault(field, "%q is below /proc", dir)
	}
}

// environ is an environment under way: entries in order, one a name.
type environ struct {
	entries []string
	at      map[string]int
}

func (e *environ) set(name, entry string) {
	if i, ok := e.at[name]; ok {
		e.entries[i] = entry
		return
	}
	e.at[name] = len(e.entries)
	e.entries = append(e.entries, entry)
}

// env gives the image's entries and then those of the flags. Of several with
// one name the last wins, at the place of the first.
func (c *conversion) env() *environ {
	e := &environ{at: map[string]int{}}
	c.addEnv(e, "config.Env", slices.DeleteFunc(slices.Clone(c.img.Config.Env), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return c.unset(name)
	}))
	c.addEnv(e, "--env", c.o.Env)
	return e
}

// unset says that a variable is to be left out, unless a flag sets it. Of all
// that are left out HOME and HOSTNAME are not, as with podman.
func (c *conversion) unset(name string) bool {
	return slices.Contains(c.o.UnsetEnv, name) || slices.Contains(c.o.UnsetEnv, "*")
}

func (c *conversion) addEnv(e *environ, source string, entries []string) {
	for i, entry := range entries {
		field := fmt.Sprintf("%s[%d]", source, i)
		name, _, ok := strings.Cut(entry, "=")
		switch {
		case c.hasNUL(field, entry):
		case !ok:
			c.note(field, "%q has no \"=\" and is left out", entry)
		case name == "":
			c.note(field, "%q has no name and is left out", entry)
		default:
			e.set(name, entry)
			c.res.Origin["env:"+name] = source
		}
	}
}

// defaultEnv adds the variables that podman sets where they are unset, and
// sets process.env.
func (c *conversion) defaultEnv(e *environ, u user) {
	term := c.o.Term
	if term == "" || !c.o.Terminal {
		term = "xterm"
	}
	for _, v := range [...][2]string{
		{"PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
		{"HOME", u.home},
		{"HOSTNAME", c.res.Spec.Hostname},
		{"TERM", term},
		{"container", "oci2bwrap"},
	} {
		if _, ok := e.at[v[0]]; ok || c.unset(v[0]) && v[0] != "HOME" && v[0] != "HOSTNAME" {
			continue
		}
		e.set(v[0], v[0]+"="+v[1])
		c.res.Origin["env:"+v[0]] = "default"
	}
	if c.res.Origin["env:HOME"] == "default" && u.homeFrom != "" {
		c.res.Origin["env:HOME"] = u.homeFrom
	}
	c.res.Spec.Process.Env = e.entries
}

// args sets process.args: Entrypoint, then Cmd. A COMMAND replaces Cmd, an
// --entrypoint replaces both.
func (c *conversion) args() {
	entrypoint, cmd := c.img.Config.Entrypoint, c.img.Config.Cmd
	entrypointFrom, cmdFrom := "config.Entrypoint", "config.Cmd"
	if c.o.Entrypoint != nil {
		entrypoint, cmd, entrypointFrom = c.o.Entrypoint, nil, "--entrypoint"
		if len(entrypoint) == 1 && entrypoint[0] == "" {
			entrypoint = nil
		}
	}
	if c.o.Command != nil {
		cmd, cmdFrom = c.o.Command, "command line"
	}
	for i, arg := range entrypoint {
		c.hasNUL(fmt.Sprintf("%s[%d]", entrypointFrom, i), arg)
	}
	for i, arg := range cmd {
		c.hasNUL(fmt.Sprintf("%s[%d]", cmdFrom, i), arg)
	}
	args := append(append([]string{}, entrypoint...), cmd...)
	c.res.Spec.Process.Args = args
	var from []string
	if len(entrypoint) > 0 {
		from = append(from, entrypointFrom)
	}
	if len(cmd) > 0 {
		from = append(from, cmdFrom)
	}
	c.res.Origin["process.args"] = strings.Join(from, ", ")
	switch {
	case len(args) == 0:
		c.faults = append(c.faults, errNoCommand{})
	case args[0] == "":
		c.fault(from[0], "the command's name is empty")
	}
}

// errNoCommand is an image without Entrypoint and Cmd, run without COMMAND.
type errNoCommand struct{}

func (errNoCommand) Error() string {
	return "config.Cmd: no command: neither Entrypoint nor Cmd nor a COMMAND is set"
}
func (errNoCommand) Hint() string { return "name a COMMAND after the image" }
