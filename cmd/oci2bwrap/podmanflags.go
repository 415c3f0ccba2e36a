package main

import (
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/pflag"
)

// podmanFlag is a flag of podman run's that can't be had here, but for the
// values that ask for what is so anyway.
type podmanFlag struct {
	name, short string
	fine        []string // "true" and "false" make it one that needs no value
	why, hint   string
}

// podmanFlags are all of them that no other flag takes, so that a command line
// which is carried over learns why. Those without a fine value are known only
// to who looks up a flag that is none: a start has no time for them.
var podmanFlags = [...]podmanFlag{
	{"attach", "a", nil, "the command has the caller's stdin, stdout and stderr, and there is no choosing", "leave it out, and redirect what you do not want"},
	{"detach", "d", []string{"false"}, "there is no daemon to leave a sandbox with", "use the shell's &, or a service manager"},
	{"detach-keys", "", nil, "a sandbox lives as long as its caller and can't be detached from", "leave it out, or run oci2bwrap in tmux or screen"},
	{"sig-proxy", "", []string{"true"}, "signals always reach the command", "leave it out"},
	{"name", "", nil, "a sandbox has no name, it lives as long as the command", "leave it out"},
	{"replace", "", []string{"false"}, "a sandbox has no name that another could have", "leave it out"},
	{"cidfile", "", nil, "a sandbox has no id", "leave it out; exec takes the process id of oci2bwrap run"},
	{"pidfile", "", nil, "nothing is left running that a file would lead to", "the shell's $! is what exec takes"},
	{"conmon-pidfile", "", nil, "the sandbox's supervisor is oci2bwrap run itself", "the shell's $! is its process id"},
	{"restart", "", []string{"no", ""}, "there is no daemon that would start it again", "use a service manager: Restart= of a systemd unit"},
	{"requires", "", nil, "a sandbox knows no other", "use a service manager: Requires= of a systemd unit"},
	{"pod", "", nil, "there are no pods", "oci2bwrap exec runs a further command in a running sandbox"},
	{"pod-id-file", "", nil, "there are no pods", "oci2bwrap exec runs a further command in a running sandbox"},
	{"sdnotify", "", []string{"ignore"}, "the service manager's socket is not in the sandbox", "-v $NOTIFY_SOCKET:/run/notify -e NOTIFY_SOCKET=/run/notify shows it"},
	{"systemd", "", []string{"false"}, "a sandbox is not set up for systemd as its command", "run the service's own program as the command"},
	{"log-driver", "", []string{"none", "passthrough", "passthrough-tty"}, "the command's output goes to the caller and is kept by nobody", "redirect it, or pipe it to logger or systemd-cat"},
	{"log-opt", "", nil, "the command's output goes to the caller and is kept by nobody", "redirect it, or pipe it to logger or systemd-cat"},
	{"preserve-fds", "", nil, "the command gets no descriptor of the caller's but stdin, stdout and stderr", "show it a socket or fifo with -v"},
	{"preserve-fd", "", nil, "the command gets no descriptor of the caller's but stdin, stdout and stderr", "show it a socket or fifo with -v"},
	{"init-path", "", nil, "the init of --init is oci2bwrap itself", "leave it out; an init of the image's goes before the command with --entrypoint"},

	{"pull", "", []string{"never"}, "nothing is fetched from a registry", fetchers},
	{"authfile", "", nil, "nothing is fetched from a registry", fetchers},
	{"creds", "", nil, "nothing is fetched from a registry", fetchers},
	{"cert-dir", "", nil, "nothing is fetched from a registry", fetchers},
	{"decryption-key", "", nil, "nothing is fetched from a registry, and encrypted layers are not read", fetchers},
	{"tls-verify", "", nil, "nothing is fetched from a registry", fetchers},
	{"retry", "", nil, "nothing is fetched from a registry", fetchers},
	{"retry-delay", "", nil, "nothing is fetched from a registry", fetchers},
	{"disable-content-trust", "", nil, "nothing is fetched from a registry", fetchers},
	{"rmi", "", []string{"false"}, "the image is the caller's file", "remove it afterwards"},
	{"arch", "", nil, "the platform is named as one", "--platform linux/ARCH"},
	{"os", "", nil, "the platform is named as one", "--platform OS/ARCH"},
	{"variant", "", nil, "the platform is named as one", "--platform linux/ARCH/VARIANT"},

	{"publish-all", "P", []string{"false"}, "it would take free ports of the host's, and nobody could ask which", "name each: -p HOST:CONTAINER"},
	{"ip", "", nil, "there is no network that addresses are given out in", "--network pasta:-a,ADDRESS chooses the address in a network of pasta's"},
	{"ip6", "", nil, "there is no network that addresses are given out in", "--network pasta:-a,ADDRESS chooses the address in a network of pasta's"},
	{"mac-address", "", nil, "there is no network for it to be known in", "--network pasta:--ns-mac-addr,ADDRESS where pasta has that option"},
	{"network-alias", "", nil, "there is no network with names of its own", "--add-host NAME:IP makes a name known"},
	{"hosts-file", "", nil, "/etc/hosts is made of the host's own and --add-host", "-v FILE:/etc/hosts:ro shows another"},

	{"ipc", "", []string{"private", ""}, "a sandbox has an ipc namespace of its own", joins},
	{"pid", "", []string{"private", ""}, "a sandbox has a pid namespace of its own, and ends with it", "oci2bwrap exec runs a further command in that of a running sandbox"},
	{"uts", "", []string{"private", ""}, "a sandbox has a uts namespace of its own", "--hostname names it; " + joins},
	{"cgroupns", "", []string{"private", ""}, "a sandbox has a cgroup namespace of its own", joins},
	{"uidmap", "", nil, "the ids are those of /etc/subuid", "--userns range or keep-id; a bundle's linux.uidMappings name others"},
	{"gidmap", "", nil, "the ids are those of /etc/subgid", "--userns range or keep-id; a bundle's linux.gidMappings name others"},
	{"subuidname", "", nil, "the ids are those of the caller", "--userns range, as the user who has them"},
	{"subgidname", "", nil, "the ids are those of the caller", "--userns range, as the user who has them"},

	{"env-host", "", []string{"false"}, "nothing of the caller's environment is handed on unasked", "-e NAME hands one variable on"},
	{"http-proxy", "", []string{"false"}, "nothing of the caller's environment is handed on unasked", "-e http_proxy -e https_proxy -e no_proxy"},
	{"env-merge", "", nil, "a value can't refer to the image's", "-e NAME=VALUE, with the value written out"},
	{"tz", "", nil, "the sandbox's /etc/localtime is the image's", "-e TZ=Area/City, where the image has time zones; else -v /usr/share/zoneinfo:/usr/share/zoneinfo:ro too"},
	{"secret", "", nil, "there is no store of secrets", "-v ./FILE:/run/secrets/NAME:ro, or -e NAME"},
	{"volumes-from", "", nil, "there is no other container to take volumes from", "-v ./DIR:/DST in each"},
	{"chrootdirs", "", nil, "there are no further roots inside", "-v SRC:DIR/etc/hosts and the like"},
	{"passwd-entry", "", nil, "the line for a user that the image lacks has a form of its own", "-v ./passwd:/etc/passwd:ro shows others"},
	{"group-entry", "", nil, "the line for a group that the image lacks has a form of its own", "-v ./group:/etc/group:ro shows others"},
	{"hostuser", "", nil, "accounts are the image's", "-v ./passwd:/etc/passwd:ro shows others"},

	{"gpus", "", nil, "no driver's files are looked for", "--device /dev/nvidia0 and the like, with -v for the driver's libraries"},
	{"device-cgroup-rule", "", nil, "there is no device cgroup: the nodes of /dev are all that can be used", "--device SRC for each"},
	{"device-read-bps", "", nil, "there is no flag for the limits of block devices", blockIO},
	{"device-read-iops", "", nil, "there is no flag for the limits of block devices", blockIO},
	{"device-write-bps", "", nil, "there is no flag for the limits of block devices", blockIO},
	{"device-write-iops", "", nil, "there is no flag for the limits of block devices", blockIO},
	{"blkio-weight-device", "", nil, "there is no flag for the limits of block devices", blockIO},
	{"cpu-rt-period", "", nil, "control groups of version 2 have no real-time limits", "leave it out"},
	{"cpu-rt-runtime", "", nil, "control groups of version 2 have no real-time limits", "leave it out"},
	{"memory-swappiness", "", nil, "control groups of version 2 have no swappiness", "leave it out"},
	{"oom-kill-disable", "", []string{"false"}, "control groups of version 2 always kill", "leave it out, or --oom-score-adj"},
	{"cgroups", "", []string{"enabled", "no-conmon", "disabled", ""}, "a control group is made below the caller's where there are limits", "leave it out"},
	{"cgroup-parent", "", nil, "a control group is made below the caller's", "systemd-run --user --scope -p Delegate=yes --slice=SLICE oci2bwrap run …"},
	{"cgroup-conf", "", nil, "there is no flag for single files of a control group", "a bundle's linux.resources.unified has them"},
	{"rdt-class", "", nil, "cache classes are not set", "leave it out"},
	{"personality", "", nil, "the execution domain is the caller's", "setarch linux32 oci2bwrap run …: it is inherited"},
	{"seccomp-policy", "", []string{"default"}, "an image brings no filter", "--security-opt seccomp=FILE"},
	{"shm-size-systemd", "", nil, "a sandbox is not set up for systemd as its command", "leave it out; --shm-size is the size of /dev/shm"},

	{"no-healthcheck", "", []string{"true", "false"}, "nothing is checked without --healthcheck", "leave it out"},
	{"health-on-failure", "", []string{"none"}, "a check's failure ends run --healthcheck with status 1", "leave it out"},
	{"health-startup-cmd", "", nil, "there is one check", "--health-start-period is the time in which failures do not count"},
	{"health-startup-interval", "", nil, "there is one check", "--health-start-interval is for its start period"},
	{"health-startup-retries", "", nil, "there is one check", "--health-start-period is the time in which failures do not count"},
	{"health-startup-success", "", nil, "there is one check", "--health-start-period is the time in which failures do not count"},
	{"health-startup-timeout", "", nil, "there is one check", "--health-timeout is how long it may take"},
	{"health-log-destination", "", nil, "what a check prints goes to stderr", "redirect it"},
	{"health-max-log-count", "", nil, "what a check prints goes to stderr", "redirect it"},
	{"health-max-log-size", "", nil, "what a check prints goes to stderr", "redirect it"},
}

// Remedies of more than one flag.
const (
	fetchers = "crane pull --format=oci or skopeo copy writes an image directory"
	joins    = "a bundle whose linux.namespaces has a path enters another's"
	blockIO  = "a bundle's linux.resources.blockIO has them, with a control group of version 2"
)

// podmanAlias knows the other names that podman has for some flags.
func podmanAlias(_ *pflag.FlagSet, name string) pflag.NormalizedName {
	switch name {
	case "net":
		name = "network"
	case "dns-opt":
		name = "dns-option"
	}
	return pflag.NormalizedName(name)
}

// addPodmanFlags takes those with a fine value up.
func addPodmanFlags(fs *pflag.FlagSet) {
	for _, p := range podmanFlags {
		if p.fine == nil {
			continue
		}
		fs.StringP(p.name, p.short, p.fine[0], "")
		flag := fs.Lookup(p.name)
		flag.Hidden = true
		if p.fine[0] == "true" || p.fine[0] == "false" {
			flag.NoOptDefVal = "true"
		}
	}
}

// checkPodmanFlags refuses the values that can't be had.
func checkPodmanFlags(fs *pflag.FlagSet) error {
	var errs []error
	for _, p := range podmanFlags {
		if p.fine == nil || !fs.Changed(p.name) {
			continue
		}
		if value := fs.Lookup(p.name).Value.String(); !slices.Contains(p.fine, value) {
			errs = append(errs, p.refusal(value))
		}
	}
	return errors.Join(errs...)
}

// refusal says why the flag is refused, in the form in which it is known best.
func (p podmanFlag) refusal(value string) error {
	name := "--" + p.name
	switch {
	case p.short != "":
		name = "-" + p.short
	case value != "" && value != "true":
		name += " " + value
	}
	return &hinted{fmt.Errorf("%s: %s", name, p.why), p.hint}
}
