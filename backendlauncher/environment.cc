#include "backendlauncher/environment.h"

#include "absl/strings/str_cat.h"
#include "ipc/address.h"

namespace postern::backendlauncher {

std::vector<std::string> BuildEnvironment(const ipc::Address& client, const ipc::Address& server,
                                          const ipc::TlsFacts& facts) {
  std::vector<std::string> environment = {
      "PATH=/usr/local/bin:/usr/bin:/bin",
      "PROTO=TCP",
      absl::StrCat("TCPREMOTEIP=", ipc::ToText(client)),
      absl::StrCat("TCPREMOTEPORT=", client.port),
      absl::StrCat("TCPLOCALIP=", ipc::ToText(server)),
      absl::StrCat("TCPLOCALPORT=", server.port),
  };
  if (facts.version.octets != 0) {
    environment.push_back(absl::StrCat("SSL_PROTOCOL=", facts.version.view()));
    environment.push_back(absl::StrCat("SSL_CIPHER=", facts.cipher.view()));
    if (facts.sni.octets != 0) environment.push_back(absl::StrCat("SSL_TLS_SNI_SERVERNAME=", facts.sni.view()));
    // courier's programs look for the one that is theirs.
    environment.push_back("POP3_TLS=1");
    environment.push_back("IMAP_TLS=1");
  }
  return environment;
}

}  // namespace postern::backendlauncher
