package convert

// Class says what becomes of a field.
type Class string

const (
	Honoured     Class = "honoured"
	Approximated Class = "approximated" // in part; How says which
	Refused      Class = "refused"      // a Gap where it is set
	Irrelevant   Class = "irrelevant"   // there is nothing to do on Linux or when running
)

// fieldRow is one field of the image config or of the Spec, by its JSON name.
// A row that is refused or irrelevant also stands for what is below it.
type fieldRow struct {
	Path   string
	Class  Class
	Effect Effect // of a refused one
	How    string // what is done, or why nothing is
	Remedy string
}

// imageFields are the fields of ispec.Image.
var imageFields = [...]fieldRow{
	{Path: "created", Class: Honoured, How: "annotation org.opencontainers.image.created"},
	{Path: "author", Class: Honoured, How: "annotation org.opencontainers.image.author"},
	{Path: "architecture", Class: Honoured, How: "selects the image; annotation org.opencontainers.image.architecture"},
	{Path: "os", Class: Honoured, How: "selects the image; annotation org.opencontainers.image.os"},
	{Path: "os.version", Class: Honoured, How: "annotation org.opencontainers.image.os.version"},
	{Path: "os.features", Class: Honoured, How: "annotation org.opencontainers.image.os.features, comma-separated"},
	{Path: "variant", Class: Honoured, How: "selects the image; annotation org.opencontainers.image.variant"},
	{Path: "config.User", Class: Honoured, How: "process.user; names from the image's /etc/passwd and /etc/group; an unknown one is an error. Without a group, the further groups are those that list the user, by number too, as config.md and podman have it, where conversion.md gives a number none. A number that they lack is added to them, as podman does. HOME is set from passwd where unset"},
	{Path: "config.ExposedPorts", Class: Honoured, How: "annotation org.opencontainers.image.exposedPorts; no port is forwarded"},
	{Path: "config.Env", Class: Honoured, How: "process.env; of several with one name the last wins; an entry without a name or without \"=\" is left out and noted"},
	{Path: "config.Entrypoint", Class: Honoured, How: "the start of process.args; --entrypoint replaces it and Cmd"},
	{Path: "config.Cmd", Class: Honoured, How: "the end of process.args; a COMMAND replaces it"},
	{Path: "config.Volumes", Class: Honoured, How: "a writable directory each that starts with the image's content and is discarded at exit; /, /proc, /sys, /dev, /nix/store, what climbs out by \"..\", more than 1000, and more than 10,000 names in their paths are errors"},
	{Path: "config.WorkingDir", Class: Honoured, How: "process.cwd; made absolute and clean, made where the image lacks it; below /proc it is an error"},
	{Path: "config.Labels", Class: Honoured, How: "annotations, which win over the implicit ones"},
	{Path: "config.StopSignal", Class: Honoured, How: "SIGTERM and SIGHUP become it; annotation org.opencontainers.image.stopSignal"},
	{Path: "config.ArgsEscaped", Class: Irrelevant, How: "Windows only"},
	{Path: "rootfs.type", Class: Honoured, How: "\"layers\"; anything else is an error"},
	{Path: "rootfs.diff_ids", Class: Honoured, How: "every layer is verified against its own"},
	{Path: "history", Class: Irrelevant, How: "how the image was built"},
}
