#ifndef POSTERN_IPC_ADDRESS_H_
#define POSTERN_IPC_ADDRESS_H_

#include <sys/socket.h>

#include <string>

#include "ipc/messages.h"

namespace postern::ipc {

// Of an AF_INET or AF_INET6 socket; an IPv4-mapped address (RFC 4291 §2.5.5.2) becomes IPv4. Another family gives an
// address that is not Valid().
Address FromSockaddr(const sockaddr_storage& address);

// In canonical form (RFC 5952), without the port: "192.0.2.1", "2001:db8::1".
std::string ToText(const Address& address);

}  // namespace postern::ipc

#endif  // POSTERN_IPC_ADDRESS_H_
