package convert

import (
	"maps"
	"slices"
	"strings"
)

// annotations sets the implicit annotations of conversion.md and then the
// labels, which win over them.
func (c *conversion) annotations() {
	img, cfg := c.img, c.img.Config
	stop, from := cfg.StopSignal, "config.StopSignal"
	if c.o.StopSignal != "" {
		stop, from = c.o.StopSignal, "--stop-signal"
	}
	if stop == "" {
		from = "default"
	}
	c.res.Origin["stopSignal"] = from
	if stop != "" {
		if _, err := ParseSignal(stop); err != nil {
			c.fault(from, "%w", err)
		}
	}
	c.res.StopSignal = stop

	a := map[string]string{}
	set := func(key, value string) {
		if value != "" {
			a["org.opencontainers.image."+key] = value
		}
	}
	set("os", img.OS)
	set("architecture", img.Architecture)
	set("variant", img.Variant)
	set("os.version", img.OSVersion)
	set("os.features", strings.Join(img.OSFeatures, ","))
	set("author", img.Author)
	if img.Created != nil {
		created, err := img.Created.MarshalText() // RFC 3339, as the config has it
		if err != nil {
			c.fault("created", "%w", err)
		}
		set("created", string(created))
	}
	set("stopSignal", stop)
	set("exposedPorts", strings.Join(slices.Sorted(maps.Keys(cfg.ExposedPorts)), ","))
	maps.Copy(a, cfg.Labels)
	maps.Copy(a, c.o.Labels)
	maps.Copy(a, c.o.Annotations)
	if len(a) > 0 {
		c.res.Spec.Annotations = a
	}
}
