package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"github.com/oci2bwrap/oci2bwrap/convert"
	"github.com/oci2bwrap/oci2bwrap/runner"
)

// usernsFlags say which ids a sandbox has.
type usernsFlags struct {
	userns string
	passwd bool
	groups []string

	script bool // what is planned has bubblewrap alone, and no namespace around it
}

func (f *usernsFlags) AddFlags(fs *pflag.FlagSet) {
	fs.StringArrayVar(&f.groups, "group-add", nil, "one more `group` of the user, by name or number")
	fs.BoolVar(&f.passwd, "passwd", true, "add a user given by number, and with keep-id the caller, to the image's /etc/passwd and /etc/group where they lack it")
	fs.StringVar(&f.userns, "userns", "", "ids of the sandbox: `host`, range (the caller's and its subordinate ids), keep-id (the same, the caller's its own) or single\n"+
		"(default: host for root; for others range where /etc/subuid and /etc/subgid give ids, else single)")
}

func (f *usernsFlags) check() error {
	if slices.Contains(f.groups, "keep-groups") {
		return &hinted{errors.New("--group-add keep-groups: the caller's groups have no ids in a sandbox"), "name the groups of the image that are wanted"}
	}
	switch f.userns {
	case "", "host", "range", "keep-id", "single":
		return nil
	}
	err := fmt.Errorf("--userns: %q is not supported (has: host, range, keep-id, single)", f.userns)
	if strings.HasPrefix(f.userns, "keep-id:") || f.userns == "auto" || f.userns == "nomap" {
		return &hinted{err, "range maps the caller to root, keep-id to itself"}
	}
	return err
}

// standing is that of this process under the flags.
func (f *usernsFlags) standing(std stdio) (standing, error) {
	s, err := here(std.inside, f.userns == "single")
	if err == nil && f.userns == "host" && !s.root {
		err = &hinted{errors.New("--userns host: only root with CAP_SYS_ADMIN can do without a user namespace"), "range gives the most that a user can have"}
	}
	return s, err
}

// entry is the map of the user namespace that --userns asks for, nil to stay
// where this process is.
func (f *usernsFlags) entry() (m *runner.IDMap, err error) {
	root, err := here(nil, false)
	if err != nil {
		return nil, err
	}
	switch {
	case f.userns == "host" || f.userns == "single":
		return nil, nil
	case root.root && f.userns == "":
		return nil, nil
	case root.root && f.userns == "keep-id":
		return ownMap()
	case os.Geteuid() == 0 && f.userns != "range" && mapsAll():
		return ownMap()
	case os.Geteuid() == 0 && f.userns != "":
		return nil, &hinted{
			errors.New("subordinate ids are for users: root has all ids, and with those of a range it would reach none of its files"),
			"run it as the user, or leave --userns out",
		}
	case os.Geteuid() == 0:
		return nil, nil // root of somebody's namespace without rights or ids
	}
	m, err = subordinate(f.userns == "keep-id")
	if f.userns == "" && err != nil {
		return nil, nil // the note of a single map says what to do
	}
	return m, err
}

// mapsAll says that this root, who lacks what it takes to do without a user
// namespace, as in a container, can make one with all ids that it has itself.
func mapsAll() bool { return capable(unix.CAP_SETUID, unix.CAP_SETGID, unix.CAP_SETFCAP) }

// ownMap maps each id of this process's namespace to itself.
func ownMap() (*runner.IDMap, error) {
	var m runner.IDMap
	for file, to := range map[string]*[]syscall.SysProcIDMap{"/proc/self/uid_map": &m.UIDs, "/proc/self/gid_map": &m.GIDs} {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		if *to, err = runner.ParseIDMap(data); err != nil {
			return nil, err
		}
		for i := range *to {
			(*to)[i].HostID = (*to)[i].ContainerID
		}
	}
	return &m, nil
}

// subordinate is the map of the caller's id and its subordinate ones.
func subordinate(keep bool) (*runner.IDMap, error) {
	uid, gid := os.Geteuid(), os.Getegid()
	names := callerNames(uid)
	layOut := runner.RangeMap
	if keep {
		layOut = runner.KeepIDMap
	}
	var m runner.IDMap
	for _, ids := range []struct {
		file string
		own  int
		to   *[]syscall.SysProcIDMap
	}{{"/etc/subuid", uid, &m.UIDs}, {"/etc/subgid", gid, &m.GIDs}} {
		data, err := os.ReadFile(ids.file)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
		subs := runner.SubordinateIDs(data, ids.own, names...)
		if len(subs) == 0 {
			return nil, &hinted{fmt.Errorf("%s gives no ids to %s", ids.file, names[0]), remedySubordinate(names[0])}
		}
		*ids.to = layOut(ids.own, subs)
	}
	for _, program := range []string{"newuidmap", "newgidmap"} {
		if _, err := runner.FindMapper(os.Getenv("PATH"), program); err != nil {
			return nil, err
		}
	}
	return &m, nil
}

// callerNames are what the lines for the caller may begin with: the login
// name first, where it is known.
func callerNames(uid int) []string {
	number := strconv.Itoa(uid)
	if f := hostAccount("/etc/passwd", uid); f != nil {
		return []string{f[0], number}
	}
	// Not every account is in the file. newuidmap knows the others, and gives
	// nobody what is another's.
	if name := os.Getenv("USER"); name != "" && !strings.ContainsRune(name, ':') {
		return []string{name, number}
	}
	return []string{number}
}

// enter runs this program once more in the user namespace that the flags or
// the bundle ask for, if they do, and gives its end as an exitStatus. nil
// says to go on here.
func (f *usernsFlags) enter(std stdio, bundle bundleSpaces, cacheDir string, tty bool) error {
	if std.inside != nil {
		return nil
	}
	if len(bundle.joins) > 0 {
		return enter(std, runner.Entry{Join: bundle.joins, Trees: openTrees(bundle.mapped)}, tty)
	}
	m, err := f.entry()
	if err == nil {
		m, err = f.remap(bundle.ids, m)
	}
	if err != nil {
		return fmt.Errorf("--userns %s: %w", f.userns, err)
	}
	if m == nil {
		return nil
	}
	if cacheDir != "" && f.userns == "keep-id" {
		// In the namespace they would belong to the root of that.
		for _, name := range []string{"roots", "locks", "tmp", "stage"} {
			if os.MkdirAll(filepath.Join(cacheDir, name), 0o700) != nil {
				break // who needs it says so
			}
		}
	}
	e := runner.Entry{Map: *m, Path: os.Getenv("PATH"), Direct: os.Geteuid() == 0, Trees: openTrees(bundle.mapped)}
	if m == bundle.ids && capable(unix.CAP_SYS_ADMIN) {
		e.Before = bundle.before
	}
	err = enter(std, e, tty)
	if err == nil || errors.As(err, new(exitStatus)) {
		return err
	}
	if f.userns != "" {
		return fmt.Errorf("--userns %s: %w", f.userns, err)
	}
	if os.Geteuid() == 0 {
		return err // one id would be refused as well
	}
	printNotes(std.err, []convert.Note{{Field: "--userns", Text: "a single id is mapped, the caller's: " + err.Error()}})
	f.userns = "single"
	return nil
}

// enter runs this program once more in another user or time namespace, and
// gives its end as an exitStatus. Any other error says that it did not run.
// With a terminal in the other's hands it is the other who stops, so that the
// terminal is put in order first.
func enter(std stdio, e runner.Entry, tty bool) error {
	e.Args = std.args
	child, err := e.Enter()
	if err != nil {
		return err
	}
	signals := make(chan os.Signal, 16)
	notifyNamed(signals)
	if tty {
		signal.Notify(signals, syscall.SIGTSTP, syscall.SIGCONT)
	}
	if err := child.Begin(); err != nil {
		signal.Stop(signals)
		return err
	}
	// The child needs the processors until its command runs, and that is not
	// worth the set-up when it is done at once.
	others := time.AfterFunc(50*time.Millisecond, func() { notifyRealTime(signals) })
	defer others.Stop()
	code, err := child.Supervise(signals)
	if err != nil {
		return err
	}
	// The signals stay registered: to undo that takes time as well, and all
	// that is left to do is to exit.
	return exitStatus(code)
}
