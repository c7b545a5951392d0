// Command rollback is `make demo-rollback`: it ships a version that fails 5 % of its requests to 5 % of the traffic, 1,000 requests a second from 250 addresses, and
// measures how long that lasts and what clients see of it. Then the repaired version: without traffic nothing happens, with traffic it gets everything.
//
// It runs the programs as they ship, two colours of valor-api behind weir, and types the commands that an operator types. Clients keep their connections, each of them
// bound to an address of 127.0.0.0/8 of its own, and ask by the clock, whether they were answered fast or not: a weir that stalls is found out by what it owes.
//
// It talks to loopback only, ends by itself, and leaves nothing behind. It refuses to be a bench: what weir costs is weirbench's to say.
package main
