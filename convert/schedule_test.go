package convert

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
)

func TestSchedule(t *testing.T) {
	for _, tt := range []struct{ process, linux, want string }{
		{`{}`, `{}`, `{}`},
		{`{}`, `{"personality":{"domain":"LINUX32"}}`, `{"personality":8}`},
		{`{}`, `{"personality":{"domain":"LINUX"}}`, `{"personality":0}`},
		{`{}`, `{"personality":{"domain":"BSD"}}`, `linux.personality.domain: "BSD"`},
		{`{}`, `{"personality":{"domain":"LINUX","flags":["X"]}}`, `linux.personality.flags: `},
		{`{"ioPriority":{"class":"IOPRIO_CLASS_BE","priority":3}}`, `{}`, `{"ioPriority":{"class":2,"priority":3}}`},
		{`{"ioPriority":{"class":"BE"}}`, `{}`, `process.ioPriority.class: "BE"`},
		{`{"ioPriority":{"class":"IOPRIO_CLASS_BE","priority":8}}`, `{}`, `process.ioPriority.priority: 8`},
		{`{"scheduler":{"policy":"SCHED_BATCH","nice":5,"flags":["SCHED_FLAG_RESET_ON_FORK"]}}`, `{}`, `{"scheduler":{"policy":3,"nice":5,"flags":1}}`},
		{`{"scheduler":{"policy":"SCHED_FIFO","priority":9}}`, `{}`, `{"scheduler":{"policy":1,"priority":9}}`},
		{`{"scheduler":{"policy":"SCHED_ISO"}}`, `{}`, `process.scheduler.policy: "SCHED_ISO"`},
		{`{"scheduler":{"policy":"SCHED_OTHER","nice":20}}`, `{}`, `process.scheduler.nice: 20`},
		{`{"scheduler":{"policy":"SCHED_RR","priority":100}}`, `{}`, `process.scheduler.priority: 100`},
		{`{"scheduler":{"policy":"SCHED_OTHER","flags":["SCHED_FLAG_UTIL_CLAMP_MIN"]}}`, `{}`, `process.scheduler.flags: "SCHED_FLAG_UTIL_CLAMP_MIN"`},
	} {
		spec := &specs.Spec{Process: new(specs.Process), Linux: new(specs.Linux)}
		if err := errors.Join(json.Unmarshal([]byte(tt.process), spec.Process), json.Unmarshal([]byte(tt.linux), spec.Linux)); err != nil {
			t.Fatal(err)
		}
		p := &planner{spec: spec}
		var out bwrap.Process
		p.schedule(&out)
		doc, err := json.Marshal(struct {
			Personality *uint32           `json:"personality,omitempty"`
			IOPriority  *bwrap.IOPriority `json:"ioPriority,omitempty"`
			Scheduler   *bwrap.Scheduler  `json:"scheduler,omitempty"`
		}{out.Personality, out.IOPriority, out.Scheduler})
		if err != nil {
			t.Fatal(err)
		}
		got := string(doc)
		if err := errors.Join(p.errs...); err != nil {
			got = err.Error()
		}
		if got != tt.want && (tt.want[0] == '{' || !strings.HasPrefix(got, tt.want)) {
			t.Errorf("%s %s: %s, want %s", tt.process, tt.linux, got, tt.want)
		}
	}
}
