package upstream

// Priority is the class of a request when not all can be served. Smaller is more important.
type Priority uint8

// The classes.
const (
	Critical Priority = iota
	High
	Normal
	Low
	Priorities // how many there are
)

// String is the word that the configuration, metrics and logs use.
func (p Priority) String() string {
	switch p {
	case Critical:
		return "critical"
	case High:
		return "high"
	case Normal:
		return "normal"
	default:
		return "low"
	}
}
