// Package bwrap is the target language: what bubblewrap is to do, as data.
// A Plan is the wish, Features what the host can do, Lower the pure function
// between them. Nothing here touches the machine.
package bwrap

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
)

// PlanVersion is the version of a Plan's JSON form. It rises when a field
// changes its meaning or goes away, not when one is added.
const PlanVersion = 1

// Plan is a sandbox: the process and the ordered steps that make what it
// sees.
type Plan struct {
	Version    int        `json:"version"`
	Process    Process    `json:"process"`
	Namespaces Namespaces `json:"namespaces"`
	Steps      []Step     `json:"mounts"`

	// Cgroup is the control group that the sandbox is born in; nil for the
	// caller's.
	Cgroup *CgroupLimits `json:"cgroup,omitempty"`

	// Sysctl are settings of the sandbox's own namespaces, as files below
	// /proc/sys and what is written to them, in order.
	Sysctl []Sysctl `json:"sysctl,omitempty"`
}

// Process is the command and what it is born with.
type Process struct {
	Args     []string `json:"args"`
	Env      []string `json:"env"` // NAME=VALUE, no name twice
	Cwd      string   `json:"cwd"` // absolute and clean
	UID      int      `json:"uid"`
	GID      int      `json:"gid"`
	Groups   []int    `json:"groups,omitempty"`
	Umask    int      `json:"umask"` // decimal in JSON
	Terminal bool     `json:"terminal,omitempty"`

	// Init says that process 1 is a reaper of ours, and the command its child.
	Init bool `json:"init,omitempty"`

	// Rows and Columns are the size of the terminal; 0 is unset.
	Rows    uint16 `json:"rows,omitempty"`
	Columns uint16 `json:"columns,omitempty"`

	Capabilities Capabilities `json:"capabilities"`
	Rlimits      []Rlimit     `json:"rlimits,omitempty"`
	OOMScoreAdj  *int         `json:"oomScoreAdj,omitempty"`
	Seccomp      *Seccomp     `json:"seccomp,omitempty"`

	// Raises says that a limit is above the caller's or the OOM score below,
	// for which the init needs CAP_SYS_RESOURCE.
	Raises bool `json:"raises,omitempty"`

	// Personality is the execution domain of personality(2).
	Personality *uint32     `json:"personality,omitempty"`
	IOPriority  *IOPriority `json:"ioPriority,omitempty"`
	Scheduler   *Scheduler  `json:"scheduler,omitempty"`

	StartHooks []Hook `json:"startHooks,omitempty"` // run before it, as it would be

	StopSignal string `json:"stopSignal"` // "SIGTERM"
}

// Hook is a program that is run inside the sandbox before the command.
type Hook struct {
	Path    string   `json:"path"` // in the sandbox
	Args    []string `json:"args,omitempty"`
	Env     []string `json:"env,omitempty"`
	Timeout int      `json:"timeout,omitempty"` // seconds; 0 is none
}

// Capabilities are the five sets of capabilities(7), each a sorted list of
// names ("CAP_CHOWN").
type Capabilities struct {
	Bounding    []string `json:"bounding"`
	Effective   []string `json:"effective"`
	Permitted   []string `json:"permitted"`
	Inheritable []string `json:"inheritable,omitempty"`
	Ambient     []string `json:"ambient,omitempty"`
}

// Seccomp is a filter of system calls, installed right before the command is
// executed.
type Seccomp struct {
	BPF   []byte // struct sock_filter, one after the other
	Flags uint32 // of seccomp(2)
}

// MarshalJSON tells filters apart, and does not print them.
func (s Seccomp) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Instructions int    `json:"instructions"`
		SHA256       string `json:"sha256"`
		Flags        uint32 `json:"flags,omitempty"`
	}{len(s.BPF) / 8, fmt.Sprintf("%x", sha256.Sum256(s.BPF)), s.Flags})
}

// Rlimit is one resource limit; Type is its name in getrlimit(2),
// "RLIMIT_NOFILE".
type Rlimit struct {
	Type string `json:"type"`
	Soft uint64 `json:"soft"`
	Hard uint64 `json:"hard"`
}

// Namespaces says which namespaces are the sandbox's own; the mount namespace
// always is.
type Namespaces struct {
	User   bool `json:"user"`
	PID    bool `json:"pid"`
	IPC    bool `json:"ipc"`
	UTS    bool `json:"uts"`
	Net    bool `json:"network"`
	Cgroup bool `json:"cgroup"`

	// Time is made by the runner, and its Clocks are set.
	Time   bool    `json:"time,omitempty"`
	Clocks []Clock `json:"clocks,omitempty"`

	// Mapped says that User is the namespace that bubblewrap is started in,
	// which maps several ids.
	Mapped bool `json:"mapped,omitempty"`

	// OneID says that the user namespace that bubblewrap is started in maps a
	// single id, and lets nobody set groups.
	OneID bool `json:"oneID,omitempty"`

	// UIDMap and GIDMap are the maps of a User namespace that bubblewrap makes
	// for who may map several ids. Without them it maps the process's own.
	UIDMap []IDMapping `json:"uidMap,omitempty"`
	GIDMap []IDMapping `json:"gidMap,omitempty"`

	// Join are those that are entered before bubblewrap is started, or by it,
	// instead of new ones. Where one is of processes, the sandbox's are ended by
	// their control group, which the plan has.
	Join []Join `json:"join,omitempty"`

	Hostname string `json:"hostname,omitempty"` // needs UTS

	Domainname string `json:"domainname,omitempty"` // needs UTS
}

// Clock is how far a clock of a time namespace, "monotonic" or "boottime", is
// before that of the namespace around it.
type Clock struct {
	Name        string `json:"name"`
	Seconds     int64  `json:"seconds"`
	Nanoseconds uint32 `json:"nanoseconds,omitempty"`
}

// Sysctl is one setting; Path is relative to /proc/sys, "net/ipv4/ip_forward".
// That an Optional one can't be set is no fault.
type Sysctl struct {
	Path     string `json:"path"`
	Value    string `json:"value"`
	Optional bool   `json:"optional,omitempty"`
}

// IDMapping maps Size ids of the sandbox, from Inside on, to those from
// Outside on in the user namespace that bubblewrap is started in. (An IDMap's
// ids are others.)
type IDMapping struct {
	Inside  uint32 `json:"inside"`
	Outside uint32 `json:"outside"`
	Size    uint32 `json:"size"`
}

// Join is a namespace of the host's. Kind is "network", "ipc", "uts", "cgroup",
// "pid", "user" or "time", the Spec's words. Field is the place there, for
// messages. Inside says that bubblewrap's starter is in it already, as it is in
// any of the last two.
type Join struct {
	Kind   string `json:"kind"`
	Path   string `json:"path"`
	Field  string `json:"-"`
	Inside bool   `json:"-"`
}

// CgroupLimits is a control group of version 2 to be made below Parent, a
// directory of the host's, and removed at the end. Files may be empty.
type CgroupLimits struct {
	Parent string       `json:"parent"`
	Files  []CgroupFile `json:"files"`
}

// CgroupFile is what one of its files is to hold. Field is the place in the
// Spec, for messages.
type CgroupFile struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	Field string `json:"-"`
}

// Step is one operation and the reason for it, for people: the config field,
// the flag or the default that it comes from.
type Step struct {
	Op  Op
	Why string
}
