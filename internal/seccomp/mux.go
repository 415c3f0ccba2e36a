package seccomp

import (
	"math"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// On 32-bit x86, sockets and System V IPC can also be had through one call
// each, whose first argument says which is meant (linux/net.h, linux/ipc.h).
// The place of a name in its list is that number.
var (
	socketcalls = [...]string{"", "socket", "bind", "connect", "listen", "accept", "getsockname", "getpeername", "socketpair", "send", "recv",
		"sendto", "recvfrom", "shutdown", "setsockopt", "getsockopt", "sendmsg", "recvmsg", "accept4", "recvmmsg", "sendmmsg"}
	ipcs = [...]string{"", "semop", "semget", "semctl", "semtimedop", "", "", "", "", "", "", "msgsnd", "msgrcv", "msgget", "msgctl",
		"", "", "", "", "", "", "shmat", "shmdt", "shmget", "shmctl"}
)

// multiplexed gives the rules for the call that come from those for its
// parts, so that a rule for one can't be got around. The arguments of a part
// lie behind a pointer: of a rule with conditions only the first argument's,
// which the number takes the place of, is passed over, as libseccomp does; one
// with others allows nothing here, and forbids in any case.
func (p *profile) multiplexed(name string) []rule {
	var parts []string
	switch name {
	case "socketcall":
		parts = socketcalls[:]
	case "ipc":
		parts = ipcs[:]
	}
	var rules []rule
	for number, part := range parts {
		for _, r := range p.effective(p.rules[part]) {
			others := slices.ContainsFunc(r.conditions, func(c condition) bool { return c.index != 0 })
			if others && (r.ret&0xffff0000 == retAllow || r.ret == retLog) {
				continue
			}
			this := rule{ret: r.ret, conditions: []condition{{index: 0, op: specs.OpEqualTo, mask: math.MaxUint64, value: uint64(number)}}}
			if n := len(rules); n == 0 || rules[n-1].ret != this.ret || rules[n-1].conditions[0] != this.conditions[0] {
				rules = append(rules, this)
			}
		}
	}
	return rules
}
