package configs

import "time"

// Recorder is the flight recorder: the last requests, in memory, to be asked for when something has gone wrong (GET /v1/requests).
type Recorder struct {
	// How many of the last requests are kept, about 500 bytes each; beside them an eighth as many of the slow ones and of the failed ones, which the others do not push
	// out. 0 switches it off.
	Requests int `toml:"requests" default:"4096" min:"0" max:"100000"`
	// From when on a request is a slow one: the time to the head of its answer.
	Slow time.Duration `toml:"slow" default:"1s" min:"1ms" max:"1h"`
}
