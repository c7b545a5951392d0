package admin

import "time"

// Status is the whole live state: GET /v1/status.
type Status struct {
	Version string `json:"version"`
	PID     int    `json:"pid"`
	// State is "running" or "draining".
	State     string    `json:"state"`
	StartedAt time.Time `json:"started_at"`
	// Generation counts the configurations put in force by this process, from 1.
	Generation uint64     `json:"generation"`
	Config     ConfigInfo `json:"config"`
	Listeners  []Listener `json:"listeners"`
	Services   []Service  `json:"services"`
	// Cluster is the link to the other replicas; absent without [cluster].
	Cluster *Cluster `json:"cluster,omitempty"`
	// Discovery are the names and Services that targets are found by; absent without any.
	Discovery []Discovery `json:"discovery,omitempty"`
	// Warnings are what an operator should know and no error says: a void overlay, a dead new target.
	Warnings []string `json:"warnings,omitempty"`
}

// ConfigInfo says which file is in force and how the last attempt to replace it went.
type ConfigInfo struct {
	Path string `json:"path"`
	// Version is the entity tag of GET /v1/config, without quotes: it changes when what is in force does.
	Version  string    `json:"version"`
	LoadedAt time.Time `json:"loaded_at"`
	// LastReload is absent until the first reload.
	LastReload *ReloadAttempt `json:"last_reload,omitempty"`
	// Unconfirmed is there while the configuration in force waits to be confirmed.
	Unconfirmed *Unconfirmed `json:"unconfirmed,omitempty"`
}

// ReloadAttempt is one reload that was tried, by whatever trigger.
type ReloadAttempt struct {
	At time.Time `json:"at"`
	OK bool      `json:"ok"`
	// Trigger is "signal", "file" or "admin", or "revert" for a configuration that was taken back because nobody confirmed it: then OK is false, though what was in force before is.
	Trigger string   `json:"trigger"`
	Errors  []Detail `json:"errors,omitempty"`
}

// Cluster is the link to the other replicas through Redis.
type Cluster struct {
	Address string `json:"address"`
	Up      bool   `json:"up"`
	// Since when it is up or not.
	Since time.Time `json:"since"`
	// Error says why it is not up.
	Error string `json:"error,omitempty"`
	// Replicas counts those seen at the last look, this one included.
	Replicas int `json:"replicas"`
	// Replica is this process's name among them.
	Replica string `json:"replica"`
	// Revision numbers the changes of the replicas' common weights, drains and rollouts; it is that which is in force here, 0 before the first.
	Revision uint64 `json:"overlay_revision"`
	// Refused says why what the replicas have set is not in force here.
	Refused string `json:"overlay_refused,omitempty"`
}

// Discovery is a name or a Service that stands for targets.
type Discovery struct {
	// Source is "dns:NAME", "srv:NAME" or "kubernetes:[NAMESPACE/]SERVICE:PORT".
	Source string `json:"source"`
	// Up says that the last answer was a good one, Since when it is so or not.
	Up    bool      `json:"up"`
	Since time.Time `json:"since"`
	// AnsweredAt is when the last good answer came; absent: none has.
	AnsweredAt *time.Time `json:"answered_at,omitempty"`
	// Error is the last answer's.
	Error string `json:"error,omitempty"`
	// Targets counts the addresses of the last good answer, which hold until there is another; Draining those of them that get nothing new.
	Targets  int `json:"targets"`
	Draining int `json:"draining,omitempty"`
}

// Listener is one open socket of the data path.
type Listener struct {
	Name        string   `json:"name"`
	Address     string   `json:"address"`
	TLS         bool     `json:"tls"`
	Protocols   []string `json:"protocols"`
	Connections int64    `json:"connections"`
}
