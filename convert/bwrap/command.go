package bwrap

// Arg is one argument to bubblewrap: a text, or the number of a descriptor
// that holds Data.
type Arg struct {
	Text string
	Data *Data
}

// Data is content that travels by descriptor; Name is for people.
type Data struct {
	Name  string
	Bytes []byte
}

// Option is an option with its operands.
type Option []Arg

// Command is a lowered Plan: what the runner prepares (nil for nothing), and
// bubblewrap's options up to the command, which the runner adds.
type Command struct {
	Stage   *Stage
	Options []Option
	Late    []Op // what the init mounts when bubblewrap is done
	Process Process

	Sysctl     []Sysctl // what the init sets, before Late
	Domainname string

	Join []Join // what the runner enters, or is in, or has bubblewrap enter

	Time   bool // a time namespace, for the runner to make
	Clocks []Clock

	Cgroup *CgroupLimits // what bubblewrap is started in

	// KeepGroups says that supplementary groups can't be set: the user
	// namespace maps a single id.
	KeepGroups bool

	// UIDMap and GIDMap are for the runner to write: bubblewrap is to make a
	// user namespace and wait for that (--userns-block-fd).
	UIDMap, GIDMap []IDMapping
}
