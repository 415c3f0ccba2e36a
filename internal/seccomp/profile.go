package seccomp

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// profile is a Spec's filter in the kernel's values, before it is known which
// call has which number.
type profile struct {
	def   uint32
	rules map[string][]rule // by the call's name, in the Spec's order
}

// rule says what becomes of a call whose arguments meet all the conditions.
type rule struct {
	id         int // the same for all calls of an entry
	ret        uint32
	conditions []condition
}

type condition struct {
	index       uint
	op          specs.LinuxSeccompOperator
	mask, value uint64
}

func newProfile(s *specs.LinuxSeccomp) (*profile, error) {
	p := &profile{rules: make(map[string][]rule, 512)}
	var faults []error
	fault := func(field string, err error) {
		if err != nil {
			faults = append(faults, fmt.Errorf("linux.seccomp.%s: %w", field, err))
		}
	}
	var err error
	p.def, err = returnValue(s.DefaultAction, s.DefaultErrnoRet)
	fault("defaultAction", err)
	for i, call := range s.Syscalls {
		field := fmt.Sprintf("syscalls[%d]", i)
		value, err := returnValue(call.Action, call.ErrnoRet)
		fault(field+".action", err)
		var conditions []condition
		for j, arg := range call.Args {
			c, err := newCondition(arg)
			fault(fmt.Sprintf("%s.args[%d]", field, j), err)
			conditions = append(conditions, c)
		}
		rules := split(i, value, conditions)
		for _, name := range call.Names {
			if before, ok := p.rules[name]; ok {
				p.rules[name] = append(slices.Clip(before), rules...)
			} else {
				p.rules[name] = rules
			}
		}
	}
	return p, errors.Join(faults...)
}

// split makes a rule of the conditions, or one of each where an argument is
// named twice.
func split(id int, value uint32, conditions []condition) []rule {
	seen := map[uint]bool{}
	for _, c := range conditions {
		if seen[c.index] {
			var rules []rule
			for _, c := range conditions {
				rules = append(rules, rule{id: id, ret: value, conditions: []condition{c}})
			}
			return rules
		}
		seen[c.index] = true
	}
	return []rule{{id: id, ret: value, conditions: conditions}}
}

func newCondition(arg specs.LinuxSeccompArg) (condition, error) {
	c := condition{index: arg.Index, op: arg.Op, mask: math.MaxUint64, value: arg.Value}
	if arg.Index > 5 {
		return c, fmt.Errorf("index: %d is above 5", arg.Index)
	}
	switch arg.Op {
	case specs.OpNotEqual, specs.OpLessThan, specs.OpLessEqual, specs.OpEqualTo, specs.OpGreaterEqual, specs.OpGreaterThan:
	case specs.OpMaskedEqual:
		c.op, c.mask, c.value = specs.OpEqualTo, arg.Value, arg.Value&arg.ValueTwo
	default:
		return c, fmt.Errorf("op: unknown operator %q", arg.Op)
	}
	return c, nil
}

// newerIsENOSYS says whether calls that are newer than the profile give
// ENOSYS: where they would be refused, and not by that very error.
func (p *profile) newerIsENOSYS() bool {
	switch p.def & 0xffff0000 {
	case retAllow, retLog, retTrace:
		return false
	}
	return p.def != retErrno|errnoENOSYS
}

// call is a number with the rules that decide upon it.
type call struct {
	number uint32
	rules  []rule
	shared string // the name, where other calls' rules are among them
}

// resolve gives the calls of the ABI that have rules, by number, and the
// highest number that the profile names.
func (p *profile) resolve(a *abi) (calls []call, last uint32) {
	calls = make([]call, 0, len(p.rules))
	for name, number := range a.numbers() {
		rules, ok := p.rules[name]
		if ok {
			last = max(last, number)
		}
		shared := ""
		if a.mux && (name == "socketcall" || name == "ipc") {
			rules, shared = append(slices.Clone(rules), p.multiplexed(name)...), name
		}
		if rules = p.effective(rules); len(rules) > 0 {
			last = max(last, number)
			calls = append(calls, call{number, rules, shared})
		}
	}
	// A number with two names has the rules of the first of them.
	slices.SortStableFunc(calls, func(x, y call) int { return cmp.Compare(x.number, y.number) })
	return slices.CompactFunc(calls, func(x, y call) bool { return x.number == y.number }), last
}

// effective leaves the rules that decide: none that says what the default
// says, and the first unconditional one alone.
func (p *profile) effective(rules []rule) []rule {
	plain := true
	for i, r := range rules {
		if r.ret != p.def && len(r.conditions) == 0 {
			return rules[i : i+1]
		}
		plain = plain && r.ret != p.def
	}
	if plain {
		return rules
	}
	return slices.DeleteFunc(slices.Clone(rules), func(r rule) bool { return r.ret == p.def })
}

// key is the same for the same rules, and empty for one without conditions.
func (c call) key() string {
	if len(c.rules) == 1 && len(c.rules[0].conditions) == 0 {
		return ""
	}
	b := []byte(c.shared)
	for _, r := range c.rules {
		b = strconv.AppendInt(append(b, ' '), int64(r.id), 10)
	}
	return string(b)
}
