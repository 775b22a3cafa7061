#ifndef POSTERN_BASE_SOCKET_ADDRESS_H_
#define POSTERN_BASE_SOCKET_ADDRESS_H_

#include <sys/socket.h>

#include "absl/strings/string_view.h"

namespace postern::base {

// Reads "192.0.2.1:110" or "[2001:db8::1]:110": a literal address, since a name would have to be asked for over the
// network at every start, and a port from 1 to 65535. Returns what is wrong with it, "" if nothing; only then are the
// outputs set. Every octet of `address` that counts is set, so that equal addresses compare equal by memcmp.
absl::string_view ReadAddress(absl::string_view text, sockaddr_storage* address, socklen_t* octets);

// The same, or the absolute path of a Unix socket (unix(7)).
absl::string_view ReadAddressOrPath(absl::string_view text, sockaddr_storage* address, socklen_t* octets);

}  // namespace postern::base

#endif  // POSTERN_BASE_SOCKET_ADDRESS_H_
