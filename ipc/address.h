#ifndef POSTERN_IPC_ADDRESS_H_
#define POSTERN_IPC_ADDRESS_H_

#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <string>

#include "ipc/messages.h"

namespace postern::ipc {

// Of an AF_INET or AF_INET6 socket; an IPv4-mapped address (RFC 4291 §2.5.5.2) becomes IPv4. Another family gives an
// address that is not Valid().
Address FromSockaddr(const sockaddr_storage& address);

// In canonical form (RFC 5952), without the port: "192.0.2.1", "2001:db8::1".
std::string ToText(const Address& address);

// What one customer has: an IPv4 address, an IPv6 /64 (RFC 6177). Clients are counted by it.
using Network = std::array<uint8_t, 9>;  // 4 or 6, then 4 or 8 octets
Network NetworkOf(const Address& address);

}  // namespace postern::ipc

#endif  // POSTERN_IPC_ADDRESS_H_
