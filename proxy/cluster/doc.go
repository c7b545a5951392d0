// Package cluster is what the replicas of an edge share through one Redis (or Valkey): the count of shared rate limits, certificates, the secrets of
// session tickets, the document of what operators have set at run time, and the evidence of rollouts. It is injected into packages that know nothing of it. No request waits for it: what is decided about a request is decided with what is known
// here, and a Redis that is away takes the sharing away and nothing else. It does not speak to a Redis Cluster, whose keys have no common place for a script.
package cluster
