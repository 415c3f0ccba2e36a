package convert

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"
)

// Account is a user of the host's, as passwd(5) and group(5) have it.
type Account struct {
	Name, Gecos, Home string
	UID, GID          int
	Group             string // the name of GID, "" where it has none
}

// accountFiles are the image's passwd and group with the lines that are to be
// added; nil where there are none.
type accountFiles struct{ passwd, group []byte }

// addAccounts adds what podman does, so that programs which look themselves up
// find something: a line for the caller, whom --userns keep-id makes known, and
// one for a user given by number, where the image has none. It gives the home
// directory of the container's user, "" where it had a line before.
func (c *conversion) addAccounts(text string, u user) (home string) {
	name, group, hasGroup := strings.Cut(text, ":")
	if c.o.NoAccounts || c.o.Caller == nil && !digits(name) && !digits(group) {
		return ""
	}
	passwd, groups := c.accounts("/etc/passwd"), c.accounts("/etc/group")
	var lines, groupLines string
	known := -1 // the caller, whose line is added
	if a := c.o.Caller; a != nil {
		if passwd.byName(a.Name) == nil && passwd.byID(uint32(a.UID)) == nil {
			known = a.UID
			lines += passwdLine(a.Name, a.UID, a.GID, a.Gecos, c.callerHome(a))
		}
		if a.Group != "" && groups.byName(a.Group) == nil && groups.byID(uint32(a.GID)) == nil {
			groupLines += fmt.Sprintf("%s:x:%d:%s\n", a.Group, a.GID, a.Name)
		}
	}
	switch {
	case !digits(name):
	case int(u.uid) == known:
		home = c.callerHome(c.o.Caller)
	case passwd.byID(u.uid) == nil:
		home = c.workHome()
		lines += passwdLine(name, int(u.uid), int(u.gid), "container user", home)
	}
	if !hasGroup && digits(name) {
		group = "0"
	}
	gid, ok := parseID(group)
	if callers := groupLines != "" && int(gid) == c.o.Caller.GID; ok && !callers && groups.byID(gid) == nil {
		groupLines += fmt.Sprintf("%d:x:%d:%s\n", gid, gid, name)
	}
	c.accountFile.passwd, c.accountFile.group = passwd.with(lines), groups.with(groupLines)
	if c.accountFile.passwd == nil {
		return ""
	}
	return home
}

func passwdLine(name string, uid, gid int, gecos, home string) string {
	return fmt.Sprintf("%s:*:%d:%d:%s:%s:/bin/sh\n", name, uid, gid, gecos, home)
}

// workHome is the home of who has none: the working directory.
func (c *conversion) workHome() string {
	cwd := cmp.Or(c.res.Spec.Process.Cwd, "/")
	if strings.ContainsAny(cwd, ":\n") {
		return "/"
	}
	return cwd
}

// callerHome is the caller's own home where a flag or the image has something
// mounted there or above.
func (c *conversion) callerHome(a *Account) string {
	if _, volume := c.img.Config.Volumes[a.Home]; volume {
		return a.Home
	}
	for dir := path.Clean(a.Home); dir != "/" && dir != "."; dir = path.Dir(dir) {
		if c.flagMountAt(dir) {
			return a.Home
		}
	}
	return c.workHome()
}

// flagMountAt says that a flag mounts something right there.
func (c *conversion) flagMountAt(dst string) bool {
	return slices.ContainsFunc(c.o.Volumes, func(v Volume) bool { return path.Clean(v.Destination) == dst }) ||
		slices.ContainsFunc(c.o.Tmpfs, func(t Tmpfs) bool { return path.Clean(t.Destination) == dst })
}

// with is the file with the lines at its end; nil without any, and of a file
// that can't be read.
func (a *accounts) with(lines string) []byte {
	if lines == "" || a.err != nil && !a.missing {
		return nil
	}
	data := slices.Clone(a.data)
	if len(data) > 0 && data[len(data)-1] != '\n' {
		data = append(data, '\n')
	}
	return append(data, lines...)
}

// accountMounts shows them. Who mounts something over /etc wants that.
func (c *conversion) accountMounts(l *mountList) {
	for _, file := range []struct {
		name    string
		content []byte
	}{{"/etc/passwd", c.accountFile.passwd}, {"/etc/group", c.accountFile.group}} {
		if file.content != nil && !c.flagMountAt("/etc") {
			c.etcFile(l, file.name, file.content)
		}
	}
}
