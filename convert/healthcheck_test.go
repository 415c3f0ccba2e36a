package convert

import (
	"fmt"
	"strings"
	"testing"
)

func TestParseHealthcheck(t *testing.T) {
	for _, tt := range []struct{ config, want string }{
		{``, "<nil>"},
		{`{}`, "<nil>"},
		{`{"config":{"Cmd":["x"]}}`, "<nil>"},
		{`{"config":{"Healthcheck":{}}}`, "<nil>"},
		{`{"config":{"Healthcheck":{"Test":["NONE"]}}}`, "<nil>"},
		{`{"config":{"Healthcheck":{"Test":["CMD","a","b c"]}}}`, "[a b c] 0s 0s 0s 0s 0; 30s 30s 5s 3"},
		{`{"config":{"Healthcheck":{"Test":["CMD-SHELL","a || b"],"Interval":1000000000,"Timeout":2000000000,"StartPeriod":3000000000,"StartInterval":4000000000,"Retries":5}}}`,
			"[/bin/sh -c a || b] 1s 2s 3s 4s 5; 1s 2s 4s 5"},
		{`{"config":{"Shell":["/bin/bash","-ec"],"Healthcheck":{"Test":["CMD-SHELL","a"]}}}`, "[/bin/bash -ec a] 0s 0s 0s 0s 0; 30s 30s 5s 3"},
		{`{"config":{"Healthcheck":{"Test":["CMD"]}}}`, "error: config.Healthcheck.Test"},
		{`{"config":{"Healthcheck":{"Test":["CMD-SHELL"]}}}`, "error: config.Healthcheck.Test"},
		{`{"config":{"Healthcheck":{"Test":["CMD-SHELL","a","||","b"]}}}`, "[/bin/sh -c a || b] 0s 0s 0s 0s 0; 30s 30s 5s 3"},
		{`{"config":{"Healthcheck":{"Test":["a"]}}}`, "error: config.Healthcheck.Test"},
		{`{"config":{"Healthcheck":{"Test":["CMD","a"],"Interval":5}}}`, "error: config.Healthcheck.Interval: 5 ns"},
		{`{"config":{"Healthcheck":{"Test":["CMD","a"],"Timeout":-1}}}`, "error: config.Healthcheck.Timeout: -1 ns"},
		{`{"config":{"Healthcheck":{"Test":["CMD","a"],"Retries":-1}}}`, "error: config.Healthcheck.Retries"},
		{`{"config":{"Healthcheck":{"Test":"a"}}}`, "error: config.Healthcheck: "},
	} {
		got := "<nil>"
		h, err := ParseHealthcheck([]byte(tt.config))
		if err != nil {
			got = "error: " + err.Error()
		} else if h != nil {
			d := h.WithDefaults()
			got = fmt.Sprint(h.Args, h.Interval, h.Timeout, h.StartPeriod, h.StartInterval, " ", h.Retries, "; ", d.Interval, d.Timeout, d.StartInterval, " ", d.Retries)
		}
		if strings.HasPrefix(tt.want, "error") && !strings.HasPrefix(got, tt.want) || !strings.HasPrefix(tt.want, "error") && got != tt.want {
			t.Errorf("%s: %s, want %s", tt.config, got, tt.want)
		}
	}
}
