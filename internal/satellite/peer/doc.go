// Package peer links the engines of a satellite.
//
// A [Mesh] keeps one link to each of the satellite's other engines. It chooses
// each algorithm's slot owner, carries the pools' requests for slots
// ([pool.Peer]), and tells the others what this engine counted. It promises that
//
//   - only engines that have the same secret link, and what goes over a link can
//     be neither read, changed, left out, repeated nor reordered by others;
//   - engines that are linked to each other choose the same slot owner, and when
//     an engine comes or goes only the algorithms that it owned change hands;
//   - a link over which nothing comes or goes for 5 seconds is given up, and the
//     slots that its engine borrowed are free again;
//   - a message that cannot be read, or makes this engine panic, ends its link
//     and nothing else.
//
// It does not know calls: they go straight to the replicas. Nor does it know how
// addresses are found ([Finder]), which pools there are ([Host]), or who reads a
// link's connection ([EventLoop]).
//
// # Slot owners
//
// By rendezvous hashing: the slot owner of an algorithm is the engine with the
// highest score among those that are linked and do not drain, this one included.
// The score is the 64-bit FNV-1a hash of ALGORITHM, a line feed and ENGINE-ID,
// mixed as x ^= x>>33; x *= 0xff51afd7ed558ccd; x ^= x>>33. An engine that drains
// first claims at the new owners the slots that its calls hold, and then says
// that it drains.
//
// # Wire protocol: the handshake
//
// The protocol is constellation-peer-2. Links run over the TCP port of the
// engine's calls. A NONCE is an ephemeral X25519 public key in 64 hexadecimal
// digits, an ID 16 random ones that an engine has until it stops. The dialer
// sends
//
//	GET /internal/peer HTTP/1.1
//	Host: ADDRESS
//	Connection: Upgrade
//	Upgrade: constellation-peer-2
//	X-Peer-Id: DIALER-ID
//	X-Peer-Nonce: DIALER-NONCE
//
// and the acceptor answers
//
//	HTTP/1.1 101 Switching Protocols
//	Connection: Upgrade
//	Upgrade: constellation-peer-2
//	X-Peer-Id: ACCEPTOR-ID
//	X-Peer-Nonce: ACCEPTOR-NONCE
//	X-Peer-Proof: proof("accept")
//
// upon which the dialer sends the 64 digits of proof("dial") with no line end,
// and both begin to send messages. Each line ends in CR LF, each head in an empty
// line. An end that does not prove to have the secret is hung up on. Of two links
// between the same engines, both ends keep the one that the smaller ID dialed.
//
// proof(WORD) is the HMAC-SHA256, keyed with the secret, in hexadecimal, of
// WORD, DIALER-ID, ACCEPTOR-ID, DIALER-NONCE and ACCEPTOR-NONCE, each written as
// its length in decimal, a colon, itself and a line feed. The secret is
// [Secret] of the launch's token.
//
// # Wire protocol: the messages
//
// HKDF-SHA256 makes 64 bytes, with the X25519 shared secret followed by the
// secret as input, no salt, and proof("link") as info. The first 32 are the
// AES-256-GCM key of what the dialer sends, the others that of the acceptor.
// So who learns the token later cannot read what was recorded.
//
//	offset  size  a message on the wire
//	0       4     big-endian length N of what follows, 1 to 8388608
//	4       N     sealed text: ciphertext and 16 bytes of tag, no additional data
//
// The GCM nonce is four zero bytes and the big-endian 64-bit number of the message
// in its direction, from 1. The text is
//
//	size     field
//	1        kind
//	uvarint  request
//	uvarint  n
//	uvarint  length of the algorithm
//	…        algorithm, a vanity URL
//	…        text, to the end
//
// with unsigned varints as in encoding/binary. Fields that a kind does not name
// are 0 or empty:
//
//	1 acquire   request, algorithm, text: the API key's ID, n: 1 for a retry + 2 for a durable call
//	2 grant     request, algorithm, text: the replica's address, n: a pool.Class
//	3 refuse    request, n: 0 no replica, 1 queue full, 2 removed, 3 moved
//	4 cancel    request
//	5 release   algorithm, text: the replica's address, n: a pool.Outcome, request: a pool.Class
//	6 claim     algorithm, text: the replica's address, n: slots, 65536 at most, request: a pool.Class
//	7 state     n: 1 when the engine drains
//	8 report    text: the engine's counts, JSON; also says that it lives
//	9 spent     text: the ID of an API key with a rate, with which a call came
//
// Requests are numbered by the engine that asks. Each acquire is answered by one
// grant or refuse, unless a cancel overtakes it; a grant that comes after all is
// answered with a release. A refusal as moved says that the engine does not own
// the slots: the asker finds the owner again.
//
// Releases that know no classes read and write them as 0, synchronous: there a
// durable call is one that has a caller, when it waits and when it has a slot.
// They take an acquire for a retry when n is 1, and for none else.
package peer
