package convert

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	ispec "github.com/opencontainers/image-spec/specs-go/v1"
)

func TestWorkingDir(t *testing.T) {
	for _, tt := range []struct{ image, flag, want string }{
		{"", "", "/"},
		{"/", "", "/"},
		{"srv", "", "/srv"},
		{"/home/../etc/.", "", "/etc"},
		{"../../x", "", "/x"},
		{"/a", "b//c/", "/b/c"},
		{"/proc", "", "/proc"},
		{"/sys/class", "", "/sys/class"},
		{"/proc/1", "", `error: config.WorkingDir: "/proc/1" is below /proc`},
		{"", "/x/../proc/self", `error: --workdir: "/x/../proc/self" is below /proc`},
		{"/a\x00", "", `error: config.WorkingDir: NUL byte in "/a\x00"`},
	} {
		img := ispec.Image{Config: ispec.ImageConfig{WorkingDir: tt.image, Cmd: []string{"x"}}}
		res, err := Spec(img, Rootfs{}, Host{}, Options{Workdir: tt.flag})
		got := fmt.Sprintf("error: %v", err)
		if err == nil {
			got = res.Spec.Process.Cwd
		}
		if got != tt.want {
			t.Errorf("WorkingDir %q, -w %q: %s, want %s", tt.image, tt.flag, got, tt.want)
		}
	}
}

func TestArgs(t *testing.T) {
	none, empty := []string(nil), []string{}
	for _, tt := range []struct {
		entrypoint, cmd, flag, command []string
		want, from                     string
	}{
		{[]string{"e"}, []string{"c"}, none, none, `["e" "c"]`, "config.Entrypoint, config.Cmd"},
		{none, []string{"c"}, none, none, `["c"]`, "config.Cmd"},
		{[]string{"e"}, []string{"c"}, none, []string{"x", "y"}, `["e" "x" "y"]`, "config.Entrypoint, command line"},
		{[]string{"e"}, []string{"c"}, none, empty, `["e"]`, "config.Entrypoint"},
		{[]string{"e"}, []string{"c"}, []string{"f", "g"}, none, `["f" "g"]`, "--entrypoint"},
		{[]string{"e"}, []string{"c"}, []string{"f"}, []string{"x"}, `["f" "x"]`, "--entrypoint, command line"},
		{[]string{"e"}, []string{"c"}, empty, []string{"x"}, `["x"]`, "command line"},
		{[]string{"e"}, []string{"c"}, []string{""}, []string{"x"}, `["x"]`, "command line"},
		{[]string{"e"}, []string{"c"}, empty, none, "error: config.Cmd: no command: neither Entrypoint nor Cmd nor a COMMAND is set", ""},
		{none, none, none, none, "error: config.Cmd: no command: neither Entrypoint nor Cmd nor a COMMAND is set", ""},
		{none, []string{""}, none, none, "error: config.Cmd: the command's name is empty", ""},
		{none, []string{"a", "b\x00"}, none, none, `error: config.Cmd[1]: NUL byte in "b\x00"`, ""},
	} {
		img := ispec.Image{Config: ispec.ImageConfig{Entrypoint: tt.entrypoint, Cmd: tt.cmd}}
		res, err := Spec(img, Rootfs{}, Host{}, Options{Entrypoint: tt.flag, Command: tt.command})
		got, from := fmt.Sprintf("error: %v", err), ""
		if err == nil {
			got, from = fmt.Sprintf("%q", res.Spec.Process.Args), res.Origin["process.args"]
		}
		if got != tt.want || from != tt.from {
			t.Errorf("%+v: %s from %q", tt, got, from)
		}
	}
	_, err := Spec(ispec.Image{}, Rootfs{}, Host{}, Options{})
	var h interface{ Hint() string }
	if !errors.As(err, &h) || h.Hint() == "" {
		t.Errorf("no hint in %v", err)
	}
}

func TestEnv(t *testing.T) {
	const path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	for _, tt := range []struct {
		image, flags []string
		want         string
	}{
		{nil, nil, path + "|HOME=/|HOSTNAME=sandbox|TERM=xterm|container=oci2bwrap"},
		{[]string{"PATH="}, nil, "PATH=|HOME=/|HOSTNAME=sandbox|TERM=xterm|container=oci2bwrap"},
		{[]string{"A=1", "B=x=y z", "A=2"}, []string{"HOME=/h", "B=3", "TERM=dumb", "container="},
			"A=2|B=3|HOME=/h|TERM=dumb|container=|" + path + "|HOSTNAME=sandbox"},
		{[]string{"A=l1\nl2", "a b=c", "-x=y"}, nil, "A=l1\nl2|a b=c|-x=y|" + path + "|HOME=/|HOSTNAME=sandbox|TERM=xterm|container=oci2bwrap"},
	} {
		img := ispec.Image{Config: ispec.ImageConfig{Env: tt.image, Cmd: []string{"x"}}}
		res, err := Spec(img, Rootfs{}, Host{}, Options{Env: tt.flags})
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(res.Spec.Process.Env, "|"); got != tt.want {
			t.Errorf("%q, %q:\n%s, want\n%s", tt.image, tt.flags, got, tt.want)
		}
	}
}

func TestParseSignal(t *testing.T) {
	for s, want := range map[string]int{
		"SIGTERM": 15, "term": 15, "SigQuit": 3, "9": 9, "64": 64, "SIGRTMIN": 34, "RTMIN+3": 37, "SIGRTMAX-1": 63, "rtmax": 64,
		"": 0, "0": 0, "65": 0, "-1": 0, "SIG": 0, "SIGFOO": 0, "RTMIN-1": 0, "RTMIN+31": 0, "RTMAX-31": 0, "RTMIN+": 0, "+3": 0,
	} {
		got, err := ParseSignal(s)
		if got != want || (err == nil) != (want != 0) {
			t.Errorf("ParseSignal(%q) = %d, %v; want %d", s, got, err, want)
		}
	}
}

func TestTmpfsOptions(t *testing.T) {
	for given, want := range map[string]string{
		"":                     "nosuid nodev tmpcopyup",
		"size=64m mode=1777":   "nosuid nodev tmpcopyup size=64m mode=1777",
		"notmpcopyup dev suid": "dev suid",
		"ro":                   "nosuid nodev tmpcopyup ro",
		"size=":                "error", "size=1t": "error", "mode=8": "error", "mode=77777": "error", "uid=x": "error", "rbind": "error", "U": "error",
		"noexec noatime size=50% uid=1 nr_inodes=10k": "nosuid nodev tmpcopyup noexec noatime size=50% uid=1 nr_inodes=10k",
	} {
		got, err := tmpfsFlag(strings.Fields(given))
		text := strings.Join(got, " ")
		if err != nil {
			text = "error"
		}
		if text != want {
			t.Errorf("%q: %q, %v; want %q", given, text, err, want)
		}
	}
}
