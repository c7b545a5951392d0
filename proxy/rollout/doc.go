// Package rollout judges a group on trial ("green") while traffic moves to it, and moves the traffic: step by step to the whole, or all of it back.
//
// Machine is the pure core: time and counts go in, decisions come out. Runner is the thin shell, one goroutine that looks at the counts twenty times a second
// and has the Edge, which is the server, carry decisions out. The package knows neither requests nor files: it refuses to count, to
// store, and to touch weights by itself.
//
// What decides is balancer.Evidence over bad events, with a harm budget and tripwires beside it; they are held in every state that serves green, a paused one and the
// bake at 100 % among them. What promotes is time and enough requests to have seen what is wrong, never time alone.
package rollout
