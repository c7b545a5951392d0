// Package server is the composition root: it turns a configuration file into a running edge and keeps the two in step.
//
// Everything that changes what is served goes through Server.apply or Server.setWeights, under one mutex that the data path never takes, in
// the same order: parse and compile (pure), acquire what can fail, wait for new peers for at most one probe, commit with stores that cannot fail,
// retire what left. It holds no request logic: that is package proxy.
package server
