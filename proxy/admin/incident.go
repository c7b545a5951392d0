package admin

import (
	"net/http"
	"time"
)

// IncidentSummary names an incident: GET /v1/incidents lists them, the last one first.
type IncidentSummary struct {
	ID      string    `json:"id"`
	At      time.Time `json:"at"`
	Service string    `json:"service"`
	To      string    `json:"to"`
	Cause   string    `json:"cause"`
	Reason  string    `json:"reason"`
}

// Incident is what was known when a rollout was rolled back by itself: GET /v1/incidents/{id}.
type Incident struct {
	Schema string `json:"schema"` // weir.incident/1
	IncidentSummary
	Version    string `json:"version"` // of weir
	Generation uint64 `json:"generation"`
	Config     string `json:"config"` // the entity tag of the configuration in force
	// Changed is how that differs from the one at the service's last promotion, or at the start of the process.
	Changed []string `json:"changed"`
	// Rollout has the timeline, and the curve of the evidence with its threshold.
	Rollout Rollout `json:"rollout"`
	// State is the service right after the rollback: weights, targets, their health and ejections.
	State Service `json:"state"`
	// Failed and Slow are requests of the group that was tried, Others requests of the same routes that other groups served at the same time; newest first, at most IncidentSamples each.
	Failed []RequestSummary `json:"failed"`
	Slow   []RequestSummary `json:"slow"`
	Others []RequestSummary `json:"others"`
}

// IncidentSchema is the version of Incident: a field may be added to it, none changes its meaning.
const IncidentSchema = "weir.incident/1"

// IncidentSamples is how many requests of a kind an incident keeps.
const IncidentSamples = 20

func (a *api) incidents(*http.Request) (answer, error) {
	list, err := a.control.Incidents()
	if list == nil {
		list = []IncidentSummary{}
	}
	return answer{body: list}, err
}

func (a *api) incident(r *http.Request) (answer, error) {
	i, err := a.control.Incident(r.PathValue("id"))
	return answer{body: i}, err
}
