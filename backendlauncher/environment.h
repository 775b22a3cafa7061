#ifndef POSTERN_BACKENDLAUNCHER_ENVIRONMENT_H_
#define POSTERN_BACKENDLAUNCHER_ENVIRONMENT_H_

#include <string>
#include <vector>

#include "ipc/messages.h"

namespace postern::backendlauncher {

// The environment of checkpassword and, through it, of a backend, built from nothing, "NAME=value" each:
//   PATH;
//   PROTO=TCP, TCPREMOTEIP, TCPREMOTEPORT, TCPLOCALIP, TCPLOCALPORT (UCSPI, tcp-environ(5));
//   inside TLS also SSL_PROTOCOL, SSL_CIPHER, SSL_TLS_SNI_SERVERNAME (if the client sent a name), and POP3_TLS=1.
// USER, HOME and SHELL are checkpassword's to add; AUTHENTICATED, AUTHADDR and what is configured are begin's.
std::vector<std::string> BuildEnvironment(const ipc::Address& client, const ipc::Address& server,
                                          const ipc::TlsFacts& facts);

}  // namespace postern::backendlauncher

#endif  // POSTERN_BACKENDLAUNCHER_ENVIRONMENT_H_
