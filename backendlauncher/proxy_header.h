#ifndef POSTERN_BACKENDLAUNCHER_PROXY_HEADER_H_
#define POSTERN_BACKENDLAUNCHER_PROXY_HEADER_H_

#include <string>

#include "ipc/messages.h"

namespace postern::backendlauncher {

// What is sent first on a connection to a backend that wants to know who the client is: the PROXY protocol of HAProxy
// (proxy-protocol.txt), version 1, a line, or version 2, binary. Version 2 also tells of TLS: the server name that the
// client asked for (PP2_TYPE_AUTHORITY), version and cipher (PP2_TYPE_SSL). `client` and `server` are of one family; if
// they are not, as a captured role might claim, the header says so in the protocol's way ("UNKNOWN", AF_UNSPEC).
std::string ProxyHeader(int version, const ipc::Address& client, const ipc::Address& server,
                        const ipc::TlsFacts& facts);

// The same where postern itself is the client: "UNKNOWN", or the command LOCAL, as of a health check.
std::string ProxyHeaderForNobody(int version);

}  // namespace postern::backendlauncher

#endif  // POSTERN_BACKENDLAUNCHER_PROXY_HEADER_H_
