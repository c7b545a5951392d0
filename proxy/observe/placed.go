package observe

// Placed says how a request came to the group that it was dealt to.
type Placed uint8

// The ways. Unnamed is a client that lacks the header or cookie it would be known by: its address stands in. Asked is a request that a group's match takes, whatever the weights.
const (
	PlacedNowhere   Placed = iota
	PlacedDealt            // one by one, by weight
	PlacedNew              // a client that has no cookie of ours yet, by weight
	PlacedCookie           // by our cookie
	PlacedHeader           // by a header of the application's
	PlacedAppCookie        // by a cookie of the application's
	PlacedAddress          // by the client's address, as is configured
	PlacedUnnamed
	PlacedAsked
)
